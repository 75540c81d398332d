//! HTTPS, judged by openssl and curl that trust only what was announced and downloaded.

use std::path::PathBuf;
use std::process::Command;

use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::harness::{
    CA, Daemon, Finished, Installation, Key, Request, Response, client_config, get, openssl, run,
    run_with_input, standard, tls_get,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// A daemon, and the certificate that a device has installed from it.
struct Installed {
    daemon: Daemon,
    der: Vec<u8>,
    folder: TempDir,
}

impl Installed {
    /// Follows the announcement, as a device does.
    fn new() -> Self {
        let daemon = Daemon::start(&Installation::new(standard()));
        let url = get(daemon.http, ANNOUNCEMENT).json("cert_url");
        let path = url
            .strip_prefix(&format!("http://{}", daemon.http))
            .unwrap();
        let der = get(daemon.http, path).body;
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("anchor.der"), &der).unwrap();
        let convert = [
            "x509",
            "-inform",
            "der",
            "-in",
            "anchor.der",
            "-out",
            "anchor.pem",
        ];
        openssl(folder.path(), convert);
        Self {
            daemon,
            der,
            folder,
        }
    }

    fn anchor(&self) -> PathBuf {
        self.folder.path().join("anchor.pem")
    }

    /// Another certificate authority of the same name.
    fn impostor(&self) -> PathBuf {
        let path = self.folder.path().join("impostor.pem");
        let impostor = Request::new("Partner CA", Key::Foreign, CA).self_signed();
        fs_err::write(&path, impostor.pem).unwrap();
        path
    }

    fn s_client(&self, anchor: PathBuf, version: &str) -> Finished {
        let request =
            format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        run_with_input(
            Command::new("openssl")
                .args(["s_client", "-quiet", "-no-CApath", "-no-CAstore", "-CAfile"])
                .arg(anchor)
                .args([
                    "-verify_return_error",
                    "-verify_ip",
                    "127.0.0.1",
                    version,
                    "-connect",
                ])
                .arg(self.daemon.https.to_string()),
            request.as_bytes(),
        )
    }

    fn curl(&self, anchor: PathBuf, args: &[&str]) -> Finished {
        run(Command::new("curl")
            .args([
                "-q",
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "30",
            ])
            .args(["--include", "--cacert"])
            .arg(anchor)
            .args(args)
            .arg(format!("https://{}{ANNOUNCEMENT}", self.daemon.https)))
    }
}

#[test]
fn openssl_accepts_the_server_under_the_downloaded_certificate() {
    let installed = Installed::new();
    let plain = get(installed.daemon.http, ANNOUNCEMENT);
    for version in ["-tls1_2", "-tls1_3"] {
        let asked = installed.s_client(installed.anchor(), version);
        assert_eq!(asked.code, Some(0), "{version}: {}", asked.stderr_text());
        assert_eq!(Response::parse(&asked.stdout).body, plain.body, "{version}");
        let refused = installed.s_client(installed.impostor(), version);
        assert_ne!(refused.code, Some(0), "{version}");
        assert_eq!(refused.stdout_text(), "", "{version}");
    }
}

#[test]
fn curl_accepts_the_server_under_the_downloaded_certificate() {
    let installed = Installed::new();
    let plain = get(installed.daemon.http, ANNOUNCEMENT);
    for args in [
        &["--tls-max", "1.2"][..],
        &["--tlsv1.3"],
        &["--http1.0"],
        &["--http2"],
    ] {
        let asked = installed.curl(installed.anchor(), args);
        assert_eq!(asked.code, Some(0), "{args:?}: {}", asked.stderr_text());
        let answer = Response::parse(&asked.stdout);
        assert_eq!(answer.body, plain.body, "{args:?}");
        assert_eq!(
            answer.header("Content-Length"),
            plain.header("Content-Length")
        );
        // 60: the peer certificate cannot be authenticated.
        let refused = installed.curl(installed.impostor(), args);
        assert_eq!(
            refused.code,
            Some(60),
            "{args:?}: {}",
            refused.stderr_text()
        );
    }
}

