//! What devices deliver and are answered.

use bytes::Bytes;

use super::engine::TestEngine;
use super::*;
use crate::{
    Alert, AppendOutcome, CertificateFetch, ConfigUpload, DeviceObservation, EventKind, Health,
    QuarantinedBody, StoreError, UploadKind,
};

pub(super) async fn the_first_audits_are_created_and_the_next_ones_are_not(engine: &TestEngine) {
    let store = engine.open();
    let first = store.append_audits(&call(1, NOVEMBER), batch(1, 3)).await;
    let next = store.append_audits(&call(1, NOVEMBER), batch(2, 1)).await;
    let other = store.append_audits(&call(2, NOVEMBER), batch(1, 3)).await;
    assert_eq!(first.unwrap(), AppendOutcome::Created);
    assert_eq!(next.unwrap(), AppendOutcome::Updated);
    assert_eq!(other.unwrap(), AppendOutcome::Created);
    assert_eq!(
        engine.codes(EventKind::Audits, device(1)),
        [codes_of(1, 3), codes_of(2, 1)].concat()
    );
    assert_eq!(store.health(), Health::Writable);
    let devices = engine.known();
    assert_eq!(devices, [device(1), device(2)]);
}

pub(super) async fn an_event_is_in_the_documented_format(engine: &TestEngine) {
    let store = engine.open();
    let body = br#"{"fw":2,"asyncEvents":[{"event":"0B040001","time":20261123021259,"x":null}]}"#;
    let audits = AuditBatch::parse(body).unwrap();
    let stored = store.append_audits(&call(1, NOVEMBER), audits).await;
    stored.unwrap();
    let text = engine.events(EventKind::Audits, device(1)).remove(0);
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
    assert_eq!(&batch[32..], "\",\"line\":1,\"of\":1}");
}

pub(super) async fn a_batch_that_arrives_again_is_stored_once_across_restart_and_month(
    engine: &TestEngine,
) {
    for (moment, expected) in [
        (NOVEMBER, AppendOutcome::Created),
        (NOVEMBER, AppendOutcome::Unchanged),
        (DECEMBER, AppendOutcome::Unchanged),
    ] {
        let store = engine.open();
        for _ in 0..2 {
            let stored = store.append_audits(&call(1, moment), batch(1, 3)).await;
            assert!([expected, AppendOutcome::Unchanged].contains(&stored.unwrap()));
        }
    }
    assert_eq!(engine.codes(EventKind::Audits, device(1)), codes_of(1, 3));
}

pub(super) async fn what_comes_behind_a_batch_that_was_not_heard_to_be_acknowledged_is_stored_alone(
    engine: &TestEngine,
) {
    for (events, moment) in [(3, NOVEMBER), (5, NOVEMBER), (5, DECEMBER), (6, DECEMBER)] {
        let store = engine.open();
        let stored = store
            .append_audits(&call(1, moment), batch(1, events))
            .await;
        stored.unwrap();
        let codes = engine.codes(EventKind::Audits, device(1));
        assert_eq!(codes, codes_of(1, events));
    }
    // A batch that is not the last was acknowledged: what begins like it has happened again.
    let store = engine.open();
    for (seed, events) in [(2, 1), (1, 7)] {
        let stored = store
            .append_audits(&call(1, DECEMBER), batch(seed, events))
            .await;
        stored.unwrap();
    }
    let all = [codes_of(1, 6), codes_of(2, 1), codes_of(1, 7)].concat();
    assert_eq!(engine.codes(EventKind::Audits, device(1)), all);
}

