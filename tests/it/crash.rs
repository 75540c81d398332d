//! Nothing that was acknowledged is lost, and nothing is there twice, whenever the daemon dies.
//!
//! `ENGAGE_HOST_CRASHES=200` makes it long; by default it is short enough for every run.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::harness::{Daemon, Host, Installation, ledger, program, request, stored};

const DEVICES: usize = 24;
const DEFAULT_CRASHES: usize = 40;

/// What is written by no fault of ours, but by a power cut: half a line.
const TORN: &[u8] = br#"{"received_at":"2026-11-23T02:13:05Z","event":"0B04"#;

#[test]
fn every_acknowledged_audit_is_there_once_whenever_the_daemon_is_killed() {
    let crashes =
        std::env::var("ENGAGE_HOST_CRASHES").map_or(DEFAULT_CRASHES, |text| text.parse().unwrap());
    let installation = Host::installation("");
    let mut chance = Chance::new();
    let mut locks: Vec<Lock> = (0..DEVICES).map(Lock::new).collect();
    let mut tally = Tally::default();
    let started = Instant::now();
    for crash in 0..crashes {
        if crash % 8 == 3 {
            die_at_start(&installation, chance.below(150));
        }
        if crash % 5 == 4 {
            tear(&locks[chance.below(DEVICES)], &installation);
        }
        let daemon = Daemon::start(&installation);
        tally.acknowledged += one_life(daemon, &mut locks, &mut chance);
    }
    // What is still owed is delivered to a daemon that lives.
    let mut daemon = Daemon::start(&installation);
    for lock in &mut locks {
        lock.finish(daemon.http);
    }
    daemon.terminate();
    daemon.wait_for("stopped");
    tally.judge(&locks, &installation);
    println!(
        "{crashes} crashes in {:.1} s: {tally:?}",
        started.elapsed().as_secs_f64()
    );
    assert!(
        tally.acknowledged > crashes,
        "hardly anything was delivered"
    );
}

/// Lets all locks deliver until a random one of their acknowledgements, and a random moment after
/// it; then kills the daemon. Returns how many batches were acknowledged.
fn one_life(daemon: Daemon, locks: &mut [Lock], chance: &mut Chance) -> usize {
    let address = daemon.http;
    let until = 1 + chance.below(3 * DEVICES);
    let moment = Duration::from_micros(chance.below(5000) as u64);
    let is_over = AtomicBool::new(false);
    let (acknowledge, acknowledged) = mpsc::channel();
    thread::scope(|scope| {
        let delivering: Vec<_> = locks
            .iter_mut()
            .map(|lock| {
                let (acknowledge, is_over) = (acknowledge.clone(), &is_over);
                scope.spawn(move || lock.deliver(address, &acknowledge, is_over))
            })
            .collect();
        drop(acknowledge);
        let mut seen = await_acknowledgements(&acknowledged, until);
        // The moment itself, not a wait for anything.
        thread::sleep(moment);
        // SIGKILL.
        drop(daemon);
        is_over.store(true, Ordering::Relaxed);
        for lock in delivering {
            lock.join().unwrap();
        }
        seen += acknowledged.try_iter().count();
        seen
    })
}

fn await_acknowledgements(acknowledged: &Receiver<()>, until: usize) -> usize {
    for seen in 0..until {
        acknowledged
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("{error} after {seen} of {until}"));
    }
    until
}

