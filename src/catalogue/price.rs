//! What an effect will probably cost, and how sure that is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Currency, Effect, Money, Units};

use super::scene::{self, KnownUnits};

/// The list price of a unit of video: USD 0.14 (documented).
const LIST_UNIT_PRICE: Money = Money::from_micros(140_000);
/// Units of a scene whose price is not known: what most known ones cost for five seconds (guessed).
const BASE: Units = Units::from_micros(2_000_000);
/// The same in mode `pro`: what every scene costs there whose price in that mode is known (guessed).
const BASE_PRO: Units = Units::from_micros(3_500_000);

/// How sure an amount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// A price list says so. The vendor publishes none for scenes, so that it is the one in the settings.
    Published,
    /// Worked out from what a public client shows as the price, by the list price of a unit.
    Derived,
    /// A guess, from the proportions of a reseller's prices or from nothing but other scenes.
    Guessed,
}

/// Units that an effect will probably cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnitsGuess {
    /// How many.
    pub units: Units,
    /// How sure it is.
    pub sure: Sureness,
}

/// An amount that an effect will probably cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// How much, in the price table's currency.
    pub amount: Money,
    /// How sure it is.
    pub sure: Sureness,
}

/// What an account's gateway asks for effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    /// What all of it is in.
    pub currency: Currency,
    /// The price of one of the vendor's units.
    pub unit_price: Money,
    /// Prices by scene, for any duration and mode; or by `scene/10`, `scene/pro`, `scene/pro/10`, of which the first
    /// that fits is taken in the order `scene/mode/duration`, `scene/mode`, `scene/duration`, `scene`.
    pub per_scene: BTreeMap<String, Money>,
    /// The price of any other effect, where there is one.
    pub default: Option<Money>,
}

impl PriceTable {
    /// The vendor's list: USD 0.14 a unit (documented).
    #[must_use]
    pub fn kling_list() -> Self {
        let currency = Currency::default();
        Self { currency, unit_price: LIST_UNIT_PRICE, per_scene: BTreeMap::new(), default: None }
    }

    /// What an effect will probably cost: its own price, else the default, else its probable units.
    #[must_use]
    pub fn price(&self, effect: &Effect) -> Quote {
        let stated = |amount| Quote { amount, sure: Sureness::Published };
        self.own_price(effect).or(self.default).map_or_else(
            || {
                let settings = [&effect.duration, &effect.model, &effect.mode];
                let [duration, model, mode] = settings.map(Option::as_deref);
                let guess = default_units(&effect.scene, duration, model, mode);
                Quote { amount: guess.units * self.unit_price, sure: guess.sure }
            },
            stated,
        )
    }

    /// What an effect of which nothing is known will probably cost.
    #[must_use]
    pub fn typical(&self) -> Money {
        self.default.unwrap_or(BASE * self.unit_price)
    }

    /// The names in `per_scene` that no effect can have, such as `hug/10/pro`: their prices would never be taken.
    pub fn unusable(&self) -> impl Iterator<Item = &str> {
        self.per_scene.keys().map(String::as_str).filter(|name| {
            let parts: Vec<&str> = name.split('/').collect();
            let (mode, duration) = (["std", "pro"], ["5", "10"]);
            !match parts[..] {
                [scene] => !scene.is_empty(),
                [scene, one] => !scene.is_empty() && (mode.contains(&one) || duration.contains(&one)),
                [scene, one, other] => !scene.is_empty() && mode.contains(&one) && duration.contains(&other),
                _ => false,
            }
        })
    }

    fn own_price(&self, effect: &Effect) -> Option<Money> {
        if self.per_scene.is_empty() {
            return None;
        }
        let scene = &effect.scene;
        let (mode, duration) = (effect.mode.as_ref(), effect.duration.as_ref());
        let names = [
            mode.zip(duration).map(|(mode, duration)| format!("{scene}/{mode}/{duration}")),
            mode.map(|mode| format!("{scene}/{mode}")),
            duration.map(|duration| format!("{scene}/{duration}")),
            Some(scene.clone()),
        ];
        names.into_iter().flatten().find_map(|name| self.per_scene.get(&name).copied())
    }
}

/// The units that an effect will probably cost at the vendor's.
///
/// Few are known (see the catalogue). Where those of ten seconds are not, they are taken to be twice those of five;
/// where a model is not named and models differ, the dearest is taken; anything else is taken to cost 2 units, or 3.5
/// in mode `pro`.
#[must_use]
pub fn default_units(scene: &str, duration: Option<&str>, model: Option<&str>, mode: Option<&str>) -> UnitsGuess {
    let known = scene::find(scene).map_or(&[][..], |scene| &scene.units);
    let lasting = |seconds: &str| {
        let fitting = known.iter().filter(|known| known.duration == seconds && known.is_for(model, mode));
        dearest(&fitting.collect::<Vec<_>>())
    };
    let base = if mode == Some("pro") { BASE_PRO } else { BASE };
    let five = || lasting("5").unwrap_or(UnitsGuess { units: base, sure: Sureness::Guessed });
    if duration == Some("10") {
        lasting("10").unwrap_or_else(|| UnitsGuess { units: five().units * 2, sure: Sureness::Guessed })
    } else {
        five()
    }
}

