//! Who may call, on which listener, and what a caller is filed under.

use std::io::Write;
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{AUDIT, DEVICE, NO_DATABASE, of_device};
use crate::harness::{
    Daemon, Host, Response, connect_from, get, get_from, program, read_answer, read_to_end,
    request, run_with_input, wire_text,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";
const PASSWORD: &str = "the lock's own";

pub(super) fn batch(number: u32) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{number:08X}","time":"20051013130309"}}]}}"#)
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        STANDARD.encode(format!("{user}:{password}"))
    )
}

/// The line of a credentials file, made as an operator makes it.
fn credential(device: &str, password: &str) -> String {
    let made = run_with_input(
        program().args(["devices", "credential", device]),
        format!("{password}\n").as_bytes(),
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr_text());
    made.stdout_text()
}

fn with_credentials() -> Host {
    let installation = Host::installation("credentials_file = \"credentials\"");
    installation.write("credentials", credential(DEVICE, PASSWORD));
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

fn status_of(host: &Host, headers: &str) -> u16 {
    host.call_with(headers, "GET", NO_DATABASE, "").status()
}

#[test]
fn clear_text_is_refused_with_a_line_that_says_why() {
    let installation = Host::installation("");
    installation.edit("plain_http = true\n", "");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    for (method, target, body) in [
        ("POST", AUDIT, batch(1)),
        ("PUT", super::CONFIG, "{}".to_owned()),
        ("GET", NO_DATABASE, String::new()),
        ("POST", super::ALERT, batch(1)),
    ] {
        let answer = host.call(method, &of_device(target), body);
        assert_eq!(answer.status(), 404, "{target}");
    }
    let line = host.daemon.wait_for("on the plain listener refused");
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("would travel in clear"), "{line}");
    assert!(line.contains("plain_http = true"), "{line}");
    let other = get_from([127, 0, 0, 2], host.daemon.http, ANNOUNCEMENT);
    assert_eq!(other.status(), 200);
    assert_eq!(host.installation.known(), Vec::<String>::new());
}

