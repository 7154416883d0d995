//! The hours that a run may use: until a time of day, for a span, within a window of every night. Times of day are local,
//! and become instants once, at the run's start, so that a change of the clocks at 2 a.m. moves no end.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// The hours of a run, as a person says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hours {
    /// The run ends at this time of day. Default: none.
    pub until: Option<TimeOfDay>,
    /// The run ends this long after its start. Default: none.
    pub max_runtime: Option<Duration>,
    /// Something is sent only within this window, and the run ends with it. Default: none.
    pub window: Option<Window>,
}

/// A local time of day, `06:00` to a minute. `24:00` is midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(Time);

/// Hours of every day, such as `22:00-06:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes; on the next day, where that is not later.
    pub to: TimeOfDay,
}

/// A text that says no such hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no time of day")]
pub struct NotATime;

/// The hours of one run, as instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// Nothing is sent sooner.
    pub opens: Timestamp,
    /// The run ends then, whatever is left.
    pub ends: Timestamp,
}

impl Default for Shift {
    /// Without any limit.
    fn default() -> Self {
        Self { opens: Timestamp::MIN, ends: Timestamp::MAX }
    }
}

impl Hours {
    /// The hours of a run that starts at `start`, in `zone`: they end at the earliest of what limits them. A time of day
    /// that is past means the next day's; one that the clocks leave out means as much later.
    #[must_use]
    pub fn shift(&self, start: Timestamp, zone: &TimeZone) -> Shift {
        let mut shift = Shift::default();
        if let Some(window) = self.window {
            shift = window.next(start, zone).unwrap_or(shift);
        }
        if let Some(until) = self.until {
            let next = (0..3).filter_map(|day| until.on(start, day, zone)).find(|at| *at > start);
            shift.ends = next.map_or(shift.ends, |next| next.min(shift.ends));
        }
        if let Some(span) = self.max_runtime {
            shift.ends = start.checked_add(span).map_or(shift.ends, |end| end.min(shift.ends));
        }
        shift
    }
}

impl Window {
    /// The window that is open at `start`, from then on; else the next one.
    fn next(self, start: Timestamp, zone: &TimeZone) -> Option<Shift> {
        let over_midnight = i64::from(self.to.0 <= self.from.0);
        let days = (-1..4).filter_map(|day| {
            let (opens, ends) = (self.from.on(start, day, zone)?, self.to.on(start, day + over_midnight, zone)?);
            Some(Shift { opens: opens.max(start), ends })
        });
        // Where the clocks leave a window out, the next day's counts.
        days.into_iter().find(|shift| shift.ends > shift.opens)
    }
}

impl TimeOfDay {
    /// This time on the day that lies `days` after the one of `instant`.
    fn on(self, instant: Timestamp, days: i64, zone: &TimeZone) -> Option<Timestamp> {
        let today = instant.to_zoned_datetime(zone.clone()).date();
        let date = today.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
        Some(date.to_datetime(self.0).to_zoned_datetime(zone.clone()).ok()?.timestamp())
    }

    /// Its hour.
    #[must_use]
    pub fn hour(self) -> i8 {
        self.0.hour()
    }

    /// Its minute.
    #[must_use]
    pub fn minute(self) -> i8 {
        self.0.minute()
    }
}

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl FromStr for TimeOfDay {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let (hour, minute) = text.trim().split_once(':').ok_or(NotATime)?;
        let number = |digits: &str| {
            let plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse::<i8>().map_err(|_| NotATime) } else { Err(NotATime) }
        };
        let (hour, minute) = (number(hour)?, number(minute)?);
        let hour = if (hour, minute) == (24, 0) { 0 } else { hour };
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| NotATime)
    }
}

