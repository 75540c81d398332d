//! A handshake that fails says why, in a sentence and in a metric.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::database::postgres::postgres;
use crate::harness::{
    Daemon, Host, Installation, close_sending, connect, connect_from, get, get_from, run, standard,
    tls_connect, tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

fn daemon() -> Daemon {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[limits]", "tls_handshake_seconds = 1");
    Daemon::start(&installation)
}

/// One event with this sentence and all that the client offered, and one more in the metric.
fn assert_explained(daemon: &mut Daemon, sentence: &str, reason: &str) -> String {
    let line = daemon.wait_for(sentence);
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("TLS handshake with 127.0.0.1:"), "{line}");
    assert!(line.contains(&format!("reason=\"{reason}\"")), "{line}");
    assert_eq!(daemon.seen(sentence).count(), 1);
    daemon.wait_for_metric("tls_handshake_failures_total", &[("reason", reason)], 1);
    line
}

fn assert_offer_shown(line: &str) {
    for field in [
        "offered.versions=",
        "offered.ciphers=",
        "offered.groups=",
        "offered.signatures=",
    ] {
        assert!(line.contains(field), "no {field} in {line}");
    }
}

/// `openssl s_client` with further arguments; its handshake fails.
fn s_client_fails(daemon: &Daemon, args: &[&str]) {
    let asked = run(Command::new("openssl")
        .args(["s_client", "-connect", &daemon.https.to_string()])
        .args(args));
    assert_ne!(asked.code, Some(0), "{args:?}: {}", asked.stdout_text());
}

