//! Traces, exported by the real daemon to a collector on loopback.

mod collector;

use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::harness::{
    Daemon, Host, Installation, SITE_KEY_BASE64, SITE_KEY_HEX, connect, exchange, get, program,
    read_answer, run_with_input, standard, tls_get, trusting,
};
use crate::webhook::{ReceiverOnLoopback, audits};
use collector::{Collector, attribute};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const AUDIT: &str = "/swordfish/lock/audit?sn=0123456789ABCDEF";

/// A host that exports to where `otlp` says, with call-ins in clear text.
fn host(otlp: &str) -> Host {
    let installation = Host::installation("");
    installation.set("[otlp]", otlp);
    serve(installation)
}

fn serve(installation: Installation) -> Host {
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

fn named(name: &'static str) -> impl Fn(&Value) -> bool {
    move |span| span["name"] == name
}

fn nanos(span: &Value, member: &str) -> u64 {
    span[member].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_request_is_a_span_with_what_is_known_of_it_and_no_stranger_chooses_its_trace() {
    let mut collector = Collector::start();
    let host = host(&collector.endpoint());
    let foreign = "4bf92f3577b34da6a3ce929d0e0e4737";
    exchange(
        host.daemon.http,
        format!(
            "GET {ANNOUNCEMENT}?sn=0123456789ABCDEF HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             traceparent: 00-{foreign}-00f067aa0ba902b7-01\r\n\r\n"
        ),
    );
    let span = collector.wait_for(named("GET /swordfish/lock/certificates/current"));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", ANNOUNCEMENT),
        ("url.path", ANNOUNCEMENT),
        ("url.scheme", "http"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.name", "http"),
        ("network.protocol.version", "1.1"),
        ("device.serial", "0123456789ABCDEF"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(span["kind"], 2);
    assert_eq!(span["parentSpanId"], Value::Null);
    assert_ne!(span["traceId"], foreign);
    assert!(nanos(&span, "startTimeUnixNano") <= nanos(&span, "endTimeUnixNano"));
    // Over TLS, and of a path that is none.
    let config = trusting(&standard().root.der);
    assert_eq!(tls_get(host.daemon.https, &config, "/no?a=b").status(), 404);
    let span = collector.wait_for(named("GET"));
    let of = |key| attribute(&span, key);
    assert_eq!(of("url.scheme").as_deref(), Some("https"));
    assert_eq!(of("tls.protocol.version").as_deref(), Some("1.3"));
    assert_eq!(of("url.path").as_deref(), Some("/no"));
    assert_eq!(of("http.route"), None);
    assert_eq!(of("http.response.status_code").as_deref(), Some("404"));
}

#[test]
fn a_call_in_has_children_where_its_time_goes() {
    let mut collector = Collector::start();
    let host = host(&collector.endpoint());
    assert_eq!(host.call("POST", AUDIT, audits([1])).status(), 201);
    let request = collector.wait_for(named("POST /swordfish/lock/audit"));
    for name in ["read body", "parse", "store"] {
        let child = collector.wait_for(named(name));
        assert_eq!(child["kind"], 1);
        assert_eq!(child["traceId"], request["traceId"], "{name}");
        assert_eq!(child["parentSpanId"], request["spanId"], "{name}");
        assert_ne!(child["spanId"], request["spanId"], "{name}");
        let (start, end) = ("startTimeUnixNano", "endTimeUnixNano");
        assert!(nanos(&request, start) <= nanos(&child, start), "{name}");
        assert!(nanos(&child, start) <= nanos(&child, end), "{name}");
        assert!(nanos(&child, end) <= nanos(&request, end), "{name}");
    }
}

#[test]
fn an_attempt_to_deliver_is_the_span_that_its_receiver_sees_and_names_the_requests_that_brought_it()
{
    let mut collector = Collector::start();
    let attempts = AtomicUsize::new(0);
    let receiver = ReceiverOnLoopback::start_deciding(move |_| {
        match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => 500,
            _ => 204,
        }
    });
    let url = format!("http://{}/hook?token=secret", receiver.address);
    let installation = crate::webhook::installation("", &url);
    installation.set("[otlp]", &collector.endpoint());
    let host = serve(installation);
    assert_eq!(host.call("POST", AUDIT, audits([1])).status(), 201);
    let request = collector.wait_for(named("POST /swordfish/lock/audit"));
    let mut trace = None;
    for (status, code) in [("500", 2.into()), ("204", Value::Null)] {
        let delivery = receiver.next();
        let traceparent = delivery
            .head
            .lines()
            .find_map(|it| it.strip_prefix("traceparent: "));
        let fields: Vec<_> = traceparent.unwrap().split('-').collect();
        let span = collector.wait_for(|span| span["spanId"] == fields[2]);
        assert_eq!(span["traceId"], fields[1]);
        assert_eq!(span["kind"], 3);
        assert_eq!(span["status"]["code"], code);
        let of = |key| attribute(&span, key);
        assert_eq!(of("http.response.status_code").as_deref(), Some(status));
        assert_eq!(of("server.port"), Some(receiver.address.port().to_string()));
        assert_eq!(of("device.serial").as_deref(), Some("0123456789ABCDEF"));
        assert_eq!(of("engage.events").as_deref(), Some("1"));
        assert_eq!(span["links"].as_array().unwrap().len(), 1);
        for member in ["traceId", "spanId"] {
            assert_eq!(span["links"][0][member], request[member], "{member}");
        }
        assert!(!span.to_string().contains("token"), "{span}");
        // Attempts are one trace.
        let before = trace.replace(fields[1].to_owned());
        assert!(before.is_none_or(|before| before == fields[1]));
    }
    // What comes again is not stored again, and is another request.
    assert_eq!(host.call("POST", AUDIT, audits([1])).status(), 202);
    let again = collector.wait_for(|span| {
        named("POST /swordfish/lock/audit")(span) && span["traceId"] != request["traceId"]
    });
    assert_eq!(
        attribute(&again, "http.response.status_code").as_deref(),
        Some("202")
    );
}

#[test]
fn without_the_section_nothing_is_recorded_and_nobody_is_connected_to() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let installation = Host::installation("");
    // What the SDKs of OpenTelemetry go by.
    let daemon = Daemon::start_with(&installation, |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    });
    let mut host = Host {
        installation,
        daemon,
    };
    assert_eq!(host.call("POST", AUDIT, audits([1])).status(), 201);
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    assert_eq!(host.daemon.metrics().sum("spans_total", &[]), 0);
    let (_, log) = host.stop();
    assert!(!log.contains("traces"), "{log}");
    listener.set_nonblocking(true).unwrap();
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_collector_that_never_answers_delays_neither_an_announcement_nor_the_stop_and_is_counted() {
    let collector = Collector::start_deciding(|| None);
    let mut host = host(&collector.endpoint());
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    // From now on one batch is under way, and the queue fills.
    collector.next();
    let mut connection = connect(host.daemon.http);
    let ask = format!("GET {ANNOUNCEMENT} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut slowest = Duration::ZERO;
    for _ in 0..4000 {
        let started = Instant::now();
        connection.write_all(ask.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut connection).status(), 200);
        slowest = slowest.max(started.elapsed());
    }
    // The collector has 10 s.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let full = [("result", "queue_full")];
    host.daemon.wait_for_metric("spans_total", &full, 1000);
    let line = host.daemon.wait_for("a span is dropped");
    assert!(line.contains("WARN"), "{line}");
    let stopping = Instant::now();
    let (_, log) = host.stop();
    let time = stopping.elapsed();
    assert!(time < Duration::from_secs(6), "{time:?}");
    assert!(
        log.contains("the collector did not take them in time"),
        "{log}"
    );
}

#[test]
fn what_was_recorded_before_the_stop_is_exported() {
    let mut collector = Collector::start();
    let host = host(&collector.endpoint());
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    let (_, log) = host.stop();
    assert!(!log.contains("dropped"), "{log}");
    assert!(collector.spans().iter().any(|span| span["kind"] == 2));
}

#[test]
fn what_a_collector_refuses_is_dropped_and_counted_and_what_it_could_not_take_comes_again() {
    let requests = AtomicUsize::new(0);
    let collector = Collector::start_deciding(move || {
        Some(match requests.fetch_add(1, Ordering::Relaxed) {
            0 => 404,
            1 => 503,
            _ => 200,
        })
    });
    let mut host = host(&collector.endpoint());
    let of = |host: &mut Host, result| {
        let reading = host.daemon.metrics();
        reading.sum("spans_total", &[("result", result)])
    };
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    let line = host
        .daemon
        .wait_for("does not take traces: it answered 404");
    assert!(
        line.contains("WARN") && line.contains("/v1/traces"),
        "{line}"
    );
    host.daemon
        .wait_for_metric("spans_total", &[("result", "refused")], 1);
    assert_eq!(of(&mut host, "exported"), 0);
    collector.next();
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    let unavailable = collector.next();
    let again = collector.next();
    assert_eq!(unavailable.body, again.body);
    host.daemon.wait_for("takes traces again");
    host.daemon
        .wait_for_metric("spans_total", &[("result", "exported")], 1);
    assert_eq!(of(&mut host, "refused"), 1);
}

#[test]
fn the_collector_gets_its_token_under_tls_and_the_log_does_not() {
    let collector = Collector::start_tls();
    let installation = Host::installation("");
    installation.write(
        "otlp.headers",
        "# of the collector\nAuthorization: Bearer the-token\n",
    );
    installation.write("collector.pem", standard().root.pem.as_str());
    let otlp = format!(
        "endpoint = \"https://{}/v1/traces?api=the-key\"\nheaders_file = \"otlp.headers\"\nca_file = \"collector.pem\"",
        collector.address
    );
    installation.set("[otlp]", &otlp);
    let daemon = Daemon::start_with(&installation, |command| {
        command.env("RUST_LOG", "trace");
    });
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    let post = collector.next();
    let first = "POST /v1/traces?api=the-key HTTP/1.1\r\n";
    assert!(post.head.starts_with(first), "{}", post.head);
    assert!(
        post.head.contains("authorization: Bearer the-token\r\n"),
        "{}",
        post.head
    );
    assert!(
        post.head.contains("content-type: application/json\r\n"),
        "{}",
        post.head
    );
    let resource = &post.json()["resourceSpans"][0]["resource"];
    assert_eq!(
        attribute(resource, "service.name").as_deref(),
        Some("engage-host")
    );
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert!(log.contains("exporting traces to https://"), "{log}");
    for secret in ["the-token", "the-key"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_file_that_cannot_be_used_holds_up_traces_and_nothing_else() {
    let mut collector = Collector::start();
    let installation = Host::installation("");
    installation.write("otlp.headers", "the-token\n");
    let otlp = format!("{}\nheaders_file = \"otlp.headers\"", collector.endpoint());
    installation.set("[otlp]", &otlp);
    assert_eq!(installation.refusal_codes(), ["otlp-header-malformed"]);
    let mut host = serve(installation);
    let line = host
        .daemon
        .wait_for("traces are not exported until this is mended");
    assert!(
        line.contains("ERROR") && line.contains("line 1 of"),
        "{line}"
    );
    assert!(!line.contains("the-token"), "{line}");
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    // Mended, it is used without a restart, and what waited is exported.
    host.installation
        .write("otlp.headers", "X-Token: the-token\n");
    host.daemon.wait_for("exporting traces to");
    collector.wait_for(named("GET /swordfish/lock/certificates/current"));
}

#[test]
fn of_requests_only_the_sampled_are_exported_but_every_delivery_is() {
    let mut collector = Collector::start();
    let receiver = ReceiverOnLoopback::start_deciding(|_| 200);
    let url = format!("http://{}/", receiver.address);
    let installation = crate::webhook::installation("", &url);
    let otlp = format!("{}\nsample_ratio = 0.000000001", collector.endpoint());
    installation.set("[otlp]", &otlp);
    let host = serve(installation);
    for _ in 0..100 {
        assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    }
    assert_eq!(host.call("POST", AUDIT, audits([1])).status(), 201);
    collector.wait_for(|span| span["kind"] == 3);
    drop(host.stop());
    assert_eq!(collector.spans().len(), 1, "{:?}", collector.spans());
}

/// Whatever a device sends besides its path.
#[test]
fn no_secret_is_exported() {
    const DEVICE: &str = "0123456789ABCDEF";
    let collector = Collector::start();
    let installation = Host::installation("credentials_file = \"credentials\"");
    let made = run_with_input(
        program().args(["devices", "credential", DEVICE]),
        b"the lock's own\n",
    );
    installation.write("credentials", made.stdout_text());
    installation.set("[otlp]", &collector.endpoint());
    let host = serve(installation);
    let basic = STANDARD.encode(format!("{DEVICE}:the lock's own"));
    let wrong = STANDARD.encode(format!("{DEVICE}:a wrong guess"));
    let config = r#"{"wifi":{"ssid":"the-network","psk":"the-passphrase"}}"#;
    let target = "/swordfish/lock/Config?key=in-the-query";
    for (login, status) in [(&basic, 200), (&wrong, 401)] {
        let login = format!("Authorization: Basic {login}\r\nCookie: a=in-a-cookie\r\n");
        let answer = host.call_with(&login, "PUT", target, config);
        assert_eq!(answer.status(), status);
    }
    let hash = get(host.daemon.http, ANNOUNCEMENT).json("hash");
    drop(host.stop());
    let mut exported = String::new();
    while exported.matches("\"parse\"").count() < 1 || !exported.contains("\"401\"") {
        exported.push_str(&String::from_utf8(collector.next().body).unwrap());
    }
    assert!(exported.contains("\"authenticate\""), "{exported}");
    for secret in [
        &*basic,
        &wrong,
        "the lock",
        "a wrong guess",
        "the-network",
        "the-passphrase",
        "in-the-query",
        "in-a-cookie",
        SITE_KEY_BASE64,
        SITE_KEY_HEX,
        &hash,
        "Basic",
    ] {
        assert!(!exported.contains(secret), "{secret} in {exported}");
    }
}
