//! The time of an event.

use std::cell::RefCell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// RFC 3339 in UTC with microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rfc3339Micros;

impl FormatTime for Rfc3339Micros {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        write_now(line)
    }
}

/// Writes the present time, as [`Rfc3339Micros`]. The calendar is asked once a second and not for each
/// line: that would be a large part of what an access line costs.
pub(super) fn write_now(line: &mut impl fmt::Write) -> fmt::Result {
    // A clock that stands before 1970 is set sooner or later; until then it is 1970.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    LAST_SECOND.with_borrow_mut(|last| {
        if last.unix != now.as_secs() || last.text.is_empty() {
            *last = Second::new(now.as_secs());
        }
        line.write_str(&last.text)?;
        // A digit more, so that no zero is left out.
        let micros = 1_000_000 + now.subsec_micros();
        line.write_str(&itoa::Buffer::new().format(micros)[1..])?;
        line.write_char('Z')
    })
}

#[derive(Debug)]
struct Second {
    unix: u64,
    /// "2026-11-25T12:00:00."
    text: String,
}

impl Second {
    fn new(unix: u64) -> Self {
        let time = i64::try_from(unix).map(Timestamp::from_second);
        let mut text = time
            .ok()
            .and_then(Result::ok)
            .unwrap_or(Timestamp::MAX)
            .to_string();
        text.truncate("2026-11-25T12:00:00".len());
        text.push('.');
        Self { unix, text }
    }
}

thread_local! {
    static LAST_SECOND: RefCell<Second> = const {
        RefCell::new(Second {
            unix: 0,
            text: String::new(),
        })
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_present_one_to_the_microsecond() {
        for _ in 0..3 {
            let before = Timestamp::now().as_microsecond();
            let mut text = String::new();
            write_now(&mut text).unwrap();
            assert_eq!(text.len(), "2026-11-25T12:00:00.000000Z".len(), "{text}");
            let read = text.parse::<Timestamp>().unwrap().as_microsecond();
            let after = Timestamp::now().as_microsecond();
            assert!((before..=after).contains(&read), "{text}");
        }
    }

    #[test]
    fn seconds_are_those_of_the_calendar() {
        assert_eq!(Second::new(0).text, "1970-01-01T00:00:00.");
        assert_eq!(Second::new(1_795_608_794).text, "2026-11-25T12:13:14.");
        assert_eq!(Second::new(u64::MAX).text, "9999-12-30T22:00:00.");
    }
}
