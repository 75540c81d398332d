//! The store, through its public face: on a real file system, and on one that fails.

mod crash;
mod faults;
mod group;
mod ledger;

use std::path::Path;

use jiff::Timestamp;

use crate::{AuditBatch, DeviceId, FileStore, KeepDays};

fn device(number: u64) -> DeviceId {
    format!("{number:016X}").parse().unwrap()
}

fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}

/// `events` events that no other `seed` has.
fn batch(seed: usize, events: usize) -> AuditBatch {
    let events: Vec<String> = (0..events)
        .map(|event| format!(r#"{{"event":"{seed:04X}{event:04X}","time":"20261123021259"}}"#))
        .collect();
    AuditBatch::parse(format!(r#"{{"asyncEvents":[{}]}}"#, events.join(",")).as_bytes()).unwrap()
}

fn open(directory: &Path) -> FileStore {
    FileStore::open(directory, KeepDays::default()).unwrap()
}

/// The codes in a device's audits, in the order of the files.
fn codes(directory: &Path, device: DeviceId) -> Vec<String> {
    let archive = super::StoreReader::new(directory);
    let events = archive.events(device, crate::EventKind::Audits, None);
    events
        .unwrap()
        .map(|event| event.unwrap().line.code.unwrap())
        .collect()
}

fn codes_of(seed: usize, events: usize) -> Vec<String> {
    (0..events)
        .map(|event| format!("{seed:04X}{event:04X}"))
        .collect()
}

const NOVEMBER: &str = "2026-11-23T02:13:05Z";
const DECEMBER: &str = "2026-12-01T00:00:01Z";
