//! A disk that is full, read-only or broken.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use engage_wire::diagnostic::one_line;
use proptest::prelude::*;

use super::*;
use crate::files::disk::{AppendFile, Disk, FileIdentity, RealDisk};
use crate::{
    AppendOutcome, AppendedDevices, BatchLimit, ConfigUpload, Cursor, DeviceStore, EventLog,
    Health, StoreError, StoreWarning, Subscriber,
};

/// A real disk whose next calls fail as told.
#[derive(Default)]
pub(super) struct Faults {
    /// Bytes that can still be appended.
    room: AtomicU64,
    pub(super) sync: AtomicBool,
    sync_dir: AtomicBool,
    truncate: AtomicBool,
    pub(super) replace: AtomicBool,
    open: AtomicBool,
    /// A file that somebody removes while the next one is synchronised.
    removed: Mutex<Option<PathBuf>>,
    /// What was asked for, in order.
    pub(super) calls: Mutex<Vec<&'static str>>,
}

impl Faults {
    pub(super) fn none() -> Arc<Self> {
        let faults = Self::default();
        faults.room.store(u64::MAX, SeqCst);
        Arc::new(faults)
    }

    pub(super) fn clear(&self) {
        self.room.store(u64::MAX, SeqCst);
        for fault in [
            &self.sync,
            &self.sync_dir,
            &self.truncate,
            &self.replace,
            &self.open,
        ] {
            fault.store(false, SeqCst);
        }
    }

    fn check(&self, call: &'static str, fault: &AtomicBool) -> io::Result<()> {
        self.calls.lock().unwrap().push(call);
        if fault.load(SeqCst) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }
}

pub(super) struct FaultyDisk(pub(super) Arc<Faults>);

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.0.check("open", &self.0.open)?;
        let tail = RealDisk.open(path)?;
        let faults = Arc::clone(&self.0);
        Ok(Box::new(FaultyTail { tail, faults }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.check("sync_dir", &self.0.sync_dir)?;
        RealDisk.sync_dir(path)
    }

    fn replace(&self, path: &Path, contents: &[u8]) -> io::Result<()> {
        self.0.check("replace", &self.0.replace)?;
        RealDisk.replace(path, contents)
    }
}

struct FaultyTail {
    tail: Box<dyn AppendFile>,
    faults: Arc<Faults>,
}

impl AppendFile for FaultyTail {
    fn len(&self) -> io::Result<u64> {
        self.tail.len()
    }

    /// Writes what there is room for, as a disk that fills up does.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.faults.calls.lock().unwrap().push("append");
        let room = self.faults.room.load(SeqCst);
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        self.tail.append(&bytes[..fits])?;
        if room != u64::MAX {
            self.faults.room.store(room - fits as u64, SeqCst);
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.faults.check("truncate", &self.faults.truncate)?;
        self.tail.truncate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.check("sync", &self.faults.sync)?;
        if let Some(removed) = self.faults.removed.lock().unwrap().take() {
            fs_err::remove_file(removed)?;
        }
        self.tail.sync()
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        self.tail.identity()
    }
}

fn open_faulty(directory: &Path, faults: &Arc<Faults>) -> FileStore {
    open_on(Arc::new(FaultyDisk(Arc::clone(faults))), directory)
}

async fn deliver(store: &FileStore, seed: usize) -> Result<AppendOutcome, StoreError> {
    store
        .append_audits(&call(1, NOVEMBER), batch(seed, 3))
        .await
}

fn contents(directory: &Path) -> Vec<u8> {
    fs_err::read(directory.join("0000000000000001/audits-2026-11.jsonl")).unwrap()
}

#[tokio::test]
async fn the_answer_comes_after_the_file_and_its_directory_are_synchronised() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    faults.calls.lock().unwrap().clear();
    deliver(&store, 1).await.unwrap();
    let calls = faults.calls.lock().unwrap().clone();
    assert_eq!(
        calls[..5],
        ["sync_dir", "open", "append", "sync", "sync_dir"]
    );
}

#[tokio::test]
async fn a_disk_that_fills_up_acknowledges_nothing_and_keeps_no_half_batch() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    deliver(&store, 0).await.unwrap();
    let before = contents(folder.path());
    for room in [0, 1, 100, 300, 500] {
        faults.room.store(room, SeqCst);
        let refused = deliver(&store, 1).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::Unavailable { .. }),
            "{refused}"
        );
        assert_eq!(contents(folder.path()), before, "{room} bytes of room");
        assert!(matches!(store.health(), Health::Failing { .. }));
    }
    faults.clear();
    assert_eq!(deliver(&store, 1).await.unwrap(), AppendOutcome::Updated);
    assert_eq!(store.health(), Health::Writable);
    assert_eq!(
        codes(folder.path(), device(1)),
        [codes_of(0, 3), codes_of(1, 3)].concat()
    );
}

