//! Bodies that do not end, break off, are too long or too many.

use std::io::Write;

use serde_json::Value;

use super::bodies::{BATCH, members, post};
use super::{AUDIT, DEVICE, of_device};
use crate::harness::{
    Host, Response, close_sending, connect, connect_from, read_to_end, request, standard,
    tls_connect, trusting,
};

/// Whoever breaks off, or never ends, leaves nothing: serial numbers can be invented.
#[test]
fn bodies_that_do_not_end_make_no_records() {
    let host = Host::start("");
    let mut stalled: Vec<_> = (0..128)
        .map(|number| {
            let mut stream = connect(host.daemon.http);
            let target = format!("{AUDIT}?sn={number:016X}");
            let head = request("POST", &target, "Content-Length: 100\r\n", b"");
            stream.write_all(&head).unwrap();
            stream.write_all(b"{").unwrap();
            stream
        })
        .collect();
    // Read by now: they came before.
    assert_eq!(post(&host, BATCH).status(), 201);
    let last = stalled.pop().unwrap();
    close_sending(&last);
    drop(last);
    host.daemon.terminate();
    drop(stalled);
    let (installation, _) = host.stop();
    assert_eq!(installation.known(), [DEVICE]);
    // What was seen of the device that did deliver is in its record.
    assert_eq!(installation.record(DEVICE)["address"], "127.0.0.1");
}

#[test]
fn what_is_longer_than_allowed_is_refused_and_its_beginning_kept() {
    let installation = Host::installation("");
    installation.set("[limits]", "body_bytes = 200");
    let fitting = format!("{BATCH:<200}");
    let long = format!("{BATCH:<201}");
    let chunked = format!(
        "{:x}\r\n{BATCH}\r\n97\r\n{:151}\r\n0\r\n\r\n",
        BATCH.len(),
        ""
    );
    for (headers, body) in [
        (format!("Content-Length: {}\r\n", long.len()), long.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked),
    ] {
        let _ = fs_err::remove_dir_all(installation.path("Engage_Data"));
        let daemon = crate::harness::Daemon::start(&installation);
        let mut stream = connect(daemon.http);
        let mut head = request(
            "POST",
            &of_device(AUDIT),
            &format!("Connection: close\r\n{headers}"),
            b"",
        );
        head.extend_from_slice(body.as_bytes());
        stream.write_all(&head).unwrap();
        let answer = Response::parse(&read_to_end(&mut stream));
        assert_eq!(answer.status(), 400, "{headers}");
        let kept = installation.quarantined();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0].2, &long.as_bytes()[..200], "{headers}");
    }
    let daemon = crate::harness::Daemon::start(&installation);
    let host = Host {
        installation,
        daemon,
    };
    assert_eq!(post(&host, fitting).status(), 201, "the longest");
}

#[test]
fn a_chunked_body_within_the_limit_is_stored() {
    let host = Host::start("");
    let (one, two) = BATCH.split_at(30);
    let body = format!(
        "{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    let headers = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
    let mut stream = connect(host.daemon.http);
    stream
        .write_all(&request("POST", &of_device(AUDIT), headers, b""))
        .unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(Response::parse(&read_to_end(&mut stream)).status(), 201);
    assert_eq!(members(&host, "event"), ["11111111"]);
}

#[test]
fn a_body_that_breaks_off_is_neither_stored_nor_acknowledged() {
    let host = Host::start("");
    let whole = request(
        "POST",
        &of_device(AUDIT),
        "Connection: close\r\n",
        BATCH.as_bytes(),
    );
    // The last brace is missing, and then so much that what came is JSON's beginning.
    for missing in [1, 40, BATCH.len()] {
        let sent = &whole[..whole.len() - missing];
        let mut plain = connect(host.daemon.http);
        plain.write_all(sent).unwrap();
        close_sending(&plain);
        assert_refused(&read_to_end_lenient(&mut plain));
        let mut tls = tls_connect(host.daemon.https, &trusting(&standard().root.der));
        tls.write_all(sent).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        close_sending(&tls.sock);
        assert_refused(&read_to_end_lenient(&mut tls));
    }
    assert_eq!(host.audits(DEVICE), Vec::<Value>::new());
    assert_eq!(host.installation.quarantined(), []);
    assert_eq!(post(&host, BATCH).status(), 201);
}

/// What came, whether or not the server answered.
fn read_to_end_lenient(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn assert_refused(answer: &[u8]) {
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(answer)
    );
}

#[test]
fn bodies_in_flight_share_their_memory_and_certificates_need_none_of_it() {
    let installation = Host::installation("");
    installation.set("[limits]", "body_memory_bytes = 2097152");
    let daemon = crate::harness::Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let long = BATCH.to_owned() + &" ".repeat(600_000);
    let head = request(
        "POST",
        &of_device(AUDIT),
        "Content-Length: 1000000\r\n",
        b"",
    );
    let stall = || {
        let mut stream = connect(host.daemon.http);
        stream.write_all(&head).unwrap();
        stream.write_all(long.as_bytes()).unwrap();
        stream
    };
    // One more each time: a call that comes between them may take the memory from one.
    let mut stalled = vec![stall()];
    let refused = (0..100).find_map(|_| {
        stalled.push(stall());
        let answer = post(&host, &long);
        (answer.status() == 503).then_some(answer)
    });
    assert_eq!(
        refused.unwrap().body,
        br#"{"error":"too many requests in flight"}"#
    );
    host.daemon
        .wait_for("bytes of `[limits] body_memory_bytes`, of which others leave it");
    host.daemon
        .wait_for_metric("refusals_total", &[("limit", "body_memory_bytes")], 1);
    let announcement = "/swordfish/lock/certificates/current";
    assert_eq!(host.call("GET", announcement, "").status(), 200);
    drop(stalled);
    assert!((0..1000).any(|_| post(&host, &long).status() == 202));
}

#[test]
fn bodies_that_one_address_lets_stall_keep_no_other_address_waiting() {
    let installation = Host::installation("");
    // Set, it makes one caller of each loopback address too.
    installation.set(
        "[limits]",
        "body_memory_bytes = 2097152\nconnections_per_address = 64",
    );
    let daemon = crate::harness::Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let long = BATCH.to_owned() + &" ".repeat(100_000);
    let head = |length: usize| {
        let headers = format!("Connection: close\r\nContent-Length: {length}\r\n");
        request("POST", &of_device(AUDIT), &headers, b"")
    };
    let stalled: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = connect(host.daemon.http);
            stream.write_all(&head(long.len() + 1)).unwrap();
            // One that is refused may be closed already.
            let _ = stream.write_all(long.as_bytes());
            stream
        })
        .collect();
    // All that it may: the rest is refused.
    let labels = [("limit", "body_memory_bytes")];
    host.daemon.wait_for_metric("refusals_total", &labels, 20);
    for _ in 0..10 {
        let mut stream = connect_from([127, 0, 0, 2], host.daemon.http);
        stream.write_all(&head(long.len())).unwrap();
        stream.write_all(long.as_bytes()).unwrap();
        let answer = Response::parse(&read_to_end(&mut stream));
        assert!([201, 202].contains(&answer.status()), "{}", answer.head);
    }
    drop(stalled);
}
