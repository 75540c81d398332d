//! Sites in files of their own.

use serde_json::Value;

use super::{announced, reload};
use crate::harness::{Daemon, Installation, get, program, run, shown, standard};

const RELOADED: &str = "reloaded: new connections get the new state";

/// "Main Office" by default in the configuration, "Annex" and "Hall" in files.
fn installation() -> Installation {
    let installation = Installation::new(standard()).with_admin();
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    installation.write("pki/annex.key", [b'7'; 64]);
    installation.write("pki/hall.key", [b'8'; 64]);
    installation.write("sites/annex.toml", site("Annex", "annex", ""));
    installation.write("sites/hall.toml", site("Hall", "hall", ""));
    // None of these is a site.
    installation.write("sites/README.md", "one file a site");
    installation.write("sites/.hidden.toml", "nonsense");
    installation
}

/// Of a key file and a host of the same word.
fn site(name: &str, word: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\nkey_file = \"pki/{word}.key\"\nhosts = [\"{word}.example.com\"]\n{more}\n\
         certificate = \"static/Device_Certificates/partner_CA.der\"\n"
    )
}

fn hash(daemon: &Daemon, word: &str) -> String {
    announced(daemon, &format!("Host: {word}.example.com\r\n")).json("hash")
}

fn status(daemon: &Daemon, word: &str) -> u16 {
    announced(daemon, &format!("Host: {word}.example.com\r\n")).status()
}

fn sites(daemon: &mut Daemon) -> [u64; 3] {
    let metrics = daemon.metrics();
    ["served", "kept", "withheld"].map(|state| metrics.sum("sites", &[("state", state)]))
}

#[test]
fn files_of_sites_are_added_changed_and_removed_by_a_reload() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let [main, annex, hall] = ["main", "annex", "hall"].map(|word| hash(&daemon, word));
    assert!(main != annex && annex != hall && main != hall);
    assert_eq!(sites(&mut daemon), [3, 0, 0]);

    installation.write("pki/gate.key", [b'9'; 64]);
    let own = "base_url = \"http://10.1.2.3:81\"\nserials = [\"0123456789abcdef\"]";
    installation.write("sites/gate.toml", site("Gate", "gate", own));
    daemon.wait_for(RELOADED);
    let gate = announced(&daemon, "Host: gate.example.com\r\n");
    let url = "http://10.1.2.3:81/static/Device_Certificates/partner_CA.der";
    assert_eq!(gate.json("cert_url"), url);
    let target = "/swordfish/lock/certificates/current?sn=0123456789ABCDEF";
    assert_eq!(get(daemon.http, target).json("hash"), gate.json("hash"));

    installation.write(
        "sites/annex.toml",
        site("Annex", "annex", "").replace("annex.key", "hall.key"),
    );
    installation.remove("sites/hall.toml");
    daemon.wait_for_count(RELOADED, 2);
    assert_eq!(hash(&daemon, "annex"), hall);
    assert_eq!(hash(&daemon, "hall"), main, "the default site's");
    assert_eq!(hash(&daemon, "gate"), gate.json("hash"));
    assert_eq!(sites(&mut daemon), [3, 0, 0]);
    assert_eq!(installation.check(&[]).code, Some(0));
}

#[test]
fn a_file_that_breaks_and_is_mended_concerns_its_site_only() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let [main, annex, hall] = ["main", "annex", "hall"].map(|word| hash(&daemon, word));
    for (text, said) in [
        ("name = \"Annex\"\nhosts = [", "cannot be used"),
        (
            "name = \"Annex\"\nkey_fil = \"x\"\n",
            "unknown field `key_fil`",
        ),
        ("\u{0}", "cannot be used"),
        ("", "missing field"),
    ] {
        installation.write("sites/annex.toml", text);
        reload(&mut daemon, RELOADED);
        let line = daemon.wait_for("site `Annex` keeps its last announcement until this is mended");
        assert!(line.contains("annex.toml"), "{line}");
        daemon.wait_for(said);
        assert_eq!(
            ["main", "annex", "hall"].map(|it| hash(&daemon, it)),
            [&main, &annex, &hall].map(String::clone)
        );
        assert_eq!(sites(&mut daemon), [2, 1, 0]);
    }
    installation.write(
        "sites/annex.toml",
        site("Annex", "annex", "").replace("annex.key", "hall.key"),
    );
    reload(&mut daemon, RELOADED);
    assert_eq!(hash(&daemon, "annex"), hall);
    assert_eq!(sites(&mut daemon), [3, 0, 0]);
}

#[test]
fn a_start_with_a_broken_file_withholds_what_can_still_be_read_of_it() {
    let installation = installation();
    let serial = "serials = [\"0123456789abcdef\"]\nnonsense";
    installation.write("sites/annex.toml", site("Annex", "annex", serial));
    let mut daemon = Daemon::start(&installation);
    daemon.wait_for("site `Annex` is answered 503 until this is mended");
    assert_eq!(status(&daemon, "annex"), 503);
    let target = "/swordfish/lock/certificates/current?sn=0123456789ABCDEF";
    assert_eq!(get(daemon.http, target).status(), 503);
    assert_eq!(status(&daemon, "hall"), 200);
    assert_eq!(status(&daemon, "main"), 200);
    assert_eq!(sites(&mut daemon), [2, 0, 1]);
    let checked = installation.check(&[]);
    assert_eq!(checked.code, Some(1));
    insta::assert_snapshot!("broken_file", shown(&installation, &checked.stdout_text()));
    let mut strict = program();
    strict.args(["serve", "--strict", "--config"]);
    let refused = run(strict.arg(installation.path("config.toml")));
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors().contains("annex.toml"));
}

