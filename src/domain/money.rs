//! What is paid: amounts, currencies, and the units that the vendor bills in. Decimal throughout; nothing is ever a
//! float.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;
use super::ids::text_id;

/// Millionths in one.
const ONE: u64 = 1_000_000;
/// The most millionths that are counted: what a signed 64-bit column holds.
const MOST: u64 = i64::MAX.unsigned_abs();

/// The text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: write digits, such as 0.28 or 50, with at most six after the point")]
pub struct NotAnAmount;

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident, $places:literal) => {
        $(#[$doc])*
        ///
        /// Kept in millionths, from nothing up to what a signed 64-bit column holds; arithmetic stops at either end.
        /// Written as a decimal text, never as a float.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The most that can be counted.
            pub const MOST: Self = Self(MOST);

            /// So many millionths, or the most that can be counted.
            #[must_use]
            pub const fn from_micros(micros: u64) -> Self {
                Self(if micros > MOST { MOST } else { micros })
            }

            /// The millionths; they fit a signed 64-bit number.
            #[must_use]
            pub const fn micros(self) -> u64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAnAmount;

            fn from_str(text: &str) -> Result<Self, NotAnAmount> {
                micros_of(text).map(Self).ok_or(NotAnAmount)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&written(self.0, $places))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnAmount;

            fn try_from(text: String) -> Result<Self, NotAnAmount> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(amount: $name) -> Self {
                amount.to_string()
            }
        }

        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self::from_micros(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sub for $name {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl Mul<u64> for $name {
            type Output = Self;

            fn mul(self, count: u64) -> Self {
                Self::from_micros(self.0.saturating_mul(count))
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
                amounts.fold(Self::ZERO, Add::add)
            }
        }
    };
}

decimal!(
    /// An amount of money, without its currency: `0.28`.
    Money, 2
);

decimal!(
    /// Units that the vendor bills in, as it states them for a finished task (`final_unit_deduction`, documented): `2`,
    /// `3.5`.
    Units, 0
);

impl Mul<Money> for Units {
    type Output = Money;

    /// What these units cost at so much a unit, rounded up to the next millionth.
    fn mul(self, unit_price: Money) -> Money {
        let micros = (u128::from(self.0) * u128::from(unit_price.0)).div_ceil(u128::from(ONE));
        Money::from_micros(u64::try_from(micros).unwrap_or(MOST))
    }
}

text_id!(
    /// What amounts are counted in: a currency, or the credits of a gateway.
    Currency, "currency", "1 to 12 ASCII letters, such as USD or credits",
    |text| (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
);

impl Default for Currency {
    /// `USD`, which the vendor's list is in.
    fn default() -> Self {
        Self("USD".to_owned())
    }
}

/// An amount in its currency: `USD 0.28`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
}

impl Price {
    /// The sums of prices, one for each currency, in the order of their names.
    pub fn sums<'a>(prices: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        let mut sums = Vec::new();
        prices.into_iter().for_each(|price| price.add_to(&mut sums));
        sums
    }

    /// Adds this price to such sums.
    pub fn add_to(&self, sums: &mut Vec<Self>) {
        match sums.binary_search_by(|sum| sum.currency.cmp(&self.currency)) {
            Ok(at) => sums[at].amount += self.amount,
            Err(at) => sums.insert(at, self.clone()),
        }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.amount)
    }
}

/// The millionths of a plain decimal number: digits, and after a point at most six more.
fn micros_of(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || fraction.is_some_and(|fraction| !digits(fraction) || fraction.len() > 6) {
        return None;
    }
    let fraction: u64 = format!("{:0<6}", fraction.unwrap_or_default()).parse().ok()?;
    let micros = whole.parse::<u64>().ok()?.checked_mul(ONE)?.checked_add(fraction)?;
    (micros <= MOST).then_some(micros)
}

/// Millionths as a plain decimal number, with at least so many digits after the point.
fn written(micros: u64, places: usize) -> String {
    let fraction = format!("{:06}", micros % ONE);
    let kept = fraction.trim_end_matches('0').len().max(places);
    if kept == 0 { (micros / ONE).to_string() } else { format!("{}.{}", micros / ONE, &fraction[..kept]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    fn units(text: &str) -> Units {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_and_shown_as_people_write_them() {
        for (text, shown) in
            [("0.28", "0.28"), ("50", "50.00"), ("1.5", "1.50"), ("0.000001", "0.000001"), ("0", "0.00")]
        {
            assert_eq!(money(text).to_string(), shown);
        }
        for (text, shown) in [("2", "2"), ("3.5", "3.5"), ("2.0", "2"), ("0", "0"), ("10", "10")] {
            assert_eq!(units(text).to_string(), shown);
        }
        assert_eq!(money("9223372036854.775807"), Money::MOST);
    }

    #[test]
    fn what_is_no_plain_amount_is_refused() {
        let bad =
            ["", ".", ".5", "5.", "-1", "+1", " 1", "1 ", "1,5", "1e3", "0x1", "1_000", "0.1234567", "1.2.3", "٣"];
        for bad in bad.into_iter().chain(["nan", "inf", "$1", "9223372036854.775808", "99999999999999999999"]) {
            assert_eq!(bad.parse::<Money>(), Err(NotAnAmount), "{bad:?}");
            assert_eq!(bad.parse::<Units>(), Err(NotAnAmount), "{bad:?}");
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        assert_eq!(money("1") - money("2"), Money::ZERO);
        assert_eq!(Money::MOST + money("1"), Money::MOST);
        assert_eq!(Money::MOST * u64::MAX, Money::MOST);
        assert_eq!(Units::MOST * Money::MOST, Money::MOST);
        assert_eq!([money("0.1"); 3].into_iter().sum::<Money>(), money("0.3"));
    }

    #[test]
    fn units_cost_their_price_and_are_never_rounded_down() {
        assert_eq!(units("3.5") * money("0.14"), money("0.49"));
        assert_eq!(units("1.7") * money("0.14"), money("0.238"));
        assert_eq!(units("0.000001") * money("0.000001"), money("0.000001"));
    }

    #[test]
    fn amounts_are_texts_in_json_and_numbers_are_refused() {
        let price = Price { amount: money("0.28"), currency: Currency::default() };
        let json = serde_json::to_string(&price).unwrap();
        assert_eq!(json, r#"{"amount":"0.28","currency":"USD"}"#);
        assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
        assert_eq!(price.to_string(), "USD 0.28");
        assert!(serde_json::from_str::<Money>("0.28").is_err());
        for bad in ["", "U$D", "US D", "much too long a name", "12"] {
            assert!(Currency::new(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same(micros in 0..=MOST) {
            prop_assert_eq!(Money::from_micros(micros).to_string().parse(), Ok(Money::from_micros(micros)));
            prop_assert_eq!(Units::from_micros(micros).to_string().parse(), Ok(Units::from_micros(micros)));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[0-9.+-]{0,24}|.{0,12}") {
            let read = text.parse::<Money>();
            prop_assert!(read.is_err() || text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        }
    }
}
