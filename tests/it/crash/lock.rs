//! A simulated lock that keeps its audits until they are acknowledged.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;
use crate::harness::request;

/// A device that delivers audits no other has, and delivers again until it is acknowledged.
pub(super) struct Lock {
    pub(super) serial: String,
    /// The times of the events that it still keeps: its present batch.
    pub(super) unacknowledged: Vec<u64>,
    pub(super) acknowledged: Vec<u64>,
    next: u64,
    is_known: bool,
    chance: Chance,
}

impl Lock {
    pub(super) fn new(number: u64) -> Self {
        Self {
            serial: format!("{:016X}", number + 1),
            unacknowledged: Vec::new(),
            acknowledged: Vec::new(),
            next: 0,
            is_known: false,
            chance: Chance::new(),
        }
    }

    /// Delivers batch after batch, on another connection where one breaks or an answer is no
    /// acknowledgement, until nobody listens or it is over.
    pub(super) fn deliver(
        &mut self,
        address: SocketAddr,
        acknowledge: &Sender<()>,
        is_over: &AtomicBool,
    ) {
        while !is_over.load(Ordering::Relaxed) {
            let Ok(mut stream) = connect(address) else {
                return;
            };
            while !is_over.load(Ordering::Relaxed) && self.deliver_one(&mut stream).is_ok() {
                let _ = acknowledge.send(());
            }
            // As a device that is refused: later.
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(super) fn finish(&mut self, address: SocketAddr) {
        let deadline = Instant::now() + DEADLINE;
        while self.deliver_one(&mut connect(address).unwrap()).is_err() {
            assert!(Instant::now() < deadline, "{}", self.serial);
        }
    }

    /// The batch that is owed, or a new one; an error if it was not acknowledged.
    fn deliver_one(&mut self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        self.go_on();
        let target = format!("/swordfish/lock/audit?sn={}", self.serial);
        let call = request("POST", &target, "", self.body().as_bytes());
        stream.get_mut().write_all(&call)?;
        let status = read_status(stream)?;
        if status == 503 {
            return Err(std::io::ErrorKind::ResourceBusy.into());
        }
        // A first batch may have been stored and its answer lost.
        assert!(
            status == 202 || (status == 201 && !self.is_known),
            "{status} for {}",
            self.serial
        );
        self.is_known = true;
        self.acknowledged.append(&mut self.unacknowledged);
        Ok(())
    }

    /// Lets things happen, also while a batch is owed: then they come behind it.
    fn go_on(&mut self) {
        // Mostly a few; now and then so many that a write takes a while.
        let events = match (self.unacknowledged.is_empty(), self.chance.below(20)) {
            (true, 0) => 500,
            (true, more) => 1 + more % 4,
            (false, more) => more % 3,
        };
        self.unacknowledged.extend(self.next..self.next + events);
        self.next += events;
    }

    fn body(&self) -> String {
        let events: Vec<String> = self
            .unacknowledged
            .iter()
            .map(|time| format!(r#"{{"event":"0B040001","time":"{}"}}"#, device_time(*time)))
            .collect();
        format!(
            r#"{{"asyncEvents":[{}],"nxtDbVerTS":"0x{:x}"}}"#,
            events.join(","),
            self.next
        )
    }
}

/// A time by the lock's clock that no other number has.
pub(super) fn device_time(number: u64) -> String {
    let (second, minute) = (number % 60, number / 60 % 60);
    let (hour, day) = (number / 3600 % 24, number / 86_400);
    assert!(day < 28, "more events than a month has seconds");
    format!("202601{:02}{hour:02}{minute:02}{second:02}", day + 1)
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// The status of an answer, which must have no body if it acknowledges.
fn read_status(stream: &mut impl BufRead) -> std::io::Result<u16> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.by_ref().take(1024).read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = head[9..12].parse().unwrap();
    assert!(
        status == 503 || head.contains("\r\nContent-Length: 0\r\n"),
        "{head}"
    );
    Ok(status)
}

/// Numbers that differ from run to run (xorshift64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
