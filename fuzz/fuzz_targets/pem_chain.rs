//! A PEM file, read both as a chain and as a private key.
#![no_main]

use std::path::Path;

use engage_wire::pki::{PrivateKey, parse_certificate_chain};
use engage_wire::diagnostic::explained;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let path = Path::new("/f.pem");
    match parse_certificate_chain("server certificate", path, text) {
        Ok(chain) => assert!(!chain.is_empty()),
        Err(refusal) => assert!(!explained(&refusal).is_empty()),
    }
    match PrivateKey::parse(path, text) {
        Ok(key) => assert_eq!(format!("{key:?}"), "PrivateKey(redacted)"),
        Err(refusal) => assert!(!explained(&refusal).is_empty()),
    }
});
