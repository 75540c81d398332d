//! Delivery to the access-control system, by the real daemon to a receiver on loopback.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Daemon, Host, Installation, hex, openssl};

const AUDIT: &str = "/swordfish/lock/audit?sn=";
const SECRET: &str = "a secret of more than sixteen bytes";

#[test]
fn what_a_receiver_refused_and_what_came_before_a_kill_arrives_in_order() {
    let receiver = ReceiverOnLoopback::start([500, 200]);
    let mut host = host(receiver.address);
    deliver(&host, "0123456789ABCDEF", 1);
    assert_eq!(receiver.next().events, [1], "refused");
    assert_eq!(receiver.next().events, [1], "again, and taken");
    // Nobody listens any more: what is acknowledged now waits on disk, over a kill.
    let address = receiver.stop();
    deliver(&host, "0123456789ABCDEF", 2);
    deliver(&host, "0123456789ABCDEF", 3);
    deliver(&host, "FEDCBA9876543210", 4);
    host.daemon.signal("KILL");
    host = host.restart();
    let receiver = ReceiverOnLoopback::start_at(address, [200; 16]);
    let mut arrived = Vec::new();
    while !{ BTreeSet::from_iter(arrived.clone()).is_superset(&BTreeSet::from([2, 3, 4])) } {
        arrived.extend(receiver.next().events);
    }
    let of_first: Vec<_> = arrived
        .iter()
        .filter(|event| (2..=3).contains(*event))
        .collect();
    assert_eq!(of_first[..2], [&2, &3]);
    drop(host);
}

/// Serial numbers that somebody invented, with events that the receiver cannot read.
#[test]
fn refused_events_of_forty_devices_do_not_delay_another_device() {
    const HONEST: &str = "0123456789ABCDEF";
    let receiver = ReceiverOnLoopback::start_deciding(|device| match device {
        HONEST => 200,
        _ => 400,
    });
    let host = host(receiver.address);
    let mut refused = BTreeSet::new();
    for number in 0..40 {
        deliver(&host, &format!("{number:016X}"), number);
    }
    while refused.len() < 40 {
        refused.insert(receiver.next().device);
    }
    deliver(&host, HONEST, 1);
    let is_soon = (0..80).any(|_| receiver.next().device == HONEST);
    assert!(is_soon, "other devices' events go before");
}

#[test]
fn a_delivery_is_signed_over_its_time_and_its_bytes() {
    let receiver = ReceiverOnLoopback::start([200]);
    let host = host(receiver.address);
    deliver(&host, "0123456789ABCDEF", 1);
    let Delivery { head, body, .. } = receiver.next();
    let signature = head
        .lines()
        .find_map(|line| line.strip_prefix("x-engage-signature: "))
        .unwrap();
    let (time, code) = signature
        .strip_prefix("t=")
        .unwrap()
        .split_once(",v1=")
        .unwrap();
    let signed = host.path("signed");
    fs_err::write(&signed, [time.as_bytes(), b".", &body].concat()).unwrap();
    let key = format!("hexkey:{}", hex(SECRET.as_bytes()));
    let judged = openssl(
        host.installation.folder(),
        [
            "dgst",
            "-sha256",
            "-mac",
            "HMAC",
            "-macopt",
            &key,
            signed.to_str().unwrap(),
        ],
    );
    let judged = String::from_utf8(judged).unwrap();
    assert!(judged.ends_with(&format!("= {code}\n")), "{judged} {code}");
    let json: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["device"], "0123456789ABCDEF");
    assert_eq!(json["log"], "audits");
}

/// A span of its own for each attempt; the trace is the same over failures and a kill.
#[test]
fn every_attempt_is_a_span_of_one_trace_that_the_log_names() {
    let receiver = ReceiverOnLoopback::start([503]);
    let mut host = host(receiver.address);
    deliver(&host, "0123456789ABCDEF", 1);
    let refused = receiver.next().trace();
    let line = host.daemon.wait_for("fails: it answered 503");
    assert!(line.contains(&format!("trace.id={}", refused.id)), "{line}");
    let address = receiver.stop();
    host.daemon.signal("KILL");
    let host = host.restart();
    let receiver = ReceiverOnLoopback::start_at(address, [200; 8]);
    let taken = receiver.next().trace();
    assert_eq!(taken.id, refused.id);
    assert_ne!(taken.span, refused.span);
    // What follows is another matter.
    deliver(&host, "0123456789ABCDEF", 2);
    let next = receiver.next().trace();
    assert_ne!(next.id, taken.id);
    assert_ne!(next.span, taken.span);
}

#[test]
fn a_receiver_that_cannot_be_used_holds_up_its_deliveries_and_nothing_else() {
    let installation = Host::installation("");
    installation.set(
        "[webhook]",
        "url = \"http://127.0.0.1:1/\"\nsecret_file = \"hook.secret\"",
    );
    installation.write("hook.secret", "too short");
    assert_eq!(installation.check(&[]).code, Some(1));
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let line = host
        .daemon
        .wait_for("stored but not delivered until this is mended");
    assert!(
        line.contains("ERROR") && line.contains("hook.secret"),
        "{line}"
    );
    assert!(!line.contains("too short"), "{line}");
    deliver(&host, "?sn=0123456789ABCDEF", 1);
    // Mended, it is used without a restart.
    host.installation.write("hook.secret", SECRET);
    host.daemon.wait_for("delivering audits and alerts to");
}

