//! `engage-host sites`: what it writes, what it refuses, and what the daemon makes of it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use serde_json::Value;

use super::announced;
use crate::harness::{
    Daemon, Finished, Installation, SITE_KEY_BASE64, SITE_KEY_HEX, killing_library, program, run,
    run_with_input, shown, standard,
};

/// "Main Office" in the configuration, and a folder for others that is not there yet.
pub(super) fn installation() -> Installation {
    let installation = Installation::new(standard());
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    installation.set_base_url("http://10.44.68.128");
    installation
}

pub(super) fn sites(installation: &Installation, arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("sites").args(arguments);
    command
        .arg("--config")
        .arg(installation.path("config.toml"));
    command
}

/// One that changes something, which no daemon is told.
pub(super) fn change(installation: &Installation, arguments: &[&str]) -> Finished {
    let socket = installation.path("none.sock");
    run(sites(installation, arguments).arg("--socket").arg(socket))
}

pub(super) fn json(finished: &Finished) -> Value {
    serde_json::from_slice(&finished.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            finished.stdout_text(),
            finished.stderr_text()
        )
    })
}

/// Names of the files of a folder, hidden ones too.
pub(super) fn names(installation: &Installation, folder: &str) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(installation.path(folder)) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn hash(daemon: &Daemon, host: &str) -> String {
    announced(daemon, &format!("Host: {host}\r\n")).json("hash")
}

