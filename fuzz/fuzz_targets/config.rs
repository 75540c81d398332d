//! The text of `config.toml`: refused with a message, or consistent.
#![no_main]

use std::path::Path;

use engage_host::Config;
use engage_wire::diagnostic::explained;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::parse(Path::new("/etc/engage-host/config.toml"), text) {
        Ok(config) => {
            assert!(config.sites_dir.is_some() || !config.sites.is_empty());
            assert!(config.static_dir.is_absolute());
            assert!(config.https.private_key.is_absolute());
            let _ = config.base_url_at(([127, 0, 0, 1], 80).into());
        }
        Err(refusal) => assert!(!explained(&refusal).is_empty()),
    }
});
