//! What devices deliver: batches of audits, and alerts.

use std::ops::Range;

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
use super::stored_event::StoredEvent;
use super::upload_limits::{MAX_EVENT_BYTES, MAX_EVENTS};

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

    /// The name of the batch that it is stored as; `None` without an event.
    pub fn id(&self, device: &DeviceId) -> Option<BatchId> {
        self.0.id(device)
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

    /// The name of the batch that it is stored as; `None` without an event.
    pub fn id(&self, device: &DeviceId) -> Option<BatchId> {
        self.0.id(device)
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
        let mut events = begin_id(device);
        let beginnings = self.events.iter().map(|event| {
            add_to_id(&mut events, event);
            end_id(events.clone())
        });
        beginnings.collect()
    }

    /// The last of them; `None` without an event.
    fn id(&self, device: &DeviceId) -> Option<BatchId> {
        let mut events = begin_id(device);
        for event in &self.events {
            add_to_id(&mut events, event);
        }
        (!self.events.is_empty()).then(|| end_id(events))
    }
}

/// The events of an upload in `range`, as one batch.
pub(crate) fn stored_events(
    batch: &UploadedEvents,
    range: Range<usize>,
    id: BatchId,
    received_at: Timestamp,
) -> impl Iterator<Item = StoredEvent> {
    let events = &batch.events[range];
    events
        .iter()
        .enumerate()
        .map(move |(at, event)| StoredEvent {
            received_at,
            event: event.member("event"),
            time: event.member("time"),
            code: event.code.map(|code| code.to_string()),
            name: event.code.and_then(|code| Some(code.name()?.to_owned())),
            at: event.time.map(|time| time.to_string()),
            record: (!event.is_plain).then(|| event.record.clone()),
            with: (at == 0).then(|| batch.extra_members.clone()).flatten(),
            note: (at == 0).then(|| batch.note.clone()).flatten(),
            batch: id.to_string(),
            line: at + 1,
            of: events.len(),
        })
}

fn begin_id(device: &DeviceId) -> Sha256 {
    Sha256::new()
        .chain_update(device.to_string())
        .chain_update(b"\n")
}

fn add_to_id(events: &mut Sha256, event: &Event) {
    // Minified, so it holds no newline.
    events.update(event.record.get());
    events.update(b"\n");
}

fn end_id(events: Sha256) -> BatchId {
    let mut id = [0; 16];
    id.copy_from_slice(&events.finalize()[..16]);
    BatchId::new(id)
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

#[cfg(test)]
mod tests;
