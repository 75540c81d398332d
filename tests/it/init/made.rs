//! What `init` makes where something is missing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{
    INTERMEDIATE, ROOT, SERVER, SERVER_KEY, check, command, files, fresh, init, mode, openssl,
    stderr, stdout,
};

#[test]
fn a_fresh_folder_gets_everything_and_check_finds_nothing_to_say() {
    let home = fresh();
    let modes: BTreeMap<_, _> = files(home.path())
        .into_keys()
        .map(|name| (mode(&home.path().join(&name)), name))
        .fold(
            BTreeMap::new(),
            |mut modes: BTreeMap<_, Vec<_>>, (mode, name)| {
                modes.entry(mode).or_default().push(name);
                modes
            },
        );
    assert_eq!(
        modes[&0o600],
        [
            "admin-tokens",
            "pki/partner_CA.key",
            "pki/partner_intermediate.key",
            SERVER_KEY,
            SERVER,
            "pki/site.key",
        ]
    );
    assert_eq!(mode(&home.path().join("pki")), 0o700);
    for name in ["config.toml", ROOT, INTERMEDIATE] {
        assert_eq!(mode(&home.path().join(name)), 0o644, "{name}");
    }
    assert_eq!(files(home.path()).len(), 9, "no temporary file is left");
    assert!(home.path().join("Engage_Data").is_dir());
    let check = check(home.path());
    let text = stdout(&check);
    assert!(check.status.success(), "{text}");
    assert!(text.contains("ok: 0 errors, 0 warnings"), "{text}");
}

#[test]
fn openssl_accepts_the_chain_and_sees_every_extension() {
    let home = fresh();
    let [root, intermediate] =
        [(ROOT, "root.pem"), (INTERMEDIATE, "intermediate.pem")].map(|(der, pem)| {
            let pem = home.path().join(pem).display().to_string();
            openssl(
                home.path(),
                &["x509", "-inform", "der", "-in", der, "-out", &pem],
            );
            pem
        });
    let verified = openssl(
        home.path(),
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_ip",
            "127.0.0.1",
            "-CAfile",
            &root,
            "-untrusted",
            &intermediate,
            SERVER,
        ],
    );
    assert_eq!(verified.trim(), format!("{SERVER}: OK"));
    for (file, expected) in [
        (
            root.as_str(),
            [
                "Subject: O = ENGAGE partner host, CN = partner_CA",
                "X509v3 Basic Constraints: critical\nCA:TRUE\n",
                "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign\n",
                "X509v3 Subject Key Identifier:",
                "sha256WithRSAEncryption",
            ],
        ),
        (
            intermediate.as_str(),
            [
                "Issuer: O = ENGAGE partner host, CN = partner_CA",
                "X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:0\n",
                "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign\n",
                "X509v3 Subject Key Identifier:",
                "X509v3 Authority Key Identifier:",
            ],
        ),
        (
            SERVER,
            [
                "X509v3 Extended Key Usage:\nTLS Web Server Authentication\n",
                "X509v3 Basic Constraints: critical\nCA:FALSE\n",
                "X509v3 Key Usage: critical\nDigital Signature, Key Encipherment\n",
                "IP Address:127.0.0.1, DNS:doors.example.com, DNS:localhost\n",
                "X509v3 Authority Key Identifier:",
            ],
        ),
    ] {
        let text = openssl(home.path(), &["x509", "-noout", "-text", "-in", file]);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        // OpenSSL 3.2 and later write `O=..` without spaces.
        let text = lines.join("\n").replace(" = ", "=");
        for line in expected {
            let line = line.replace(" = ", "=");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}

#[test]
fn files_are_made_where_an_existing_configuration_names_them() {
    let home = tempfile::tempdir().unwrap();
    let config = r#"
base_url = "http://doors.example.com"
static_dir = "public"
[https]
certificate = "tls/host.pem"
private_key = "secret/host.key"
[[site]]
name = "A"
key_file = "secret/a.key"
certificate = "public/Device_Certificates/a.der"
[[site]]
name = "B"
key_file = "secret/b.key"
certificate = "public/Device_Certificates/b.der"
hosts = ["b.example.com"]
"#;
    fs_err::write(home.path().join("config.toml"), config).unwrap();
    let made = init(home.path(), &[]);
    assert!(made.status.success(), "{}", stderr(&made));
    let files = files(home.path());
    assert_eq!(
        files.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "config.toml",
            "public/Device_Certificates/a.der",
            "public/Device_Certificates/b.der",
            "public/Device_Certificates/partner_intermediate.der",
            "secret/a.key",
            "secret/b.key",
            "secret/host.key",
            "secret/partner_CA.key",
            "secret/partner_intermediate.key",
            "tls/host.pem",
        ]
    );
    assert_eq!(files["config.toml"], config.as_bytes());
    assert_eq!(
        files["public/Device_Certificates/a.der"],
        files["public/Device_Certificates/b.der"]
    );
    assert_ne!(files["secret/a.key"], files["secret/b.key"]);
    let text = stdout(&check(home.path()));
    assert!(text.contains("ok: 0 errors, 0 warnings"), "{text}");
}

#[test]
fn two_at_once_leave_one_whole_set() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().to_str().unwrap();
    let both: Vec<_> = (0..2)
        .map(|_| {
            command(&["init", "--dir", dir, "--host", "127.0.0.1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let succeeded = both
        .into_iter()
        .map(|mut child| child.wait().unwrap().success())
        .filter(|success| *success)
        .count();
    assert!(succeeded >= 1);
    // Whoever came second was refused or found everything; what is there belongs together.
    let completed = init(home.path(), &["--host", "127.0.0.1"]);
    assert!(completed.status.success(), "{}", stderr(&completed));
    assert_eq!(files(home.path()).len(), 9);
    assert!(check(home.path()).status.success());
}

#[test]
fn serve_with_init_makes_what_is_missing_and_is_silent_when_nothing_is() {
    let home = tempfile::tempdir().unwrap();
    let first = serve_until_it_logs(home.path());
    assert!(first.contains("made "), "{first}");
    // The daemon has opened its device store, which keeps files of its own.
    let made = || {
        let mut made = files(home.path());
        made.retain(|name, _| !name.starts_with("Engage_Data/"));
        made
    };
    let before = made();
    assert_eq!(before.len(), 9);
    assert_eq!(serve_until_it_logs(home.path()), "");
    assert_eq!(made(), before);
}

/// Runs `serve --init` until both listeners have said their address; returns its output on
/// standard output.
pub(super) fn serve_until_it_logs(dir: &Path) -> String {
    let config = dir.join("config.toml");
    let mut child = command(&[
        "serve",
        "--init",
        "--config",
        config.to_str().unwrap(),
        "--http",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
    ])
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut log = String::new();
    while log.matches("listening").count() < 2 {
        match receiver.recv_timeout(Duration::from_mins(1)) {
            Ok(line) => log = log + &line + "\n",
            Err(_) => break,
        }
    }
    child.kill().unwrap();
    reader.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(log.matches("listening").count(), 2, "{log}");
    stdout(&output)
}
