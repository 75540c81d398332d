//! What the webhook's receiver refused, and what could not be read: as the API and both computers tell it.

use engage_store::{
    BatchLimit, Cursor, DeviceId, EventLog, KeepDays, SqlOptions, SqlStore, Subscriber,
};
use tokio::runtime::Runtime;

use super::super::{Api, DEVICE, batch, host};
use super::{There, here};
use crate::harness::{Daemon, Host, Installation};

const REASON: &str = "it answered 400 Bad Request, 8 times";

/// A host whose receiver refused an event of one device, and which could not read a body of another.
fn with_set_aside() -> (Host, Api, There) {
    let (host, api) = host("");
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(host.call("POST", &target, batch("0B040001")).status(), 201);
    let target = format!("/swordfish/lock/audit?sn={OTHER_DEVICE}");
    assert_eq!(host.call("POST", &target, "{\"a\":").status(), 400);
    let (installation, _) = host.stop();
    set_first_aside(&installation);
    let mut daemon = Daemon::start(&installation);
    let address = daemon.admin();
    let api = Api { address, ..api };
    let there = There::new(&installation, &api);
    let host = Host {
        installation,
        daemon,
    };
    (host, api, there)
}

/// As the webhook does it.
fn set_first_aside(installation: &Installation) {
    let options = SqlOptions::sqlite(installation.path("Engage_Data/engage-host.db"));
    let store = SqlStore::open(options, KeepDays::default()).unwrap();
    let device: DeviceId = DEVICE.parse().unwrap();
    let limit = BatchLimit {
        events: 1,
        bytes: 1,
    };
    let set_aside = async {
        let lease = store.acquire(Subscriber::Webhook, device).await;
        let lease = lease.unwrap().unwrap();
        let batch = store.next_batch(&lease, Cursor::default(), limit).await;
        let batch = batch.unwrap().unwrap();
        store.set_aside(&lease, &batch, REASON).await.unwrap();
    };
    Runtime::new().unwrap().block_on(set_aside);
}

#[test]
fn what_was_set_aside_is_listed_as_on_the_host() {
    let (host, api, there) = with_set_aside();
    let listed = api.get("/v1/undelivered");
    assert_eq!(listed["devices"][0]["device"], DEVICE, "{listed}");
    assert_eq!(listed["devices"][0]["events"], 1, "{listed}");
    assert!(listed["next"].is_null(), "{listed}");
    let events = api.get(&format!("/v1/devices/{DEVICE}/undelivered"));
    assert_eq!(events["events"][0]["reason"], REASON, "{events}");
    assert_eq!(events["events"][0]["event"]["code"], "0B040001", "{events}");
    let bodies = api.get("/v1/quarantine");
    assert_eq!(bodies["bodies"][0]["device"], OTHER_DEVICE, "{bodies}");
    assert_eq!(bodies["bodies"][0]["size_bytes"], 5, "{bodies}");
    for args in [
        &["devices", "undelivered"][..],
        &["devices", "undelivered", "--json"],
        &["devices", "undelivered", DEVICE],
        &["devices", "quarantine"],
        &["devices", "quarantine", "--json"],
    ] {
        let here = here(&host.installation, args);
        assert_eq!(here.code, Some(0), "{args:?}: {here:?}");
        assert!(here.stdout.len() > 50, "{args:?}: {here:?}");
        assert_eq!(there.stdout(args), here.stdout_text(), "{args:?}");
    }
    // Of another list.
    let refused = api.refused(400, "GET", "/v1/undelivered?cursor=eA", "", "");
    assert_eq!(refused, "malformed-cursor");
    let unknown = "/v1/devices/AA00000000000001/undelivered";
    let refused = api.refused(404, "GET", unknown, "", "");
    assert_eq!(refused, "unknown-device");
}

const OTHER_DEVICE: &str = "FF00000000000001";
