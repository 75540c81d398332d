//! Nothing that was acknowledged is lost, and nothing is there twice, whenever the daemon dies.
//!
//! `ENGAGE_HOST_CRASHES=200` makes it long; by default it is short enough for every run.

mod lock;

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Daemon, Host, Installation, program};
use lock::{Chance, Lock, device_time};

const DEVICES: u64 = 24;
const DEFAULT_CRASHES: u64 = 40;

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
fn one_life(daemon: Daemon, locks: &mut [Lock], chance: &mut Chance) -> u64 {
    let address = daemon.http;
    let until = 1 + chance.below(3 * DEVICES);
    let moment = Duration::from_micros(chance.below(5000));
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
        seen += acknowledged.try_iter().count() as u64;
        seen
    })
}

fn await_acknowledgements(acknowledged: &Receiver<()>, until: u64) -> u64 {
    for seen in 0..until {
        acknowledged
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("{error} after {seen} of {until}"));
    }
    until
}

/// Kills a daemon that may just be putting right what the last crash left.
fn die_at_start(installation: &Installation, milliseconds: u64) {
    let mut child = program()
        .arg("serve")
        .arg("--config")
        .arg(installation.path("config.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(milliseconds));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[derive(Debug, Default)]
struct Tally {
    /// Batches.
    acknowledged: u64,
    events: usize,
    lost: usize,
    twice: usize,
}

impl Tally {
    /// Compares what was acknowledged with the store, event by event.
    fn judge(&mut self, locks: &[Lock], installation: &Installation) {
        let mut faults = Vec::new();
        for lock in locks {
            assert!(lock.unacknowledged.is_empty());
            let stored = installation.audits(&lock.serial);
            let times: Vec<_> = stored
                .iter()
                .map(|it| it["time"].as_str().unwrap())
                .collect();
            let mut counts: HashMap<&str, usize> = HashMap::new();
            for time in &times {
                *counts.entry(time).or_default() += 1;
            }
            self.events += lock.acknowledged.len();
            for number in &lock.acknowledged {
                let time = device_time(*number);
                match counts.remove(&*time) {
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
            assert!(counts.is_empty(), "never sent: {counts:?}");
            // A device numbers its events by their time.
            assert!(times.is_sorted(), "{}: {times:?}", lock.serial);
        }
        assert!(faults.is_empty(), "{self:?}: {faults:#?}");
    }
}

/// Beyond any delay of a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);
