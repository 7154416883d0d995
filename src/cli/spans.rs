//! Spans and instants that lie ahead, as people say them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::report::story;

/// An instant as people say it: the hour, with the day where that is not within a day.
pub(super) fn hour(at: &ZonedDateTime, now: Timestamp) -> String {
    let hours = at.timestamp().duration_since(now).as_hours();
    let form = match hours {
        ..24 => "%H:%M",
        24..144 => "%A %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    // Where the machine does not know its zone, the hour is that of UTC.
    let zone = if at.time_zone().is_unknown() { " UTC" } else { "" };
    format!("{}{zone}", at.strftime(form))
}

/// A span as exactly as it can be foreseen: to five minutes from an hour on, to a minute from ten minutes on.
pub(super) fn rounded(span: Duration) -> Duration {
    let seconds = span.as_secs();
    let step = match seconds {
        ..600 => 1,
        600..3600 => 60,
        _ => 300,
    };
    Duration::from_secs((seconds + step / 2) / step * step)
}

/// A span with its two largest parts: `2 h 40 min`.
pub(super) fn spoken(span: Duration) -> String {
    story::spoken(SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn spans_are_said_as_exactly_as_they_can_be_foreseen() {
        let said = |seconds| spoken(rounded(Duration::from_secs(seconds)));
        assert_eq!(said(9792), "2 h 45 min");
        assert_eq!(said(7199), "2 h");
        assert_eq!(said(320), "5 min 20 s");
        assert_eq!(said(1799), "30 min");
        assert_eq!(said(200_000 * 320), "740 d 17 h");
        assert_eq!(spoken(Duration::from_millis(80)), "80 ms");
    }

    #[test]
    fn an_instant_that_is_not_today_is_said_with_its_day() {
        let now: Timestamp = "2026-11-24T20:00:00Z".parse().unwrap();
        let said = |hours| hour(&(now + jiff::SignedDuration::from_hours(hours)).to_zoned_datetime(TimeZone::UTC), now);
        assert_eq!(said(7), "03:00");
        assert_eq!(said(31), "Thursday 03:00");
        assert_eq!(said(1000), "2027-01-05 12:00");
    }
}
