//! What devices deliver: batches of audits, and alerts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::DeviceId;
use super::event::Event;
use super::json::{Object, elements, minified};

/// The body of `POST /swordfish/lock/audit`.
#[derive(Clone, Debug)]
pub struct AuditBatch(UploadedEvents);

impl AuditBatch {
    /// Reads `{"asyncEvents":[{event,time}..],"nxtDbVerTS":".."}`.
    ///
    /// Leniently, because the lock deletes its audits or never sends them again: a trailing
    /// comma, unknown members, and events that cannot be read are accepted and kept.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let text = object_text(body)?;
        let object = Object::parse(&text)?;
        let events = match object.get("asyncEvents") {
            Some(events) => elements(events).unwrap_or_else(|| vec![events]),
            None if object.get("nxtDbVerTS").is_some() => Vec::new(),
            None => return Err(BodyError::NoEvents),
        };
        let events = events.into_iter().map(Event::read).collect();
        Ok(Self(UploadedEvents::new(&object, events)))
    }

    /// Its events, in the order of the body.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.0.events
    }

    pub(super) fn into_events(self) -> UploadedEvents {
        self.0
    }
}

/// The body of `POST /swordfish/lock/alert`: one event, sent when it happens.
#[derive(Clone, Debug)]
pub struct Alert(UploadedEvents);

impl Alert {
    /// Reads one `asyncEvent` record, alone or as the value of that name.
    ///
    /// The call is inferred (PROTOCOL.md section 4), so a body in the shape of an audit is
    /// accepted too.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let text = object_text(body)?;
        let object = Object::parse(&text)?;
        if object.get("asyncEvents").is_some() {
            return AuditBatch::parse(body).map(|AuditBatch(events)| Self(events));
        }
        let event = match object.get("asyncEvent") {
            Some(event) => Event::read(event),
            None if object.get("event").is_some() => {
                let record: &RawValue = serde_json::from_str(&text)?;
                return Ok(Self(UploadedEvents {
                    extra_members: None,
                    ..UploadedEvents::new(&object, vec![Event::read(record)])
                }));
            }
            None => return Err(BodyError::NoEvents),
        };
        Ok(Self(UploadedEvents::new(&object, vec![event])))
    }

    /// Its event; more than one only if the device sent more.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.0.events
    }

    pub(super) fn into_events(self) -> UploadedEvents {
        self.0
    }
}

/// Events that arrived together and are acknowledged together.
#[derive(Clone, Debug)]
pub(super) struct UploadedEvents {
    pub(super) events: Vec<Event>,
    /// Members beside the events that are not known, as one object.
    pub(super) extra_members: Option<Box<RawValue>>,
    /// What had to be mended to read them.
    pub(super) note: Option<String>,
}

impl UploadedEvents {
    fn new(object: &Object<'_>, events: Vec<Event>) -> Self {
        let known = ["asyncEvents", "asyncEvent", "nxtDbVerTS"];
        let extra_members: Vec<String> = object
            .members()
            .filter(|(name, _)| !known.iter().any(|known| known.eq_ignore_ascii_case(name)))
            .map(|(name, value)| format!("{}:{}", serde_json::json!(name), value.get()))
            .collect();
        let extra_members = format!("{{{}}}", extra_members.join(","));
        Self {
            events,
            extra_members: (extra_members != "{}")
                .then(|| RawValue::from_string(extra_members).ok())
                .flatten(),
            note: None,
        }
    }

    /// About what it takes in memory.
    pub(super) fn weight_kib(&self) -> u32 {
        let records: usize = self
            .events
            .iter()
            .map(|event| event.record.get().len() + 256)
            .sum();
        u32::try_from(records / 1024 + 1).unwrap_or(u32::MAX)
    }

    /// The names of its beginnings: of its first event, of its first two, and so on to the whole.
    ///
    /// Over the device and the events only: a batch that is delivered again may come with the
    /// stamp of another database.
    pub(super) fn prefix_ids(&self, device: &DeviceId) -> Vec<BatchId> {
        let mut events = Sha256::new()
            .chain_update(device.to_string())
            .chain_update(b"\n");
        let beginnings = self.events.iter().map(|event| {
            // Minified, so it holds no newline.
            events.update(event.record.get());
            events.update(b"\n");
            let mut id = [0; 16];
            id.copy_from_slice(&events.clone().finalize()[..16]);
            BatchId(u128::from_be_bytes(id))
        });
        beginnings.collect()
    }
}

/// A batch's name: 128 bits of a hash over device and events. Displayed as 32 hex digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(u128);

impl BatchId {
    /// Reads hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for BatchId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a batch")
    }
}

/// Why a body cannot be accepted. It belongs into the quarantine, for it will not come again.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, or not an object.
    #[error("the body is not a JSON object")]
    NotAnObject(#[from] serde_json::Error),
    /// Not text.
    #[error("the body is not UTF-8 text")]
    NotText,
    /// An object without any of the members that make it one of the calls.
    #[error("the body holds no `asyncEvents`, `asyncEvent` or `event`")]
    NoEvents,
}

