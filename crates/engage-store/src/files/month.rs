//! The names of the monthly files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::EventKind;

/// A month of UTC. Displayed as "2026-11".
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Month {
    year: i16,
    month: i8,
}

impl Month {
    pub(super) fn from_timestamp(moment: Timestamp) -> Self {
        let date = moment.to_zoned_datetime(TimeZone::UTC).date();
        Self {
            year: date.year(),
            month: date.month(),
        }
    }

    /// Its last day; `None` if it is no month.
    pub(super) fn last_day(self) -> Option<Date> {
        Some(Date::new(self.year, self.month, 1).ok()?.last_of_month())
    }

    pub(super) fn file_name(self, kind: EventKind) -> String {
        format!("{}-{self}{EXTENSION}", kind.as_str())
    }

    fn from_file_name(kind: EventKind, name: &str) -> Option<Self> {
        let month = name
            .strip_prefix(kind.as_str())?
            .strip_prefix('-')?
            .strip_suffix(EXTENSION)?;
        let (year, month) = month.split_once('-')?;
        let month = Self {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
        };
        (month.last_day().is_some() && month.file_name(kind) == name).then_some(month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// A device's files of one log, oldest first.
pub(super) fn months(directory: &Path, kind: EventKind) -> io::Result<Vec<(Month, PathBuf)>> {
    let mut months = Vec::new();
    let entries = match fs_err::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(months),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if let Some(month) = Month::from_file_name(kind, &entry.file_name().to_string_lossy()) {
            months.push((month, entry.path()));
        }
    }
    months.sort();
    Ok(months)
}

const EXTENSION: &str = ".jsonl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_back_from_its_file_name_and_nothing_else_is() {
        let month = Month::from_timestamp("2026-01-31T23:59:59Z".parse().unwrap());
        let name = month.file_name(EventKind::Audits);
        assert_eq!(name, "audits-2026-01.jsonl");
        assert_eq!(Month::from_file_name(EventKind::Audits, &name), Some(month));
        for other in [
            "alerts-2026-01.jsonl",
            "audits-2026-13.jsonl",
            "audits-2026-1.jsonl",
            "audits-2026-01.jsonl.torn",
        ] {
            assert_eq!(
                Month::from_file_name(EventKind::Audits, other),
                None,
                "{other}"
            );
        }
    }
}
