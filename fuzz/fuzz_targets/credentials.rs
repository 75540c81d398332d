//! The contents of a credentials file: devices, and messages that quote nothing of it.
#![no_main]

use std::path::Path;

use engage_store::Credentials;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| {
    let said: Vec<_> = match Credentials::parse(Path::new("/f"), contents) {
        Ok(credentials) => {
            assert!(format!("{credentials:?}").len() < 40);
            credentials.problems().iter().map(ToString::to_string).collect()
        }
        Err(refusal) => vec![refusal.to_string()],
    };
    assert!(said.len() <= 20);
    let text = String::from_utf8_lossy(contents);
    for secret in text.split_whitespace().filter(|word| word.starts_with("$argon2")) {
        // Messages say how a hash begins.
        assert!(secret.len() < 40 || said.iter().all(|said| !said.contains(secret)));
    }
});
