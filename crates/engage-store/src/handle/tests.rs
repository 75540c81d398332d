use super::*;
use crate::{
    AppendOutcome, AuditBatch, Call, DeviceStore, EventLog, Health, KeepDays, SqlOptions, SqlStore,
    StoreReader,
};

fn call() -> Call {
    Call {
        device: "0123456789ABCDEF".parse().unwrap(),
        peer: "10.44.0.7".parse().unwrap(),
        is_authenticated: false,
        is_listed: false,
        received_at: Timestamp::UNIX_EPOCH,
    }
}

fn batch() -> AuditBatch {
    AuditBatch::parse(br#"[{"event":"0B040001"}]"#).unwrap()
}

#[tokio::test(start_paused = true)]
async fn until_the_store_is_there_calls_are_refused_and_health_says_why() {
    let handle = StoreHandle::default();
    assert_eq!(handle.health(), Health::Opening);
    let refused = handle.append_audits(&call(), batch()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Opening), "{refused}");
    handle.set_failure("no permission".into());
    let reason = "no permission".into();
    assert_eq!(handle.health(), Health::Failing { reason });
}

#[tokio::test]
async fn what_came_while_it_was_opened_is_stored_and_told_once_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqlOptions::sqlite(folder.path().join("engage-host.db"));
    let (handle, call, appended) = (StoreHandle::default(), call(), AppendedDevices::default());
    handle.subscribe(Subscriber::Webhook, appended.clone());
    let seen = DeviceObservation::Seen {
        address: call.peer,
        site: Some("lobby".into()),
        is_registered: false,
    };
    handle.observe(call.device, seen, call.received_at);
    let opening = handle.clone();
    let opened = async {
        let store = SqlStore::open(options.clone(), KeepDays::default());
        opening.set(Arc::new(store.unwrap()));
    };
    let (stored, ()) = tokio::join!(handle.append_audits(&call, batch()), opened);
    assert_eq!(stored.unwrap(), AppendOutcome::Created);
    assert!(appended.next().await.contains(&call.device));
    assert_eq!(handle.health(), Health::Writable);
    drop((handle, opening));
    let reading = move || StoreReader::open(&options).unwrap().record(call.device);
    let record = tokio::task::spawn_blocking(reading).await.unwrap();
    assert_eq!(record.unwrap().unwrap().site.as_deref(), Some("lobby"));
}
