//! A clock that cannot be right must not date what is made to last.

use super::error::InitError;
use jiff::Timestamp;

/// Refuses a clock that is behind this program, or behind something that exists already.
pub(in crate::cli) fn refuse_implausible(
    now: Timestamp,
    existing: impl IntoIterator<Item = (String, Timestamp)>,
) -> Result<(), InitError> {
    let program = ("this program".to_owned(), WRITTEN);
    let later = [program]
        .into_iter()
        .chain(existing)
        .find(|(_, since)| now < *since);
    match later {
        Some((what, since)) => Err(InitError::Clock {
            now,
            reason: format!("{what} exists since {since}"),
        }),
        None => Ok(()),
    }
}

/// 2026-01-01T00:00:00Z; this code was written later. A clock without a battery starts in 1970,
/// 2000 or when its firmware was built.
const WRITTEN: Timestamp = Timestamp::constant(1_767_225_600, 0);
