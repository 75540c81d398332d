//! What commands say that make, renew or take over an installation, and cannot.

use std::path::Path;
use std::process::Command;

use fs_err as fs;

use super::commands::{command, with_config};
use super::{failure, failure_text};
use crate::adopt::Move;
use crate::harness::{Chain, Installation, Key, SITE_KEY_HEX, run, shown, standard};

#[test]
fn init() {
    let mut told = String::new();
    let made = || {
        let installation = Installation::new(standard());
        fs::remove_dir_all(installation.path("pki")).unwrap();
        fs::remove_dir_all(installation.path("static")).unwrap();
        fs::remove_file(installation.path("config.toml")).unwrap();
        let made = run(&mut init_in(&installation));
        assert_eq!(made.code, Some(0), "{}", made.stderr_text());
        installation
    };
    let mut refused = |spoil: &dyn Fn(&Installation)| {
        let installation = made();
        spoil(&installation);
        told += &shown(&installation, &failure(&mut init_in(&installation)));
    };
    refused(&|it| it.remove("pki/partner_server.key"));
    refused(&|it| it.remove("static/Device_Certificates/partner_CA.der"));
    refused(&|it| {
        remove_pairs(it, &["partner_server.pem", "partner_server.key"]);
        remove_pairs(it, &["partner_intermediate.key", "partner_CA.key"]);
        it.remove("static/Device_Certificates/partner_intermediate.der");
    });
    refused(&|it| {
        remove_pairs(it, &["partner_server.pem", "partner_server.key"]);
        it.write("pki/partner_intermediate.key", Key::Foreign.pem());
    });
    let installation = made();
    let mut elsewhere = init_in(&installation);
    elsewhere.args(["--http", "127.0.0.1:8080"]);
    told += &shown(&installation, &failure(&mut elsewhere));
    installation.write("other.key", SITE_KEY_HEX);
    let with_key = |installation: &Installation| {
        let mut init = init_in(installation);
        init.arg("--site-key-file")
            .arg(installation.path("other.key"));
        init
    };
    told += &shown(&installation, &failure(&mut with_key(&installation)));
    let annex = "[[site]]\nname = \"Annex\"\nhosts = [\"annex\"]\nkey_file = \"pki/annex.key\"\n\
                 certificate = \"static/Device_Certificates/partner_CA.der\"\n\n[[site]]";
    installation.edit("[[site]]", annex);
    told += &shown(&installation, &failure(&mut with_key(&installation)));
    installation.remove("pki/site.key");
    let mut serve = with_config("serve --init", &installation);
    told += &shown(&installation, &failure_text("used-before", &mut serve, b""));
    let empty = tempfile::tempdir().unwrap();
    let mut long = init_at(empty.path());
    for number in 0..60 {
        long.arg("--host")
            .arg(format!("door-{number}.a-rather-long-name.example.com"));
    }
    told += &failure(&mut long);
    insta::assert_snapshot!("init", told);
}

#[test]
fn renew() {
    let renewing = |installation: &Installation, more: &str| {
        let mut command = with_config(&format!("renew {more}"), installation);
        failure(command.env("RUNTIME_DIRECTORY", installation.folder()))
    };
    let made = Installation::by_init(&[]);
    let other = Installation::by_init(&[]);
    let mut text = String::new();
    made.edit(
        "private_key = \"pki/partner_server.key\"",
        "private_key = \"pki/partner_server.pem\"",
    );
    text += &renewing(&made, "");
    made.edit(
        "private_key = \"pki/partner_server.pem\"",
        "private_key = \"pki/partner_server.key\"",
    );
    made.edit("partner_CA.der", "partner_intermediate.der");
    text += &renewing(&made, "--intermediate");
    made.edit("partner_intermediate.der", "partner_CA.der");
    for name in [
        "static/Device_Certificates/partner_intermediate.der",
        "pki/partner_intermediate.key",
    ] {
        made.write(name, fs::read(other.path(name)).unwrap());
    }
    text += &renewing(&made, "");
    made.remove("pki/partner_intermediate.key");
    text += &renewing(&made, "");
    let nameless = Chain::issue(|[server, ..]| {
        server.extensions = server
            .extensions
            .lines()
            .filter(|it| !it.contains("subjectAltName"))
            .collect::<Vec<_>>()
            .join("\n");
    });
    other.write("pki/partner_server.pem", nameless.pem());
    text += &renewing(&other, "").replace(other.folder().to_str().unwrap(), "[folder]");
    insta::assert_snapshot!("renew", shown(&made, &text));
}

fn remove_pairs(installation: &Installation, names: &[&str]) {
    for name in names {
        installation.remove(&format!("pki/{name}"));
    }
}

fn init_in(installation: &Installation) -> Command {
    let mut init = init_at(installation.folder());
    init.args(["--host", "10.44.68.128"]);
    init
}

fn init_at(folder: &Path) -> Command {
    let mut init = command("init --dir");
    init.arg(folder);
    init
}

#[test]
fn adopt() {
    let mut told = String::new();
    let mut refused = |spoil: &dyn Fn(&Move), more: &[&str]| {
        let old = Move::new();
        spoil(&old);
        let text = failure(&mut old.command(more));
        let home = old.path("");
        told += &text
            .replace(home.to_str().unwrap(), "[folder]/")
            .replace(&old.hash, "[hash]");
    };
    let script = "API_Server/Example_Non_Secure_API_Server.py";
    let secure = "API_Server/Example_Secure_API_TLS_Server.py";
    refused(
        &|old| {
            for path in [script, secure] {
                fs::remove_file(old.path(path)).unwrap();
            }
        },
        &[],
    );
    refused(
        &|old| {
            for path in [script, secure] {
                let text = fs::read_to_string(old.path(path)).unwrap();
                fs::write(
                    old.path(path),
                    text.replace("http://10.44.68.128/static", "ftp://10.44.68.128/static"),
                )
                .unwrap();
            }
        },
        &[],
    );
    let served = "API_Server/static/Device_Certificates";
    refused(
        &|old| fs::remove_file(old.path(&format!("{served}/partner_server.key"))).unwrap(),
        &[],
    );
    refused(
        &|old| {
            fs::write(
                old.path(&format!("{served}/partner_server.key")),
                Key::Foreign.pem(),
            )
            .unwrap();
        },
        &[],
    );
    refused(
        &|old| fs::write(old.path("site.key"), [b'9'; 64]).unwrap(),
        &[],
    );
    refused(
        &|old| {
            fs::create_dir_all(old.path("new")).unwrap();
            fs::write(old.path("new/config.toml"), "# mine").unwrap();
        },
        &[],
    );
    let old = Move::new();
    let folder = old.path("API_Server");
    let mut bare = command("adopt");
    bare.arg(&folder).arg("--dir").arg(old.path("new"));
    let mut inside = command("adopt");
    inside.arg(&folder).arg("--dir").arg(folder.join("new"));
    inside.arg("--site-key-file").arg(old.path("site.key"));
    let text = failure(&mut bare) + &failure(&mut inside);
    told += &text.replace(old.path("").to_str().unwrap(), "[folder]/");
    insta::assert_snapshot!("adopt", told);
}