pub(super) async fn many_devices_at_once_lose_nothing_and_mix_nothing(engine: &TestEngine) {
    let store = engine.open();
    // Five devices, each batch twice.
    let tasks: Vec<_> = (0..200_usize)
        .map(|task| {
            let (store, seed) = (store.clone(), task / 2);
            tokio::spawn(async move {
                let call = call(seed as u64 % 5, NOVEMBER);
                store.append_audits(&call, batch(seed, 4)).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    for number in 0..5 {
        let mut found = engine.codes(EventKind::Audits, device(number));
        found.sort();
        let expected = (0..100).filter(|seed| *seed as u64 % 5 == number);
        let expected: Vec<_> = expected.flat_map(|seed| codes_of(seed, 4)).collect();
        assert_eq!(found, expected);
    }
}

pub(super) async fn alerts_have_their_own_log_and_an_empty_batch_leaves_nothing(
    engine: &TestEngine,
) {
    let store = engine.open();
    let alert = || Alert::parse(br#"{"event":"0B050000","time":"20261123021259"}"#).unwrap();
    let empty = store.append_audits(&call(1, NOVEMBER), batch(1, 0)).await;
    let first = store.append_alert(&call(1, NOVEMBER), alert()).await;
    let again = store.append_alert(&call(1, NOVEMBER), alert()).await;
    assert_eq!(empty.unwrap(), AppendOutcome::Unchanged);
    assert_eq!(first.unwrap(), AppendOutcome::Created);
    assert_eq!(again.unwrap(), AppendOutcome::Unchanged);
    assert_eq!(engine.codes(EventKind::Alerts, device(1)), ["0B050000"]);
    assert!(engine.codes(EventKind::Audits, device(1)).is_empty());
    // The same events delivered as audits are audits.
    let audits = AuditBatch::parse(br#"{"event":"0B050000","time":"20261123021259"}"#).unwrap();
    let audits = store.append_audits(&call(1, NOVEMBER), audits).await;
    assert_eq!(audits.unwrap(), AppendOutcome::Created);
}

pub(super) async fn a_large_batch_is_stored_whole(engine: &TestEngine) {
    let store = engine.open();
    let stored = store
        .append_audits(&call(1, NOVEMBER), batch(1, 2500))
        .await;
    assert_eq!(stored.unwrap(), AppendOutcome::Created);
    assert_eq!(
        engine.codes(EventKind::Audits, device(1)),
        codes_of(1, 2500)
    );
}

pub(super) async fn an_upload_is_kept_and_its_secrets_are_not_shown(engine: &TestEngine) {
    let store = engine.open();
    for body in [
        &b"{\"lckPrmtrs\":{\"nm\":\"T\xfcr\",\"mdl\":\"L\"},\"psswd\":\"hunter2\"}\0\0"[..],
        br#"{ "lckPrmtrs":{"mdl":"NDE80",}, "wifiStngs":{"psswd":"hunter2"} }"#,
    ] {
        let upload = ConfigUpload::parse(body).unwrap();
        store.save_config(&call(1, NOVEMBER), upload).await.unwrap();
    }
    let shown = engine.read(|reader| reader.redacted_config(device(1)).unwrap().unwrap());
    assert!(
        shown.contains("NDE80") && !shown.contains("hunter2"),
        "{shown}"
    );
    let (saved_at, shown_by_daemon) = store.config_upload(device(1)).await.unwrap().unwrap();
    assert_eq!((saved_at, shown_by_daemon), (at(NOVEMBER), shown));
    assert_eq!(store.config_upload(device(2)).await.unwrap(), None);
    let record = store.device(device(1)).await.unwrap();
    assert_eq!(record.unwrap().model.as_deref(), Some("NDE80"));
    assert_eq!(store.device(device(2)).await.unwrap(), None);
    drop(store);
    let record = engine.record(device(1)).unwrap();
    assert_eq!(record.model.as_deref(), Some("NDE80"));
}

pub(super) async fn observations_survive_a_restart(engine: &TestEngine) {
    let store = engine.open();
    let stored = store.append_audits(&call(1, NOVEMBER), batch(1, 1)).await;
    stored.unwrap();
    store.observe(device(1), seen(Some("Main Office")), at(NOVEMBER));
    let fingerprint = "ab:cd".into();
    let fetched = DeviceObservation::CertificateFetched { fingerprint };
    store.observe(device(1), fetched, at(NOVEMBER));
    drop(store);
    let store = engine.open();
    let version = "1.2".into();
    let session = DeviceObservation::TlsSession { version };
    store.observe(device(1), session, at(DECEMBER));
    drop(store);
    let record = engine.record(device(1)).unwrap();
    assert_eq!(record.site.as_deref(), Some("Main Office"));
    assert_eq!(record.address, Some("10.44.0.7".parse().unwrap()));
    assert_eq!(record.certificate.as_ref().unwrap().value, "ab:cd");
    assert_eq!(record.certificate.as_ref().unwrap().at, at(NOVEMBER));
    assert_eq!(record.tls.as_ref().unwrap().value, "1.2");
    assert_eq!(
        (record.first_seen, record.last_seen),
        (at(NOVEMBER), at(DECEMBER))
    );
    assert!(engine.record(device(1)).is_some());
}

pub(super) async fn a_fetch_is_credited_once_to_whom_it_names_or_who_calls_in_from_its_address(
    engine: &TestEngine,
) {
    let mut seconds = 0..;
    let mut fetch = |fetcher: DeviceId, peer: &str, byte: &str| CertificateFetch {
        fetcher,
        peer: peer.parse().unwrap(),
        certificate: byte.repeat(32).parse().unwrap(),
        at: Timestamp::from_second(seconds.next().unwrap()).unwrap(),
    };
    let anonymous: DeviceId = "10.44.0.7".parse().unwrap();
    let store = engine.open();
    store.fetched(fetch(device(2), "10.99.0.1", "A2"));
    store.fetched(fetch(anonymous, "10.44.0.7", "00"));
    store.fetched(fetch(device(3), "10.44.0.7", "A3"));
    store.fetched(fetch(device(3), "10.44.0.8", "B3"));
    drop(store);
    let store = engine.open();
    for number in 1..=4 {
        let stored = store
            .append_audits(&call(number, NOVEMBER), batch(1, 1))
            .await;
        stored.unwrap();
        let second = i64::try_from(number).unwrap();
        let later = at(DECEMBER) + jiff::SignedDuration::from_secs(second);
        store.observe(device(number), seen(None), later);
    }
    // Nobody has stored anything of it, and nobody knows it then.
    store.observe(device(5), seen(None), at(DECEMBER));
    drop(store);
    let certificate = |number| {
        let record = engine.record(device(number))?;
        Some(record.certificate?.value[..2].to_owned())
    };
    let found: Vec<_> = (1..=5).map(certificate).collect();
    let expected = [Some("00"), Some("A2"), Some("B3"), None, None];
    assert_eq!(found, expected.map(|it| it.map(str::to_owned)));
}

pub(super) async fn of_whom_nothing_is_stored_there_is_no_record_until_something_is(
    engine: &TestEngine,
) {
    let store = engine.open();
    store.observe(device(1), seen(Some("Main Office")), at(NOVEMBER));
    let version = "1.2".into();
    let session = DeviceObservation::TlsSession { version };
    store.observe(device(1), session, at(NOVEMBER));
    drop(store);
    assert_eq!(engine.record(device(1)), None);
    assert!(engine.record(device(1)).is_none());

    // What was seen while the body was still arriving is not lost.
    let store = engine.open();
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    store.observe(device(1), seen(Some("Main Office")), now);
    let call = Call {
        received_at: now,
        ..call(1, NOVEMBER)
    };
    store.append_audits(&call, batch(1, 1)).await.unwrap();
    drop(store);
    let record = engine.record(device(1)).unwrap();
    assert_eq!(record.site.as_deref(), Some("Main Office"));
    assert_eq!(record.audits_stored_at, Some(now));
}

fn seen(site: Option<&str>) -> DeviceObservation {
    DeviceObservation::Seen {
        address: "10.44.0.7".parse().unwrap(),
        site: site.map(str::to_owned),
        is_registered: false,
    }
}

pub(super) async fn who_sent_a_body_that_is_refused_is_known(engine: &TestEngine) {
    let store = engine.open();
    for moment in 0..40 {
        let moment = format!("2026-11-23T02:13:{moment:02}Z");
        let body = Bytes::from_static(b"{\"asyncEvents\":");
        let kept = store
            .quarantine(&call(1, &moment), UploadKind::Audit, body)
            .await;
        kept.unwrap();
    }
    let known = engine.known();
    assert_eq!(known, [device(1)]);
}

pub(super) async fn the_newest_refused_bodies_of_a_device_can_be_read_byte_for_byte(
    engine: &TestEngine,
) {
    let store = engine.open();
    let moment = |second: usize| at(&format!("2026-11-23T02:13:{second:02}.000001Z"));
    for second in 0..40 {
        let call = Call {
            received_at: moment(second),
            ..call(1, NOVEMBER)
        };
        let body = Bytes::from([&b"\x00\xff{\""[..], &[0; 40][..second]].concat());
        let kept = store.quarantine(&call, UploadKind::Config, body).await;
        kept.unwrap();
    }
    let (bodies, newest, of_moment, none) = engine.read(|reader| {
        let body = |at| reader.quarantined_body(device(1), at).unwrap();
        let of_moment = body(Some(moment(30)));
        (
            reader.quarantined_bodies().unwrap(),
            body(None),
            of_moment,
            body(Some(moment(1))),
        )
    });
    let expected = (24..40).map(|second| QuarantinedBody {
        device: device(1),
        received_at: moment(second),
        kind: UploadKind::Config,
        size_bytes: second as u64 + 4,
    });
    assert_eq!(bodies, expected.collect::<Vec<_>>());
    let body = |second| [&b"\x00\xff{\""[..], &[0; 40][..second]].concat();
    assert_eq!((newest, of_moment), (Some(body(39)), Some(body(30))));
    assert_eq!(none, None);
}

pub(super) async fn one_network_brings_a_bounded_number_of_new_devices_and_known_ones_are_taken(
    engine: &TestEngine,
) {
    let store = engine.open();
    let mut outcomes = tokio::task::JoinSet::new();
    for number in 0..510 {
        let store = store.clone();
        outcomes.spawn(async move {
            store
                .append_audits(&call(number, NOVEMBER), batch(1, 1))
                .await
        });
    }
    let outcomes = outcomes.join_all().await;
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), 10);
    assert!(matches!(refused[0], StoreError::TooManyNewDevices { .. }));
    let known = engine.known()[0];
    let known = Call {
        device: known,
        ..call(0, NOVEMBER)
    };
    store.append_audits(&known, batch(2, 1)).await.unwrap();
    let authenticated = Call {
        is_authenticated: true,
        ..call(1000, NOVEMBER)
    };
    store
        .append_audits(&authenticated, batch(1, 1))
        .await
        .unwrap();
    assert_eq!(store.health(), Health::Writable);
}

/// Of what a device may send, nothing is a character that a database refuses.
pub(super) async fn text_of_every_script_is_kept(engine: &TestEngine) {
    let store = engine.open();
    let record = "{\"event\":\"0B040001\",\"time\":\"\",\"x\":\"\\u0000 \u{1F6AA} \u{202e} ' \\\\ \u{e000}\"}";
    let body = format!("{{\"asyncEvents\":[{record}]}}");
    let audits = AuditBatch::parse(body.as_bytes()).unwrap();
    store
        .append_audits(&call(1, NOVEMBER), audits)
        .await
        .unwrap();
    let stored = engine.events(EventKind::Audits, device(1)).remove(0);
    assert!(stored.contains(record), "{stored}");
}