#[tokio::test]
async fn what_cannot_be_synchronised_is_undone_and_still_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    for fault in [&faults.sync_dir, &faults.open] {
        fault.store(true, SeqCst);
        deliver(&store, 0).await.unwrap_err();
        faults.clear();
    }
    // The file's own synchronisation fails, and so does that of what was undone.
    faults.sync.store(true, SeqCst);
    deliver(&store, 0).await.unwrap_err();
    faults.clear();
    assert!(codes(folder.path(), device(1)).is_empty());
    assert_eq!(deliver(&store, 0).await.unwrap(), AppendOutcome::Created);
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 3));
}

#[tokio::test]
async fn what_was_undone_is_not_known_when_it_is_delivered_again() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    let upload = ConfigUpload::parse(b"{}").unwrap();
    store.save_config(&call(1, NOVEMBER), upload).await.unwrap();
    // The directory is there, so that what fails is the new file's entry in it.
    faults.sync_dir.store(true, SeqCst);
    deliver(&store, 0).await.unwrap_err();
    assert!(contents(folder.path()).is_empty());
    faults.clear();
    assert_eq!(deliver(&store, 0).await.unwrap(), AppendOutcome::Created);
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 3));
}

#[tokio::test]
async fn a_file_that_cannot_be_cut_back_takes_nothing_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    deliver(&store, 0).await.unwrap();
    faults.room.store(200, SeqCst);
    faults.truncate.store(true, SeqCst);
    deliver(&store, 1).await.unwrap_err();
    faults.clear();
    assert_eq!(deliver(&store, 1).await.unwrap(), AppendOutcome::Updated);
    assert_eq!(
        codes(folder.path(), device(1)),
        [codes_of(0, 3), codes_of(1, 3)].concat()
    );
}

#[tokio::test]
async fn a_whole_batch_that_could_neither_be_synchronised_nor_undone_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    faults.sync.store(true, SeqCst);
    faults.truncate.store(true, SeqCst);
    deliver(&store, 0).await.unwrap_err();
    faults.clear();
    faults.calls.lock().unwrap().clear();
    deliver(&store, 0).await.unwrap();
    assert!(faults.calls.lock().unwrap().contains(&"sync"));
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 3));
}

#[tokio::test]
async fn a_batch_of_an_earlier_process_is_synchronised_before_it_is_acknowledged_again() {
    let folder = tempfile::tempdir().unwrap();
    deliver(&open(folder.path()), 0).await.unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    faults.sync.store(true, SeqCst);
    deliver(&store, 0).await.unwrap_err();
    faults.clear();
    assert_eq!(deliver(&store, 0).await.unwrap(), AppendOutcome::Updated);
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 3));
}

#[tokio::test]
async fn a_batch_whose_file_was_removed_is_not_acknowledged_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    deliver(&store, 0).await.unwrap();
    fs_err::remove_file(folder.path().join("0000000000000001/audits-2026-11.jsonl")).unwrap();
    assert_eq!(deliver(&store, 0).await.unwrap(), AppendOutcome::Created);
    assert_eq!(codes(folder.path(), device(1)), codes_of(0, 3));
    // Nor one in a file that was cut by somebody.
    deliver(&store, 1).await.unwrap();
    let lines = contents(folder.path());
    let first = lines.len() / 2;
    fs_err::write(
        folder.path().join("0000000000000001/audits-2026-11.jsonl"),
        &lines[..first],
    )
    .unwrap();
    deliver(&store, 1).await.unwrap();
    assert_eq!(
        codes(folder.path(), device(1)),
        [codes_of(0, 3), codes_of(1, 3)].concat()
    );
}

#[tokio::test]
async fn a_file_that_is_removed_while_it_is_written_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    deliver(&store, 0).await.unwrap();
    let file = folder.path().join("0000000000000001/audits-2026-11.jsonl");
    *faults.removed.lock().unwrap() = Some(file);
    let told = one_line(&deliver(&store, 1).await.unwrap_err());
    assert!(
        told.contains("the file was removed while it was written; hint: ")
            && told.contains("stop whatever moves or removes")
            && !told.contains("permission"),
        "{told}"
    );
    assert_eq!(deliver(&store, 1).await.unwrap(), AppendOutcome::Created);
}

#[tokio::test]
async fn a_file_that_is_made_anew_under_the_daemon_has_its_entry_synchronised() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    deliver(&store, 0).await.unwrap();
    let file = folder.path().join("0000000000000001/audits-2026-11.jsonl");
    for (seed, is_removed) in [(1, false), (2, true)] {
        if is_removed {
            fs_err::remove_file(&file).unwrap();
        }
        faults.calls.lock().unwrap().clear();
        deliver(&store, seed).await.unwrap();
        let calls = faults.calls.lock().unwrap().clone();
        assert_eq!(calls.contains(&"sync_dir"), is_removed, "{calls:?}");
    }
}

