//! The first bytes of a connection to the TLS port: what is shown of them is printable.
#![no_main]

use engage_host::ClientHello;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|opening: &[u8]| {
    let shown = match ClientHello::parse(opening) {
        Ok(hello) => format!(
            "{:?} {} {} {} {} {:?} {:?}",
            hello.versions(),
            hello.supported_versions,
            hello.cipher_suites,
            hello.named_groups,
            hello.signature_schemes,
            hello.server_name,
            hello.alpn,
        ),
        Err(error) => error.to_string(),
    };
    assert!(!shown.chars().any(char::is_control));
});