impl FromStr for Window {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let (from, to) = text.split_once('-').ok_or(NotATime)?;
        let window = Self { from: from.parse()?, to: to.parse()? };
        // The whole day, or nothing: who means one of them says it otherwise.
        if window.from == window.to { Err(NotATime) } else { Ok(window) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central Europe: the clocks go forward at 02:00 on 2026-03-29 and back at 03:00 on 2026-10-25.
    fn zone() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shift(hours: Hours, start: &str) -> (String, String) {
        let shift = hours.shift(at(start), &zone());
        (shift.opens.to_string(), shift.ends.to_string())
    }

    fn until(time: &str) -> Hours {
        Hours { until: Some(time.parse().unwrap()), ..Hours::default() }
    }

    fn window(window: &str) -> Hours {
        Hours { window: Some(window.parse().unwrap()), ..Hours::default() }
    }

    #[test]
    fn a_time_of_day_that_is_past_is_the_next_days() {
        assert_eq!(shift(until("06:00"), "2026-11-24T21:00:00Z").1, "2026-11-25T05:00:00Z");
        assert_eq!(shift(until("23:30"), "2026-11-24T21:00:00Z").1, "2026-11-24T22:30:00Z");
        assert_eq!(shift(until("22:00"), "2026-11-24T21:00:00Z").1, "2026-11-25T21:00:00Z");
        assert_eq!(shift(until("24:00"), "2026-11-24T21:00:00Z").1, "2026-11-24T23:00:00Z");
    }

    #[test]
    fn a_time_that_the_clocks_leave_out_or_pass_twice_still_ends_the_night() {
        assert_eq!(shift(until("02:30"), "2026-03-28T21:00:00Z").1, "2026-03-29T01:30:00Z");
        assert_eq!(shift(until("06:00"), "2026-03-28T21:00:00Z").1, "2026-03-29T04:00:00Z");
        assert_eq!(shift(until("02:30"), "2026-10-24T21:00:00Z").1, "2026-10-25T00:30:00Z");
        // A window that the clocks leave out whole is the next day's.
        let (opens, ends) = shift(window("02:00-03:00"), "2026-03-28T23:00:00Z");
        assert_eq!((opens.as_str(), ends.as_str()), ("2026-03-30T00:00:00Z", "2026-03-30T01:00:00Z"));
    }

    #[test]
    fn a_window_over_midnight_is_open_on_both_sides_of_it_and_waited_for_by_day() {
        for (start, opens, ends) in [
            ("2026-11-24T12:00:00Z", "2026-11-24T21:00:00Z", "2026-11-25T05:00:00Z"),
            ("2026-11-24T22:00:00Z", "2026-11-24T22:00:00Z", "2026-11-25T05:00:00Z"),
            ("2026-11-25T04:59:59Z", "2026-11-25T04:59:59Z", "2026-11-25T05:00:00Z"),
            ("2026-11-25T05:00:00Z", "2026-11-25T21:00:00Z", "2026-11-26T05:00:00Z"),
        ] {
            assert_eq!(shift(window("22:00-06:00"), start), (opens.to_owned(), ends.to_owned()), "{start}");
        }
    }

    #[test]
    fn the_earliest_limit_ends_the_run() {
        let all = Hours { max_runtime: Some(Duration::from_secs(3600)), ..until("06:00") };
        assert_eq!(shift(all, "2026-11-24T21:00:00Z").1, "2026-11-24T22:00:00Z");
        assert_eq!(shift(all, "2026-11-25T04:30:00Z").1, "2026-11-25T05:00:00Z");
        let all = Hours { window: Some("22:00-02:00".parse().unwrap()), ..all };
        assert_eq!(shift(all, "2026-11-25T00:30:00Z").1, "2026-11-25T01:00:00Z");
        assert_eq!(Hours::default().shift(at("2026-11-24T21:00:00Z"), &zone()), Shift::default());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["6", "25:00", "06:60", "24:01", "-1:00", "+6:00", "06:00:00", "soon", "", ":"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(NotATime), "{text}");
        }
        for text in ["22:00", "22:00-22:00", "00:00-24:00", "22:00-6", "22:00-06:00-07:00"] {
            assert_eq!(text.parse::<Window>(), Err(NotATime), "{text}");
        }
        assert_eq!("6:05".parse::<TimeOfDay>().unwrap().to_string(), "06:05");
    }
}
