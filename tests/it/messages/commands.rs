//! What commands say that cannot do what they are asked to.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use engage_store::{KeepDays, SqlOptions, SqlStore};
use fs_err as fs;

use super::{failure, failure_text};
use crate::doctor::faulty_host::{Fault, Host as FaultyHost};
use crate::doctor::openssl::Pki;
use crate::harness::{Daemon, Installation, program, run, shown, standard};

pub(super) fn command(arguments: &str) -> Command {
    let mut command = program();
    command.args(arguments.split_whitespace());
    command
}

/// `arguments`, and the configuration of an installation.
pub(super) fn with_config(arguments: &str, installation: &Installation) -> Command {
    let mut command = command(arguments);
    command
        .arg("--config")
        .arg(installation.path("config.toml"));
    command
}

#[test]
fn devices() {
    let installation = Installation::new(standard());
    let mut told = failure(&mut with_config("devices", &installation));
    let database = installation.path("Engage_Data/engage-host.db");
    let options = SqlOptions::sqlite(database.clone());
    drop(SqlStore::open(options, KeepDays::default()).unwrap());
    told += &failure(&mut with_config(
        "devices show 0123456789abcdef",
        &installation,
    ));
    installation.write("Engage_Data/FEDCBA9876543210.json", "{}");
    fs::create_dir(installation.path("Engage_Data/fedcba9876543210")).unwrap();
    let listed = run(&mut with_config("devices", &installation));
    told += &listed.stderr_text();
    let old = "0.1.0/0123456789ABCDEF/audits-2026-11.jsonl";
    installation.write(old, "nonsense\n");
    fs::create_dir(installation.path("empty")).unwrap();
    let folder = |name| installation.path(name).display().to_string();
    for (code, arguments, path) in [
        ("no-database", "db show 0123456789abcdef", ""),
        ("not-in-quarantine", "quarantine show 0123456789abcdef", ""),
        ("exists", "backup", "/dev/null"),
        ("directory-not-empty", "export", &folder("pki")),
        ("unusable-directory", "export", "/dev/null"),
        ("no-records", "import", &folder("empty")),
        ("incomplete", "import", &folder("0.1.0")),
    ] {
        let arguments = format!("devices {arguments} {path}");
        told += &failure_text(code, &mut with_config(&arguments, &installation), b"");
    }
    fs::write(&database, "no database ".repeat(1000)).unwrap();
    told += &failure(&mut with_config("devices", &installation));
    let server = "database_url = \"postgres://engage@db.example/engage\"";
    installation.set("[devices]", server);
    let copy = "devices backup copy.db";
    told += &failure_text(
        "database-on-server",
        &mut with_config(copy, &installation),
        b"",
    );
    installation.set("[devices]", "directory = \"\"");
    told += &failure(&mut with_config("devices", &installation));
    let credential = || command("devices credential 0123456789ABCDEF");
    told += &failure_text(
        "not-a-serial-number",
        &mut command("devices credential 10.0.0.1"),
        b"x\n",
    );
    told += &failure_text("no-password", &mut credential(), b"\n");
    told += &failure_text("password-too-long", &mut credential(), &[b'x'; 5000]);
    let mut of_folder = Command::new("sh");
    let named = credential();
    of_folder
        .args(["-c", "exec \"$@\" < /", "sh"])
        .arg(named.get_program())
        .args(named.get_args());
    told += &failure_text("unusable-input", &mut of_folder, b"");
    installation.write("db.json", r#"{"db":{"schedules":[1]}}"#);
    let mut check = command("devices db check");
    told += &failure_text(
        "malformed-database",
        check.arg(installation.path("db.json")),
        b"",
    );
    insta::assert_snapshot!("devices", shown(&installation, &told));
}

#[test]
fn sites() {
    let installation = Installation::new(standard());
    let sites = |arguments: &str| {
        let mut sites = with_config(&format!("sites {arguments}"), &installation);
        sites.args(["--socket", "none.sock"]);
        sites
    };
    let mut told = failure(&mut sites("add Annex"));
    installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
    told += &failure(&mut sites("add Annex"));
    told += &failure(&mut with_config("sites show Main", &installation));
    installation.write("pki/sites/annex.key", [b'k'; 32]);
    let key = installation.path("pki/site.key");
    let annex = format!(
        "add Annex --host a.example.com --site-key-file {}",
        key.display()
    );
    told += &failure(&mut sites(&annex));
    installation.remove("pki/sites/annex.key");
    told += &failure(&mut sites(
        "add Annex --host a.example.com --site-key-file -",
    ));
    let added = run(&mut sites(
        "add Annex --host a.example.com --serial 0123456789abcdef",
    ));
    assert_eq!(added.code, Some(0), "{}", added.stderr_text());
    for arguments in [
        "add Annex --host b.example.com",
        "add Gate --host a.example.com",
        "add Gate --serial 0123456789abcdef",
    ] {
        told += &failure(&mut sites(arguments));
    }
    let main = "remove --delete-key";
    told += &failure(sites(main).arg("Main Office"));
    let hall = "name = \"Hall\"\nkey_file = \"pki/site.key\"\nhosts = [\"h.example.com\"]\n\
                certificate = \"static/Device_Certificates/partner_CA.der\"\n";
    installation.write("sites/hall.toml", hall);
    told += &failure(sites(main).arg("Hall"));
    installation.write("hook.secret", [b'h'; 32]);
    let hook =
        "[webhook]\nurl = \"http://127.0.0.1:9/\"\nsecret_file = \"hook.secret\"\n\n[[site]]";
    installation.edit("[[site]]", hook);
    symlink("site.key", installation.path("pki/link.key")).unwrap();
    for key_file in ["pki/link.key", "pki/partner_server.key", "hook.secret"] {
        installation.write("sites/hall.toml", hall.replace("pki/site.key", key_file));
        told += &failure(sites(main).arg("Hall"));
    }
    installation.write("sites/hall.toml", "name = \"Hall\"\n");
    told += &failure(sites(main).arg("Annex"));
    let absent = installation.path("absent.der");
    for option in ["--serials-file", "--certificate"] {
        told += &failure(
            sites("add Gate --host g.example.com")
                .arg(option)
                .arg(&absent),
        );
    }
    let table = installation.path("sites.csv").display().to_string();
    for text in [
        "name,wombat\nA,b\n",
        "name,hosts\nA,b\n",
        "name,name,key\nA,B,c\n",
        "name,key\n",
        "name,key\nA\n",
        "name,key\nA,b\n",
    ] {
        installation.write("sites.csv", text);
        told += &failure(&mut sites(&format!("import {table}")));
    }
    let many = "name,key\n".to_owned() + &"A,b\n".repeat(101);
    installation.write("sites.csv", many);
    let all = failure(&mut sites(&format!("import {table}")));
    told += &all[all.find("[more-faults]").unwrap()..];
    let mut odd = sites("add Gate --serial 0123456789abcde0");
    told += &failure(odd.args(["--certificate", "/a\tb.der"]));
    let named = sites("add Gate --serial 0123456789abcde0 --site-key-file -");
    let mut of_folder = Command::new("sh");
    of_folder
        .args(["-c", "exec \"$@\" < /", "sh"])
        .arg(named.get_program())
        .args(named.get_args());
    told += &failure_text("unreadable-input", &mut of_folder, b"");
    let text = fs::read_to_string(installation.path("config.toml")).unwrap();
    let (text, _) = text.split_once("[[site]]").unwrap();
    installation.write("config.toml", text);
    installation.remove("sites/hall.toml");
    told += &failure(&mut sites("remove Annex"));
    installation.remove("sites/annex.toml");
    told += &failure(&mut sites("add Annex"));
    insta::assert_snapshot!("sites", shown(&installation, &told));
}

#[test]
fn doctor() {
    let installation = Installation::new(standard());
    let mut told = failure(&mut with_config("doctor", &installation));
    told += &failure(&mut with_config(
        "doctor https://10.44.68.128",
        &installation,
    ));
    told += &failure(&mut with_config(
        "doctor http://10.44.68.128/static",
        &installation,
    ));
    told += &failure(&mut with_config(
        "doctor http://10.44.68.128 --site Annex",
        &installation,
    ));
    insta::assert_snapshot!("doctor", shown(&installation, &told));
}

#[test]
fn simulate() {
    let pki = Pki::vendor_like();
    let installation = Installation::new(standard());
    installation.write("mine.toml", "attempts = 0\n");
    installation.write(
        "old.toml",
        "cipher_suites = [\"TLS_RSA_WITH_AES_128_CBC_SHA\"]\n",
    );
    installation.write("new.toml", "cipher_suites = [\"TLS_AES_128_GCM_SHA256\"]\n");
    let key = pki.path("site.key");
    let with = |url: &str, arguments: &str| {
        let mut simulate = command("simulate --window 10ms --timeout 5s");
        simulate
            .args([url, "--site-key-file", &key])
            .args(arguments.split_whitespace());
        simulate
    };
    let mut told = String::new();
    for arguments in [
        "--devices 1 --profile gnutls",
        "--devices 3 --source 127.1.0.0/30 --shared-address 30",
    ] {
        told += &failure(&mut with("http://127.0.0.1:80", arguments));
    }
    for profile in ["mine", "old", "new"] {
        let path = installation.path(&format!("{profile}.toml"));
        let arguments = format!("--devices 1 --profile {}", path.display());
        told += &failure(&mut with("http://127.0.0.1:80", &arguments));
    }
    told += &failure(&mut with("https://127.0.0.1", "--devices 1"));
    for fault in [Fault::None, Fault::WrongHash] {
        let host = FaultyHost::start(&pki, fault);
        let https = host.https();
        let found = run(&mut with(
            &host.url(),
            &format!("--devices 1 --https {https}"),
        ));
        assert_eq!(found.code, Some(1));
        let text = found.stdout_text();
        // Behind the table, whose times differ.
        let (_, deviations) = text.split_once("\ndeviation ").unwrap();
        told = format!("{told}deviation {deviations}");
    }
    let told = told.split_inclusive('`').map(|part| match part.len() {
        // A hash: 28 characters of Base64.
        29 if part.ends_with("=`") => "[hash]`",
        _ => part,
    });
    let told: String = told.collect();
    insta::assert_snapshot!("simulate", shown(&installation, &told));
}

#[test]
fn reload_and_output() {
    let installation = Installation::new(standard());
    let socket = installation.path("reload.sock");
    let reload = || {
        let mut reload = command("reload --socket");
        reload.arg(&socket);
        reload
    };
    let mut told = failure(&mut reload());
    let listener = UnixListener::bind(&socket).unwrap();
    let closing = std::thread::spawn(move || drop(listener.accept()));
    told += &failure(&mut reload());
    closing.join().unwrap();
    let mut full = Command::new("sh");
    let check = with_config("check", &installation);
    full.args(["-c", "exec \"$@\" > /dev/full", "sh"])
        .arg(check.get_program())
        .args(check.get_args());
    told += &failure_text("output", &mut full, b"");
    told += &failure(&mut with_config(
        "check --as-user nobody-of-this-name",
        &installation,
    ));
    told += &failure_text("unusable-folder", &mut command("man /nonexistent"), b"");
    insta::assert_snapshot!("reload_and_output", shown(&installation, &told));
}

#[test]
fn serve_where_another_serves() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    let mut told = failure_text(
        "device-directory-in-use",
        &mut with_config("serve", &installation),
        b"",
    );
    let id = daemon.id().to_string();
    told = told.replace(&id, "[pid]");
    installation.edit("127.0.0.1:0", "192.0.2.1:8080");
    told += &failure_text(
        "cannot-listen",
        &mut with_config("serve", &installation),
        b"",
    );
    insta::assert_snapshot!("serve", shown(&installation, &told));
}
