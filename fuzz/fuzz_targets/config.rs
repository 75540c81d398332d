//! The text of `config.toml`, and of a site's own file: refused with a message, or consistent.
#![no_main]

use std::path::Path;

use engage_host::{Config, parse_site_file};
use engage_wire::diagnostic::explained;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| {
    let text = String::from_utf8_lossy(contents);
    match Config::parse(Path::new("/etc/engage-host/config.toml"), &text) {
        Ok(config) => {
            assert!(config.sites_dir.is_some() || !config.sites.is_empty());
            assert!(config.static_dir.is_absolute());
            assert!(config.https.private_key.is_absolute());
            let _ = config.base_url_at(([127, 0, 0, 1], 80).into());
        }
        Err(refusal) => assert!(!explained(&refusal).is_empty()),
    }
    let folder = Path::new("/etc/engage-host");
    match parse_site_file(&folder.join("sites/a.toml"), folder, contents) {
        Ok(site) => assert!(site.key_file.is_absolute() && site.certificate.is_absolute()),
        Err(broken) => assert!(!explained(&*broken.error).is_empty()),
    }
});