#[test]
fn old_versions_of_tls() {
    for (version, name) in [("-tls1", "TLS 1.0"), ("-tls1_1", "TLS 1.1")] {
        let mut daemon = daemon();
        s_client_fails(&daemon, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        let sentence = format!("failed: it offers only {name}");
        let line = assert_explained(&mut daemon, &sentence, "tls-version");
        assert_offer_shown(&line);
    }
}

#[test]
fn a_server_name_that_is_no_host_name() {
    for name in [
        "10.44.68.128:443",
        "doors.example.com:443",
        "[::1]",
        "http://10.44.68.128",
        "door host",
    ] {
        let mut daemon = daemon();
        s_client_fails(&daemon, &["-servername", name]);
        let sentence = format!("failed: it sent `{name}` as its server name (SNI)");
        let line = assert_explained(&mut daemon, &sentence, "invalid-server-name");
        assert_offer_shown(&line);
    }
}

#[test]
fn rsa_key_exchange_only() {
    let mut daemon = daemon();
    s_client_fails(
        &daemon,
        &[
            "-tls1_2",
            "-cipher",
            "AES128-SHA:AES256-GCM-SHA384:AES128-SHA256",
        ],
    );
    let sentence = "failed: it offers only RSA key exchange";
    let line = assert_explained(&mut daemon, sentence, "rsa-key-exchange-only");
    assert_offer_shown(&line);
}

#[test]
fn cbc_only() {
    let mut daemon = daemon();
    s_client_fails(
        &daemon,
        &[
            "-tls1_2",
            "-cipher",
            "ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384",
        ],
    );
    let sentence = "failed: it offers only CBC cipher suites";
    let line = assert_explained(&mut daemon, sentence, "no-common-cipher");
    assert_offer_shown(&line);
}

#[test]
fn ciphers_for_another_kind_of_certificate() {
    let mut daemon = daemon();
    s_client_fails(
        &daemon,
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
    );
    let sentence = "failed: it offers no cipher suite for an RSA certificate";
    assert_explained(&mut daemon, sentence, "no-common-cipher");
}

#[test]
fn no_group_in_common() {
    let mut daemon = daemon();
    s_client_fails(&daemon, &["-tls1_2", "-groups", "brainpoolP256r1"]);
    let sentence = "failed: it offers no key exchange group that we have";
    let line = assert_explained(&mut daemon, sentence, "no-common-group");
    assert_offer_shown(&line);
}

#[test]
fn signatures_that_no_rsa_certificate_makes() {
    let mut daemon = daemon();
    s_client_fails(&daemon, &["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"]);
    let sentence = "failed: it does not offer a signature scheme for an RSA certificate";
    assert_explained(&mut daemon, sentence, "no-common-signature");
}

#[test]
fn another_application_protocol() {
    let mut daemon = daemon();
    s_client_fails(&daemon, &["-alpn", "h2"]);
    let sentence = "failed: it offers only the application protocol h2";
    assert_explained(&mut daemon, sentence, "no-common-protocol");
}

#[test]
fn a_chain_that_the_client_does_not_trust() {
    let mut daemon = daemon();
    s_client_fails(
        &daemon,
        &[
            "-verify_return_error",
            "-no-CAfile",
            "-no-CApath",
            "-no-CAstore",
        ],
    );
    let sentence = "failed: it does not trust the served chain: alert unknown_ca";
    let line = assert_explained(&mut daemon, sentence, "unknown-ca");
    assert_offer_shown(&line);
    assert!(line.contains("TLS 1.3"), "{line}");
}

#[test]
fn plain_http_on_443() {
    let mut daemon = daemon();
    let mut stream = connect(daemon.https);
    // In one piece: the daemon hangs up at the first wrong byte.
    let request = format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    assert_explained(&mut daemon, "HTTP", "not-tls");
}

#[test]
fn a_client_that_says_nothing() {
    let mut daemon = daemon();
    let mut stream = connect(daemon.https);
    let _ = stream.read_to_end(&mut Vec::new());
    let sentence = "failed: it connected and sent nothing in the time allowed";
    assert_explained(&mut daemon, sentence, "timed-out");
}

#[test]
fn a_client_that_closes_after_the_certificate() {
    let mut daemon = daemon();
    let (mut stream, flight) = first_flight(&daemon);
    assert!(flight > standard().pem().len() / 2, "{flight}");
    // Without unread data it is an orderly end, not a reset.
    close_sending(&stream);
    let _ = stream.read_to_end(&mut Vec::new());
    let sentence = "failed: it closed after our certificate: chain too large for it?";
    let line = assert_explained(&mut daemon, sentence, "closed-after-certificate");
    assert_offer_shown(&line);
}

#[test]
fn a_client_that_goes_silent_after_the_certificate() {
    let mut daemon = daemon();
    let (mut stream, _) = first_flight(&daemon);
    let _ = stream.read_to_end(&mut Vec::new());
    let sentence = "failed: it went silent after our certificate";
    assert_explained(&mut daemon, sentence, "timed-out");
}

/// Sends a hello and reads the server's first answer to its end, in bytes.
fn first_flight(daemon: &Daemon) -> (TcpStream, usize) {
    let config = crate::harness::client_config(&standard().root.der, &[&rustls::version::TLS12]);
    let name = ServerName::from(daemon.https.ip());
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut stream = connect(daemon.https);
    client.write_tls(&mut stream).unwrap();
    let mut read = 0;
    // ServerHelloDone is understood: the client wants to send its key.
    while !client.wants_write() {
        read += client.read_tls(&mut stream).unwrap();
        client.process_new_packets().unwrap();
    }
    (stream, read)
}

#[test]
fn a_client_that_closes_before_it_says_anything_is_no_event() {
    let mut daemon = daemon();
    for _ in 0..10 {
        drop(connect(daemon.https));
    }
    let labels = [("reason", "closed-before-hello")];
    daemon.wait_for_metric("tls_handshake_failures_total", &labels, 10);
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert!(!log.contains("TLS handshake with"), "{log}");
}

const DEVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
const SUSPICION: &str = "127.0.0.9 has fetched the announcement 3 times without a TLS session";

#[test]
fn a_device_that_only_ever_fetches_the_announcement_is_reported_once() {
    let mut daemon = daemon();
    for _ in 0..6 {
        assert_eq!(get_from(DEVICE, daemon.http, ANNOUNCEMENT).status(), 200);
    }
    let line = daemon.wait_for(SUSPICION);
    assert!(line.contains("WARN"), "{line}");
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert_eq!(
        log.matches("times without a TLS session").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_tls_session_clears_the_suspicion() {
    let daemon = daemon();
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(get_from(DEVICE, daemon.http, ANNOUNCEMENT).status(), 200);
        }
        let name = ServerName::from(daemon.https.ip());
        let session = ClientConnection::new(trusting(&standard().root.der), name).unwrap();
        let mut tls = StreamOwned::new(session, connect_from(DEVICE, daemon.https));
        write!(tls, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(crate::harness::read_answer(&mut tls).status(), 404);
    }
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert!(!log.contains("without a TLS session"), "{log}");
}

/// Behind a balancer, the two ports need not lead to the same host.
#[test]
fn a_tls_session_at_another_host_clears_the_suspicion() {
    let Some(server) = postgres() else { return };
    let url = server.create_database().url();
    let line = format!("database_url = \"{url}\"\n");
    let (one, other) = (Host::start(&line), Host::start(&line));
    let batch = r#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"}]}"#;
    let serial = "0123456789ABCDEF";
    let audit = format!("/swordfish/lock/audit?sn={serial}");
    assert_eq!(other.call("POST", &audit, batch).status(), 201);
    let config = trusting(&standard().root.der);
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(get(one.daemon.http, ANNOUNCEMENT).status(), 200);
        }
        let session = || one.installation.record(serial)["tls"]["at"].clone();
        let before = session();
        let database = format!("/swordfish/lock/db/0?sn={serial}");
        let answer = tls_get(other.daemon.https, &config, &database);
        assert_eq!(answer.status(), 200);
        let deadline = Instant::now() + Duration::from_secs(30);
        while session() == before {
            assert!(Instant::now() < deadline);
        }
    }
    let (_, log) = one.stop();
    assert!(!log.contains("without a TLS session"), "{log}");
}

#[test]
fn handshakes_are_counted_by_version_and_cipher() {
    let mut daemon = daemon();
    for (config, version) in [
        (trusting(&standard().root.der), "1.3"),
        (
            crate::harness::client_config(&standard().root.der, &[&rustls::version::TLS12]),
            "1.2",
        ),
    ] {
        let mut tls = tls_connect(daemon.https, &config);
        tls.flush().unwrap();
        let cipher = tls.conn.negotiated_cipher_suite().unwrap().suite();
        let cipher = cipher.as_str().unwrap();
        let labels = [("version", version), ("cipher", cipher)];
        daemon.wait_for_metric("tls_handshakes_total", &labels, 1);
    }
}
