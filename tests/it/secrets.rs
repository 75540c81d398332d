//! The key material never shows, not even at trace level.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use crate::harness::{
    CA, Daemon, Finished, Installation, Key, Request, Response, client_config, connect, exchange,
    get, hex, program, read_to_end, run, standard, tls_connect, tls_get, trusting,
};
use crate::paths::{MALFORMED, TRICKS, tempting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// A site key whose raw bytes cannot appear by chance, and are not text.
const SITE_KEY: [u8; 32] = [
    0xc3, 0x1f, 0x9a, 0x07, 0xe2, 0x88, 0x5d, 0xb1, 0x40, 0xfe, 0x13, 0x6c, 0xa9, 0xd4, 0x27, 0x70,
    0x8e, 0xbb, 0x02, 0x55, 0xf6, 0x39, 0xc8, 0x91, 0x1a, 0xed, 0x64, 0xb7, 0x0c, 0xdf, 0x32, 0xa5,
];

/// Every spelling of the secrets that must not be found.
struct Secrets(Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    fn new() -> Self {
        let hex = hex(&SITE_KEY);
        let pem = Key::Server.pem();
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let decimal = format!("{SITE_KEY:?}");
        let mut secrets = vec![
            ("site key, raw", SITE_KEY.to_vec()),
            ("site key, lower-case hex", hex.clone().into_bytes()),
            ("site key, upper-case hex", hex.to_uppercase().into_bytes()),
            ("site key, Base64", STANDARD.encode(SITE_KEY).into_bytes()),
            (
                "site key, array",
                decimal.trim_matches(['[', ']']).as_bytes().to_vec(),
            ),
            ("private key, DER", der.secret_der()[..64].to_vec()),
            (
                "private key, DER's end",
                der.secret_der().rchunks(64).next().unwrap().to_vec(),
            ),
            ("private key, label", b"PRIVATE KEY".to_vec()),
        ];
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        secrets.extend(lines.map(|line| ("private key, PEM line", line.as_bytes().to_vec())));
        Self(secrets)
    }

    fn assert_absent(&self, place: &str, output: &[u8]) {
        for (name, secret) in &self.0 {
            // A refusal may name the PEM labels that it found and allows; only that.
            let mut unnamed = String::from_utf8_lossy(output).into_owned();
            for words in LABELS_IN_REFUSALS {
                unnamed = unnamed.replace(words, "");
            }
            let output = if *name == "private key, label" {
                unnamed.as_bytes()
            } else {
                output
            };
            let found = output.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{name} in {place}");
        }
    }

    fn assert_absent_in(&self, place: &str, finished: &Finished) {
        assert!(
            !finished.stdout.is_empty() || !finished.stderr.is_empty(),
            "{place}"
        );
        self.assert_absent(place, &finished.stdout);
        self.assert_absent(place, &finished.stderr);
    }
}

const LABELS_IN_REFUSALS: [&str; 2] = [
    "allowed: `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`",
    "has the PEM section `PRIVATE KEY`; allowed: `CERTIFICATE`",
];

fn installation() -> Installation {
    let installation = Installation::new(standard());
    installation.write("pki/site.key", STANDARD.encode(SITE_KEY));
    installation.write(
        "static/Device_Certificates/partner_server.key",
        Key::Server.pem(),
    );
    installation.write("static/Device_Certificates/renamed.der", Key::Server.pem());
    installation
}

/// `args` with `--config` or without, at trace level.
fn traced(args: &[&str], installation: &Installation) -> Finished {
    run(program()
        .env("RUST_LOG", "trace")
        .args(args)
        .current_dir(installation.folder()))
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let Secrets(secrets) = Secrets::new();
    assert!(secrets.len() > 20);
    for (name, secret) in secrets {
        let output = [b"before ".as_slice(), &secret, b" after"].concat();
        let found = std::panic::catch_unwind(|| Secrets::new().assert_absent("here", &output));
        assert!(found.is_err(), "{name}");
    }
}

#[test]
fn a_daemon_at_trace_level_shows_no_key() {
    let daemon = Daemon::start_with(&installation(), |command| {
        command.env("RUST_LOG", "trace");
    });
    let mut answers = Vec::new();
    for version in [&TLS12, &TLS13] {
        let config = client_config(&standard().root.der, &[version]);
        answers.push(tls_get(daemon.https, &config, ANNOUNCEMENT).body);
        // A handshake that the client breaks off.
        let untrusting = client_config(&standard().server.der, &[version]);
        assert!(
            tls_connect(daemon.https, &untrusting)
                .write_all(b"x")
                .is_err()
        );
    }
    for target in [
        ANNOUNCEMENT,
        "/static/Device_Certificates/partner_CA.der",
        "/static/Device_Certificates/partner_server.key",
        "/static/Device_Certificates/renamed.der",
        "/pki/site.key",
    ] {
        answers.push(get(daemon.http, target).body);
    }
    answers.push(exchange(daemon.http, "nonsense\r\n\r\n"));
    connect(daemon.https).write_all(b"nonsense").unwrap();
    daemon.terminate();
    let (code, log) = daemon.finish();
    assert_eq!(code, Some(0));
    assert!(log.contains("certificates/current -> 200"), "{log}");
    assert!(log.contains("TLS handshake with"), "{log}");
    let secrets = Secrets::new();
    secrets.assert_absent("the log", log.as_bytes());
    secrets.assert_absent("the answers", &answers.concat());
}

/// Whatever lies in the folder that is served, and however it is asked for.
#[test]
fn no_path_on_either_port_leads_to_a_byte_of_a_key() {
    let installation = tempting();
    installation.write("pki/site.key", STANDARD.encode(SITE_KEY));
    let planted = |name: &str| installation.path(&format!("static/Device_Certificates/{name}"));
    let key = installation.path("pki/partner_server.key");
    fs_err::hard_link(&key, planted("hard_link.der")).unwrap();
    symlink(&key, planted("link.pem")).unwrap();
    symlink("../../pki", planted("pki")).unwrap();
    fs_err::copy(installation.path("pki/site.key"), planted("site_key.der")).unwrap();
    fs_err::write(planted("raw_site_key.der"), SITE_KEY).unwrap();
    for pipe in ["pipe.der", "pipe.key"] {
        assert_eq!(run(Command::new("mkfifo").arg(planted(pipe))).code, Some(0));
    }
    let daemon = Daemon::start(&installation);
    let names = [
        "hard_link.der",
        "link.pem",
        "pki/site.key",
        "site_key.der",
        "raw_site_key.der",
        "pipe.der",
        "pipe.key",
    ];
    let names = names.map(|name| format!("/static/Device_Certificates/{name}"));
    let targets = TRICKS
        .iter()
        .chain(MALFORMED)
        .map(ToString::to_string)
        .chain(names);
    let (secrets, config) = (Secrets::new(), trusting(&standard().root.der));
    for target in targets {
        for target in [format!("{target}?x"), format!("http://a{target}"), target] {
            for method in ["GET", "HEAD", "POST"] {
                let request =
                    format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                let mut tls = tls_connect(daemon.https, &config);
                tls.write_all(request.as_bytes()).unwrap();
                for answer in [exchange(daemon.http, &request), read_to_end(&mut tls)] {
                    secrets.assert_absent(&target, &answer);
                    let status = Response::parse(&answer).status();
                    assert!(matches!(status, 400 | 404 | 405), "{target}: {status}");
                }
            }
        }
    }
}

#[test]
fn commands_at_trace_level_show_no_key() {
    let secrets = Secrets::new();
    let installation = installation();
    for args in [
        &["check"][..],
        &["check", "--json"],
        &[
            "hash",
            "static/Device_Certificates/partner_CA.der",
            "--site-key-file",
            "pki/site.key",
        ],
        // Swapped by mistake.
        &[
            "hash",
            "pki/site.key",
            "--site-key-file",
            "pki/partner_server.key",
        ],
        &[
            "hash",
            "pki/partner_server.key",
            "--site-key-file",
            "pki/site.key",
        ],
        &["check", "--config", "pki/partner_server.key"],
        &["check", "--config", "pki/site.key"],
    ] {
        secrets.assert_absent_in(&format!("{args:?}"), &traced(args, &installation));
    }
}

#[test]
fn refusals_at_trace_level_show_no_key() {
    let secrets = Secrets::new();
    let hex = hex(&SITE_KEY);
    let base64 = STANDARD.encode(SITE_KEY);
    let key = Key::Server.pem();
    let config = fs_err::read_to_string(installation().path("config.toml")).unwrap();
    for (file, contents) in [
        // One character too many, too few, or of another alphabet.
        ("pki/site.key", format!("{base64}=")),
        ("pki/site.key", format!("x{hex}")),
        ("pki/site.key", format!("{}-", &base64[..43])),
        ("pki/site.key", key.clone()),
        ("pki/partner_server.key", key.replace("-----END", "---END")),
        ("pki/partner_server.key", key.replacen('M', "!", 1)),
        ("pki/partner_server.key", key.replace("PRIVATE", "SECRET")),
        ("pki/partner_server.key", base64.clone()),
        ("pki/partner_server.pem", key.clone()),
        ("static/Device_Certificates/partner_CA.der", key.clone()),
        // Keys in place of their paths, in a wrong place, or as the whole file.
        ("config.toml", config.replace("pki/site.key", &base64)),
        ("config.toml", config.replace("pki/site.key", &hex)),
        (
            "config.toml",
            config.replace("key_file = \"pki/", &format!("key = \"{base64}")),
        ),
        (
            "config.toml",
            config.replace("key_file = \"pki/site.key\"", &format!("key={hex}")),
        ),
        (
            "config.toml",
            config.replace("\"pki/partner_server.key\"", &format!("'''{key}'''")),
        ),
        ("config.toml", format!("{base64}\n")),
        ("config.toml", key.clone()),
    ] {
        let installation = installation();
        installation.write(file, contents);
        for command in ["check", "serve"] {
            let refused = traced(&[command], &installation);
            assert_eq!(refused.code, Some(1), "{file}");
            secrets.assert_absent_in(&format!("{command} with a bad {file}"), &refused);
        }
    }
    // A foreign key is refused without a word of either.
    let installation = installation();
    installation.write("static/Device_Certificates/partner_CA.der", {
        Request::new("Other CA", Key::Foreign, CA).self_signed().der
    });
    secrets.assert_absent_in("serve", &traced(&["serve"], &installation));
}