#[test]
fn a_file_that_was_never_one_is_told_to_select_nobody() {
    let installation = installation();
    installation.write("sites/arr.toml", "nonsense");
    installation.write("sites/bare.toml", "name = \"Bare\"\n");
    let mut daemon = Daemon::start(&installation);
    for site in ["arr", "Bare"] {
        daemon.wait_for(&format!(
            "site `{site}` is selected by nobody until this is mended"
        ));
    }
    assert_eq!(daemon.seen("keeps its last announcement").count(), 0);
    assert_eq!(status(&daemon, "arr"), 200);
    assert_eq!(sites(&mut daemon), [3, 0, 2]);
}

#[test]
fn two_files_that_claim_one_name_host_or_serial_number_are_both_refused() {
    let installation = installation();
    let serials = "serials = [\"0123456789abcdef\"]";
    for (annex, hall, said) in [
        (
            site("Annex", "annex", ""),
            site("Annex", "hall", ""),
            "two sites are named `Annex`",
        ),
        (
            site("Annex", "annex", ""),
            site("Hall", "hall", "").replace("hall.example", "annex.example"),
            "give host `annex.example.com` to two sites",
        ),
        (
            site("Annex", "annex", serials),
            site("Hall", "hall", serials),
            "0123456789ABCDEF is listed for two sites",
        ),
    ] {
        installation.write("sites/annex.toml", annex);
        installation.write("sites/hall.toml", hall);
        let mut daemon = Daemon::start(&installation);
        let line = daemon.wait_for(said);
        assert!(
            line.contains("annex.toml") && line.contains("hall.toml"),
            "{line}"
        );
        assert_eq!(status(&daemon, "annex"), 503, "{said}");
        assert_eq!(status(&daemon, "main"), 200, "{said}");
        assert_eq!(sites(&mut daemon), [1, 0, 2], "{said}");
        let codes = installation.refusal_codes();
        assert!(
            codes.iter().all(|code| code.starts_with("ambiguous")),
            "{codes:?}"
        );
    }
}

#[test]
fn a_folder_of_sites_that_cannot_be_read_refuses_a_start_and_keeps_what_is_served() {
    let installation = installation();
    let mut daemon = Daemon::start(&installation);
    let annex = hash(&daemon, "annex");
    fs_err::rename(installation.path("sites"), installation.path("away")).unwrap();
    reload(
        &mut daemon,
        "reload refused, the previous state stays in force",
    );
    assert_eq!(hash(&daemon, "annex"), annex);
    let refused = installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    let checked = installation.check(&["--json"]).stdout_text();
    let told = refused.errors() + &checked;
    insta::assert_snapshot!("no_sites_dir", shown(&installation, &told));
}

#[test]
fn nothing_is_shown_of_what_a_link_out_of_the_folder_leads_to() {
    const SECRET: &str = "root:$6$c2FsdA";
    let installation = installation();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("shadow");
    let link = installation.path("sites/annex.toml");
    for text in [
        format!("{SECRET}:20000:0:99999:7:::\n"),
        format!("name = \"{SECRET}\"\nkey_file = 1\n"),
    ] {
        fs_err::write(&file, text).unwrap();
        installation.remove("sites/annex.toml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let checked = installation.check(&["--json"]);
        assert_eq!(checked.code, Some(1));
        let told = checked.stdout_text() + &installation.check(&[]).stdout_text();
        assert!(!told.contains(SECRET), "{told}");
        let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
        let [code, message, hint] =
            ["code", "message", "hint"].map(|it| report["refusals"][0][it].as_str().unwrap());
        let text = format!("[{code}] {message}\n  hint: {hint}");
        insta::assert_snapshot!("foreign_site_file", shown(&installation, &text));
    }
    let mut daemon = Daemon::start(&installation);
    let line = daemon.wait_for("is a link to the outside of its folder");
    assert!(!line.contains(SECRET), "{line}");
    assert_eq!(sites(&mut daemon), [2, 0, 1]);
    // A site is used, wherever it lies.
    fs_err::write(&file, site("Annex", "annex", "")).unwrap();
    reload(&mut daemon, RELOADED);
    assert_eq!(status(&daemon, "annex"), 200);
}

/// As many as hundreds of sites can have.
#[test]
fn what_is_wrong_with_hundreds_of_sites_is_told_of_a_hundred() {
    let installation = installation();
    for number in 0..130 {
        // Another site's key file is nobody's trouble, and hosts that the server certificate does not name a warning.
        let text = site(&format!("Site {number}"), &format!("s{number}"), "")
            .replace(&format!("s{number}.key"), "site.key");
        installation.write(&format!("sites/s{number}.toml"), text);
    }
    let warnings = installation.check_json()["warnings"].take();
    let warnings = warnings.as_array().unwrap();
    let last = warnings.last().unwrap();
    assert_eq!(last["code"], "more-warnings");
    insta::assert_snapshot!(
        "more_warnings",
        format!(
            "[more-warnings] {}\n  hint: {}",
            last["message"], last["hint"]
        )
    );
    assert!(warnings.len() < 110, "{}", warnings.len());
    let mut daemon = Daemon::start(&installation);
    assert_eq!(sites(&mut daemon), [133, 0, 0]);
    for number in 0..130 {
        installation.write(&format!("sites/s{number}.toml"), "nonsense");
    }
    reload(&mut daemon, RELOADED);
    daemon.wait_for("30 more sites are bad: `engage-host sites check` lists them");
    assert_eq!(
        daemon.seen("keeps its last announcement until").count(),
        100
    );
    assert_eq!(sites(&mut daemon), [3, 130, 0]);
}
