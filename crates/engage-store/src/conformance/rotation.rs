//! Where a rotation stands.

use engage_wire::pki::Fingerprint;

use super::engine::TestEngine;
use super::*;
use crate::{
    AnchorChange, HostRotation, Overlap, Replaced, Rotation, RotationId, RotationReport,
    RotationStep, RotationStore, StoreError, StoredRotation,
};

fn fingerprint(byte: u8) -> Fingerprint {
    format!("{byte:02X}").repeat(32).parse().unwrap()
}

fn prepared() -> Rotation {
    Rotation {
        id: RotationId::random().unwrap(),
        step: RotationStep::Prepared,
        overlap: Overlap::Select,
        leaf: fingerprint(1),
        anchors: vec![AnchorChange {
            site: "lobby".into(),
            old: fingerprint(2),
            new: fingerprint(3),
        }],
        began_at: at(NOVEMBER),
        step_at: at(NOVEMBER),
    }
}

pub(super) async fn a_rotation_survives_a_restart_and_is_changed_by_who_knows_its_revision(
    engine: &TestEngine,
) {
    let store = engine.open();
    assert_eq!(store.rotation().await.unwrap(), StoredRotation::default());
    let first = StoredRotation {
        revision: 1,
        rotation: Some(prepared()),
    };
    let next = first.rotation.clone();
    let stored = store.replace_rotation(0, next).await.unwrap();
    assert_eq!(stored, Replaced::Stored(first.clone()));
    drop(store);
    let store = engine.open();
    assert_eq!(store.rotation().await.unwrap(), first);
    assert_eq!(engine.read(|reader| reader.rotation().unwrap()), first);
    let changed = store.replace_rotation(0, None).await.unwrap();
    assert_eq!(changed, Replaced::Changed(first));
    let none = StoredRotation {
        revision: 2,
        rotation: None,
    };
    let ended = store.replace_rotation(1, None).await.unwrap();
    assert_eq!(ended, Replaced::Stored(none));
}

pub(super) async fn of_many_who_change_a_rotation_at_once_one_does(engine: &TestEngine) {
    let first = engine.open();
    let second = if engine.is_shared() {
        engine.open()
    } else {
        first.clone()
    };
    let changes = (0..20).map(|number| {
        let store = [&first, &second][number % 2].clone();
        tokio::spawn(async move { store.replace_rotation(0, Some(prepared())).await })
    });
    let changes: Vec<_> = changes.collect();
    let (mut stored, mut changed) = (Vec::new(), Vec::new());
    for change in changes {
        match change.await.unwrap().unwrap() {
            Replaced::Stored(it) => stored.push(it),
            Replaced::Changed(it) => changed.push(it),
        }
    }
    assert_eq!((stored.len(), changed.len()), (1, 19));
    assert!(changed.iter().all(|it| *it == stored[0]));
}

pub(super) async fn a_rotation_that_this_program_cannot_read_is_an_error_and_nothing_else_is(
    engine: &TestEngine,
) {
    let store = engine.open();
    let mut connection = engine.connect(None).await;
    let body = "UPDATE rotation SET revision = 7, body = '{\"step\":\"someday\"}'";
    sqlx::Executor::execute(&mut connection, body)
        .await
        .unwrap();
    let unreadable = store.rotation().await.unwrap_err();
    assert!(matches!(unreadable, StoreError::Malformed { .. }));
    let stored = store.append_audits(&call(1, NOVEMBER), batch(1, 1)).await;
    stored.unwrap();
    let mended = store.replace_rotation(7, None).await.unwrap();
    assert!(matches!(mended, Replaced::Stored(it) if it.revision == 8));
}

pub(super) async fn each_host_that_lives_says_what_it_serves(engine: &TestEngine) {
    let report = |revision, refusal: Option<&str>| RotationReport {
        revision,
        is_swapped: revision == 5,
        refusal: refusal.map(str::to_owned),
    };
    let first = engine.open();
    let reports = async |store: &dyn RotationStore| {
        let hosts = store.rotation_reports().await.unwrap();
        hosts.into_iter().map(|it| it.report).collect::<Vec<_>>()
    };
    first.report_rotation(report(4, None)).await.unwrap();
    first.report_rotation(report(5, None)).await.unwrap();
    assert_eq!(reports(&*first).await, [Some(report(5, None))]);
    if engine.is_shared() {
        let second = engine.open();
        let refused = report(4, Some("no such file"));
        second.report_rotation(refused.clone()).await.unwrap();
        let mut both = reports(&*first).await;
        both.sort_by_key(|it| it.as_ref().map(|it| it.revision));
        assert_eq!(both, [Some(refused), Some(report(5, None))]);
    }
    let named = |it: &HostRotation| it.name.contains("process");
    let read = engine.read(|reader| reader.rotation_reports().unwrap());
    assert!(read.iter().any(named), "{read:?}");
    drop(first);
    // On a server a host is gone within seconds, as `hosts` says; here with its lock.
    if !engine.is_shared() {
        assert_eq!(engine.read(|reader| reader.rotation_reports().unwrap()), []);
    }
}
