//! The body of a parameter upload: refused, or shown without what its names call secret.
#![no_main]

use engage_store::{ConfigUpload, redact};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(upload) = ConfigUpload::parse(body) else {
        return;
    };
    let shown = upload.redacted();
    assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
    // What is shown has nothing more to hide.
    assert_eq!(redact(&shown), shown);
    let properties = upload.properties();
    for text in [properties.name, properties.model, properties.firmware, properties.battery] {
        let text = text.unwrap_or_default();
        assert!(text.chars().count() <= 100 && !text.chars().any(char::is_control));
    }
});
