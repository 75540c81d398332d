//! An answer of whatever host the doctor is pointed at.
#![no_main]

use engage_device::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let examined = Response::parse_lenient(bytes);
    match Response::parse(bytes) {
        // What a device would take has no fault, and its body is the end of what was sent.
        Ok(answer) => {
            assert!(examined.is_ok_and(|examined| examined.faults.is_empty()));
            assert!(bytes.ends_with(answer.body()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
