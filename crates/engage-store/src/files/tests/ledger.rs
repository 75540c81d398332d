//! What the store keeps when all goes well.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    Alert, AppendOutcome, CallInWindow, ConfigUpload, DeviceObservation, DeviceRecord, DeviceStore,
    EventKind, Health, OpenError, UploadKind,
};

#[tokio::test]
async fn the_first_audits_are_created_and_the_next_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = store.append_audits(&call(1, NOVEMBER), batch(1, 3)).await;
    let next = store.append_audits(&call(1, NOVEMBER), batch(2, 1)).await;
    let other = store.append_audits(&call(2, NOVEMBER), batch(1, 3)).await;
    assert_eq!(first.unwrap(), AppendOutcome::Created);
    assert_eq!(next.unwrap(), AppendOutcome::Updated);
    assert_eq!(other.unwrap(), AppendOutcome::Created);
    assert_eq!(
        codes(folder.path(), device(1)),
        [codes_of(1, 3), codes_of(2, 1)].concat()
    );
    assert_eq!(store.health(), Health::Writable);
}

#[tokio::test]
async fn a_line_is_in_the_documented_format() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let body = br#"{"fw":2,"asyncEvents":[{"event":"0B040001","time":20261123021259,"x":null}]}"#;
    let audits = AuditBatch::parse(body).unwrap();
    store
        .append_audits(&call(1, NOVEMBER), audits)
        .await
        .unwrap();
    let file = folder.path().join("0000000000000001/audits-2026-11.jsonl");
    let text = fs_err::read_to_string(file).unwrap();
    let (line, batch) = text.split_once(r#""batch":""#).unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"received_at":"2026-11-23T02:13:05Z","event":"0B040001","time":20261123021259,"#,
            r#""code":"0B040001","name":"host connected or disconnected","#,
            r#""at":"2026-11-23T02:12:59","#,
            r#""record":{"event":"0B040001","time":20261123021259,"x":null},"with":{"fw":2},"#,
        )
    );
    assert!(batch[..32].bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(&batch[32..], "\",\"line\":1,\"of\":1}\n");
}

#[tokio::test]
async fn a_batch_that_arrives_again_is_stored_once_across_restart_and_month() {
    let folder = tempfile::tempdir().unwrap();
    for (moment, expected) in [
        (NOVEMBER, AppendOutcome::Created),
        (NOVEMBER, AppendOutcome::Updated),
        (DECEMBER, AppendOutcome::Updated),
    ] {
        let store = open(folder.path());
        for _ in 0..2 {
            let stored = store.append_audits(&call(1, moment), batch(1, 3)).await;
            assert!([expected, AppendOutcome::Updated].contains(&stored.unwrap()));
        }
    }
    assert_eq!(codes(folder.path(), device(1)), codes_of(1, 3));
}

#[tokio::test]
async fn what_comes_behind_a_batch_that_was_not_heard_to_be_acknowledged_is_stored_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (events, moment) in [(3, NOVEMBER), (5, NOVEMBER), (5, DECEMBER), (6, DECEMBER)] {
        let store = open(folder.path());
        let call = call(1, moment);
        store.append_audits(&call, batch(1, events)).await.unwrap();
        assert_eq!(codes(folder.path(), device(1)), codes_of(1, events));
    }
    // A batch that is not the last was acknowledged: what begins like it has happened again.
    let store = open(folder.path());
    for (seed, events) in [(2, 1), (1, 7)] {
        let call = call(1, DECEMBER);
        store
            .append_audits(&call, batch(seed, events))
            .await
            .unwrap();
    }
    let all = [codes_of(1, 6), codes_of(2, 1), codes_of(1, 7)].concat();
    assert_eq!(codes(folder.path(), device(1)), all);
}

