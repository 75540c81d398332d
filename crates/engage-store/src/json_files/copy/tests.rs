//! Copies in every order of stores, interruptions and damage.

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::DeviceRecord;
use crate::json_files::directory_id::DirectoryId;

/// Kind, month and text of each event; its number is its place from 1.
#[derive(Default)]
struct Store(RefCell<Vec<(EventKind, Month, String)>>);

impl Store {
    fn events(&self, range: (i64, i64)) -> Vec<FiledEvent> {
        let events = self.0.borrow();
        let numbered = (1..).zip(events.iter());
        let wanted = numbered.filter(|(seq, _)| range.0 < *seq && *seq <= range.1);
        wanted
            .map(|(seq, (kind, month, text))| FiledEvent {
                seq,
                kind: *kind,
                month: *month,
                text: text.clone(),
            })
            .collect()
    }
}

impl Source for Store {
    fn page(&self, device: DeviceId, after: i64) -> Result<Option<DeviceChanges>, StoreError> {
        let mut events = self.events((after, i64::MAX));
        let is_last = events.len() <= 3;
        events.truncate(3);
        Ok(Some(DeviceChanges {
            record: DeviceRecord::new(device, Timestamp::UNIX_EPOCH),
            revision: 1,
            events,
            is_last,
        }))
    }

    fn config(&self, _: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn month(
        &self,
        _: DeviceId,
        kind: EventKind,
        month: Month,
        range: (i64, i64),
    ) -> Result<Vec<FiledEvent>, StoreError> {
        let mut events = self.events(range);
        events.retain(|event| (event.kind, event.month) == (kind, month));
        events.truncate(2);
        Ok(events)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Store {
        is_audit: bool,
        /// An import brings older ones behind newer ones.
        month: usize,
    },
    /// What somebody, or a crash, does to the newest file of a kind.
    Damage { is_audit: bool, damage: Damage },
    Copy {
        is_committed: bool,
        max_pages: usize,
    },
}

#[derive(Clone, Debug)]
enum Damage {
    Cut,
    Lengthen,
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    let damage = prop_oneof![
        Just(Damage::Cut),
        Just(Damage::Lengthen),
        Just(Damage::Remove)
    ];
    prop_oneof![
        4 => (any::<bool>(), 0..3_usize).prop_map(|(is_audit, month)| Step::Store { is_audit, month }),
        1 => (any::<bool>(), damage).prop_map(|(is_audit, damage)| Step::Damage { is_audit, damage }),
        3 => (any::<bool>(), 1..3_usize).prop_map(|(is_committed, max_pages)| Step::Copy { is_committed, max_pages }),
    ]
}

fn kind(is_audit: bool) -> EventKind {
    if is_audit {
        EventKind::Audits
    } else {
        EventKind::Alerts
    }
}

fn damage(folder: &Folder, kind: EventKind, damage: &Damage) {
    let Some(newest) = folder.months(kind).unwrap().pop() else {
        return;
    };
    let path = folder.path(&newest.file_name(kind));
    let mut text = fs_err::read(&path).unwrap();
    match damage {
        Damage::Cut => text.truncate(text.len() / 2),
        Damage::Lengthen => text.extend_from_slice(b"{\"half a line"),
        Damage::Remove => return fs_err::remove_file(path).unwrap(),
    }
    fs_err::write(path, text).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A copy whose cursor is not committed is one that was interrupted.
    #[test]
    fn files_have_each_event_once_whatever_interrupts_or_damages_them(steps in prop::collection::vec(step(), 0..40)) {
        let root = tempfile::tempdir().unwrap();
        let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
        let months: Vec<Month> = ["2026-11", "2026-12", "2027-01"].map(|it| it.parse().unwrap()).into();
        let (store, mut cursor) = (Store::default(), CopyCursor::beginning());
        let copied = |cursor: &CopyCursor, max_pages| copy(root.path(), &store, device, cursor.clone(), max_pages).unwrap();
        for step in steps {
            match step {
                Step::Store { is_audit, month } => {
                    let mut events = store.0.borrow_mut();
                    let text = format!("event {}", events.len());
                    events.push((kind(is_audit), months[month], text));
                }
                Step::Damage { is_audit, damage: how } => {
                    if let Some(folder) = Folder::find(root.path(), device).unwrap() {
                        damage(&folder, kind(is_audit), &how);
                        cursor = copied(&cursor, 1).cursor;
                    }
                }
                Step::Copy { is_committed, max_pages } => {
                    let copied = copied(&cursor, max_pages);
                    if is_committed {
                        cursor = copied.cursor;
                    }
                }
            }
        }
        prop_assert!(copied(&cursor, usize::MAX).is_whole);
        let folder = Folder::find(root.path(), device).unwrap().unwrap();
        for kind in EventKind::ALL {
            for month in &months {
                let events = store.0.borrow();
                let of_file = events.iter().filter(|it| (it.0, it.1) == (kind, *month));
                let expected: String = of_file.flat_map(|(_, _, text)| [text, "\n"]).collect();
                let found = fs_err::read_to_string(folder.path(&month.file_name(kind)));
                prop_assert_eq!(found.unwrap_or_default(), expected);
            }
        }
    }
}

#[test]
fn lines_that_the_store_does_not_have_are_kept_before_a_file_is_cut() {
    let root = tempfile::tempdir().unwrap();
    let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
    let month: Month = "2026-11".parse().unwrap();
    let next: Month = "2026-12".parse().unwrap();
    let event = |month, text: &str| (EventKind::Audits, month, text.to_owned());
    let store = Store::default();
    store.0.borrow_mut().push(event(month, "one"));
    let backup = copy(root.path(), &store, device, CopyCursor::beginning(), 1).unwrap();
    let later = [event(month, "two"), event(next, "three")];
    store.0.borrow_mut().extend(later);
    copy(root.path(), &store, device, backup.cursor.clone(), 1).unwrap();
    // The backup is restored, and the device calls again.
    store.0.borrow_mut().truncate(1);
    store.0.borrow_mut().push(event(next, "four"));
    copy(root.path(), &store, device, backup.cursor, 1).unwrap();
    let read = |root: &Path, month: Month| {
        let folder = Folder::find(root, device).unwrap().unwrap();
        fs_err::read_to_string(folder.path(&month.file_name(EventKind::Audits))).unwrap()
    };
    assert_eq!(read(root.path(), month), "one\n");
    assert_eq!(read(root.path(), next), "four\n");
    let unknown = root.path().join(UNKNOWN);
    assert_eq!(read(&unknown, month), "two\n");
    assert_eq!(read(&unknown, next), "three\n");
}

#[test]
fn a_directory_keeps_its_name() {
    let root = tempfile::tempdir().unwrap();
    let id = DirectoryId::load_or_create(root.path()).unwrap();
    assert_eq!(DirectoryId::load_or_create(root.path()).unwrap(), id);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(DirectoryId::load_or_create(other.path()).unwrap(), id);
}
