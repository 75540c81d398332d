//! Events that a subscriber could not pass on, and gave up: the newest of them, and how many were
//! before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{EventBatch, EventKind, StoredEvent};

/// An event that was set aside.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UndeliveredEvent {
    /// When it was set aside.
    pub set_aside_at: Timestamp,
    /// Audits or alerts.
    pub log: EventKind,
    /// Why, for people.
    pub reason: String,
    /// As it is stored.
    pub event: StoredEvent,
}

/// All that were set aside of a device.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Undelivered {
    /// Older ones that are not named any more.
    #[serde(default)]
    pub dropped: u64,
    /// In the order in which they were set aside.
    pub events: Vec<UndeliveredEvent>,
}

impl Undelivered {
    /// Adds the events of a batch. One that is there already is there once.
    pub(crate) fn add(&mut self, batch: &EventBatch, reason: &str, now: Timestamp) {
        for event in &batch.events {
            let Ok(event) = serde_json::from_slice::<StoredEvent>(&event.text) else {
                continue;
            };
            self.events
                .retain(|it| (&it.event.batch, it.event.line) != (&event.batch, event.line));
            self.events.push(UndeliveredEvent {
                set_aside_at: now,
                log: batch.kind,
                reason: reason.to_owned(),
                event,
            });
        }
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        let mut bytes = 0;
        let kept = self.events.iter().rev().take(MAX_EVENTS).take_while(|it| {
            bytes += length(&it.event);
            bytes <= MAX_BYTES
        });
        // The newest stays, however long.
        let kept = kept.count().max(1);
        let dropped = self.events.len().saturating_sub(kept);
        self.events.drain(..dropped);
        self.dropped = self.dropped.saturating_add(dropped as u64);
    }
}

fn length(event: &StoredEvent) -> usize {
    let raw = [&event.event, &event.time, &event.record, &event.with];
    let raw = raw.into_iter().flatten().map(|it| RawValue::get(it).len());
    raw.sum::<usize>() + 200
}

const MAX_EVENTS: usize = 100;

const MAX_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use crate::{Cursor, LoggedEvent};

    use super::*;

    fn batch(line: usize, event: &str) -> EventBatch {
        let text = format!(
            r#"{{"received_at":"2026-11-23T02:13:05Z","event":"{event}","batch":"{:032x}","line":{line},"of":999}}"#,
            1
        );
        EventBatch {
            kind: EventKind::Audits,
            events: vec![LoggedEvent {
                received_at: Timestamp::UNIX_EPOCH,
                text: text.into_bytes(),
            }],
            cursor: Cursor::default(),
        }
    }

    #[test]
    fn the_newest_are_kept_within_bounds_and_each_once() {
        let mut undelivered = Undelivered::default();
        let now = Timestamp::UNIX_EPOCH;
        for line in 1..=150 {
            undelivered.add(&batch(line, "x"), "refused", now);
        }
        undelivered.add(&batch(150, "x"), "refused again", now);
        assert_eq!((undelivered.events.len(), undelivered.dropped), (100, 50));
        let last = undelivered.events.last().unwrap();
        assert_eq!(
            (last.event.line, last.reason.as_str()),
            (150, "refused again")
        );
        undelivered.add(&batch(151, &"x".repeat(2 * MAX_BYTES)), "refused", now);
        assert_eq!((undelivered.events.len(), undelivered.dropped), (1, 150));
    }
}
