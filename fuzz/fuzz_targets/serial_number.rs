//! The query of an announcement request: what is found can be found again as it is shown.
#![no_main]

use engage_store::SerialNumber;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    if let Some(serial) = SerialNumber::from_query(query) {
        assert_eq!(SerialNumber::parse(&serial.to_string()), Some(serial));
    }
});
