//! What `init` keeps: everything that exists.

use super::{INTERMEDIATE, ROOT, SERVER, SERVER_KEY, check, files, fresh, init, stderr, stdout};

#[test]
fn a_second_run_changes_no_byte_and_says_what_exists() {
    let home = fresh();
    let before = files(home.path());
    let again = init(home.path(), &["--host", "127.0.0.1"]);
    let text = stdout(&again);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(files(home.path()), before);
    for name in before.keys() {
        let line = format!("exists  {}", home.path().join(name).display());
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(!text.contains("made "), "{text}");
}

#[test]
fn a_renewal_keeps_what_devices_trust() {
    let home = fresh();
    let before = files(home.path());
    for half in [SERVER, SERVER_KEY] {
        std::fs::remove_file(home.path().join(half)).unwrap();
    }
    // Offline, as the text of the first run advises.
    std::fs::remove_file(home.path().join("pki/partner_CA.key")).unwrap();
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    let after = files(home.path());
    for (name, bytes) in &before {
        match name.as_str() {
            SERVER | SERVER_KEY => assert_ne!(&after[name], bytes, "{name}"),
            "pki/partner_CA.key" => assert!(!after.contains_key(name)),
            kept => assert_eq!(&after[kept], bytes, "{kept}"),
        }
    }
    assert!(stdout(&renewed).contains("nothing to do on devices"));
    assert!(check(home.path()).status.success());
}

#[test]
fn an_announced_intermediate_is_renewed_without_any_root() {
    let home = tempfile::tempdir().unwrap();
    let config = format!(
        "base_url = \"http://127.0.0.1\"\n[https]\ncertificate = \"{SERVER}\"\nprivate_key = \"{SERVER_KEY}\"\n\
         [[site]]\nname = \"A\"\nkey_file = \"pki/site.key\"\ncertificate = \"{INTERMEDIATE}\"\n"
    );
    fs_err::write(home.path().join("config.toml"), config).unwrap();
    assert!(init(home.path(), &[]).status.success());
    let before = files(home.path());
    for name in [SERVER, SERVER_KEY, ROOT, "pki/partner_CA.key"] {
        std::fs::remove_file(home.path().join(name)).unwrap();
    }
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    assert_eq!(files(home.path())[INTERMEDIATE], before[INTERMEDIATE]);
    assert!(check(home.path()).status.success());
}
