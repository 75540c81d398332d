//! Moving over from the vendor's sample server, made with the vendor's own openssl steps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::chains::vendor_chain;
use crate::harness::{
    Daemon, Finished, SITE_KEY_BASE64, SITE_KEY_HEX, get, openssl, program, run, run_with_input,
};
use crate::text_files::encodings;

const CERT_URL: &str = "http://10.44.68.128/static/Device_Certificates/partner_CA.der";
const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const DEVICE: &str = "0123456789ABCDEF";
const DATABASE: &str = r#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],"add":[]},
"schedules":[{"days":["Mo"],"strtHr":0,"strtMn":0,"lngth":1439}],"holidays":[],"autoUnlock":[]}}"#;

/// `API_Server` beside the site key, and the folder to move to.
pub(crate) struct Move {
    home: TempDir,
    pub(crate) hash: String,
}

impl Move {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let served = home.path().join("API_Server/static/Device_Certificates");
        let work = home.path().join("openssl");
        for folder in [&served, &work] {
            fs_err::create_dir_all(folder).unwrap();
        }
        let chain = vendor_chain(&work);
        for (name, certificate) in [
            ("partner_CA.der", &chain.root),
            ("partner_intermediate.der", &chain.intermediate),
        ] {
            fs_err::write(served.join(name), &certificate.der).unwrap();
        }
        fs_err::write(served.join("partner_server.pem"), chain.pem()).unwrap();
        fs_err::write(served.join("partner_server.key"), chain.server.key.pem()).unwrap();
        let key = format!("hexkey:{SITE_KEY_HEX}");
        let hash = STANDARD.encode(openssl(
            &served,
            [
                "dgst",
                "-sha1",
                "-mac",
                "HMAC",
                "-macopt",
                &key,
                "-binary",
                "partner_CA.der",
            ],
        ));
        let this = Self { home, hash };
        this.write("site.key", SITE_KEY_BASE64);
        this.write_scripts(&format!(
            "    return \\\n        '{{\"cert_url\":\"{CERT_URL}\",\"hash\":\"{}\"}}', 200\n",
            this.hash
        ));
        this.write(&format!("API_Server/Engage_Data/{DEVICE}.json"), DATABASE);
        this.write(
            "API_Server/Engage_Data/lobby.json",
            r#"{"lckPrmtrs":{"nm":"lobby"}}"#,
        );
        this
    }

    /// Both, with the vendor's names and notation, and one line that must never be run.
    fn write_scripts(&self, answer: &str) {
        let head = format!(
            "from flask import Flask\nimport os, ssl\n\nos.mkdir('{}')\napp = Flask(__name__)\n\n\
             @app.route('{ANNOUNCEMENT}')\ndef sam_certificates():\n    print('Sending Certificate URL and hash.')\n{answer}\n",
            self.path("was-run").display()
        );
        self.write(
            "API_Server/Example_Non_Secure_API_Server.py",
            format!("{head}app.run(debug=False, host='10.44.68.128', port=80)\n"),
        );
        self.write(
            "API_Server/Example_Secure_API_TLS_Server.py",
            format!(
                "{head}context = ssl.SSLContext(ssl.PROTOCOL_TLS)\n\
                 context.load_cert_chain(certfile='./static/Device_Certificates/partner_server.pem',\n    \
                 keyfile='./static/Device_Certificates/partner_server.key')\n\
                 app.run(host='10.44.68.128', port=443, ssl_context=context)\n"
            ),
        );
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, contents).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn adopt(&self, more: &[&str]) -> Finished {
        run(&mut self.command(more))
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = program();
        command
            .arg("adopt")
            .arg(self.path("API_Server"))
            .arg("--dir")
            .arg(self.path("new"))
            .arg("--site-key-file")
            .arg(self.path("site.key"))
            .args(more);
        command
    }

    fn check(&self) -> Finished {
        run(program()
            .args(["check", "--config"])
            .arg(self.path("new/config.toml")))
    }

    fn refused(&self, message: &str) {
        let refused = self.adopt(&[]);
        let text = refused.stderr_text();
        assert_eq!(refused.code, Some(1), "{message}: {text}");
        assert!(text.contains(message), "{message} in {text}");
        assert!(text.contains("\n  hint: "), "{text}");
        assert!(!self.path("new").exists(), "{message}");
    }
}

