//! What devices deliver: batches of audits, and alerts.

use jiff::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::DeviceId;
use super::batch_id::BatchId;
use super::body_error::BodyError;
use super::event::Event;
use super::json::{Object, elements};
use super::lenient::{Mended, mend};
use super::notes::{Note, Notes};
use super::stored_event::stored_events;

/// The body of `POST /swordfish/lock/audit`.
#[derive(Clone, Debug)]
pub struct AuditBatch(UploadedEvents);

impl AuditBatch {
    /// Its lines, as they are stored for a device of which nothing of it is stored yet.
    pub fn lines(&self, device: &DeviceId, received_at: Timestamp) -> Vec<String> {
        let Some(id) = self.0.prefix_ids(device).pop() else {
            return Vec::new();
        };
        let lines = stored_events(&self.0, 0..self.0.events.len(), id, received_at);
        lines.map(|line| line.to_json()).collect()
    }

    /// Reads `{"asyncEvents":[{event,time}..],"nxtDbVerTS":".."}`.
    ///
    /// Leniently, because the lock deletes its audits or never sends them again: unknown members
    /// and events that cannot be read are accepted and kept, and a body that is not quite JSON is
    /// mended.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        UploadedEvents::parse(body).map(Self)
    }

    /// About what it takes in the store, in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.0.stored_bytes()
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
        UploadedEvents::parse(body).map(Self)
    }

    /// About what it takes in the store, in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.0.stored_bytes()
    }

    pub(super) fn into_events(self) -> UploadedEvents {
        self.0
    }
}

/// Events that arrived together and are acknowledged together.
#[derive(Clone, Debug, Default)]
pub(super) struct UploadedEvents {
    pub(super) events: Vec<Event>,
    /// Members beside the events that are not known, as one object.
    pub(super) extra_members: Option<Box<RawValue>>,
    /// What had to be mended to read them.
    pub(super) note: Option<String>,
}

impl UploadedEvents {
    fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let Mended { values, mut notes } = mend(body)?;
        if values.is_empty() {
            return Err(BodyError::NotAnObject);
        }
        let mut uploaded = Self::default();
        let mut is_upload = false;
        for value in &values {
            is_upload |= uploaded.add(value, &mut notes)?;
        }
        let is_unreadable = uploaded.events.iter().all(|event| event.code.is_none());
        if !is_upload || notes.is_structural() && is_unreadable {
            return Err(BodyError::NoEvents);
        }
        uploaded.note = notes.text();
        let (found, allowed) = (uploaded.stored_bytes(), max_stored_bytes(body.len()));
        if found > allowed {
            return Err(BodyError::TooLargeStored { found, allowed });
        }
        Ok(uploaded)
    }

    /// Takes over the events of a JSON value; false if it is none that holds events.
    fn add(&mut self, value: &str, notes: &mut Notes) -> Result<bool, BodyError> {
        if let Ok(object) = Object::parse(value) {
            self.add_object(&object, value, notes)
        } else if let Some(elements) = array(value) {
            let is_events = elements.iter().any(|element| is_event(element));
            if is_events {
                self.add_events(&elements)?;
            }
            Ok(is_events)
        } else {
            notes.add(Note::OnlyEvents);
            let mut found = objects_within(value);
            found.retain(|object| is_event(object));
            self.add_events(&found)?;
            Ok(true)
        }
    }

    fn add_events(&mut self, records: &[&RawValue]) -> Result<(), BodyError> {
        let found = self.events.len() + records.len();
        if found > MAX_EVENTS {
            return Err(BodyError::TooManyEvents(found));
        }
        let lengths = records.iter().map(|record| record.get().len());
        if let Some(found) = lengths.max().filter(|found| *found > MAX_EVENT_BYTES) {
            return Err(BodyError::EventTooLong(found));
        }
        self.events.extend(records.iter().map(|it| Event::read(it)));
        Ok(())
    }

    fn add_object(
        &mut self,
        object: &Object<'_>,
        value: &str,
        notes: &mut Notes,
    ) -> Result<bool, BodyError> {
        let is_named =
            |name: &str, names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let mut holds_events = false;
        // Repeated names included.
        for (_, events) in object.members().filter(|(name, _)| is_named(name, &EVENTS)) {
            holds_events = true;
            self.add_events(&elements(events).unwrap_or_else(|| vec![events]))?;
        }
        if !holds_events && object.get("event").is_some() {
            if let Ok(record) = serde_json::from_str(value) {
                self.add_events(&[record])?;
            }
            return Ok(true);
        }
        let others: Vec<String> = object
            .members()
            .filter(|(name, _)| !is_named(name, &EVENTS) && !is_named(name, &["nxtDbVerTS"]))
            .map(|(name, value)| format!("{}:{}", serde_json::json!(name), value.get()))
            .collect();
        let others = format!("{{{}}}", others.join(","));
        if others.len() > MAX_EVENT_BYTES {
            notes.add(Note::LongMembers);
        } else if others != "{}" && self.extra_members.is_none() {
            self.extra_members = RawValue::from_string(others).ok();
        }
        Ok(holds_events || object.get("nxtDbVerTS").is_some())
    }

    /// About what it takes in the store and, until it is there, in memory.
    pub(super) fn stored_bytes(&self) -> usize {
        let events: usize = self.events.iter().map(Event::stored_bytes).sum();
        let extra_members = self.extra_members.as_ref();
        events + extra_members.map_or(0, |members| members.get().len())
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
            BatchId::new(id)
        });
        beginnings.collect()
    }
}