#[test]
fn a_switched_off_call_in_is_not_found_and_writes_nothing() {
    let host = Host::start("directory = \"\"");
    for (method, target) in [
        ("POST", AUDIT),
        ("GET", NO_DATABASE),
        ("PUT", super::CONFIG),
    ] {
        let answer = host.call(method, target, batch(1));
        assert_eq!(answer.status(), 404, "{target}");
        assert_eq!(answer.body, br#"{"error":"not found"}"#);
    }
    assert!(!host.installation.path("Engage_Data").exists());
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
}

#[test]
fn a_caller_is_its_user_name_before_its_parameter_before_its_address() {
    let host = Host::start("");
    let user = basic("aabbccddeeff0011", "x");
    // "ASNFZ4mrze8=" is Base64 of the bytes 01 23 .. EF.
    for (number, headers, query, device) in [
        (1, user.as_str(), "?sn=0123456789abcdef", "AABBCCDDEEFF0011"),
        (2, "", "?x=1&serialNumber=ASNFZ4mrze8%3D", DEVICE),
        (
            3,
            "",
            "?SN=00112233445566778899aabbccddeeff",
            "00112233445566778899AABBCCDDEEFF",
        ),
        (
            4,
            &basic("admin", "x"),
            "?sn=../../etc/passwd",
            "addr-127.0.0.1",
        ),
    ] {
        let answer = host.call_with(headers, "POST", &format!("{AUDIT}{query}"), batch(number));
        assert_eq!(answer.status(), 201, "{device}");
        let audits = host.audits(device);
        assert_eq!(audits.len(), 1, "{device}");
        assert_eq!(audits[0]["event"], format!("{number:08X}"), "{device}");
    }
    let mut other = connect_from([127, 0, 0, 2], host.daemon.http);
    let call = request("POST", AUDIT, "Connection: close\r\n", batch(5).as_bytes());
    other.write_all(&call).unwrap();
    assert_eq!(Response::parse(&read_to_end(&mut other)).status(), 201);
    assert_eq!(host.audits("addr-127.0.0.2").len(), 1);
}

#[test]
fn without_the_right_credentials_a_call_is_unauthorized() {
    let mut host = with_credentials();
    for headers in [
        String::new(),
        basic("FFFFFFFFFFFFFFFF", PASSWORD),
        basic(DEVICE, "another"),
        basic("admin", PASSWORD),
        "Authorization: Bearer x\r\n".to_owned(),
    ] {
        let answer = host.call_with(&headers, "POST", &of_device(AUDIT), batch(1));
        let text = wire_text(format!("{}\r\n", answer.head).as_bytes());
        assert!(
            text.starts_with("HTTP/1.1 401 Unauthorized\\r\\n"),
            "{text}"
        );
        assert_eq!(
            // Names are of any case (RFC 9110 section 5.1), and this is hyper's.
            answer.header("Www-Authenticate"),
            Some("Basic realm=\"engage-host\""),
            "{text}"
        );
        assert_eq!(answer.body, br#"{"error":"unauthorized"}"#);
    }
    assert_eq!(host.installation.known(), Vec::<String>::new());
    let line = host.daemon.wait_for("call-in from 127.0.0.1");
    assert!(line.contains("refused: no credentials"), "{line}");
    let answer = host.call_with(
        &basic("0123456789abcdef", PASSWORD),
        "POST",
        AUDIT,
        batch(1),
    );
    assert_eq!(answer.status(), 201);
    assert_eq!(host.audits(DEVICE).len(), 1);
}

#[test]
fn ten_wrong_passwords_make_an_address_wait_and_no_other() {
    let host = with_credentials();
    let right = basic(DEVICE, PASSWORD);
    assert_eq!(status_of(&host, &right), 200);
    for guess in 0..10 {
        assert_eq!(status_of(&host, &basic(DEVICE, &guess.to_string())), 401);
    }
    assert_eq!(status_of(&host, &right), 401, "this address has to wait");
    let mut other = connect_from([127, 0, 0, 2], host.daemon.http);
    let headers = format!("{right}Connection: close\r\n");
    other
        .write_all(&request("GET", NO_DATABASE, &headers, b""))
        .unwrap();
    assert_eq!(Response::parse(&read_to_end(&mut other)).status(), 200);
}

#[test]
fn a_changed_credentials_file_is_in_force_after_the_reload() {
    let mut host = with_credentials();
    let (old, new) = (basic(DEVICE, PASSWORD), basic(DEVICE, "new one"));
    assert_eq!((status_of(&host, &old), status_of(&host, &new)), (200, 401));
    host.installation
        .write("credentials", credential(DEVICE, "new one"));
    host.daemon.wait_for("reloaded: new connections");
    assert_eq!((status_of(&host, &old), status_of(&host, &new)), (401, 200));
    // A bad one is refused, and the last good one stays.
    for (bad, reason) in [("0123 $argon2id$\n", "line 1"), ("", "names no device")] {
        host.installation.write("credentials", bad);
        host.daemon.hang_up();
        let line = host.daemon.wait_for(reason);
        assert!(line.contains("reload refused"), "{line}");
        assert_eq!(status_of(&host, &new), 200);
    }
}

#[test]
fn one_line_that_was_cut_stops_neither_the_start_nor_a_reload_nor_other_devices() {
    let installation = Host::installation("credentials_file = \"credentials\"");
    let good = credential(DEVICE, PASSWORD);
    let cut = &credential("00000000000000FF", PASSWORD)[..60];
    installation.write("credentials", format!("{cut}\n{good}"));
    let checked = installation.check(&[]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout_text());
    let said = checked.stdout_text();
    assert!(
        said.contains("warning[malformed-credentials]: ") && said.contains("line 1"),
        "{said}"
    );
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let line = host.daemon.wait_for("line 1 has no Argon2id hash");
    assert!(line.contains("WARN"), "{line}");
    assert_eq!(status_of(&host, &basic(DEVICE, PASSWORD)), 200);
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 200);
    let said = String::from_utf8(readiness.body).unwrap();
    assert!(
        said.starts_with("ready\nwarning: credentials file `") && said.contains("line 1"),
        "{said}"
    );
    let new = credential(DEVICE, "new one");
    host.installation
        .write("credentials", format!("{new}\n{cut}"));
    host.daemon.wait_for("reloaded: new connections");
    assert_eq!(status_of(&host, &basic(DEVICE, "new one")), 200);
}

#[test]
fn without_credentials_that_can_be_used_nobody_calls_in_and_certificates_are_served() {
    assert_nobody_calls_in(&format!("{DEVICE} secret-in-clear\n"), "line 1");
    assert_nobody_calls_in("", "names no device");
}

fn assert_nobody_calls_in(file: &str, reason: &str) {
    let installation = Host::installation("credentials_file = \"credentials\"");
    installation.write("credentials", file);
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let line = host
        .daemon
        .wait_for("call-ins are answered 503 until the credentials can be read");
    assert!(line.contains("ERROR") && line.contains(reason), "{line}");
    assert!(!line.contains("secret-in-clear"), "{line}");
    assert_eq!(get(host.daemon.http, ANNOUNCEMENT).status(), 200);
    let login = basic(DEVICE, PASSWORD);
    assert_eq!(status_of(&host, &login), 503);
    assert_eq!(status_of(&host, ""), 503);
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 503);
    let said = String::from_utf8(readiness.body).unwrap();
    assert!(
        said.contains("the credentials file cannot be used"),
        "{said}"
    );
    // `check` says the same.
    let checked = host.installation.check(&[]);
    assert_eq!(checked.code, Some(1));
    let said = checked.stdout_text();
    assert!(said.contains(reason), "{said}");
    // Mended, it is used without a restart.
    let good = credential(DEVICE, PASSWORD);
    host.installation.write("credentials", good);
    host.daemon.wait_for("reloaded: new connections");
    assert_eq!(status_of(&host, &login), 200);
}