#[test]
fn what_is_taken_over_may_be_in_any_encoding() {
    let database = format!("API_Server/Engage_Data/{DEVICE}.json");
    let names = [
        "site.key",
        "API_Server/Example_Non_Secure_API_Server.py",
        "API_Server/Example_Secure_API_TLS_Server.py",
        "API_Server/static/Device_Certificates/partner_server.pem",
        "API_Server/static/Device_Certificates/partner_server.key",
        &database,
    ];
    for at in 0..4 {
        let old = Move::new();
        for name in names {
            let text = fs_err::read_to_string(old.path(name)).unwrap();
            old.write(name, &encodings(&text)[at].1);
        }
        let adopted = old.adopt(&[]);
        assert_eq!(adopted.code, Some(0), "{at}: {}", adopted.stderr_text());
        let checked = old.check();
        assert_eq!(checked.code, Some(0), "{at}: {}", checked.stdout_text());
        assert!(checked.stdout_text().contains(&old.hash), "{at}");
        openssl(
            &old.path("new"),
            ["pkey", "-in", "pki/partner_server.key", "-noout"],
        );
        let database = format!("new/Engage_Data/{DEVICE}/db.json");
        let database = fs_err::read_to_string(old.path(&database)).unwrap();
        assert_eq!(database.replace("\r\n", "\n"), DATABASE, "{at}");
    }
}

