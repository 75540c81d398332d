//! `--since`: a moment, or how long ago.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// From when on events are shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    Ago(Span),
    Moment(Timestamp),
}

impl Since {
    /// The moment; the beginning of time if it is longer ago.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => now
                .to_zoned_datetime(TimeZone::UTC)
                .checked_sub(span)
                .map_or(Timestamp::MIN, |moment| moment.timestamp()),
            Self::Moment(moment) => moment,
        }
    }
}

impl FromStr for Since {
    type Err = UnknownSince;

    fn from_str(text: &str) -> Result<Self, UnknownSince> {
        let utc = |clock: DateTime| Some(clock.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
        // A date's text is the start of a date and time, so the longer forms come first.
        ago(text)
            .map(Self::Ago)
            .or_else(|| text.parse().ok().map(Self::Moment))
            .or_else(|| utc(text.parse::<DateTime>().ok()?).map(Self::Moment))
            .or_else(|| utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0)).map(Self::Moment))
            .ok_or(UnknownSince)
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "allowed: how long ago, such as `90s`, `30m`, `24h`, `7d` or `2w`; or a date or time, such as `2026-11-23` or `2026-11-23T02:00:00Z` (UTC unless it says otherwise)"
)]
pub(super) struct UnknownSince;

/// What is negative lies ahead.
fn ago(text: &str) -> Option<Span> {
    let span: Span = text.parse().ok()?;
    (!span.is_negative()).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_dates_and_times_are_read_and_everything_else_is_refused() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("90s", "2026-11-23T11:58:30Z"),
            ("30m", "2026-11-23T11:30:00Z"),
            ("24h", "2026-11-22T12:00:00Z"),
            ("1h30m", "2026-11-23T10:30:00Z"),
            ("7d", "2026-11-16T12:00:00Z"),
            ("2w", "2026-11-09T12:00:00Z"),
            ("2 weeks", "2026-11-09T12:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("2026-11-01T02:03:04", "2026-11-01T02:03:04Z"),
            ("2026-11-01T02:03:04+02:00", "2026-11-01T00:03:04Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.before(now).to_string(), moment, "{text}");
        }
        for text in [
            "",
            "h",
            "-1h",
            "1",
            "yesterday",
            "2026-13-01",
            "99999999999999999999d",
        ] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }

    #[test]
    fn longer_ago_than_time_is_the_beginning_of_time() {
        let since: Since = "7000000d".parse().unwrap();
        assert_eq!(since.before(Timestamp::UNIX_EPOCH), Timestamp::MIN);
    }
}
