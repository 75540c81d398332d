//! `serve --init` where the daemon has been used: a missing file is lost, not new.

use std::fs::{remove_dir_all, remove_file};

use super::{EXAMPLE_KEY, SERVER, SERVER_KEY, check, fresh, init, serve_refuses, stderr};

#[test]
fn a_lost_site_key_is_not_made_anew() {
    let home = fresh();
    remove_file(home.path().join("pki/site.key")).unwrap();
    let text = serve_refuses(home.path());
    assert!(text.contains("pki/site.key` is missing"), "{text}");
    assert!(text.contains("partner_CA.key` exists"), "{text}");
    assert!(
        text.contains("\n  hint: bring back what is missing"),
        "{text}"
    );
}

#[test]
fn a_lost_pki_is_not_made_anew_where_a_configuration_of_init_is() {
    let home = fresh();
    for name in ["pki", "static", "Engage_Data"] {
        remove_dir_all(home.path().join(name)).unwrap();
    }
    let text = serve_refuses(home.path());
    assert!(text.contains("was made by engage-host"), "{text}");
    for name in ["pki/site.key", "partner_CA.der", SERVER, SERVER_KEY] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

#[test]
fn a_lost_pki_is_not_made_anew_where_devices_have_been_recorded() {
    let home = fresh();
    for name in ["pki", "static"] {
        remove_dir_all(home.path().join(name)).unwrap();
    }
    let config = home.path().join("config.toml");
    let original = fs_err::read_to_string(&config).unwrap();
    fs_err::write(&config, format!("# ours\n{original}")).unwrap();
    // A fresh one has a note only.
    fs_err::write(home.path().join("Engage_Data/README.md"), "").unwrap();
    let database = home.path().join("Engage_Data/engage-host.db");
    fs_err::write(&database, "").unwrap();
    let text = serve_refuses(home.path());
    assert!(text.contains("devices have been recorded in"), "{text}");
    let elsewhere = home.path().join("devices.db");
    fs_err::rename(&database, &elsewhere).unwrap();
    let url = "[devices]\ndatabase_url = \"sqlite:devices.db\"\n";
    fs_err::write(&config, format!("# ours\n{original}\n{url}")).unwrap();
    let text = serve_refuses(home.path());
    let trace = format!("devices have been recorded in `{}`", elsewhere.display());
    assert!(text.contains(&trace), "{text}");
}

#[test]
fn a_lost_configuration_is_not_made_anew() {
    let home = fresh();
    remove_file(home.path().join("config.toml")).unwrap();
    let text = serve_refuses(home.path());
    assert!(text.contains("config.toml` is missing"), "{text}");
    let by_hand = init(home.path(), &[]);
    assert!(by_hand.status.success(), "{}", stderr(&by_hand));
}

#[test]
fn a_site_key_that_was_put_in_place_first_is_no_trace_of_use() {
    let home = tempfile::tempdir().unwrap();
    let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let text = fs_err::read_to_string(config).unwrap();
    let text = text.replace("0.0.0.0:80", "127.0.0.1:0");
    let text = text.replace("0.0.0.0:443", "127.0.0.1:0");
    fs_err::write(home.path().join("config.toml"), text).unwrap();
    fs_err::create_dir_all(home.path().join("pki")).unwrap();
    fs_err::write(home.path().join("pki/site.key"), EXAMPLE_KEY).unwrap();
    fs_err::create_dir_all(home.path().join("Engage_Data")).unwrap();
    fs_err::write(home.path().join("Engage_Data/README.md"), "").unwrap();
    super::made::serve_until_it_logs(home.path());
    let checked = check(home.path());
    assert!(checked.status.success(), "{}", super::stdout(&checked));
}