#[tokio::test]
async fn many_devices_at_once_lose_nothing_and_mix_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let tasks: Vec<_> = (0..200_usize)
        .map(|task| {
            let store = Arc::clone(&store);
            // Five devices, each batch twice.
            let (number, seed) = (task as u64 % 5, task / 2);
            tokio::spawn(async move {
                let number = number / 5 + seed as u64 % 5;
                store
                    .append_audits(&call(number, NOVEMBER), batch(seed, 4))
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    for number in 0..5 {
        let mut found = codes(folder.path(), device(number));
        found.sort();
        let expected: Vec<_> = (0..100).filter(|seed| seed % 5 == number).collect();
        let expected = expected
            .iter()
            .flat_map(|seed| codes_of(usize::try_from(*seed).unwrap(), 4));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn alerts_have_their_own_log_and_an_empty_batch_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let alert = || Alert::parse(br#"{"event":"0B050000","time":"20261123021259"}"#).unwrap();
    let empty = store.append_audits(&call(1, NOVEMBER), batch(1, 0)).await;
    let first = store.append_alert(&call(1, NOVEMBER), alert()).await;
    let again = store.append_alert(&call(1, NOVEMBER), alert()).await;
    assert_eq!(empty.unwrap(), AppendOutcome::Updated);
    assert_eq!(first.unwrap(), AppendOutcome::Created);
    assert_eq!(again.unwrap(), AppendOutcome::Updated);
    assert_eq!(
        codes_in(folder.path(), EventKind::Alerts, device(1)),
        ["0B050000"]
    );
    assert!(codes(folder.path(), device(1)).is_empty());
}

#[tokio::test]
async fn an_upload_is_kept_to_the_byte_and_its_secrets_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let body = br#"{ "lckPrmtrs":{"mdl":"NDE80",}, "wifiStngs":{"psswd":"hunter2"} }"#;
    let upload = ConfigUpload::parse(body).unwrap();
    store.save_config(&call(1, NOVEMBER), upload).await.unwrap();
    let kept = fs_err::read(folder.path().join("0000000000000001/config.json")).unwrap();
    assert_eq!(kept, body);
    let reader = StoreReader::new(folder.path());
    let shown = reader.redacted_config(device(1)).unwrap().unwrap();
    assert!(
        shown.contains("NDE80") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[tokio::test]
async fn observations_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stored = store.append_audits(&call(1, NOVEMBER), batch(1, 1)).await;
    stored.unwrap();
    store.observe(device(1), seen(Some("Main Office")), at(NOVEMBER));
    let fingerprint = "ab:cd".into();
    let fetched = DeviceObservation::CertificateFetched { fingerprint };
    store.observe(device(1), fetched, at(NOVEMBER));
    drop(store);
    let store = open(folder.path());
    let version = "1.2".into();
    let session = DeviceObservation::TlsSession { version };
    store.observe(device(1), session, at(DECEMBER));
    drop(store);
    let record = record(folder.path()).unwrap();
    assert_eq!(record.site.as_deref(), Some("Main Office"));
    assert_eq!(record.certificate.as_ref().unwrap().value, "ab:cd");
    assert_eq!(record.tls.as_ref().unwrap().value, "1.2");
    assert_eq!(
        (record.first_seen, record.last_seen),
        (at(NOVEMBER), at(DECEMBER))
    );
}

#[tokio::test]
async fn of_whom_nothing_is_stored_there_is_no_record_until_something_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.observe(device(1), seen(Some("Main Office")), at(NOVEMBER));
    let version = "1.2".into();
    let session = DeviceObservation::TlsSession { version };
    store.observe(device(1), session, at(NOVEMBER));
    drop(store);
    assert_eq!(record(folder.path()), None);
    let reader = StoreReader::new(folder.path());
    assert!(!reader.has_device(device(1)).unwrap());

    // What was seen while the body was still arriving is not lost.
    let store = open(folder.path());
    let now = Timestamp::now();
    store.observe(device(1), seen(Some("Main Office")), now);
    let call = Call {
        received_at: now,
        ..call(1, NOVEMBER)
    };
    store.append_audits(&call, batch(1, 1)).await.unwrap();
    drop(store);
    let record = record(folder.path()).unwrap();
    assert_eq!(record.site.as_deref(), Some("Main Office"));
    assert_eq!(record.audits_stored_at, Some(now));
}

fn seen(site: Option<&str>) -> DeviceObservation {
    DeviceObservation::Seen {
        address: "10.44.0.7".parse().unwrap(),
        site: site.map(str::to_owned),
        is_authenticated: false,
    }
}

fn record(directory: &Path) -> Option<DeviceRecord> {
    StoreReader::new(directory).record(device(1)).unwrap()
}

#[tokio::test]
async fn a_bad_database_is_refused_with_its_path_and_the_last_good_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let window = CallInWindow::parse("00:00-04:00", "UTC").unwrap();
    let answered = async |asked: &str| {
        let body = store.db_answer(&call(1, NOVEMBER), asked, &window).await;
        String::from_utf8(body.unwrap().to_vec()).unwrap()
    };
    let without = answered("0").await;
    assert!(without.starts_with("{\"dbDwnLdTm\":\"2026112"), "{without}");
    assert!(without.ends_with("\",\"nxtDbVerTS\":\"0\"}"), "{without}");

    let path = folder.path().join("0000000000000001/db.json");
    fs_err::create_dir(path.parent().unwrap()).unwrap();
    fs_err::write(
        &path,
        r#"{"db": {"schedules": [{"days": ["Su"], "strtHr": 0, "strtMn": 0, "lngth": 1439}]}}"#,
    )
    .unwrap();
    let good = answered("0").await;
    assert!(
        good.starts_with(r#"{"db":{"schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}]},"dbDwnLdTm":""#),
        "{good}"
    );

    fs_err::write(&path, r#"{"db": {"schedules": []}}"#).unwrap();
    assert_eq!(answered("0").await, good);
    drop(store);
    let refused = record(folder.path()).unwrap().database_refused;
    assert!(refused.unwrap().starts_with("$.db.schedules: is empty"));
}

#[tokio::test]
async fn a_refused_body_is_kept_and_its_device_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let body = Bytes::from_static(b"{\"asyncEvents\":");
    store
        .quarantine(&call(1, NOVEMBER), UploadKind::Audit, body)
        .await
        .unwrap();
    let kept = folder
        .path()
        .join("quarantine/20261123T021305.000000000Z-0000000000000001-audit.body");
    assert_eq!(fs_err::read(kept).unwrap(), b"{\"asyncEvents\":");
    let known = StoreReader::new(folder.path()).devices();
    assert_eq!(known.unwrap(), [device(1)]);
}

#[test]
fn the_second_owner_is_told_who_is_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = FileStore::open(folder.path(), KeepDays::default())
        .err()
        .unwrap();
    assert!(matches!(second, OpenError::Held { pid, .. } if pid == Some(std::process::id())));
    drop(first);
    open(folder.path());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_what_devices_send() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("Engage_Data");
    let store = open(&root);
    let upload = ConfigUpload::parse(b"{}").unwrap();
    store
        .append_audits(&call(1, NOVEMBER), batch(1, 1))
        .await
        .unwrap();
    store.save_config(&call(1, NOVEMBER), upload).await.unwrap();
    store
        .quarantine(&call(1, NOVEMBER), UploadKind::Audit, Bytes::new())
        .await
        .unwrap();
    store.observe(device(1), seen(None), at(NOVEMBER));
    drop(store);
    let mut looked_at = 0;
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            let allowed = if metadata.is_dir() { 0o750 } else { 0o640 };
            let mode = metadata.permissions().mode() & 0o777;
            assert_eq!(mode & !allowed, 0, "{} is {mode:o}", path.display());
            looked_at += 1;
            folders.extend(metadata.is_dir().then_some(path));
        }
    }
    assert!(looked_at >= 7, "{looked_at}");
}

/// A lock file can be removed by a person or a clean-up job: the directory itself is held.
#[test]
fn a_second_owner_is_refused_although_the_lock_file_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    fs_err::remove_file(folder.path().join(".lock")).unwrap();
    let second = FileStore::open(folder.path(), KeepDays::default())
        .err()
        .unwrap();
    assert!(matches!(second, OpenError::Held { .. }), "{second}");
}