/// A connection that a balancer passes on for a caller.
pub(super) fn passed_on(host: &Host, caller: &str) -> TcpStream {
    let mut stream = connect_from([127, 0, 0, 2], host.daemon.http);
    write!(stream, "PROXY TCP4 {caller} 10.0.0.1 49152 80\r\n").unwrap();
    stream
}

/// Delivers an audit for a serial number that anybody can make up.
fn deliver(stream: &mut TcpStream, serial: u32, headers: &str) -> u16 {
    answer(stream, serial, headers).status()
}

fn answer(stream: &mut TcpStream, serial: u32, headers: &str) -> Response {
    let target = format!("{AUDIT}?sn={serial:016X}");
    let call = request("POST", &target, headers, batch(serial).as_bytes());
    stream.write_all(&call).unwrap();
    read_answer(stream)
}

/// A daemon behind a balancer at 127.0.0.2.
pub(super) fn behind_balancer(devices: &str, limits: &str) -> Host {
    let installation = Host::installation(devices);
    installation.set("[limits]", limits);
    installation.set("[access]", "proxy_protocol_from = [\"127.0.0.2\"]");
    installation.write("credentials", credential(DEVICE, PASSWORD));
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

#[test]
fn who_makes_up_serial_numbers_is_stopped_and_keeps_nobody_else_out() {
    let mut host = behind_balancer("", "");
    let mut stranger = passed_on(&host, "10.66.0.1");
    for serial in 0..500 {
        assert_eq!(deliver(&mut stranger, serial, ""), 201, "{serial}");
    }
    for serial in 500..520 {
        let refused = answer(&mut stranger, serial, "");
        assert_eq!(refused.status(), 503, "{serial}");
        assert_eq!(refused.body, br#"{"error":"too many new devices"}"#);
    }
    // Neither those whom it brought before, nor others.
    assert_eq!(deliver(&mut stranger, 7, ""), 202);
    let mut other = passed_on(&host, "10.66.0.2");
    assert_eq!(deliver(&mut other, 500, ""), 201);
    let line = host
        .daemon
        .wait_for("one of too many new ones from 10.66.0.1");
    assert!(line.contains("allowed: 500 new devices an hour"), "{line}");
    let labels = [("limit", "new_devices")];
    host.daemon.wait_for_metric("refusals_total", &labels, 20);
    assert_eq!(host.readiness().status(), 200);
}

#[test]
fn with_credentials_a_stranger_takes_no_place_at_all() {
    let host = behind_balancer("credentials_file = \"credentials\"", "");
    let mut stranger = passed_on(&host, "10.66.0.1");
    for serial in 0..600 {
        assert_eq!(deliver(&mut stranger, serial, ""), 401, "{serial}");
    }
    let mut genuine = passed_on(&host, "10.66.0.1");
    let call = request("POST", AUDIT, &basic(DEVICE, PASSWORD), batch(1).as_bytes());
    genuine.write_all(&call).unwrap();
    assert_eq!(read_answer(&mut genuine).status(), 201);
    assert_eq!(host.audits(DEVICE).len(), 1);
    assert_eq!(host.installation.known(), [DEVICE]);
}