fn array(value: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value).ok()
}

fn is_event(value: &RawValue) -> bool {
    Object::parse(value.get()).is_ok_and(|object| object.get("event").is_some())
}

/// The outermost objects within text whose brackets and strings are whole, that are JSON.
fn objects_within(text: &str) -> Vec<&RawValue> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find('{').map(|at| from + at) {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(object)) => {
                found.push(object);
                from = at + object.get().len();
            }
            // Nesting is bounded, so this reads no byte more often than that.
            _ => from = at + 1,
        }
    }
    found
}

/// The names under which events come.
const EVENTS: [&str; 2] = ["asyncEvents", "asyncEvent"];

/// What a body of so many bytes may take in the store. A lock's events take ten times as much as they
/// came with, and sixteen times where they are short; no lock sends only the shortest.
fn max_stored_bytes(body_bytes: usize) -> usize {
    16 * body_bytes + 16 * 1024
}

/// Real ones have some 50 bytes.
pub(super) const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// A lock's own memory holds a few thousand.
pub(super) const MAX_EVENTS: usize = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stored_event::stored_events;

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
        assert_eq!(batch.0.events.len(), 1);
        assert_eq!(batch.0.events[0].code.unwrap().to_string(), "11111111");
        assert!(batch.0.extra_members.is_none());
    }

    #[test]
    fn numbers_unknown_members_and_trailing_commas_are_accepted() {
        let body = br#"{"fw":[1,], "asyncEvents": [{"event":11111111,"time":20051013130309,},], }"#;
        let batch = AuditBatch::parse(body).unwrap();
        assert_eq!(batch.0.events[0].code.unwrap().to_string(), "11111111");
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
    fn what_holds_no_event_is_refused() {
        for (body, refusal) in [
            (&b""[..], BodyError::NotAnObject),
            (b"\"text\"", BodyError::NotAnObject),
            (b"event=1", BodyError::NotAnObject),
            (b"[]", BodyError::NoEvents),
            (b"{}", BodyError::NoEvents),
            (b"{\"\xff\":1}", BodyError::NoEvents),
            (b"{\"asyncEvents\":[{\"event\":", BodyError::NotAnObject),
            (b"{\"asyncEvents\":[{\"event\":[]},{", BodyError::NoEvents),
        ] {
            let body_text = String::from_utf8_lossy(body);
            assert_eq!(AuditBatch::parse(body).unwrap_err(), refusal, "{body_text}");
        }
        let deep = format!(
            r#"{{"asyncEvents":[{}{}]}}"#,
            "[".repeat(40),
            "]".repeat(40)
        );
        assert_eq!(
            AuditBatch::parse(deep.as_bytes()).unwrap_err(),
            BodyError::TooDeep
        );
        let long = format!(
            r#"{{"asyncEvents":[{{"event":"{}"}}]}}"#,
            "1".repeat(MAX_EVENT_BYTES)
        );
        let refused = AuditBatch::parse(long.as_bytes()).unwrap_err();
        assert!(matches!(refused, BodyError::EventTooLong(_)), "{refused}");
    }

    /// The event codes and the note of a body, whatever shape it is in.
    fn read(body: &[u8]) -> (Vec<String>, String) {
        let batch = AuditBatch::parse(body).unwrap().0;
        let codes = batch.events.iter().map(|event| {
            let code = event.code.map(|code| code.to_string());
            code.unwrap_or_else(|| event.record.get().to_owned())
        });
        (codes.collect(), batch.note.unwrap_or_default())
    }

    #[test]
    fn what_can_be_read_of_a_damaged_body_is_kept_with_a_note() {
        let two = ["0B040001", "0B050002"];
        for (body, codes, note) in [
            (&b"{\"asyncEvents\":[{\"event\":\"0B040001\"},{\"event\":\"0B050002\"}]}\0"[..], &two[..], "left out"),
            (b"{\"asyncEvents\":[{\"event\":\"0B040001\"},{\"event\":\"0B050002\"}],\"n\":\"T\xfcr\"}", &two, "8859-1"),
            (br#"[{"event":"0B040001"},{"event":"0B050002"}]"#, &two, ""),
            (br#"{"asyncEvents":[{"event":"0B040001"},},{"event":"0B050002"}"#, &two, "brackets"),
            (br#"{"asyncEvents":[{"event":"0B040001"},{"event":"0B050002"},{"event":"0B"#, &two, "ended early"),
            (br#"{"asyncEvents":[{"event":"0B040001"}],"asyncEvents":[{"event":"0B050002"}]}"#, &two, ""),
            (br#"{"asyncEvents":[{"event":"0B040001"}]}{"asyncEvents":[{"event":"0B050002"}]}"#, &two, "several"),
            (br#"{"x" "y":{},"asyncEvents":[{"event":"0B040001"},{"event":"0B050002"}]}"#, &two, "only the events"),
            (br#"{"asyncEvents":[{"event":0B040001,"t":NaN},{"event":0B050002}]}"#, &two, "quoted"),
            (br#"{"asyncEvents":[{"event":"0B040001"},7]}"#, &["0B040001", "7"], ""),
            (br#"{"asyncEvents":[],"nxtDbVerTS":0x1}"#, &[], "quoted"),
        ] {
            let (found, notes) = read(body);
            let body = String::from_utf8_lossy(body);
            assert_eq!(found, codes, "{body}");
            assert!(notes.contains(note) && notes.is_empty() == note.is_empty(), "{body}: {notes}");
        }
    }

    #[test]
    fn a_batch_holds_as_many_events_as_a_lock_can_and_no_more() {
        for record in [
            r#"{"event":"0B040001","time":"20261123021259"}"#,
            r#"{"event":6010002,"time":20051013130309}"#,
            r#"{"event":6010002,"time":0}"#,
            r#"{"event":"0B040001","time":"20261123021259","door":1,"user":"x"}"#,
        ] {
            let body =
                |events| format!(r#"{{"asyncEvents":[{}]}}"#, vec![record; events].join(","));
            let most = AuditBatch::parse(body(MAX_EVENTS).as_bytes()).unwrap();
            assert_eq!(most.0.events.len(), MAX_EVENTS);
            let refused = AuditBatch::parse(body(MAX_EVENTS + 1).as_bytes()).unwrap_err();
            assert_eq!(refused, BodyError::TooManyEvents(MAX_EVENTS + 1));
        }
        // In however many lists and values they come.
        let list = format!(
            r#""asyncEvents":[{}{{"event":1}}]"#,
            r#"{"event":1},"#.repeat(4999)
        );
        let refused = [
            format!("{{{list},{list},{list}}}"),
            format!("{{{list}}}{{{list}}}{{{list}}}"),
            r#"{"event":1}"#.repeat(MAX_EVENTS + 1),
        ];
        for body in refused {
            let refused = AuditBatch::parse(body.as_bytes()).unwrap_err();
            assert!(matches!(refused, BodyError::TooManyEvents(_)), "{refused}");
        }
    }

    #[test]
    fn events_that_are_much_shorter_than_their_rows_are_refused() {
        for (record, few) in [("0", 40), ("{}", 40), (r#"{"event":1}"#, 70)] {
            let body =
                |events| format!(r#"{{"asyncEvents":[{}]}}"#, vec![record; events].join(","));
            assert!(AuditBatch::parse(body(few).as_bytes()).is_ok(), "{record}");
            let refused = AuditBatch::parse(body(5000).as_bytes()).unwrap_err();
            let is_so =
                matches!(refused, BodyError::TooLargeStored { found, allowed } if found > allowed);
            assert!(is_so, "{record}: {refused}");
        }
    }

    #[test]
    fn an_alert_is_one_event_in_any_of_three_shapes() {
        let event = r#"{"event":"0B050001","time":"20051013130309"}"#;
        for body in [
            event.to_owned(),
            format!(r#"{{"asyncEvent":{event}}}"#),
            format!(r#"{{"asyncEvents":[{event}]}}"#),
        ] {
            let alert = Alert::parse(body.as_bytes()).unwrap().0;
            assert_eq!(alert.events.len(), 1, "{body}");
            assert_eq!(alert.events[0].record.get(), event);
            assert!(alert.extra_members.is_none(), "{body}");
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
        fn what_is_accepted_is_stored_in_no_more_than_is_allowed(
            records in prop::collection::vec("0|\\{\\}|\\{\"event\":\"[0-9A-F]{8}\"(,\"time\":\"2[0-9]{13}\")?(,\"x\":\"[a-z]{0,200}\")?\\}", 0..200),
            extra in "[a-z]{0,300}",
        ) {
            let body = format!(r#"{{"x":"{extra}","asyncEvents":[{}]}}"#, records.join(","));
            if let Ok(batch) = AuditBatch::parse(body.as_bytes()) {
                let events = batch.into_events();
                let id = events.prefix_ids(&device()).last().copied().unwrap_or(BatchId::new([0; 16]));
                let now = Timestamp::UNIX_EPOCH;
                let lines = stored_events(&events, 0..events.events.len(), id, now);
                // Its columns and its share of the indexes.
                let stored: usize = lines.map(|line| line.to_json().len() + 180).sum();
                prop_assert!(stored <= events.stored_bytes());
                prop_assert!(events.stored_bytes() <= max_stored_bytes(body.len()));
            }
        }

        #[test]
        fn every_event_is_kept_as_it_arrived(events in prop::collection::vec((0u32.., "[0-9]{14}", ".*"), 0..20)) {
            let records: Vec<String> = events.iter().map(|(event, time, more)| {
                format!(r#"{{"event":"{event:08x}","time":{time:?},"more":{}}}"#, serde_json::json!(more))
            }).collect();
            let body = format!(r#"{{"asyncEvents":[{}]}}"#, records.join(" ,\n"));
            let batch = AuditBatch::parse(body.as_bytes()).unwrap();
            let kept: Vec<_> = batch.0.events.iter().map(|event| event.record.get()).collect();
            prop_assert_eq!(kept, records);
        }
    }
}
