//! `requests.txt` on both ports: nothing but the right number of answers, each the right one.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::harness::{Host, connect, read_answer, run, standard, tls_connect, trusting};

/// One line of the table.
struct Case {
    name: &'static str,
    statuses: Vec<u16>,
    stays_open: bool,
    is_whole: bool,
    bytes: Vec<u8>,
}

/// A connection to one of the ports.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

#[test]
fn each_request_has_its_one_right_answer_on_both_ports() {
    let mut host = Host::start("");
    let cases = cases();
    let (http, https) = (host.daemon.http, host.daemon.https);
    let wrong: Vec<String> = thread::scope(|scope| {
        let of = |connect: fn(SocketAddr) -> Box<dyn Stream>, address, piece| {
            let cases = &cases;
            scope.spawn(move || {
                let wrong = |case: &Case| case.check(&mut *connect(address), piece).err();
                let cases = cases.iter().filter(|case| piece > 1 || !case.is_whole);
                cases.filter_map(wrong).collect::<Vec<_>>()
            })
        };
        let threads = [
            of(plain, http, usize::MAX),
            of(plain, http, 1),
            of(tls, https, usize::MAX),
            of(tls, https, 1),
        ];
        let wrong = threads.into_iter().map(|thread| thread.join().unwrap());
        wrong.flatten().collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for listener in ["http", "https"] {
        for limit in [
            "host",
            "message_framing",
            "malformed_request",
            "request_head_bytes",
        ] {
            let labels = [("listener", listener), ("limit", limit)];
            host.daemon.wait_for_metric("refusals_total", &labels, 4);
        }
    }
    // Four each, whole and byte by byte, and no answer of a handler is taken for the parser's.
    let labels = [("limit", "request_head_bytes")];
    assert_eq!(host.daemon.metrics().sum("refusals_total", &labels), 16);
    host.daemon.wait_for("ends with a malformed request: it ");
    let (_, log) = host.stop();
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn a_client_that_goes_on_sending_what_was_refused_is_not_reset() {
    let host = Host::start("");
    let head = "POST /swordfish/lock/audit?sn=0123456789ABCDEF HTTP/1.1\r\nHost: a\r\n";
    for (refused, rest) in [
        (
            format!("{head}Content-Length: 9\r\nContent-Length: 9\r\n\r\n"),
            300_000,
        ),
        (format!("{head}Content-Length: +9\r\n\r\n"), 300_000),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n+9\r\n"),
            300_000,
        ),
        (
            format!(
                "{head}Content-Length: 1400000\r\n\r\n{}",
                "x".repeat(1_100_000)
            ),
            300_000,
        ),
    ] {
        for mut stream in [plain(host.daemon.http), tls(host.daemon.https)] {
            stream.write_all(refused.as_bytes()).unwrap();
            assert_eq!(read_answer(&mut stream).status(), 400);
            for _ in 0..rest / 10_000 {
                stream.write_all(&[b'x'; 10_000]).unwrap();
            }
            let mut more = Vec::new();
            stream.read_to_end(&mut more).unwrap();
            assert_eq!(more, b"");
        }
    }
}

/// curl writes what an honest client would, and what it is told to.
#[test]
fn curl_is_answered_unless_it_is_told_to_be_ambiguous() {
    let host = Host::start("");
    let url = format!("http://{}/swordfish/lock/audit", host.daemon.http);
    let chunked = "Transfer-Encoding: chunked";
    for (status, args) in [
        ("202", &[][..]),
        ("202", &["-H", chunked]),
        ("202", &["-H", "Expect: 100-continue"]),
        ("202", &["--http1.0"]),
        ("202", &["--http1.0", "-H", "Host:"]),
        (
            "202",
            &["--request-target", "http://a/swordfish/lock/audit"],
        ),
        ("400", &["-H", "Host:"]),
        ("400", &["-H", "Host: a, b"]),
        ("400", &["-H", "Host: u@a"]),
        ("400", &["-H", chunked, "-H", "Content-Length: 18"]),
        (
            "400",
            &["-H", "Content-Length: 18", "-H", "content-length: 18"],
        ),
        ("400", &["-H", "Transfer-Encoding: identity, chunked"]),
    ] {
        let answered = run(Command::new("curl")
            .args(["-q", "-s", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(["--max-time", "20", "--data", r#"{"asyncEvents":[]}"#])
            .args(args)
            .arg(&url));
        assert_eq!(answered.stdout_text(), status, "{args:?}");
    }
}

fn plain(address: SocketAddr) -> Box<dyn Stream> {
    let stream = connect(address);
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    Box::new(stream)
}

fn tls(address: SocketAddr) -> Box<dyn Stream> {
    let stream = tls_connect(address, &trusting(&standard().root.der));
    stream.sock.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.sock.set_nodelay(true).unwrap();
    Box::new(stream)
}

impl Case {
    fn parse(line: &'static str) -> Self {
        let mut columns = line.splitn(3, " | ");
        let mut column = || columns.next().unwrap_or_else(|| panic!("{line}"));
        let (name, outcome, request) = (column(), column(), column());
        let words: Vec<_> = outcome.split(' ').collect();
        Self {
            name,
            statuses: words.iter().filter_map(|word| word.parse().ok()).collect(),
            stays_open: words.contains(&"open"),
            is_whole: words.contains(&"whole"),
            bytes: bytes(request),
        }
    }

    /// What is wrong with the answers to this in pieces of at most `piece` bytes.
    fn check(&self, stream: &mut dyn Stream, piece: usize) -> Result<(), String> {
        let mut expected = self.statuses.clone();
        let mut sent = self.bytes.chunks(piece.min(self.bytes.len()));
        // The server may refuse and close before it has read all.
        let is_sent = sent.all(|piece| {
            stream
                .write_all(piece)
                .and_then(|()| stream.flush())
                .is_ok()
        });
        if self.stays_open && is_sent {
            expected.push(200);
            let _ = stream.write_all(LAST.as_bytes());
        }
        let mut answered = Vec::new();
        let end = stream.read_to_end(&mut answered);
        let statuses = statuses(&answered, self.bytes.starts_with(b"HEAD "));
        // hyper does not end the TLS session after CONNECT and Upgrade.
        let is_end = |error: &Error| error.kind() == ErrorKind::UnexpectedEof;
        if statuses.as_ref() == Some(&expected) && end.as_ref().err().is_none_or(is_end) {
            return Ok(());
        }
        let pieces = if piece == 1 { " byte by byte" } else { "" };
        Err(format!(
            "{}{pieces}: {statuses:?} {end:?} instead of {expected:?}",
            self.name
        ))
    }
}

/// Of answers that follow one another and nothing else.
fn statuses(mut bytes: &[u8], mut is_head: bool) -> Option<Vec<u16>> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        let mut length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        if status == 100 || std::mem::take(&mut is_head) {
            length = Some(0);
        }
        statuses.push(status);
        bytes = bytes.get(end + length?..)?;
    }
    Some(statuses)
}

fn cases() -> Vec<Case> {
    let lines = include_str!("requests.txt").lines();
    let cases: Vec<_> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(Case::parse)
        .collect();
    assert!(cases.len() >= 150);
    cases
}

/// The bytes that a column of the table stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut text = text.to_owned();
    for (name, value) in INSERTED {
        text = text.replace(name, value);
    }
    while let Some((before, rest)) = text.split_once('{') {
        let (repeated, behind) = rest.split_once('}').unwrap();
        let (what, times) = repeated.rsplit_once('*').unwrap();
        text = format!("{before}{}{behind}", what.repeat(times.parse().unwrap()));
    }
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b't', behind @ ..]) => (b'\t', behind),
            (b'\\', [b'0', behind @ ..]) => (b'\0', behind),
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [b'x', digits @ ..]) => {
                let digits_text = std::str::from_utf8(&digits[..2]).unwrap();
                (u8::from_str_radix(digits_text, 16).unwrap(), &digits[2..])
            }
            _ => (*first, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

const INSERTED: [(&str, &str); 5] = [
    (
        "{U}",
        r"POST /swordfish/lock/audit?sn=0123456789ABCDEF HTTP/1.1\r\nHost: a\r\n",
    ),
    ("{G}", r"GET {A} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("{A}", "/swordfish/lock/certificates/current"),
    ("{C}", "/static/Device_Certificates/partner_CA.der"),
    ("{B}", r#"\x7b"asyncEvents":[]\x7d"#),
];

/// Asks whether a connection is open.
const LAST: &str =
    "GET /swordfish/lock/certificates/current HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// For a server that waits for more where it must not.
const TIMEOUT: Duration = Duration::from_secs(5);
