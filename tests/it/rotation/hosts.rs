//! Who else knows: the next start, without its store too, the other host, and who shares an address.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use engage_store::RotationStep::{Activated, Published};
use engage_store::SqlOptions;

use super::fixture::Trusted::{NewRoot, OldRoot};
use super::fixture::{Clients, Rotating, Row, fetch_new, new_anchor_path, write_next};
use super::ledger::call_in;
use crate::database::postgres::postgres;
use crate::harness::{Daemon, Host, get, standard, tls_get, trusting};

#[test]
fn a_start_without_its_store_serves_the_step_that_was_reached() {
    let mut rotating = Rotating::start();
    rotating.step(Activated);
    let Rotating { host, .. } = rotating;
    let (installation, _) = host.stop();
    installation.write("Engage_Data/engage-host.db", "no database");
    let rotating = Rotating::start_on(installation);
    assert_eq!(rotating.announced().0, new_anchor_path());
    assert!(rotating.accepts("127.0.1.1", NewRoot));
}

#[test]
fn behind_a_shared_address_a_fetch_decides_whatever_the_neighbours_do() {
    let mut rotating = Rotating::start();
    for serial in ["0123456789ABCDEF", "FEDCBA9876543210"] {
        call_in(&rotating, &standard().root.der, serial);
    }
    rotating.step(Published);
    assert!(rotating.accepts("127.0.1.1", OldRoot));
    rotating.fetch_new("127.0.1.1");
    assert!(!rotating.accepts("127.0.1.1", OldRoot));
    assert!(rotating.accepts("127.0.1.1", NewRoot));
}

#[test]
fn behind_one_address_a_device_of_either_root_gets_through_beside_one_that_keeps_reconnecting() {
    let mut rotating = Rotating::start();
    rotating.step(Published);
    for (persistent, other) in [(NewRoot, OldRoot), (OldRoot, NewRoot)] {
        let address = if persistent == NewRoot {
            "127.0.7.1"
        } else {
            "127.0.7.2"
        };
        let is_over = AtomicBool::new(false);
        let (clients, https) = (&rotating.clients, rotating.host.daemon.https);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    clients.accepts(https, address, persistent);
                }
            });
            let through = [(); 3].map(|()| (1..=40).find(|_| rotating.accepts(address, other)));
            is_over.store(true, Ordering::Relaxed);
            let is_through = through.iter().all(Option::is_some);
            assert!(is_through, "{other:?} beside {persistent:?}: {through:?}");
        });
    }
}

#[test]
fn two_daemons_on_one_postgresql_follow_and_share_what_they_saw() {
    let Some(server) = postgres() else {
        return;
    };
    let database = server.create_database();
    let mut daemons = [(); 2].map(|()| {
        let installation = Host::installation(&format!("database_url = \"{}\"\n", database.url()));
        write_next(&installation);
        let daemon = Daemon::start(&installation);
        Host {
            installation,
            daemon,
        }
    });
    let mut options = SqlOptions::sqlite(PathBuf::new());
    options.url = database.url().parse().unwrap();
    let mut row = Row::new(options);
    row.set(Published);
    // Nobody asks for it.
    for host in &mut daemons {
        host.daemon.wait_for("is published: ");
    }
    let [one, other] = &daemons;
    let clients = Clients::new();
    let addresses = || (0..1000).map(|n| format!("127.0.{}.{}", 1 + n / 250, 1 + n % 250));
    for address in addresses() {
        fetch_new(&one.daemon, &address);
    }
    // The first attempt from each address, which the old chain would fail.
    let is_known = |address: &String| clients.accepts(other.daemon.https, address, NewRoot);
    assert!(addresses().any(|address| is_known(&address)));
    let announced = get(one.daemon.http, super::fixture::ANNOUNCEMENT);
    let config = trusting(&standard().root.der);
    let over_tls = tls_get(other.daemon.https, &config, super::fixture::ANNOUNCEMENT);
    assert_eq!(announced.json("hash"), over_tls.json("hash"));
}