/// A body's text, minified and with trailing commas removed.
pub(super) fn object_text(body: &[u8]) -> Result<String, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotText)?;
    Ok(minified(text))
}

/// The longest line that a store writes or reads of an event; a longer event is refused.
pub(super) const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRINTED: &[u8] = br#"{"asyncEvents":[{"event":"11111111","time":"20051013130309"}],"nxtDbVerTS":"0x8d1a1399bddb51d"}"#;

    fn device() -> DeviceId {
        "0123456789ABCDEF".parse().unwrap()
    }

    fn prefix_ids(body: &[u8]) -> Vec<BatchId> {
        AuditBatch::parse(body).unwrap().0.prefix_ids(&device())
    }

    fn id(body: &[u8]) -> BatchId {
        *prefix_ids(body).last().unwrap()
    }

    #[test]
    fn the_printed_example_is_read() {
        let batch = AuditBatch::parse(PRINTED).unwrap();
        assert_eq!(batch.events().len(), 1);
        assert_eq!(batch.events()[0].code.unwrap().to_string(), "11111111");
        assert!(batch.0.extra_members.is_none());
    }

    #[test]
    fn numbers_unknown_members_and_trailing_commas_are_accepted() {
        let body = br#"{"fw":[1,], "asyncEvents": [{"event":11111111,"time":20051013130309,},], }"#;
        let batch = AuditBatch::parse(body).unwrap();
        assert_eq!(batch.events()[0].code.unwrap().to_string(), "11111111");
        assert_eq!(batch.0.extra_members.unwrap().get(), r#"{"fw":[1]}"#);
    }

    #[test]
    fn a_batch_is_the_same_whatever_its_white_space_and_another_for_another_device() {
        let spaced = String::from_utf8_lossy(PRINTED).replace(',', " ,\r\n ");
        assert_eq!(id(PRINTED), id(spaced.as_bytes()));
        let other = "FEDCBA9876543210".parse().unwrap();
        let batch = AuditBatch::parse(PRINTED).unwrap().0;
        assert_ne!(batch.prefix_ids(&device()), batch.prefix_ids(&other));
    }

    #[test]
    fn a_batch_begins_with_the_one_that_it_continues_whatever_the_stamp() {
        let longer = String::from_utf8_lossy(PRINTED)
            .replace("}]", r#"},{"event":"0B040001","time":"20051013130310"}]"#)
            .replace("0x8d1a1399bddb51d", "0x1");
        let names = prefix_ids(longer.as_bytes());
        assert_eq!(names.len(), 2);
        assert_eq!(names[0], id(PRINTED));
        assert_ne!(names[1], names[0]);
    }

    #[test]
    fn what_is_no_audit_is_refused() {
        let refused = |body: &[u8]| AuditBatch::parse(body).unwrap_err();
        assert!(matches!(refused(b""), BodyError::NotAnObject(_)));
        assert!(matches!(refused(b"[]"), BodyError::NotAnObject(_)));
        assert!(matches!(refused(&PRINTED[1..]), BodyError::NotAnObject(_)));
        assert!(matches!(refused(b"{}"), BodyError::NoEvents));
        assert!(matches!(refused(b"{\"\xff\":1}"), BodyError::NotText));
    }

    #[test]
    fn an_alert_is_one_event_in_any_of_three_shapes() {
        let event = r#"{"event":"0B050001","time":"20051013130309"}"#;
        for body in [
            event.to_owned(),
            format!(r#"{{"asyncEvent":{event}}}"#),
            format!(r#"{{"asyncEvents":[{event}]}}"#),
        ] {
            let alert = Alert::parse(body.as_bytes()).unwrap();
            assert_eq!(alert.events().len(), 1, "{body}");
            assert_eq!(alert.events()[0].record.get(), event);
            assert!(alert.0.extra_members.is_none(), "{body}");
        }
        assert!(Alert::parse(b"{\"time\":1}").is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body: Vec<u8>, text: String) {
            let wrapped = format!(r#"{{"asyncEvents":[{text}]}}"#);
            for body in [&body[..], text.as_bytes(), wrapped.as_bytes()] {
                let _ = (AuditBatch::parse(body), Alert::parse(body));
            }
        }

        #[test]
        fn every_event_is_kept_as_it_arrived(events in prop::collection::vec((0u32.., "[0-9]{14}", ".*"), 0..20)) {
            let records: Vec<String> = events.iter().map(|(event, time, more)| {
                format!(r#"{{"event":"{event:08x}","time":{time:?},"more":{}}}"#, serde_json::json!(more))
            }).collect();
            let body = format!(r#"{{"asyncEvents":[{}]}}"#, records.join(" ,\n"));
            let batch = AuditBatch::parse(body.as_bytes()).unwrap();
            let kept: Vec<_> = batch.events().iter().map(|event| event.record.get()).collect();
            prop_assert_eq!(kept, records);
        }
    }
}
