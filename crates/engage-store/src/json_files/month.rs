//! The names of the monthly files.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::EventKind;

/// A month of UTC. Displayed as "2026-11".
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Month {
    year: i16,
    month: i8,
}

impl Month {
    pub(crate) fn from_timestamp(moment: Timestamp) -> Self {
        let date = moment.to_zoned_datetime(TimeZone::UTC).date();
        Self {
            year: date.year(),
            month: date.month(),
        }
    }

    /// Of a moment in microseconds since 1970.
    pub(crate) fn from_micros(micros: i64) -> Self {
        Self::from_timestamp(Timestamp::from_microsecond(micros).unwrap_or_default())
    }

    /// Its first day; `None` if it is no month.
    fn first_day(self) -> Option<Date> {
        Date::new(self.year, self.month, 1).ok()
    }

    pub(crate) fn last_day(self) -> Option<Date> {
        Some(self.first_day()?.last_of_month())
    }

    /// Its microseconds since 1970.
    pub(crate) fn micros(self) -> Range<i64> {
        let start = |day: Option<Date>| {
            let midnight = day?.at(0, 0, 0, 0);
            let midnight = TimeZone::UTC.to_timestamp(midnight).ok()?;
            Some(midnight.as_microsecond())
        };
        let next = self.last_day().and_then(|day| day.tomorrow().ok());
        start(self.first_day()).unwrap_or(i64::MIN)..start(next).unwrap_or(i64::MAX)
    }

    pub(crate) fn file_name(self, kind: EventKind) -> String {
        format!("{}-{self}{EXTENSION}", kind.as_str())
    }

    pub(crate) fn from_file_name(kind: EventKind, name: &str) -> Option<Self> {
        let month: Self = name
            .strip_prefix(kind.as_str())?
            .strip_prefix('-')?
            .strip_suffix(EXTENSION)?
            .parse()
            .ok()?;
        (month.file_name(kind) == name).then_some(month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (year, month) = text.split_once('-')?;
            let month = Self {
                year: year.parse().ok()?,
                month: month.parse().ok()?,
            };
            month.first_day().map(|_| month)
        };
        parse().ok_or("not a month")
    }
}

impl TryFrom<String> for Month {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
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

    #[test]
    fn a_month_holds_its_moments_and_no_other() {
        let month: Month = "2026-12".parse().unwrap();
        let micros = month.micros();
        assert_eq!(Month::from_micros(micros.start), month);
        assert_eq!(Month::from_micros(micros.end - 1), month);
        assert_eq!(Month::from_micros(micros.start - 1).to_string(), "2026-11");
        assert_eq!(Month::from_micros(micros.end).to_string(), "2027-01");
    }
}