#[test]
fn both_listeners_give_the_same_answers() {
    let installed = Installed::new();
    let Installed { daemon, der, .. } = &installed;
    for version in [&TLS12, &TLS13] {
        let config = client_config(der, &[version]);
        for target in [
            ANNOUNCEMENT,
            "/static/Device_Certificates/partner_CA.der",
            "/",
            "/../x",
        ] {
            let (plain, tls) = (
                get(daemon.http, target),
                tls_get(daemon.https, &config, target),
            );
            assert_eq!(tls.status(), plain.status(), "{target}");
            assert_eq!(tls.body, plain.body, "{target}");
            for name in ["Content-Length", "Content-Type"] {
                assert_eq!(tls.header(name), plain.header(name), "{target}");
                assert!(tls.header(name).is_some(), "{target}");
            }
        }
    }
}

#[test]
fn a_client_without_server_name_gets_the_same_certificate() {
    let installed = Installed::new();
    let address = installed.daemon.https.to_string();
    for name in [
        &["-noservername"][..],
        &["-servername", "unknown.example.com"],
    ] {
        let args = ["s_client", "-showcerts", "-connect", &address];
        let shown = openssl(installed.folder.path(), [&args, name].concat());
        let shown = String::from_utf8(shown).unwrap();
        let sent = shown.matches("-----BEGIN CERTIFICATE-----").count();
        assert_eq!(sent, 2, "{shown}");
        assert!(shown.contains(standard().server.pem.trim()), "{shown}");
        assert!(
            shown.contains(standard().intermediate.pem.trim()),
            "{shown}"
        );
    }
}

#[test]
fn sha256_and_aes128_are_chosen_unless_a_client_puts_chacha20_first() {
    const AES_128: &str = "ECDHE-RSA-AES128-GCM-SHA256";
    const AES_256: &str = "ECDHE-RSA-AES256-GCM-SHA384";
    const CHACHA20: &str = "ECDHE-RSA-CHACHA20-POLY1305";
    let installed = Installed::new();
    let address = installed.daemon.https.to_string();
    for (offered, chosen) in [
        ([AES_256, CHACHA20, AES_128].as_slice(), AES_128),
        (&[AES_256, CHACHA20], AES_256),
        (&[CHACHA20, AES_256, AES_128], CHACHA20),
    ] {
        let offered = offered.join(":");
        let args = [
            "s_client", "-tls1_2", "-cipher", &offered, "-connect", &address,
        ];
        let shown = String::from_utf8(openssl(installed.folder.path(), args)).unwrap();
        assert!(shown.contains(&format!("Cipher is {chosen}\n")), "{shown}");
        assert!(shown.contains("Peer signing digest: SHA256\n"), "{shown}");
    }
}

#[test]
fn tls13_chooses_in_the_same_order() {
    const AES_128: &str = "TLS_AES_128_GCM_SHA256";
    const AES_256: &str = "TLS_AES_256_GCM_SHA384";
    const CHACHA20: &str = "TLS_CHACHA20_POLY1305_SHA256";
    let installed = Installed::new();
    let address = installed.daemon.https.to_string();
    for (offered, chosen) in [
        ([AES_256, CHACHA20, AES_128].as_slice(), AES_128),
        (&[CHACHA20, AES_256, AES_128], CHACHA20),
    ] {
        let offered = offered.join(":");
        let args = [
            "s_client",
            "-tls1_3",
            "-ciphersuites",
            &offered,
            "-connect",
            &address,
        ];
        let shown = String::from_utf8(openssl(installed.folder.path(), args)).unwrap();
        assert!(shown.contains(&format!("Cipher is {chosen}\n")), "{shown}");
        assert!(shown.contains("Peer signing digest: SHA256\n"), "{shown}");
    }
}
