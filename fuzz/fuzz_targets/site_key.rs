//! The contents of a site key file: a key, or a refusal; never shown either way.
#![no_main]

use engage_wire::site::SiteKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| {
    if let Ok(key) = SiteKey::parse(contents) {
        assert_eq!(format!("{key:?}"), "SiteKey(redacted)");
        let _ = key.looks_like_text();
        let _ = key.announcement_hash(contents);
    }
});
