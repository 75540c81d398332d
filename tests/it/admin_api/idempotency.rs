//! A write that is sent again is done once.

use engage_store::{
    IdempotencyKey, IdempotencyStore, KeepDays, RequestHash, Reservation, SqlOptions, SqlStore,
};
use jiff::Timestamp;

use super::client::json;
use super::{DATABASE, DEVICE, OTHER, host, start};
use crate::harness::Host;

#[test]
fn the_same_key_twice_is_one_write() {
    let (_host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/database");
    let key = "Idempotency-Key: 5f1d\r\n";
    let first = api.expect(200, "PUT", &path, key, DATABASE);
    // Somebody else's write is not undone by what is sent again.
    let other = api.expect(200, "PUT", &path, "", OTHER);
    let again = api.ask("PUT", &path, key, DATABASE);
    assert_eq!(again.status(), 200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(json(&again), first);
    assert_eq!(api.get(&path)["version"], other["version"]);
    let refused = api.refused(422, "PUT", &path, key, OTHER);
    assert_eq!(refused, "idempotency-key-reused");
    // A refusal of what was asked for stays one; a key of another request is another.
    let missing = "Idempotency-Key: 5f1e\r\n";
    let absent = "/v1/devices/00000000000000FF/database";
    assert_eq!(
        api.refused(404, "DELETE", absent, missing, ""),
        "no-database"
    );
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    let refused = api.refused(400, "PUT", &path, &long, DATABASE);
    assert_eq!(refused, "malformed-idempotency-key");
}

/// As when it is sent again while the first is under way, or soon after its host was killed.
#[test]
fn a_key_whose_request_has_no_answer_yet_is_refused_for_now() {
    let installation = Host::installation("");
    let file = installation.path("Engage_Data/engage-host.db");
    let path = format!("/v1/devices/{DEVICE}/database");
    let key = IdempotencyKey::new("write", "5f21").unwrap();
    let request = RequestHash::from_parts(&[b"PUT", path.as_bytes(), b"", DATABASE.as_bytes()]);
    let store = SqlStore::open(SqlOptions::sqlite(file), KeepDays::new(365).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let reserved = runtime.block_on(store.reserve_answer(&key, request, Timestamp::now()));
    assert_eq!(reserved.unwrap(), Reservation::Reserved);
    drop(store);
    let (_host, api) = start(installation);
    let refused = |body| {
        let (status, code) = if body == DATABASE {
            (409, "idempotency-key-in-progress")
        } else {
            (422, "idempotency-key-reused")
        };
        let key = "Idempotency-Key: 5f21\r\n";
        assert_eq!(api.refused(status, "PUT", &path, key, body), code);
    };
    refused(DATABASE);
    refused(OTHER);
    assert_eq!(api.refused(404, "GET", &path, "", ""), "no-database");
}
