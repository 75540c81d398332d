//! The header of a balancer: one outcome, however its bytes arrive, and never a byte of what follows.
#![no_main]

use engage_host::parse_proxy_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let outcomes = (0..=bytes.len()).map(|length| parse_proxy_header(&bytes[..length]).transpose());
    let Some((length, first)) = outcomes.enumerate().find_map(|(at, it)| Some((at, it?))) else {
        return assert!(bytes.len() < 4096);
    };
    let whole = parse_proxy_header(bytes).transpose();
    match (first, whole) {
        (Ok(first), Some(Ok(whole))) => assert!(first == whole && first.1 <= length),
        (Err(_), Some(Err(_))) => {}
        differing => panic!("{differing:?} after {length} and {} bytes", bytes.len()),
    }
});
