//! What waits together is synchronised together, and shares its fate.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use tokio::sync::{Semaphore, oneshot};

use super::faults::{Faults, FaultyDisk};
use super::*;
use crate::files::device_dirs::DeviceDirs;
use crate::files::health::HealthMonitor;
use crate::files::writer::{Append, Writer};
use crate::{AppendOutcome, EventKind, Health, StoreError};

type Answer = oneshot::Receiver<Result<AppendOutcome, StoreError>>;

fn writer(directory: &Path, faults: &Arc<Faults>) -> (Writer, Arc<HealthMonitor>) {
    let disk = Arc::new(FaultyDisk(Arc::clone(faults)));
    let dirs = DeviceDirs::open(directory, disk).unwrap();
    let health = Arc::new(HealthMonitor::new(Arc::new(dirs)));
    let writer = Writer::new(Arc::clone(&health), Arc::default(), HashSet::new());
    (writer.unwrap(), health)
}

fn waiting(number: u64, seed: usize, moment: &str) -> (Append, Answer) {
    let (answer, acknowledged) = oneshot::channel();
    let append = Append {
        call: call(number, moment),
        kind: EventKind::Audits,
        batch: batch(seed, 2).into_events(),
        answer,
        _room: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
    };
    (append, acknowledged)
}

fn commit(writer: &mut Writer, group: [(u64, usize, &str); 4]) -> Vec<Option<AppendOutcome>> {
    let (group, answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|(number, seed, moment)| waiting(number, seed, moment))
        .unzip();
    writer.commit(group);
    let answered = |mut answer: Answer| answer.try_recv().unwrap().ok();
    answers.into_iter().map(answered).collect()
}

/// Two devices; the first delivers one batch twice, once on either side of midnight.
const GROUP: [(u64, usize, &str); 4] = [
    (1, 0, "2026-11-30T23:59:59Z"),
    (1, 0, DECEMBER),
    (2, 1, NOVEMBER),
    (2, 2, NOVEMBER),
];

#[test]
fn each_file_of_a_group_is_synchronised_once() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let (mut writer, _) = writer(folder.path(), &faults);
    let answers = commit(&mut writer, GROUP);
    let (created, updated) = (Some(AppendOutcome::Created), Some(AppendOutcome::Updated));
    assert_eq!(answers, [created, updated, created, updated]);
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 2));
    let calls = faults.calls.lock().unwrap();
    let syncs = calls.iter().filter(|call| **call == "sync").count();
    assert_eq!(syncs, 2);
}

#[test]
fn a_batch_that_is_there_twice_in_a_group_is_acknowledged_by_none_or_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let (mut writer, _) = writer(folder.path(), &faults);
    faults.sync.store(true, SeqCst);
    assert_eq!(commit(&mut writer, GROUP), [None; 4]);
}

#[test]
fn a_disk_that_works_again_is_found_out_without_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let (mut writer, health) = writer(folder.path(), &faults);
    faults.sync.store(true, SeqCst);
    faults.replace.store(true, SeqCst);
    commit(&mut writer, GROUP);
    health.probe();
    assert!(matches!(health.get(), Health::Failing { .. }));
    faults.clear();
    health.probe();
    assert_eq!(health.get(), Health::Writable);
}
