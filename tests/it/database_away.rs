//! PostgreSQL goes away under the daemon, in two ways, and comes back.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::database::postgres::PostgresServer;
use crate::harness::{Daemon, Host, Response, exchange, get, request};
use crate::several_hosts::OrderingReceiver;
use crate::webhook::{audits, installation};

const DEVICE: u64 = 7;

#[test]
fn a_server_that_is_stopped_costs_call_ins_only_until_it_is_back() {
    goes_away_and_comes_back(PostgresServer::stop, PostgresServer::restart);
}

/// Connections stay open, and nobody answers.
#[test]
fn a_server_that_hangs_costs_call_ins_only_until_it_is_back() {
    goes_away_and_comes_back(PostgresServer::suspend, PostgresServer::resume);
}

fn goes_away_and_comes_back(leave: fn(&PostgresServer), come_back: fn(&PostgresServer)) {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let receiver = OrderingReceiver::start(usize::MAX);
    let database = format!("database_url = \"{}\"\n", server.create_database().url());
    let installation = installation(&database, &format!("http://{}/", receiver.address));
    let mut host = Host {
        daemon: Daemon::start(&installation),
        installation,
    };
    let address = host.daemon.http;
    assert_eq!(call_in(address, 1), 201);
    receiver.wait_for_all(1, 1);
    leave(&server);
    thread::scope(|scope| {
        let refused = scope.spawn(move || {
            let called = Instant::now();
            assert_eq!(call_in(address, 2), 503);
            called.elapsed()
        });
        // Whatever call-ins wait for.
        let served = Instant::now();
        for _ in 0..50 {
            let announcement = get(address, "/swordfish/lock/certificates/current");
            assert_eq!(announcement.status(), 200);
        }
        let served = served.elapsed();
        let refused = refused.join().unwrap();
        println!("fifty announcements in {served:?}, a call-in refused after {refused:?}");
        assert!(served < Duration::from_secs(4), "{served:?}");
        assert!(refused < MAX_CALL, "{refused:?}");
    });
    assert_eq!(call_in(address, 2), 503);
    let readiness = host.readiness();
    assert_eq!(readiness.status(), 503);
    let reasons = String::from_utf8(readiness.body).unwrap();
    assert!(reasons.contains("call-ins cannot be stored"), "{reasons}");
    come_back(&server);
    let deadline = Instant::now() + RECOVERY;
    while call_in(address, 2) != 202 {
        assert!(Instant::now() < deadline);
    }
    receiver.wait_for_all(1, 2);
    while host.readiness().status() != 200 {
        assert!(Instant::now() < deadline);
    }
    let faults = receiver.faults();
    assert!(faults.is_empty(), "{faults:?}");
}

fn call_in(host: SocketAddr, event: u64) -> u16 {
    let target = format!("/swordfish/lock/audit?sn={DEVICE:016X}");
    let body = audits([event]);
    let request = request("POST", &target, "Connection: close\r\n", body.as_bytes());
    Response::parse(&exchange(host, request)).status()
}

/// Statements and connections have time-outs of their own.
const MAX_CALL: Duration = Duration::from_secs(25);

const RECOVERY: Duration = Duration::from_secs(45);
