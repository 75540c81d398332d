//! The store, through its public face: on a real file system, and on one that fails.

mod crash;
mod faults;
mod group;
mod ledger;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::disk::Disk;
use crate::{
    AuditBatch, Call, DeviceId, EventFilter, EventKind, FileStore, FollowItem, KeepDays,
    StoreReader,
};

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

fn call(number: u64, moment: &str) -> Call {
    Call {
        device: device(number),
        peer: "10.44.0.7".parse().unwrap(),
        is_authenticated: false,
        received_at: at(moment),
    }
}

fn open(directory: &Path) -> FileStore {
    FileStore::open(directory, KeepDays::default()).unwrap()
}

fn open_on(disk: Arc<dyn Disk>, directory: &Path) -> FileStore {
    FileStore::open_on(disk, directory, KeepDays::default()).unwrap()
}

/// The codes in a device's audits, in the order of the files.
fn codes(directory: &Path, device: DeviceId) -> Vec<String> {
    codes_in(directory, EventKind::Audits, device)
}

fn codes_in(directory: &Path, kind: EventKind, device: DeviceId) -> Vec<String> {
    let mut codes = Vec::new();
    let filter = EventFilter {
        device: Some(device),
        kind,
        since: None,
    };
    let reader = StoreReader::new(directory);
    let mut events = reader.follow(filter);
    events
        .read(&mut |item| {
            if let FollowItem::Event { event, .. } = item {
                codes.push(event.code.clone().unwrap());
            }
            Ok(())
        })
        .unwrap();
    codes
}

fn codes_of(seed: usize, events: usize) -> Vec<String> {
    (0..events)
        .map(|event| format!("{seed:04X}{event:04X}"))
        .collect()
}

const NOVEMBER: &str = "2026-11-23T02:13:05Z";
const DECEMBER: &str = "2026-12-01T00:00:01Z";
