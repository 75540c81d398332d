//! One event of a lock: what happened, and when by its clock.

use std::fmt;

use serde_json::value::RawValue;

use super::json::{Object, text_or_number};

/// An event as it arrived, and what could be read of it.
///
/// One that cannot be read is kept all the same: the lock deletes it once it is acknowledged.
#[derive(Clone, Debug)]
pub struct Event {
    pub(super) record: Box<RawValue>,
    pub(super) is_plain: bool,
    /// What happened, where it is 8 hexadecimal digits.
    pub code: Option<EventCode>,
    /// When, by the lock's clock in its local time, where it is a date.
    pub time: Option<DeviceTime>,
}

impl Event {
    /// Reads an `asyncEvent` record; whatever it is, it is kept.
    pub(super) fn read(record: &RawValue) -> Self {
        let object = Object::parse(record.get()).ok();
        let text = |name| text_or_number(object.as_ref()?.get(name)?);
        Self {
            record: record.to_owned(),
            is_plain: object.as_ref().is_some_and(has_only_event_and_time),
            code: text("event").and_then(|text| EventCode::parse(&text)),
            time: text("time").and_then(|text| DeviceTime::parse(&text)),
        }
    }

    /// About what its row takes in the store: what is not plain is there a second time.
    pub(super) fn stored_bytes(&self) -> usize {
        ROW_BYTES + self.record.get().len() * if self.is_plain { 1 } else { 2 }
    }

    /// A member as it arrived, quotes included.
    pub(super) fn member(&self, name: &str) -> Option<Box<RawValue>> {
        let value = Object::parse(self.record.get()).ok()?.get(name)?;
        Some(value.to_owned())
    }
}

fn has_only_event_and_time(object: &Object<'_>) -> bool {
    let names: Vec<_> = object.members().map(|(name, _)| name).collect();
    names == ["event", "time"] || names == ["time", "event"]
}

/// What happened: four hexadecimal digits, and four of data.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EventCode(u32);

impl EventCode {
    /// Reads 8 hexadecimal digits; a number has lost its leading zeros.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        ((1..=8).contains(&text.len()) && is_hex)
            .then(|| u32::from_str_radix(text, 16).ok().map(Self))?
    }

    /// The first four digits: the kind of event.
    fn kind(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The kind in words, where it is known (PROTOCOL.md section 4, reported by integrators).
    pub fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find_map(|(kind, name)| (*kind == self.kind()).then_some(*name))
    }
}

impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

/// A date and time by a lock's clock, in its local time. Displayed as "2005-10-13T13:03:09".
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DeviceTime(jiff::civil::DateTime);

impl DeviceTime {
    /// Reads "YYYYMMDDHHMMSS": 14 digits that are a date and a time.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digits = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_digits
            .then(|| jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text).ok())?
            .map(Self)
    }
}

impl fmt::Display for DeviceTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Of a row without what arrived, with its share of indexes (docs/STORE.md, sizing).
const ROW_BYTES: usize = 400;

const NAMES: [(u16, &str); 10] = [
    (0x0601, "door file updated"),
    (0x0604, "user database corrupt"),
    (0x0605, "audits lost before read"),
    (0x0B04, "host connected or disconnected"),
    (0x0B05, "host connection failure"),
    (0x0B06, "valid HTTP header received"),
    (0x0B07, "download success"),
    (0x0B08, "download failed"),
    (0x0B0C, "HTTP error"),
    (0x0B0D, "configuration upload failed"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(record: &str) -> Event {
        Event::read(&RawValue::from_string(record.to_owned()).unwrap())
    }

    #[test]
    fn an_event_is_read_from_strings_and_from_numbers() {
        for record in [
            r#"{"event":"06010002","time":"20051013130309"}"#,
            r#"{"time":20051013130309,"event":6010002,"more":[]}"#,
        ] {
            let event = event(record);
            let code = event.code.unwrap();
            assert_eq!(code.to_string(), "06010002");
            assert_eq!(code.kind(), 0x0601);
            assert_eq!(code.name(), Some("door file updated"));
            assert_eq!(event.time.unwrap().to_string(), "2005-10-13T13:03:09");
            assert_eq!(event.record.get(), record);
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_is_kept_as_it_arrived() {
        for record in [
            r#"{"event":"0B04000","time":"20051313130309"}"#,
            r#"{"event":"xyz","time":null}"#,
            "17",
        ] {
            let event = event(record);
            assert_eq!(event.time, None, "{record}");
            assert_eq!(event.record.get(), record);
        }
    }

    proptest! {
        #[test]
        fn a_code_is_read_back_from_its_text(code: u32) {
            prop_assert_eq!(EventCode::parse(&format!("{code:08x}")), Some(EventCode(code)));
            prop_assert_eq!(EventCode::parse(&EventCode(code).to_string()), Some(EventCode(code)));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (EventCode::parse(&text), DeviceTime::parse(&text));
        }
    }
}
