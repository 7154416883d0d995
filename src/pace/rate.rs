//! How many requests are allowed in which time, as people write it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// A number of requests in a span: `20/min`, `5/s`, `300/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

/// The text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate: write a number and a span, such as 20/min, 5/s or 300/h")]
pub struct NotARate;

impl Rate {
    /// So many requests in a minute.
    #[must_use]
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Self { count, per: Duration::from_mins(1) }
    }

    /// The span between two requests that are spread evenly.
    #[must_use]
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }

    /// The number of requests, and the span in which so many are allowed.
    #[must_use]
    pub const fn parts(self) -> (u32, Duration) {
        (self.count.get(), self.per)
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, per) = text.split_once('/').ok_or(NotARate)?;
        let count = count.trim().parse().map_err(|_| NotARate)?;
        let per = match per.trim() {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3600,
            _ => return Err(NotARate),
        };
        Ok(Self { count, per: Duration::from_secs(per) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per.as_secs() {
            1 => "s",
            60 => "min",
            _ => "h",
        };
        write!(f, "{}/{per}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!("20/min".parse::<Rate>().unwrap().interval(), Duration::from_secs(3));
        assert_eq!("5/s".parse::<Rate>().unwrap().interval(), Duration::from_millis(200));
        assert_eq!("300/h".parse::<Rate>().unwrap().to_string(), "300/h");
        for bad in ["", "20", "0/s", "-1/s", "20/fortnight", "x/s", "1.5/s"] {
            assert_eq!(bad.parse::<Rate>(), Err(NotARate), "{bad}");
        }
    }
}