/// The most that is known of; a guess when what is known differs.
fn dearest(known: &[&KnownUnits]) -> Option<UnitsGuess> {
    let units = known.iter().map(|one| one.units).max()?;
    let least_sure = known.iter().map(|one| one.sure).max()?;
    let agreed = known.iter().all(|one| one.units == units);
    Some(UnitsGuess { units, sure: if agreed { least_sure } else { Sureness::Guessed } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ImageSource, Images};

    fn effect(scene: &str, duration: &str, mode: Option<&str>) -> Effect {
        Effect {
            scene: scene.into(),
            images: Images::One(ImageSource::Url("https://example.com/a.jpg".into())),
            duration: Some(duration.into()),
            model: None,
            mode: mode.map(Into::into),
        }
    }

    fn guess(scene: &str, duration: Option<&str>, model: Option<&str>, mode: Option<&str>) -> (String, Sureness) {
        let guess = default_units(scene, duration, model, mode);
        (guess.units.to_string(), guess.sure)
    }

    #[test]
    fn units_are_as_sure_as_what_they_are_known_from() {
        use Sureness::{Derived, Guessed};
        let (v1, v16) = (Some("kling-v1"), Some("kling-v1-6"));
        for (scene, duration, model, mode, units, sure) in [
            ("bloombloom", Some("5"), None, None, "3.5", Derived),
            ("bloombloom", None, None, None, "3.5", Derived),
            ("bloombloom", Some("10"), None, None, "7", Guessed),
            ("santa_gift", None, None, None, "1.7", Guessed),
            ("hug", Some("5"), v1, None, "1", Derived),
            ("hug", Some("10"), v16, Some("std"), "4", Derived),
            ("hug", Some("10"), v16, Some("pro"), "7", Derived),
            ("hug", Some("5"), None, None, "2", Guessed),
            ("hug", Some("5"), None, Some("pro"), "3.5", Derived),
            ("hug", Some("5"), Some("kling-v9"), None, "2", Guessed),
            ("hug_pro", None, None, None, "2", Guessed),
            ("hug_pro", Some("10"), None, None, "4", Guessed),
            ("never_heard_of", Some("5"), None, Some("pro"), "3.5", Guessed),
        ] {
            assert_eq!(
                guess(scene, duration, model, mode),
                (units.into(), sure),
                "{scene} {duration:?} {model:?} {mode:?}"
            );
        }
    }

    #[test]
    fn the_vendors_list_prices_units() {
        let quote = PriceTable::kling_list().price(&effect("bloombloom", "5", None));
        assert_eq!((quote.amount.to_string().as_str(), quote.sure), ("0.49", Sureness::Derived));
    }

    #[test]
    fn the_price_that_fits_best_is_taken() {
        let mut table = PriceTable::kling_list();
        let amount = |text: &str| text.parse::<Money>().unwrap();
        let shown = |table: &PriceTable, duration, mode| table.price(&effect("hug", duration, mode)).amount.to_string();
        assert_eq!(shown(&table, "10", None), "0.56");
        table.default = Some(amount("0.5"));
        assert_eq!(shown(&table, "10", None), "0.50");
        for (name, price) in [("hug", "0.1"), ("hug/10", "0.2"), ("hug/pro", "0.3"), ("hug/pro/10", "0.4")] {
            table.per_scene.insert(name.into(), amount(price));
        }
        assert_eq!(shown(&table, "5", None), "0.10");
        assert_eq!(shown(&table, "10", Some("std")), "0.20");
        assert_eq!(shown(&table, "5", Some("pro")), "0.30");
        assert_eq!(shown(&table, "10", Some("pro")), "0.40");
        assert_eq!(table.price(&effect("squish", "5", None)).amount, amount("0.5"));
        assert_eq!(table.price(&effect("hug", "5", None)).sure, Sureness::Published);
        assert_eq!(table.unusable().count(), 0);
        for name in ["hug/10/pro", "hug/15", "/10", ""] {
            table.per_scene.insert(name.into(), amount("1"));
        }
        assert_eq!(table.unusable().collect::<Vec<_>>(), ["", "/10", "hug/10/pro", "hug/15"]);
    }
}
