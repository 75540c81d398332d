//! Nothing that was acknowledged is lost, and nothing is there twice, whenever the daemon or its
//! database server dies.

mod lock;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::database::postgres::PostgresServer;
use crate::harness::{Daemon, Host, Installation, program};
use lock::{Chance, Lock, device_time};

const DEVICES: u64 = 24;

#[test]
fn every_acknowledged_audit_is_there_once_whenever_the_daemon_is_killed() {
    kill_daemons(&Host::installation(""), 5);
}

#[test]
#[ignore = "long: cargo test --release --test it -- --ignored --nocapture crash"]
fn every_acknowledged_audit_is_there_once_after_200_kills() {
    kill_daemons(&Host::installation(""), 200);
}

#[test]
fn every_acknowledged_audit_is_on_the_server_once_whenever_the_daemon_is_killed() {
    on_server(|installation, _| kill_daemons(installation, 5));
}

#[test]
#[ignore = "long: cargo test --release --test it -- --ignored --nocapture crash"]
fn every_acknowledged_audit_is_on_the_server_once_after_200_kills() {
    on_server(|installation, _| kill_daemons(installation, 200));
}

#[test]
fn every_acknowledged_audit_is_there_once_whenever_the_server_is_killed() {
    on_server(|installation, server| kill_servers(installation, server, 5));
}

#[test]
#[ignore = "long: cargo test --release --test it -- --ignored --nocapture crash"]
fn every_acknowledged_audit_is_there_once_after_20_kills_of_the_server() {
    on_server(|installation, server| kill_servers(installation, server, 20));
}

/// With a PostgreSQL of its own, where there is one.
fn on_server(trial: impl FnOnce(&Installation, &PostgresServer)) {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let url = server.create_database().url();
    let installation = Host::installation(&format!("database_url = \"{url}\"\n"));
    trial(&installation, &server);
}

fn kill_daemons(installation: &Installation, kills: u64) {
    let mut chance = Chance::new();
    let mut locks: Vec<Lock> = (0..DEVICES).map(Lock::new).collect();
    let (mut acknowledged, started) = (0, Instant::now());
    for kill in 0..kills {
        if kill % 8 == 3 {
            die_at_start(installation, chance.below(150));
        }
        let daemon = Daemon::start(installation);
        acknowledged += one_life(daemon, &mut locks, &mut chance);
    }
    judge(installation, &mut locks);
    report(kills, started, acknowledged, &locks);
}

/// The daemon lives on, and its devices try again.
fn kill_servers(installation: &Installation, server: &PostgresServer, kills: u64) {
    let mut chance = Chance::new();
    let mut locks: Vec<Lock> = (0..DEVICES).map(Lock::new).collect();
    let (mut acknowledged, started) = (0, Instant::now());
    let daemon = Daemon::start(installation);
    delivering(&mut locks, daemon.http, |acknowledgements| {
        for _ in 0..kills {
            let until = 1 + chance.below(3 * DEVICES);
            acknowledged += await_acknowledgements(acknowledgements, until);
            // The moment itself, not a wait for anything.
            thread::sleep(Duration::from_micros(chance.below(5000)));
            server.kill();
            server.restart();
        }
    });
    drop(daemon);
    judge(installation, &mut locks);
    report(kills, started, acknowledged, &locks);
}

/// What is still owed is delivered to a daemon that lives; then the store is compared with what was
/// acknowledged, event by event.
fn judge(installation: &Installation, locks: &mut [Lock]) {
    let mut daemon = Daemon::start(installation);
    for lock in &mut *locks {
        lock.finish(daemon.http);
    }
    daemon.terminate();
    daemon.wait_for("stopped");
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
        for number in &lock.acknowledged {
            let time = device_time(*number);
            match counts.remove(&*time) {
                Some(1) => {}
                Some(count) => faults.push(format!("{} {time}: {count} times", lock.serial)),
                None => faults.push(format!("{} {time}: lost", lock.serial)),
            }
        }
        assert!(counts.is_empty(), "never sent: {counts:?}");
        // A device numbers its events by their time.
        assert!(times.is_sorted(), "{}: {times:?}", lock.serial);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn report(kills: u64, started: Instant, acknowledged: u64, locks: &[Lock]) {
    let events: usize = locks.iter().map(|lock| lock.acknowledged.len()).sum();
    println!(
        "{kills} kills in {:.1} s: {acknowledged} batches and {events} events acknowledged; none lost, none twice",
        started.elapsed().as_secs_f64()
    );
    assert!(acknowledged > kills, "hardly anything was delivered");
}

/// Lets all locks deliver until a random one of their acknowledgements, and a random moment after
/// it; then kills the daemon. Returns how many batches were acknowledged.
fn one_life(daemon: Daemon, locks: &mut [Lock], chance: &mut Chance) -> u64 {
    let until = 1 + chance.below(3 * DEVICES);
    let moment = Duration::from_micros(chance.below(5000));
    let (mut daemon, mut seen) = (Some(daemon), 0);
    let address = daemon.as_ref().unwrap().http;
    delivering(locks, address, |acknowledgements| {
        seen = await_acknowledgements(acknowledgements, until);
        // The moment itself, not a wait for anything.
        thread::sleep(moment);
        // SIGKILL.
        drop(daemon.take());
    });
    seen
}

/// Lets all locks deliver, whatever they are answered, for as long as `meanwhile` takes.
fn delivering(locks: &mut [Lock], address: SocketAddr, meanwhile: impl FnOnce(&Receiver<()>)) {
    let is_over = AtomicBool::new(false);
    let (acknowledge, acknowledged) = mpsc::channel();
    thread::scope(|scope| {
        for lock in locks {
            let (acknowledge, is_over) = (acknowledge.clone(), &is_over);
            scope.spawn(move || lock.deliver(address, &acknowledge, is_over));
        }
        meanwhile(&acknowledged);
        is_over.store(true, Ordering::Relaxed);
    });
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

/// Beyond any delay of a loaded machine.
const DEADLINE: Duration = Duration::from_mins(1);
