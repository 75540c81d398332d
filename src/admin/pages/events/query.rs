//! Which events are asked for: the form's fields, as they stand in its address.

use engage_store::{DeviceId, EventCode, EventFilter, EventKind, EventPageToken};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::super::devices::parsed;
use super::super::error::PageError;

/// As it stands in the address. An empty field asks for nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(in crate::admin::pages) struct EventsQuery {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) device: String,
    /// 8 hexadecimal digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) code: String,
    /// "audits" or "alerts".
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) kind: String,
    /// The first day, in UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) since: String,
    /// The last day, in UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) until: String,
    /// Behind which page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) after: String,
}

impl EventsQuery {
    /// As the store is asked.
    pub(super) fn filter(&self) -> Result<EventFilter, PageError> {
        Ok(EventFilter {
            device: parsed::<DeviceId>("Device", &self.device)?,
            kind: self.kind()?,
            since: day("From", &self.since, 0)?,
            until: day("Until", &self.until, 1)?,
            code: self.code()?,
        })
    }

    /// Where the page begins.
    pub(super) fn after(&self) -> Result<Option<EventPageToken>, PageError> {
        parsed("Page", &self.after)
    }

    /// The same behind another page.
    pub(super) fn behind(&self, after: String) -> Self {
        Self {
            after,
            ..self.clone()
        }
    }

    /// The same at another path, such as `/events.csv`.
    pub(super) fn href(&self, path: &str) -> String {
        let query = serde_urlencoded::to_string(self).unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{path}{mark}{query}")
    }

    fn kind(&self) -> Result<Option<EventKind>, PageError> {
        let kinds = [EventKind::Audits, EventKind::Alerts];
        match &*self.kind {
            "" => Ok(None),
            kind => kinds
                .into_iter()
                .find(|it| it.as_str() == kind)
                .map(Some)
                .ok_or_else(|| PageError::malformed("Kind", &"allowed: audits or alerts")),
        }
    }

    fn code(&self) -> Result<Option<EventCode>, PageError> {
        let code = self.code.trim();
        if code.is_empty() {
            return Ok(None);
        }
        let read = EventCode::parse(code).map(Some);
        read.ok_or_else(|| PageError::malformed("Code", &"allowed: up to 8 hexadecimal digits"))
    }
}

/// The beginning of a day, or of the one so many days later.
fn day(field: &'static str, text: &str, later: i64) -> Result<Option<Timestamp>, PageError> {
    let day: Option<Date> = parsed(field, text)?;
    let Some(day) = day else {
        return Ok(None);
    };
    let day = day.saturating_add(jiff::Span::new().days(later));
    let begins = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0));
    begins
        .map(Some)
        .map_err(|error| PageError::malformed(field, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_one_of_those_that_are_asked_for() {
        let text = "device=10.44.0.7&code=6010002&kind=alerts&since=2026-11-28&until=2026-11-30";
        let query: EventsQuery = serde_urlencoded::from_str(text).unwrap();
        let filter = query.filter().unwrap();
        assert_eq!(filter.since.unwrap().to_string(), "2026-11-28T00:00:00Z");
        assert_eq!(filter.until.unwrap().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(filter.code.unwrap().to_string(), "06010002");
        assert_eq!(filter.kind, Some(EventKind::Alerts));
        assert_eq!(query.href("/events.csv"), format!("/events.csv?{text}"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "device=x",
            "code=xyz",
            "kind=x",
            "since=x",
            "until=2026-13-01",
        ] {
            let query: EventsQuery = serde_urlencoded::from_str(text).unwrap();
            assert!(query.filter().is_err(), "{text}");
        }
        let query: EventsQuery = serde_urlencoded::from_str("after=x").unwrap();
        assert!(query.after().is_err());
    }
}
