//! Who follows events, how many may, and for how long.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::client::Api;
use super::{DEVICE, batch, host};
use crate::harness::{TOKEN_FILE, connect};

/// As many as may wait at a time.
const MAX_WAITERS: usize = 8;

/// A stream whose head has been read.
fn follow(api: &Api) -> BufReader<TcpStream> {
    let mut stream = connect(api.address);
    let (address, token) = (api.address, &api.token);
    write!(
        stream,
        "GET /api/v1/events/stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    stream
}

#[test]
fn one_more_than_may_wait_is_refused_until_one_goes() {
    let (_host, api) = host("");
    let mut followers: Vec<_> = (0..MAX_WAITERS).map(|_| follow(&api)).collect();
    for path in ["/v1/events/stream", "/v1/events?wait=1"] {
        let answer = api.ask("GET", path, "", "");
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.json("code"), "too-many-followers", "{path}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{path}");
    }
    // Who does not wait is no follower.
    api.get("/v1/events");
    drop(followers.pop());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while api.ask("GET", "/v1/events?wait=1", "", "").status() == 503 {
        assert!(
            std::time::Instant::now() < deadline,
            "the place is not given back"
        );
    }
}

#[test]
fn a_stream_ends_when_its_token_is_taken_away_and_tells_nothing_more() {
    let (mut host, api) = host("");
    let mut stream = follow(&api);
    let target = format!("/swordfish/lock/audit?sn={DEVICE}");
    assert_eq!(host.call("POST", &target, batch("0B040001")).status(), 201);
    let mut told = String::new();
    while !told.contains("0B040001") {
        assert_ne!(stream.read_line(&mut told).unwrap(), 0, "{told}");
    }
    host.installation.write(TOKEN_FILE, "# nobody\n");
    host.daemon
        .wait_for("reloaded: new connections get the new state");
    let stored = host.call("POST", &target, batch("0B070000"));
    assert!([201, 202].contains(&stored.status()), "{}", stored.head);
    // Read to its end, with the last chunk.
    let mut rest = String::new();
    while stream.read_line(&mut rest).unwrap() > 0 && !rest.ends_with("\r\n0\r\n") {}
    assert!(rest.ends_with("0\r\n"), "{rest:?}");
    assert!(!rest.contains("0B070000"), "{rest}");
    assert_eq!(
        api.refused(401, "GET", "/v1/events", "", ""),
        "unknown-token"
    );
}