/// A daemon that delivers to `receiver`.
fn host(receiver: SocketAddr) -> Host {
    let installation = installation("", &format!("http://{receiver}/hook"));
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

/// Of a daemon that delivers to `url`; `devices` are further lines of that section.
pub(crate) fn installation(devices: &str, url: &str) -> Installation {
    let installation = Host::installation(devices);
    let hook = format!("url = \"{url}\"\nsecret_file = \"hook.secret\"");
    installation.set("[webhook]", &hook);
    installation.write("hook.secret", SECRET);
    installation
}

#[test]
fn a_secret_that_cannot_be_used_is_in_the_health_until_it_can() {
    let installation = Host::installation("");
    installation.set(
        "[webhook]",
        "url = \"http://127.0.0.1:9/hook\"\nsecret_file = \"hook.secret\"",
    );
    installation.write("hook.secret", "short");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    host.daemon
        .wait_for("audits and alerts are stored but not delivered until this is mended");
    let health = host.readiness();
    assert_eq!(health.status(), 200);
    let text = String::from_utf8(health.body).unwrap();
    let expected = "warning: audits and alerts are stored but not delivered: webhook secret_file";
    assert!(text.contains(expected), "{text}");
    host.installation.write("hook.secret", SECRET);
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.readiness().body != b"ready\n" {
        assert!(Instant::now() < deadline, "still not ready");
    }
}

/// Audits whose numbers are the last digits of their times.
pub(crate) fn audits(numbers: impl IntoIterator<Item = u64>) -> String {
    let event = |number| {
        let time = 20_261_123_000_000_u64 + number;
        format!(r#"{{"event":"0B040001","time":"{time}"}}"#)
    };
    let events: Vec<_> = numbers.into_iter().map(event).collect();
    format!(r#"{{"asyncEvents":[{}]}}"#, events.join(","))
}

fn deliver(host: &Host, device: &str, number: u32) {
    let body = audits([number.into()]);
    let answer = host.call("POST", &format!("{AUDIT}{device}"), body);
    assert!(
        (201..=202).contains(&answer.status()),
        "{}",
        answer.status()
    );
}

pub(crate) struct ReceiverOnLoopback {
    pub(crate) address: SocketAddr,
    deliveries: Receiver<Delivery>,
    thread: thread::JoinHandle<()>,
}

pub(crate) struct Delivery {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) device: String,
    pub(crate) events: Vec<u64>,
}

/// What `traceparent` says.
struct Trace {
    id: String,
    span: String,
}

impl Delivery {
    /// By the grammar of W3C Trace Context, section 3.2.2.
    fn trace(&self) -> Trace {
        let mut lines = self.head.lines();
        let header = lines.find_map(|line| line.strip_prefix("traceparent: "));
        let fields: Vec<_> = header.unwrap().split('-').collect();
        let [version, id, span, flags] = fields.as_slice() else {
            panic!("{header:?}");
        };
        let is_hex = |text: &str| text.bytes().all(|it| b"0123456789abcdef".contains(&it));
        assert!(is_hex(id) && is_hex(span), "{header:?}");
        assert!(id.contains(|it| it != '0') && span.contains(|it| it != '0'));
        assert_eq!((id.len(), span.len()), (32, 16), "{header:?}");
        assert_eq!((*version, *flags), ("00", "01"));
        Trace {
            id: (*id).to_owned(),
            span: (*span).to_owned(),
        }
    }
}

impl ReceiverOnLoopback {
    /// Answers one connection after the other with these status codes, then stops listening.
    fn start<const N: usize>(statuses: [u16; N]) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), statuses)
    }

    fn start_at<const N: usize>(address: SocketAddr, statuses: [u16; N]) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, deliveries) = channel();
        let thread = thread::spawn(move || {
            for status in statuses {
                let Ok(delivery) = answer(&listener, |_| status) else {
                    return;
                };
                if sender.send(delivery).is_err() {
                    return;
                }
            }
        });
        Self {
            address,
            deliveries,
            thread,
        }
    }

    /// Answers each delivery with the status code that its device gets.
    pub(crate) fn start_deciding(decide: impl Fn(&str) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, deliveries) = channel();
        let thread = thread::spawn(move || {
            while let Ok(delivery) = answer(&listener, &decide) {
                if sender.send(delivery).is_err() {
                    return;
                }
            }
        });
        Self {
            address,
            deliveries,
            thread,
        }
    }

    pub(crate) fn next(&self) -> Delivery {
        self.deliveries
            .recv_timeout(Duration::from_secs(30))
            .unwrap()
    }

    /// Waits until it has answered what it was to answer; its port is free then.
    fn stop(self) -> SocketAddr {
        self.thread.join().unwrap();
        self.address
    }
}

fn answer(listener: &TcpListener, decide: impl Fn(&str) -> u16) -> std::io::Result<Delivery> {
    let (stream, _) = listener.accept()?;
    let delivery = receive(&stream)?;
    respond(&stream, decide(&delivery.device))?;
    Ok(delivery)
}

pub(crate) fn respond(mut stream: &TcpStream, status: u16) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

pub(crate) fn receive(stream: &TcpStream) -> std::io::Result<Delivery> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = head.replace("\r\n", "\n");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body)?;
    let json: Value = serde_json::from_slice(&body).unwrap();
    let device = json["device"].as_str().unwrap().to_owned();
    let number = |event: &Value| event["time"].as_str().unwrap()[8..].parse().unwrap();
    let events = json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(number)
        .collect();
    Ok(Delivery {
        head,
        body,
        device,
        events,
    })
}
