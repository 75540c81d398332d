//! A DER file from the static directory: refused with a message, or kept byte for byte.
#![no_main]

use std::path::Path;

use engage_wire::pki::parse_certificate_der;
use engage_wire::diagnostic::explained;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    match parse_certificate_der("certificate", Path::new("/f.der"), der) {
        Ok(certificate) => {
            assert_eq!(certificate.der().as_ref(), der);
            let _ = certificate.fingerprint();
        }
        Err(refusal) => assert!(!explained(&refusal).is_empty()),
    }
});
