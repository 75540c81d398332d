//! How much of the disk the store may take.

use bytes::Bytes;

use super::engine::TestEngine;
use super::*;
use crate::{ConfigUpload, EventKind, Health, StoreError, StoreWarning, UploadKind};

pub(super) async fn a_store_that_takes_as_much_as_it_may_keeps_what_it_has_and_takes_no_more(
    engine: &TestEngine,
) {
    let store = engine.open_with(Some(1 << 40));
    let stored = store.append_audits(&call(1, NOVEMBER), batch(1, 2)).await;
    stored.unwrap();
    assert_eq!(store.health(), Health::Writable);
    drop(store);
    let store = engine.open_with(Some(1));
    let upload = ConfigUpload::parse(b"{}").unwrap();
    let refused = [
        store
            .append_audits(&call(1, NOVEMBER), batch(2, 2))
            .await
            .err(),
        store.save_config(&call(1, NOVEMBER), upload).await.err(),
        store
            .quarantine(&call(1, NOVEMBER), UploadKind::Audit, Bytes::new())
            .await
            .err(),
    ];
    for refused in refused {
        assert!(matches!(refused, Some(StoreError::Full { bytes, allowed: 1, .. }) if bytes > 1));
    }
    let health = store.health();
    assert!(
        matches!(&health, Health::Failing { reason } if reason.contains("allowed: 1")),
        "{health:?}"
    );
    drop(store);
    assert_eq!(engine.codes(EventKind::Audits, device(1)), codes_of(1, 2));
    let store = engine.open();
    store
        .append_audits(&call(1, NOVEMBER), batch(2, 2))
        .await
        .unwrap();
}

pub(super) async fn the_last_tenth_is_for_registered_devices(engine: &TestEngine) {
    let store = engine.open_with(Some(1 << 40));
    let measured = store.size().unwrap();
    assert_eq!(measured.allowed, 1 << 40);
    drop(store);
    // What there is takes a little more than nine tenths.
    let store = engine.open_with(Some(measured.bytes * 21 / 20));
    let registered = Call {
        is_listed: true,
        ..call(1, NOVEMBER)
    };
    store.append_audits(&registered, batch(1, 2)).await.unwrap();
    let refused = store.append_audits(&call(2, NOVEMBER), batch(2, 2)).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert_eq!(store.health(), Health::Writable);
    let warnings = store.warnings();
    assert!(
        matches!(&warnings[..], [StoreWarning::LittleRoom(_)]),
        "{warnings:?}"
    );
    assert!(store.size().unwrap().is_for_registered_only());
}
