//! Two daemons on one PostgreSQL: what each accepts is stored once, and delivered by one of them at
//! a time, whatever becomes of the other.

mod receiver;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::database::postgres::postgres;
use crate::harness::{Daemon, Host, request};
use crate::webhook::audits;
use receiver::Delivered;
pub(crate) use receiver::OrderingReceiver;

const DEVICES: u64 = 200;
const CALLERS: u64 = 8;
const BATCHES: u64 = 6;
const EVENTS: u64 = BATCHES * EVENTS_PER_BATCH;
const EVENTS_PER_BATCH: u64 = 2;

/// What the documents promise.
const TAKEOVER: Duration = Duration::from_secs(30);

#[test]
fn what_a_killed_host_was_delivering_is_delivered_by_the_other_in_order() {
    let Some(mut hosts) = TwoHosts::start() else {
        return;
    };
    let ended = hosts.end_first_while_it_delivers("KILL");
    hosts.second.daemon.wait_for("others take over");
    hosts.receiver.wait_for_all(DEVICES, EVENTS);
    hosts.judge(ended);
}

#[test]
fn a_host_that_was_suspended_delivers_nothing_that_another_has_taken_over() {
    let Some(mut hosts) = TwoHosts::start() else {
        return;
    };
    let ended = hosts.end_first_while_it_delivers("STOP");
    hosts.second.daemon.wait_for("others take over");
    hosts.receiver.wait_for_all(DEVICES, EVENTS);
    hosts.first.daemon.signal("CONT");
    // Devices know nothing of it; what they deliver there now comes after all the rest.
    let first = hosts.first.daemon.http;
    for device in 0..DEVICES {
        assert!(call_in(first, device, EVENTS + 1).is_some());
    }
    hosts.receiver.wait_for_all(DEVICES, EVENTS + 2);
    hosts.judge(ended);
}

/// Which deliver to the same receiver.
struct TwoHosts {
    first: Host,
    second: Host,
    receiver: OrderingReceiver,
}

impl TwoHosts {
    fn start() -> Option<Self> {
        let database = postgres()?.create_database();
        // From its 30th delivery on the first host waits for the receiver.
        let receiver = OrderingReceiver::start(30);
        let start = |path| {
            let database = format!("database_url = \"{}\"\n", database.url());
            let url = format!("http://{}{path}", receiver.address);
            let installation = crate::webhook::installation(&database, &url);
            Host {
                daemon: Daemon::start(&installation),
                installation,
            }
        };
        Some(Self {
            first: start(receiver::HELD),
            second: start("/second"),
            receiver,
        })
    }

    /// Has all devices call in, each time at either host, and goes on at the second when the first
    /// has had a signal in the middle of several deliveries. Returns when that was.
    fn end_first_while_it_delivers(&self, signal: &str) -> Instant {
        let addresses = [self.first.daemon.http, self.second.daemon.http];
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                scope.spawn(move || call_in_all(addresses, caller));
            }
            self.receiver.wait_for_held(4);
            self.first.daemon.signal(signal);
            let ended = Instant::now();
            self.receiver.answer_held();
            ended
        })
    }

    fn judge(&self, ended: Instant) {
        let faults = self.receiver.faults();
        assert!(faults.is_empty(), "{faults:#?}");
        let mut repeated = 0;
        for device in 0..DEVICES {
            repeated += repeats(device, &self.receiver.delivered(device), ended);
        }
        println!("delivered again after the takeover: {repeated} devices");
        // Those that were under way, and nobody else's.
        assert!((1..=8).contains(&repeated), "{repeated}");
    }
}

/// Checks that events came in order and without a gap, but for one repetition after `ended`, which
/// was in time. Returns how many there were.
fn repeats(device: u64, delivered: &[Delivered], ended: Instant) -> u64 {
    let (mut expected, mut repeats) = (1, 0);
    for Delivered { events, at, .. } in delivered {
        if *events.start() != expected {
            let shown = format!("device {device}: {events:?} instead of {expected}");
            assert!(*events.start() < expected, "missing: {shown}");
            let after = at.checked_duration_since(ended);
            assert!(
                after.is_some_and(|it| it < TAKEOVER),
                "repeated: {shown}, {after:?}"
            );
            repeats += 1;
        }
        expected = events.end() + 1;
    }
    assert!(repeats <= 1, "device {device}: {delivered:?}");
    repeats
}

/// One of the callers has its share of the devices call in, and leaves a host alone that has failed,
/// as a balancer does.
fn call_in_all(hosts: [SocketAddr; 2], caller: u64) {
    let mut failed = None;
    for batch in 0..BATCHES {
        for device in (caller..DEVICES).step_by(CALLERS.try_into().unwrap()) {
            let first_event = 1 + batch * EVENTS_PER_BATCH;
            let deadline = Instant::now() + DEADLINE;
            let mut host = usize::from((device / 3 + batch) % 2 == 0);
            while failed == Some(host) || call_in(hosts[host], device, first_event).is_none() {
                assert!(Instant::now() < deadline, "nobody takes {device}'s events");
                failed = Some(host);
                host = 1 - host;
            }
            if device % 5 == batch && failed.is_none() {
                // Its acknowledgement was not heard.
                call_in(hosts[1 - host], device, first_event);
            }
        }
    }
}

/// `None` if nothing was acknowledged.
fn call_in(host: SocketAddr, device: u64, first_event: u64) -> Option<()> {
    let target = format!("/swordfish/lock/audit?sn={device:016X}");
    let body = audits(first_event..first_event + EVENTS_PER_BATCH);
    let mut stream = TcpStream::connect_timeout(&host, CALL_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(CALL_TIMEOUT)).ok()?;
    let request = request("POST", &target, "Connection: close\r\n", body.as_bytes());
    stream.write_all(&request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 20").then_some(())
}

/// A host that is suspended accepts connections all the same.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

const DEADLINE: Duration = Duration::from_secs(30);