#[tokio::test]
async fn one_devices_folder_that_cannot_be_used_is_that_devices_trouble_only() {
    let folder = tempfile::tempdir().unwrap();
    deliver(&open(folder.path()), 0).await.unwrap();
    let file = folder.path().join("0000000000000001/audits-2026-11.jsonl");
    fs_err::remove_file(&file).unwrap();
    fs_err::create_dir(&file).unwrap();
    let store = open(folder.path());
    deliver(&store, 1).await.unwrap_err();
    let other = store.append_audits(&call(2, NOVEMBER), batch(1, 1)).await;
    other.unwrap();
    assert_eq!(store.health(), Health::Writable);
    let warnings = store.warnings();
    assert!(
        matches!(&warnings[..], [StoreWarning::Device { device: it, .. }] if *it == device(1)),
        "{warnings:?}"
    );
    fs_err::remove_dir(&file).unwrap();
    deliver(&store, 1).await.unwrap();
    assert_eq!(store.warnings(), []);
}

#[tokio::test]
async fn a_clock_that_is_set_back_over_the_end_of_a_month_changes_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let moments = [
        NOVEMBER,
        DECEMBER,
        "2026-11-30T23:59:50Z",
        "2026-12-01T00:01:00Z",
    ];
    let appended = AppendedDevices::default();
    store.subscribe(Subscriber::Webhook, appended.clone());
    let mut cursor = Cursor::default();
    let mut delivered = Vec::new();
    let limit = BatchLimit {
        events: 100,
        bytes: 1024,
    };
    for (seed, moment) in moments.iter().enumerate() {
        let stored = store.append_audits(&call(1, moment), batch(seed, 1)).await;
        stored.unwrap();
        assert!(appended.next().await.contains(&device(1)));
        while let Some(next) = store.next_batch(device(1), &cursor, limit).await.unwrap() {
            delivered.extend(next.events.iter().map(|event| text(&event.text, "event")));
            cursor = next.cursor;
            let commit = store.commit_cursor(Subscriber::Webhook, device(1), &cursor);
            commit.await.unwrap();
        }
    }
    let all: Vec<_> = (0..moments.len())
        .flat_map(|seed| codes_of(seed, 1))
        .collect();
    assert_eq!(delivered, all);
    assert_eq!(codes(folder.path(), device(1)), all);
    assert_eq!(store.pending(Subscriber::Webhook).await.unwrap(), []);
    let committed = store.load_cursor(Subscriber::Webhook, device(1)).await;
    assert_eq!(committed.unwrap(), cursor);
}

fn text(line: &[u8], member: &str) -> String {
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    line[member].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_failed_replacement_leaves_the_last_upload() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::none();
    let store = open_faulty(folder.path(), &faults);
    let upload = |body: &[u8]| ConfigUpload::parse(body).unwrap();
    store
        .save_config(&call(1, NOVEMBER), upload(b"{\"a\":1}"))
        .await
        .unwrap();
    faults.replace.store(true, SeqCst);
    let refused = store
        .save_config(&call(1, NOVEMBER), upload(b"{\"a\":2}"))
        .await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
    assert!(matches!(store.health(), Health::Failing { .. }));
    let kept = fs_err::read(folder.path().join("0000000000000001/config.json")).unwrap();
    assert_eq!(kept, b"{\"a\":1}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever fails and whenever the process ends: what was acknowledged is there exactly once.
    #[test]
    fn every_acknowledged_batch_is_there_exactly_once(
        steps in prop::collection::vec((0..6usize, 0..64u8, 0..900u64, any::<bool>()), 1..25)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let faults = Faults::none();
        let mut store = Some(open_faulty(folder.path(), &faults));
        let mut acknowledged = std::collections::BTreeSet::new();
        for (seed, failing, room, restarts) in steps {
            if restarts {
                faults.clear();
                store = None;
            }
            let store = store.get_or_insert_with(|| open_faulty(folder.path(), &faults));
            faults.sync.store(failing & 1 != 0, SeqCst);
            faults.sync_dir.store(failing & 2 != 0, SeqCst);
            faults.truncate.store(failing & 4 != 0, SeqCst);
            faults.open.store(failing & 8 != 0, SeqCst);
            faults.room.store(if failing & 16 != 0 { room } else { u64::MAX }, SeqCst);
            if runtime.block_on(deliver(store, seed)).is_ok() {
                acknowledged.insert(seed);
            }
        }
        faults.clear();
        drop(store);
        drop(open(folder.path()));
        let found = codes(folder.path(), device(1));
        for seed in 0..6 {
            let count = found.iter().filter(|code| **code == codes_of(seed, 3)[2]).count();
            let is_acknowledged = acknowledged.contains(&seed);
            prop_assert!(count == 1 || count == 0 && !is_acknowledged, "batch {} is there {} times", seed, count);
        }
    }
}