#[test]
fn a_site_is_added_shown_and_removed_and_the_daemon_takes_each_up() {
    let installation = installation();
    // An empty folder for sites is one.
    fs_err::create_dir(installation.path("sites")).unwrap();
    let folder = installation.path("run");
    fs_err::create_dir(&folder).unwrap();
    let daemon = Daemon::start_with(&installation, |command| {
        command.env("RUNTIME_DIRECTORY", &folder);
    });
    let told = |arguments: &[&str]| {
        let socket = folder.join("reload.sock");
        let finished = run(sites(&installation, arguments).arg("--socket").arg(socket));
        assert_eq!(
            finished.code,
            Some(0),
            "{}{}",
            finished.stdout_text(),
            finished.stderr_text()
        );
        finished.stdout_text()
    };
    installation.write("given.key", SITE_KEY_HEX);
    let given = installation.path("given.key");
    let given = given.to_str().unwrap();
    let main = hash(&daemon, "main.example.com");
    let mut text = told(&[
        "add",
        "Hall \"A\"",
        "--host",
        "hall.example.com",
        "--serial",
        "0123456789abcdef",
        "--site-key-file",
        given,
    ]);
    // The same key in another form, and the same certificate.
    assert_eq!(hash(&daemon, "hall.example.com"), main);
    text += &told(&[
        "add",
        "Gate",
        "--host",
        "gate.example.com",
        "--base-url",
        "http://10.1.2.3:81",
    ]);
    assert_ne!(hash(&daemon, "gate.example.com"), main);
    text += &told(&["add", "By serial", "--serial", "0123456789ABCDE0"]);
    text += &run(&mut sites(&installation, &["list"])).stdout_text();
    text += &told(&["remove", "Gate"]);
    assert_eq!(
        hash(&daemon, "gate.example.com"),
        main,
        "the default site's"
    );
    assert_eq!(
        names(&installation, "sites"),
        ["by-serial.toml", "hall-a.toml"]
    );
    assert_eq!(
        names(&installation, "pki/sites"),
        ["by-serial.key", "gate.key", "hall-a.key"]
    );
    for key in names(&installation, "pki/sites") {
        let mode = fs_err::metadata(installation.path(&format!("pki/sites/{key}")))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    // Its key is still there, and is the site's again.
    text += &told(&["add", "Gate", "--host", "gate.example.com"]);
    text += &told(&["remove", "By serial", "--delete-key"]);
    assert_eq!(
        names(&installation, "pki/sites"),
        ["gate.key", "hall-a.key"]
    );
    assert!(!text.contains(SITE_KEY_BASE64) && !text.contains(SITE_KEY_HEX));
    insta::assert_snapshot!("commands", shown(&installation, &text));

    let shown_site = run(&mut sites(&installation, &["show", "Hall \"A\"", "--json"]));
    let site = json(&shown_site);
    assert_eq!(site["hash"], main.as_str());
    assert_eq!(site["serials"][0], "0123456789ABCDEF");
    assert_eq!(
        site["key_file"],
        installation.path("pki/sites/hall-a.key").to_str().unwrap()
    );
    let checked = run(&mut sites(&installation, &["check", "--json"]));
    assert_eq!(json(&checked)["sites"], 3);
}

#[test]
fn a_key_is_read_from_standard_input_and_never_written_over() {
    let installation = installation();
    let add = |input: &[u8]| {
        let arguments = [
            "add",
            "Annex",
            "--host",
            "annex.example.com",
            "--site-key-file",
            "-",
            "--json",
        ];
        let socket = installation.path("none.sock");
        run_with_input(
            sites(&installation, &arguments).arg("--socket").arg(socket),
            input,
        )
    };
    let refused = add(b"0123");
    assert_eq!(json(&refused)["refusals"][0]["code"], "malformed-given-key");
    assert_eq!(names(&installation, "sites"), [""; 0]);
    installation.write("pki/sites/annex.key", [b'k'; 32]);
    let refused = add(SITE_KEY_BASE64.as_bytes());
    assert_eq!(json(&refused)["refusals"][0]["code"], "other-key");
    assert_eq!(
        fs_err::read(installation.path("pki/sites/annex.key")).unwrap(),
        [b'k'; 32]
    );
    installation.remove("pki/sites/annex.key");
    let added = add(SITE_KEY_BASE64.as_bytes());
    assert_eq!(added.code, Some(0), "{}", added.stdout_text());
    assert_eq!(json(&added)["outcome"], "untold");
    let key = fs_err::read_to_string(installation.path("pki/sites/annex.key")).unwrap();
    assert_eq!(key, SITE_KEY_BASE64);
    let again = add(SITE_KEY_BASE64.as_bytes());
    assert_eq!(json(&again)["refusals"][0]["code"], "site-exists");
    assert_eq!(installation.check(&[]).code, Some(0));
}

const TABLE: &str = "\
name,key,hosts,serials
Annex,Hsn5pp3ryc1Y9nbUCPiPHKhXsIB6pDgTM96S1XU/mjk=,annex.example.com 10.0.0.2,0123456789abcdef
Hall,1ec9f9a69debc9cd58f676d408f88f1ca857b0807aa4381333de92d5753f9a39,,0123456789abcde0;0123456789abcde1
";

#[test]
fn a_table_is_imported_whole_and_twice_is_as_once() {
    let installation = installation();
    installation.write("sites.csv", TABLE);
    let table = installation.path("sites.csv");
    let import = |more: &[&str]| {
        change(
            &installation,
            &[&["import", table.to_str().unwrap(), "--json"], more].concat(),
        )
    };
    let tried = json(&import(&["--dry-run"]));
    assert_eq!(
        (
            &tried["outcome"],
            tried["would_add"].as_array().unwrap().len()
        ),
        (&"unwritten".into(), 2)
    );
    assert_eq!(names(&installation, "sites"), [""; 0]);
    let imported = import(&[]);
    assert_eq!(imported.code, Some(0), "{}", imported.stdout_text());
    assert_eq!(json(&imported)["created"].as_array().unwrap().len(), 4);
    assert_eq!(names(&installation, "sites"), ["annex.toml", "hall.toml"]);
    let again = json(&import(&[]));
    assert_eq!(
        (&again["unchanged"], &again["created"]),
        (&2.into(), &Value::Array(Vec::new()))
    );
    // As spreadsheets write it where the comma is the decimal point.
    let table = TABLE
        .replace(',', ";")
        .replace("0123456789abcde0;", "0123456789abcde0 ");
    installation.write(
        "sites.csv",
        format!("\u{feff}{}", table.replace('\n', "\r\n")),
    );
    assert_eq!(json(&import(&[]))["unchanged"], 2);
    let daemon = Daemon::start(&installation);
    let [main, annex] = ["x.example.com", "annex.example.com"].map(|host| hash(&daemon, host));
    assert_eq!(main, annex, "they have one key");
}

#[test]
fn a_table_with_faults_is_refused_with_each_of_them_and_changes_nothing() {
    let installation = installation();
    installation.write(
        "sites/gate.toml",
        "name = \"Gate\"\nkey_file = \"pki/site.key\"\nhosts = [\"gate.example.com\"]\n\
        certificate = \"static/Device_Certificates/partner_CA.der\"\n",
    );
    let key = SITE_KEY_BASE64;
    let mut told = String::new();
    for table in [
        format!(
            "name,key,hosts,serials\nGood,{key},good.example.com,\nGate,{key},g.example.com,\nA,{key},gate.example.com,\nB,{key},b.example.com,\n\
             B,{key},c.example.com,\nC,{key},good.example.com,0123456789abcdef\nD,{key},d.example.com,0123456789abcdef\nE,{key},,\n"
        ),
        format!(
            "name,key,hosts,serials\nA,0123,a.example.com,\n,{key},b.example.com,\nC,{key},c d_,0123\nD,,d.example.com,\nE,{key},-,\n"
        ),
        format!("name,key,hosts\nA,{key}\n"),
        format!("A,{key},a.example.com\n"),
        "name,hosts\nA,a.example.com\n".to_owned(),
        "name,key\n".to_owned(),
    ] {
        installation.write("sites.csv", table);
        let refused = change(
            &installation,
            &["import", installation.path("sites.csv").to_str().unwrap()],
        );
        assert_eq!(refused.code, Some(1));
        told = told + &refused.stderr_text() + "\n";
        assert_eq!(names(&installation, "sites"), ["gate.toml"]);
        assert_eq!(names(&installation, "pki/sites"), [""; 0]);
    }
    assert!(!told.contains(key));
    insta::assert_snapshot!("import_faults", shown(&installation, &told));
}

/// Killed at each of its steps in turn: every one of them ends with an `fsync`.
#[test]
fn a_killed_import_leaves_whole_sites_and_is_completed_by_the_same_command() {
    let tools = tempfile::tempdir().unwrap();
    let library = killing_library(tools.path());
    let mut killed = 0;
    loop {
        let installation = installation();
        installation.write("sites.csv", TABLE);
        let table = installation.path("sites.csv");
        let import = ["import", table.to_str().unwrap()];
        let ended = sites(&installation, &import)
            .env("LD_PRELOAD", &library)
            .env("FSYNCS", killed.to_string())
            .output()
            .unwrap();
        if ended.status.success() {
            break;
        }
        assert_eq!(ended.status.signal(), Some(9), "{killed}");
        killed += 1;
        assert_eq!(
            installation.check(&[]).code,
            Some(0),
            "{killed}: half a site"
        );
        let completed = change(&installation, &import);
        assert_eq!(
            completed.code,
            Some(0),
            "{killed}: {}",
            completed.stderr_text()
        );
        assert_eq!(
            names(&installation, "sites"),
            ["annex.toml", "hall.toml"],
            "{killed}"
        );
        assert_eq!(
            names(&installation, "pki/sites"),
            ["annex.key", "hall.key"],
            "{killed}"
        );
        assert_eq!(installation.check(&[]).code, Some(0), "{killed}");
    }
    assert!(killed > 8, "{killed}");
}
