//! Health and metrics, on a port of their own.

use std::net::TcpListener;

use crate::harness::{Daemon, Installation, exchange, get, standard, tls_get, trusting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";

fn daemon() -> Daemon {
    Daemon::start(&Installation::new(standard()).with_admin())
}

#[test]
fn health_is_answered_on_the_admin_port_and_nowhere_else() {
    let mut daemon = daemon();
    let admin = daemon.admin();
    let config = trusting(&standard().root.der);
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = get(admin, path);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body, body.as_bytes());
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(daemon.http, path).status(), 404, "{path}");
        assert_eq!(tls_get(daemon.https, &config, path).status(), 404, "{path}");
    }
    // Nor the other way round.
    for path in [ANNOUNCEMENT, CERTIFICATE, "/"] {
        assert_eq!(get(admin, path).status(), 404, "{path}");
    }
}

#[test]
fn an_empty_address_switches_it_off() {
    let daemon = Daemon::start(&Installation::new(standard()));
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert!(!log.contains("admin"), "{log}");
}

#[test]
fn the_default_address_in_use_does_not_keep_doors_closed() {
    let installation = Installation::new(standard());
    installation.edit("[admin]\nlisten = \"\"", "");
    // Perhaps somebody else has it: then it is taken all the same.
    let _taken = TcpListener::bind("127.0.0.1:9480");
    let mut daemon = Daemon::start(&installation);
    let line = daemon.wait_for("no admin listener: failed to listen on admin://127.0.0.1:9480");
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("another program has port 9480"), "{line}");
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}

#[test]
fn a_configured_address_in_use_keeps_the_daemon_from_starting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let installation = Installation::new(standard());
    installation.edit(
        "[admin]\nlisten = \"\"",
        &format!("[admin]\nlisten = \"{address}\""),
    );
    let refused = installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    let stderr = refused.stderr_text();
    assert!(
        stderr.contains(&format!("failed to listen on admin://{address}")),
        "{stderr}"
    );
    assert!(stderr.contains("`[admin] listen`"), "{stderr}");
}

#[test]
fn the_metrics_are_open_metrics_text() {
    let mut daemon = daemon();
    get(daemon.http, ANNOUNCEMENT);
    let answer = get(daemon.admin(), "/metrics");
    let kind = answer.header("content-type").unwrap();
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    // Every family is explained before its samples.
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(name.starts_with("engage_host_"), "{line}");
        assert!(text.contains(&format!("# HELP {name} ")), "{line}");
    }
    let reading = daemon.metrics();
    for name in [
        "engage_host_requests_total",
        "engage_host_request_duration_seconds",
        "engage_host_announcement_fetches_total",
        "engage_host_open_connections",
        "engage_host_certificate_not_after_timestamp_seconds",
        "engage_host_chain_size_bytes",
        "engage_host_build_info",
    ] {
        assert!(reading.names().contains(&name), "{name} is not in {text}");
    }
}

#[test]
fn counters_move_with_what_happens() {
    let mut daemon = daemon();
    let config = trusting(&standard().root.der);
    let request =
        |route, listener, status| [("route", route), ("listener", listener), ("status", status)];
    for _ in 0..3 {
        get(daemon.http, ANNOUNCEMENT);
        tls_get(daemon.https, &config, CERTIFICATE);
    }
    get(daemon.http, "/swordfish");
    exchange(
        daemon.http,
        format!("POST {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    );
    let reading = daemon.metrics();
    for (labels, count) in [
        (request("announcement", "http", "200"), 3),
        (request("announcement", "http", "405"), 1),
        (request("certificate", "https", "200"), 3),
        (request("unknown", "http", "404"), 1),
        (request("announcement", "https", "200"), 0),
    ] {
        assert_eq!(reading.sum("requests_total", &labels), count, "{labels:?}");
    }
    assert_eq!(reading.sum("announcement_fetches_total", &[]), 3);
    assert_eq!(reading.sum("tls_handshakes_total", &[]), 3);
    assert_eq!(
        reading.sum("chain_size_bytes", &[]),
        standard().total_bytes() as u64
    );
    for role in ["server", "intermediate", "root"] {
        let name = "certificate_not_after_timestamp_seconds";
        assert!(
            reading.sum(name, &[("role", role)]) > 1_700_000_000,
            "{role}"
        );
    }
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(reading.sum("build_info", &build), 1);
}

#[test]
fn no_label_holds_a_device_or_its_path() {
    let mut daemon = daemon();
    get(daemon.http, &format!("{ANNOUNCEMENT}?sn=ASNFZ4mrze8="));
    get(daemon.http, "/wombat");
    let text = String::from_utf8(get(daemon.admin(), "/metrics").body).unwrap();
    for device in ["wombat", "0123456789ABCDEF", "ASNFZ4", "127.0.0.1"] {
        assert!(!text.contains(device), "{text}");
    }
}
