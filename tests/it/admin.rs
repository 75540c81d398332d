//! Health and metrics, on a port of their own.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use engage_wire::paths;

use crate::harness::{
    Daemon, Installation, Response, exchange, get, run_with_input, standard, tls_get, trusting,
};

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
    // The listeners do not wait for a slow disk.
    let deadline = Instant::now() + Duration::from_secs(30);
    while get(admin, "/readyz").status() != 200 {
        assert!(Instant::now() < deadline, "not ready");
        thread::yield_now();
    }
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
    assert!(line.contains("has port 9480"), "{line}");
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

/// `/metrics`, as a scraper that sends `headers` gets it.
fn metrics(daemon: &mut Daemon, headers: &str) -> Response {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    Response::parse(&exchange(daemon.admin(), request))
}

#[test]
fn the_metrics_are_open_metrics_text_for_who_asks_for_it() {
    let mut daemon = daemon();
    get(daemon.http, ANNOUNCEMENT);
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n";
    let answer = metrics(&mut daemon, accept);
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
fn the_metrics_are_the_text_format_for_everybody_else() {
    let mut daemon = daemon();
    get(daemon.http, ANNOUNCEMENT);
    for accept in [
        "",
        "Accept: */*\r\n",
        "Accept: text/plain;version=0.0.4\r\n",
    ] {
        let answer = metrics(&mut daemon, accept);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8"),
            "{accept}"
        );
        let text = String::from_utf8(answer.body).unwrap();
        assert_text_format(&text);
        assert_promtool_takes(&text);
    }
}

/// Every sample stands below the `HELP` and `TYPE` of its own name, or of the histogram it is of.
fn assert_text_format(text: &str) {
    let mut described = "";
    for line in text.lines() {
        if let Some(description) = line.strip_prefix("# TYPE ") {
            let (name, kind) = description.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(text.contains(&format!("# HELP {name} ")), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            described = name;
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let part = name.strip_prefix(described).unwrap_or(name);
            assert!(["", "_bucket", "_sum", "_count"].contains(&part), "{line}");
        } else {
            assert!(line.starts_with("# HELP "), "{line}");
        }
    }
}

/// Where Prometheus is installed, its own tool judges too.
fn assert_promtool_takes(text: &str) {
    if !std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("promtool").is_file())
    }) {
        return;
    }
    let mut promtool = Command::new("promtool");
    let judged = run_with_input(promtool.args(["check", "metrics"]), text.as_bytes());
    // 3: it would have named something otherwise.
    let said = judged.stderr_text();
    assert!(judged.code == Some(0) || judged.code == Some(3), "{said}");
    assert!(!said.contains("error"), "{said}");
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

fn ask_for(daemon: &mut Daemon, host: &str) -> Response {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Response::parse(&exchange(daemon.admin(), request))
}

/// A page can point its own name at this computer and have a visitor's browser ask for it.
#[test]
fn a_name_that_somebody_points_here_reads_nothing() {
    let installation = Installation::new(standard()).with_admin();
    installation.edit("[admin]", "[admin]\nhosts = [\"metrics.example.com\"]");
    let mut daemon = Daemon::start(&installation);
    let port = daemon.admin().port();
    for host in [
        "attacker.example",
        &format!("attacker.example:{port}"),
        "localhost.attacker.example",
    ] {
        let answer = ask_for(&mut daemon, host);
        assert_eq!(answer.status(), 421, "{host}");
        let body = String::from_utf8(answer.body).unwrap();
        assert!(
            body.contains(&format!("`{host}`")) && body.contains("`[admin] hosts`"),
            "{body}"
        );
        assert!(!body.contains("engage_host_"), "{body}");
    }
    for host in [
        "localhost",
        &format!("127.0.0.1:{port}"),
        "[::1]",
        "10.0.0.5",
        "metrics.example.com",
    ] {
        assert_eq!(ask_for(&mut daemon, host).status(), 200, "{host}");
    }
    for head in [
        "GET /metrics HTTP/1.1\r\nHost: localhost:80@x\r\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
        "GET /metrics HTTP/1.1\r\n",
        "GET http://localhost:80@x/metrics HTTP/1.1\r\nHost: localhost\r\n",
    ] {
        let said = exchange(daemon.admin(), format!("{head}Connection: close\r\n\r\n"));
        let answer = Response::parse(&said);
        assert_eq!(answer.status(), 400, "{head}");
        assert!(
            !String::from_utf8(answer.body)
                .unwrap()
                .contains("engage_host_")
        );
    }
    // A health check of HTTP/1.0 names no host, and is no browser.
    let old = exchange(daemon.admin(), "GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(Response::parse(&old).status(), 200);
    daemon.wait_for("request on the admin listener refused: `attacker.example` is not a host");
    let labels = [("listener", "admin"), ("limit", "hosts")];
    assert_eq!(daemon.metrics().sum("refusals_total", &labels), 7);
}

/// No route answers `PATCH`: 405 is a path that the router knows, 404 one that it does not.
#[test]
fn a_request_is_counted_by_the_route_that_the_router_finds() {
    let call_ins = Installation::new(standard()).with_admin();
    let certificates_only = Installation::new(standard()).with_admin();
    certificates_only.set("[devices]", "directory = \"\"");
    for (installation, call_in) in [(call_ins, "405"), (certificates_only, "404")] {
        let mut daemon = Daemon::start(&installation);
        let below = |folder, name| format!("{folder}{name}");
        for (path, route, status) in [
            (paths::ANNOUNCEMENT.to_owned(), "announcement", "405"),
            (below(paths::CERTIFICATES, "x"), "certificate", "405"),
            (below(paths::CERTIFICATES, "%2e"), "certificate", "405"),
            (paths::AUDIT.to_owned(), "audit", call_in),
            (paths::ALERT.to_owned(), "alert", call_in),
            (paths::CONFIG[0].to_owned(), "config", call_in),
            (paths::CONFIG[1].to_owned(), "config", call_in),
            (below(paths::DATABASE, "0"), "database", call_in),
            (below(paths::CERTIFICATES, ""), "", "404"),
            (below(paths::CERTIFICATES, "x/"), "", "404"),
            (below(paths::CERTIFICATES, "x/y"), "", "404"),
            (below(paths::DATABASE, ""), "", "404"),
            (below(paths::DATABASE, "0/1"), "", "404"),
            (below(paths::ANNOUNCEMENT, "/"), "", "404"),
            (below(paths::AUDIT, "x"), "", "404"),
            ("/".to_owned(), "", "404"),
        ] {
            let route = if status == "404" { "unknown" } else { route };
            let labels = [("route", route), ("status", status)];
            let before = daemon.metrics().sum("requests_total", &labels);
            let request = format!("PATCH {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            exchange(daemon.http, request);
            let after = daemon.metrics().sum("requests_total", &labels);
            assert_eq!(after, before + 1, "{path} {labels:?}");
        }
    }
}
