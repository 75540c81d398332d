//! What pages and the API ask for beside devices and events.

use jiff::SignedDuration;

use super::engine::TestEngine;
use super::*;
use crate::{
    AdminEvent, AdminEventQuery, BatteryCount, ConfigUpload, DeviceObservation, DeviceSummary,
    HourlyCallIns, IdempotencyKey, PageLimit, RecordedAnswer, RequestHash, Reservation,
    SiteDevices, Store,
};

pub(super) async fn devices_are_counted_by_site_and_by_battery(engine: &TestEngine) {
    let store = engine.open();
    let since = at(DECEMBER);
    let empty = store.summary(since).await.unwrap();
    assert_eq!(empty, DeviceSummary::default());
    for (number, moment, site, battery) in [
        (1, NOVEMBER, Some("lobby"), "6.13"),
        (2, DECEMBER, Some("lobby"), "6.19"),
        (3, DECEMBER, Some("annex"), "5.9"),
        (4, DECEMBER, None, "?"),
        (5, NOVEMBER, None, "2000000"),
    ] {
        let call = call(number, moment);
        let upload = format!(r#"{{"battV":{{"main":"{battery}"}}}}"#);
        let upload = ConfigUpload::parse(upload.as_bytes()).unwrap();
        store.save_config(&call, upload).await.unwrap();
        let seen = DeviceObservation::Seen {
            address: call.peer,
            site: site.map(str::to_owned),
            is_registered: false,
        };
        store.observe(call.device, seen, call.received_at);
    }
    drop(store);
    let store = engine.open();
    let site = |site: Option<&str>, devices, seen| SiteDevices {
        site: site.map(str::to_owned),
        devices,
        seen,
    };
    let batteries = [(59, 1), (61, 2)];
    let expected = DeviceSummary {
        devices: 5,
        seen_since: 3,
        by_site: vec![
            site(None, 2, 1),
            site(Some("annex"), 1, 1),
            site(Some("lobby"), 2, 1),
        ],
        batteries: batteries
            .map(|(tenths, devices)| BatteryCount { tenths, devices })
            .into(),
    };
    assert_eq!(store.summary(since).await.unwrap(), expected);
}

pub(super) async fn a_device_is_counted_once_in_each_hour_in_which_it_calls(engine: &TestEngine) {
    let store = engine.open();
    let seen = || DeviceObservation::Seen {
        address: "10.44.0.7".parse().unwrap(),
        site: None,
        is_registered: false,
    };
    let hour = at("2026-11-23T02:00:00Z");
    let minute = |minutes| hour + SignedDuration::from_mins(minutes);
    let deliver = async |store: &dyn Store, number, minutes, seed| {
        let call = call(number, &minute(minutes).to_string());
        store.append_audits(&call, batch(seed, 1)).await.unwrap();
    };
    deliver(&*store, 1, 1, 1).await;
    deliver(&*store, 1, 2, 2).await;
    deliver(&*store, 2, 59, 3).await;
    store.observe(device(1), seen(), minute(3));
    // Of nobody that is known.
    store.observe(device(9), seen(), minute(3));
    drop(store);
    let store = engine.open();
    store.observe(device(1), seen(), minute(60));
    store.observe(device(1), seen(), minute(61));
    drop(store);
    let store = engine.open();
    deliver(&*store, 1, 90, 4).await;
    deliver(&*store, 3, 185, 5).await;
    let counted = async |since| store.call_ins_by_hour(since).await.unwrap();
    let expected = [(0, 2), (60, 1), (180, 1)].map(|(minutes, count)| HourlyCallIns {
        hour: minute(minutes),
        count,
    });
    assert_eq!(counted(hour).await, expected);
    assert_eq!(counted(minute(1)).await, expected[1..]);
    assert_eq!(counted(minute(181)).await, []);
}

fn change(number: usize) -> AdminEvent {
    AdminEvent {
        at: at(NOVEMBER),
        actor: "gate".into(),
        source: (number != 2).then(|| "10.44.0.9".parse().unwrap()),
        action: "set-database".into(),
        target: format!("{number}"),
        detail: (number == 3).then(|| "version \"0x1\"".into()),
    }
}

pub(super) async fn changes_are_recorded_and_read_from_the_newest_on(engine: &TestEngine) {
    let store = engine.open();
    let mut query = AdminEventQuery::default();
    let none = store.admin_events(query).await.unwrap();
    assert!(none.events.is_empty() && none.next.is_none());
    for number in 1..=5 {
        store.record_admin_event(change(number)).await.unwrap();
    }
    drop(store);
    let store = engine.open();
    query.limit = PageLimit::clamped(2);
    let mut found = Vec::new();
    loop {
        let page = store.admin_events(query).await.unwrap();
        found.extend(page.events.into_iter().map(|it| it.event));
        if page.next.is_none() {
            break;
        }
        store.record_admin_event(change(9)).await.unwrap();
        query.before = page.next;
    }
    assert_eq!(found, [5, 4, 3, 2, 1].map(change));
    let long = AdminEvent {
        detail: Some(format!("\0{}", "é".repeat(5000))),
        ..change(6)
    };
    store.record_admin_event(long).await.unwrap();
    let newest = store
        .admin_events(AdminEventQuery::default())
        .await
        .unwrap();
    let detail = newest.events[0].event.detail.clone().unwrap();
    assert!((4000..=4100).contains(&detail.len()), "{}", detail.len());
}

pub(super) async fn a_request_with_a_key_is_done_once_and_answered_the_same(engine: &TestEngine) {
    let store = engine.open();
    let key = |actor, key| IdempotencyKey::new(actor, key).unwrap();
    let (mine, request) = (
        key("gate", "k-1"),
        RequestHash::from_parts(&[b"PUT", b"/x"]),
    );
    let reserve = async |store: &dyn Store, key: &IdempotencyKey, request, moment: &str| {
        store
            .reserve_answer(key, request, at(moment))
            .await
            .unwrap()
    };
    assert_eq!(
        reserve(&*store, &mine, request, NOVEMBER).await,
        Reservation::Reserved
    );
    assert_eq!(
        reserve(&*store, &mine, request, NOVEMBER).await,
        Reservation::InProgress
    );
    let other = RequestHash::from_parts(&[b"PUT", b"/y"]);
    assert_eq!(
        reserve(&*store, &mine, other, NOVEMBER).await,
        Reservation::OtherRequest
    );
    let theirs = key("panel", "k-1");
    assert_eq!(
        reserve(&*store, &theirs, other, NOVEMBER).await,
        Reservation::Reserved
    );
    store.release_key(&theirs).await.unwrap();
    assert_eq!(
        reserve(&*store, &theirs, request, NOVEMBER).await,
        Reservation::Reserved
    );
    let answer = RecordedAnswer {
        status: 201,
        content_type: Some("application/json".into()),
        body: b"{}\0".into(),
    };
    store.record_answer(&mine, answer.clone()).await.unwrap();
    store.release_key(&mine).await.unwrap();
    drop(store);
    let store = engine.open();
    let answered = Reservation::Answered(answer.clone());
    assert_eq!(reserve(&*store, &mine, request, NOVEMBER).await, answered);
    // The other was never answered: 3 minutes later it may be done again; a day later both.
    let later = "2026-11-23T02:16:06Z";
    assert_eq!(reserve(&*store, &mine, request, later).await, answered);
    assert_eq!(
        reserve(&*store, &theirs, request, later).await,
        Reservation::Reserved
    );
    assert_eq!(
        reserve(&*store, &mine, request, DECEMBER).await,
        Reservation::Reserved
    );
    let long = RecordedAnswer {
        body: vec![0; 64 * 1024 + 1],
        ..answer
    };
    store.record_answer(&mine, long).await.unwrap();
    assert_eq!(
        reserve(&*store, &mine, request, DECEMBER).await,
        Reservation::Reserved
    );
}

pub(super) async fn of_many_requests_with_one_key_one_is_reserved(engine: &TestEngine) {
    let stores = [engine.open()];
    let second = engine.is_shared().then(|| engine.open());
    let stores: Vec<_> = stores.into_iter().chain(second).collect();
    let many = stores.iter().cycle().take(10).map(|store| {
        let store = std::sync::Arc::clone(store);
        async move {
            let key = IdempotencyKey::new("gate", "k").unwrap();
            let request = RequestHash::from_parts(&[b"x"]);
            store
                .reserve_answer(&key, request, at(NOVEMBER))
                .await
                .unwrap()
        }
    });
    let found = many.collect::<tokio::task::JoinSet<_>>().join_all().await;
    let reserved = found.iter().filter(|it| **it == Reservation::Reserved);
    assert_eq!(reserved.count(), 1, "{found:?}");
}