#[test]
fn the_old_announcement_and_chain_are_served_and_the_old_folder_is_left() {
    let old = Move::new();
    let before = files(&old.path("API_Server"));
    let adopted = old.adopt(&["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
    assert_eq!(adopted.code, Some(0), "{}", adopted.stderr_text());
    assert_eq!(files(&old.path("API_Server")), before);
    assert!(!old.path("was-run").exists());
    let checked = old.check();
    assert_eq!(checked.code, Some(0), "{}", checked.stdout_text());

    let config = old.path("new/config.toml");
    let text = fs_err::read_to_string(&config).unwrap();
    fs_err::write(
        &config,
        text.replace("[admin]\n", "[admin]\nlisten = \"\"\n"),
    )
    .unwrap();
    let daemon = Daemon::run(program().args(["serve", "--config"]).arg(&config));
    let announced = get(daemon.http, ANNOUNCEMENT);
    assert_eq!(announced.json("cert_url"), CERT_URL);
    assert_eq!(announced.json("hash"), old.hash);
    for name in ["partner_CA.der", "partner_intermediate.der"] {
        let path = format!("/static/Device_Certificates/{name}");
        let file = old.path(&format!("API_Server{path}"));
        assert_eq!(get(daemon.http, &path).body, fs_err::read(file).unwrap());
    }
    assert_eq!(
        fs_err::read_to_string(old.path(&format!("new/Engage_Data/{DEVICE}/db.json"))).unwrap(),
        DATABASE
    );
}

#[test]
fn what_was_exposed_and_what_is_left_is_told() {
    let old = Move::new();
    old.write("API_Server/static/key.txt", SITE_KEY_HEX);
    let adopted = old.adopt(&["--json"]);
    assert_eq!(adopted.code, Some(0), "{}", adopted.stderr_text());
    let report: serde_json::Value = serde_json::from_slice(&adopted.stdout).unwrap();
    let told = |list: &str, member: &str| -> Vec<String> {
        let entries = report[list].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry[member].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        told("exposed", "what"),
        ["private key of the server certificate", "the site key"]
    );
    assert!(told("devices_left", "path")[0].ends_with("lobby.json"));
    let created: Vec<_> = told("created", "path")
        .iter()
        .map(|path| path.rsplit_once("new/").unwrap().1.to_owned())
        .collect();
    assert_eq!(
        created,
        [
            "pki/site.key",
            "pki/partner_server.key",
            "pki/partner_server.pem",
            "static/Device_Certificates/partner_CA.der",
            "static/Device_Certificates/partner_intermediate.der",
            "Engage_Data/0123456789ABCDEF/db.json",
            "admin-tokens",
            "config.toml",
        ]
    );
    let text = old.adopt(&[]).stdout_text();
    assert!(text.contains("let anybody download"), "{text}");
    assert!(
        !text.contains("made  "),
        "nothing is new the second time: {text}"
    );
}

#[test]
fn a_site_key_that_does_not_give_the_old_hash_is_refused() {
    let old = Move::new();
    old.write("site.key", "11".repeat(32));
    old.refused("does not give the old server's hash");
    old.write("site.key", "short");
    old.refused("site.key");
}

#[test]
fn a_hash_of_the_text_of_the_key_proves_it_and_is_corrected() {
    let old = Move::new();
    let key = format!("key:{SITE_KEY_BASE64}");
    let wrong = STANDARD.encode(openssl(
        &old.path("API_Server/static/Device_Certificates"),
        [
            "dgst",
            "-sha1",
            "-mac",
            "HMAC",
            "-macopt",
            &key,
            "-binary",
            "partner_CA.der",
        ],
    ));
    old.write_scripts(&format!(
        "    return jsonify(cert_url='{CERT_URL}', hash='{wrong}')\n"
    ));
    let adopted = old.adopt(&[]);
    assert_eq!(adopted.code, Some(0), "{}", adopted.stderr_text());
    let text = adopted.stdout_text();
    assert!(
        text.contains("text of the site key instead of its bytes"),
        "{text}"
    );
}

#[test]
fn an_issuer_that_the_servers_file_lacks_is_added() {
    let old = Move::new();
    let path = old.path("API_Server/static/Device_Certificates/partner_server.pem");
    let chain = fs_err::read_to_string(&path).unwrap();
    let leaf = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap();
    fs_err::write(&path, leaf).unwrap();
    let adopted = old.adopt(&[]);
    assert_eq!(adopted.code, Some(0), "{}", adopted.stderr_text());
    assert!(adopted.stdout_text().contains("lacks its issuer"));
    let new = fs_err::read_to_string(old.path("new/pki/partner_server.pem")).unwrap();
    assert_eq!(new.matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn with_the_intermediates_key_the_exposed_certificate_is_renewed_by_init() {
    let old = Move::new();
    let work = old.path("openssl");
    for name in ["partner_CA.key", "partner_intermediate.key"] {
        fs_err::create_dir_all(old.path("API_Server/openssl")).unwrap();
        fs_err::copy(work.join(name), old.path("API_Server/openssl").join(name)).unwrap();
    }
    let adopted = old.adopt(&[]);
    assert_eq!(adopted.code, Some(0), "{}", adopted.stderr_text());
    let text = adopted.stdout_text();
    assert!(text.contains("partner_intermediate.key"), "{text}");
    assert!(text.contains("mv pki/partner_server.* pki/old/"), "{text}");
    let pki = old.path("new/pki");
    let exposed = fs_err::read(pki.join("partner_server.key")).unwrap();
    fs_err::create_dir(pki.join("old")).unwrap();
    for name in ["partner_server.key", "partner_server.pem"] {
        fs_err::rename(pki.join(name), pki.join("old").join(name)).unwrap();
    }
    let renewed = run(program().arg("init").arg("--dir").arg(old.path("new")));
    assert_eq!(renewed.code, Some(0), "{}", renewed.stderr_text());
    assert_ne!(
        fs_err::read(pki.join("partner_server.key")).unwrap(),
        exposed
    );
    let checked = old.check();
    assert_eq!(checked.code, Some(0), "{}", checked.stdout_text());
}

#[test]
fn what_cannot_be_understood_is_refused_and_nothing_is_written() {
    let old = Move::new();
    old.write_scripts("    return jsonify(cert_url=url, hash=hmac(url))\n");
    old.refused("no script in");
    let old = Move::new();
    old.write_scripts("    return jsonify(cert_url='http://10.44.68.128/x', hash='x')\n");
    old.refused("`cert_url` of");
    let old = Move::new();
    fs_err::remove_file(old.path("API_Server/static/Device_Certificates/partner_server.key"))
        .unwrap();
    old.refused("private key `partner_server.key`, which");
    let old = Move::new();
    let key = fs_err::read(old.path("openssl/partner_CA.key")).unwrap();
    old.write(
        "API_Server/static/Device_Certificates/partner_server.key",
        key,
    );
    old.refused("does not belong to server certificate");
}

#[test]
fn nothing_is_overwritten_and_nothing_written_into_the_old_folder() {
    let old = Move::new();
    old.write("new/config.toml", "# mine\n");
    let refused = old.adopt(&[]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr_text()
            .contains("config.toml` exists already")
    );
    assert_eq!(files(&old.path("new")).len(), 1);

    let inside = run(program()
        .arg("adopt")
        .arg(old.path("API_Server"))
        .arg("--dir")
        .arg(old.path("API_Server/new")));
    assert_eq!(inside.code, Some(1));
    assert!(inside.stderr_text().contains("is left as it is"));
}

#[test]
fn without_a_terminal_the_site_key_must_be_in_a_file() {
    let old = Move::new();
    let mut command = program();
    command.arg("adopt").arg(old.path("API_Server"));
    command.arg("--dir").arg(old.path("new"));
    let refused = run_with_input(&mut command, SITE_KEY_BASE64.as_bytes());
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr_text().contains("--site-key-file"));
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs_err::read(path).unwrap());
        }
    }
    files
}
