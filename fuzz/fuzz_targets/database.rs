//! A `db.json`: refused with the place, or sent as JSON that would be taken again, under the same version.
#![no_main]

use engage_store::{CallInWindow, Database, answer};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|file: &[u8]| {
    let database = match Database::parse(file) {
        Ok(database) => database,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let window = CallInWindow::parse("00:00-04:00", "UTC").unwrap();
    let device = "0123456789ABCDEF".parse().unwrap();
    let next = window.next_call(&device, jiff::Timestamp::UNIX_EPOCH);
    let sent = answer(Some(&database), "0", &next);
    // By its grammar only: half of a surrogate pair stays what the integrator wrote.
    serde_json::from_slice::<&RawValue>(&sent).unwrap();
    let again = Database::parse(&sent).unwrap();
    assert_eq!(again.version(), database.version());
    assert_eq!(again.contents(), database.contents());
    // A device that has it gets no `db` at all.
    let current = answer(Some(&database), &database.version().to_string(), &next);
    let value: serde_json::Value = serde_json::from_slice(&current).unwrap();
    assert!(value.get("db").is_none());
    assert!(sent.len() <= file.len() + 128);
});
