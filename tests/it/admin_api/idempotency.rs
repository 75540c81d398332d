//! A write that is sent again is done once.

use super::client::json;
use super::{DATABASE, DEVICE, OTHER, host};

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