/// Kills a daemon that may just be putting right what the last crash left.
fn die_at_start(installation: &Installation, milliseconds: usize) {
    let mut child = program()
        .arg("serve")
        .arg("--config")
        .arg(installation.path("config.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(milliseconds as u64));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Leaves half a line at the end of a lock's newest audits, as a power cut does.
fn tear(lock: &Lock, installation: &Installation) {
    let folder = lock.folder(installation);
    let files = ledger(&folder);
    let newest = files
        .iter()
        .rev()
        .find(|name| name.starts_with("audits-") && name.ends_with(".jsonl"));
    if let Some(name) = newest {
        let path = folder.join(name);
        let mut file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(TORN).unwrap();
    }
}

/// A device that delivers audits no other has, and delivers again until it is acknowledged.
struct Lock {
    serial: String,
    /// The times of the events that it still keeps: its present batch.
    unacknowledged: Vec<u64>,
    acknowledged: Vec<u64>,
    next: u64,
    is_known: bool,
    chance: Chance,
}

impl Lock {
    fn new(number: usize) -> Self {
        Self {
            serial: format!("{:016X}", number + 1),
            unacknowledged: Vec::new(),
            acknowledged: Vec::new(),
            next: 0,
            is_known: false,
            chance: Chance(number as u64 + 1),
        }
    }

    fn folder(&self, installation: &Installation) -> PathBuf {
        installation.path("Engage_Data").join(&self.serial)
    }

    /// Delivers batch after batch on one connection, until it breaks.
    fn deliver(&mut self, address: SocketAddr, acknowledge: &Sender<()>, is_over: &AtomicBool) {
        let Ok(mut stream) = connect(address) else {
            return;
        };
        while !is_over.load(Ordering::Relaxed) && self.deliver_one(&mut stream).is_ok() {
            let _ = acknowledge.send(());
        }
    }

    fn finish(&mut self, address: SocketAddr) {
        let mut stream = connect(address).unwrap();
        self.deliver_one(&mut stream).unwrap();
    }

    /// The batch that is owed, or a new one; an error if it was not acknowledged.
    fn deliver_one(&mut self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        if self.unacknowledged.is_empty() {
            // Mostly a few; now and then so many that a write takes a while.
            let events = match self.chance.below(20) {
                0 => 500,
                more => 1 + more as u64 % 4,
            };
            self.unacknowledged = (self.next..self.next + events).collect();
            self.next += events;
        }
        let target = format!("/swordfish/lock/audit?sn={}", self.serial);
        let call = request("POST", &target, "", self.body().as_bytes());
        stream.get_mut().write_all(&call)?;
        let status = read_status(stream)?;
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

    fn body(&self) -> String {
        let events: Vec<String> = self
            .unacknowledged
            .iter()
            .map(|time| format!(r#"{{"event":"0B040001","time":"{}"}}"#, device_time(*time)))
            .collect();
        format!(
            r#"{{"asyncEvents":[{}],"nxtDbVerTS":"0x8d1a1399bddb51d"}}"#,
            events.join(",")
        )
    }
}

/// A time by the lock's clock that no other number has.
fn device_time(number: u64) -> String {
    let (second, minute) = (number % 60, number / 60 % 60);
    let (hour, day) = (number / 3600 % 24, number / 86_400);
    assert!(day < 28, "more events than a month has seconds");
    format!("202601{:02}{hour:02}{minute:02}{second:02}", day + 1)
}

#[derive(Debug, Default)]
struct Tally {
    /// Batches.
    acknowledged: usize,
    events: usize,
    lost: usize,
    twice: usize,
    torn_files: usize,
}

impl Tally {
    /// Compares what was acknowledged with the files, event by event.
    fn judge(&mut self, locks: &[Lock], installation: &Installation) {
        let mut faults = Vec::new();
        for lock in locks {
            assert!(lock.unacknowledged.is_empty());
            let folder = lock.folder(installation);
            let mut times: HashMap<String, usize> = HashMap::new();
            for line in stored(&folder, "audits-") {
                *times
                    .entry(line["time"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
            self.events += lock.acknowledged.len();
            for number in &lock.acknowledged {
                let time = device_time(*number);
                match times.remove(&time) {
                    Some(1) => {}
                    Some(count) => {
                        self.twice += 1;
                        faults.push(format!("{} {time}: {count} times", lock.serial));
                    }
                    None => {
                        self.lost += 1;
                        faults.push(format!("{} {time}: lost", lock.serial));
                    }
                }
            }
            assert!(times.is_empty(), "never sent: {times:?}");
            self.torn_files += torn_files(&folder);
        }
        assert!(faults.is_empty(), "{self:?}: {faults:#?}");
        assert!(self.torn_files > 0, "nothing torn was set aside");
    }
}

/// The number of files in which torn ends are kept; each must hold one of ours or half a batch.
fn torn_files(folder: &Path) -> usize {
    let names = ledger(folder);
    let torn: Vec<_> = names
        .iter()
        .filter(|name| name.ends_with(".torn"))
        .collect();
    for name in &torn {
        let kept = fs_err::read(folder.join(name)).unwrap();
        assert!(kept.ends_with(b"\n") && kept.len() > 1, "{name}");
    }
    torn.len()
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// The status of an answer that must have no body.
fn read_status(stream: &mut impl BufRead) -> std::io::Result<u16> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.by_ref().take(1024).read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    assert!(head.contains("\r\nContent-Length: 0\r\n"), "{head}");
    Ok(head[9..12].parse().unwrap())
}

/// Numbers that differ from run to run (xorshift64).
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = now.as_nanos() as u64 | 1;
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Beyond any delay of a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);
