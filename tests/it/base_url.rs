//! The address that devices are told where none is configured, in a network namespace of its own.

use std::process::Command;

use crate::harness::{Daemon, Installation, program, standard};

/// Whether this user may make a network namespace; where `CI` is set, it must.
fn can_unshare() -> bool {
    let tried = Command::new("unshare").args(["-n", "ip", "link"]).output();
    let can = tried.is_ok_and(|it| it.status.success());
    assert!(
        can || std::env::var_os("CI").is_none(),
        "a network namespace is needed"
    );
    if !can {
        println!("skipped: no network namespace can be made");
    }
    can
}

/// Runs `ip` in the network namespace of the daemon.
fn ip(daemon: &Daemon, arguments: &str) {
    let done = Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", daemon.id()))
        .arg("ip")
        .args(arguments.split(' '))
        .status()
        .unwrap();
    assert!(done.success(), "ip {arguments}");
}

#[test]
fn the_derived_address_follows_the_network_and_stays_while_there_is_none() {
    if !can_unshare() {
        return;
    }
    let installation = Installation::new(standard());
    installation.edit("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:8080\"");
    let mut daemon = Daemon::run(
        Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
            .arg(program().get_program())
            .args(["serve", "--config"])
            .arg(installation.path("config.toml")),
    );
    daemon.wait_for("devices are told `http://127.0.0.1:8080`, an address that only this computer");
    ip(&daemon, "addr add 10.44.68.128/32 dev lo");
    ip(&daemon, "route add default dev lo src 10.44.68.128");
    daemon.wait_for("told `http://10.44.68.128:8080` instead of `http://127.0.0.1:8080`");
    // The cable is pulled, and somebody reloads.
    ip(&daemon, "route del default");
    let reloads = daemon.seen("reloaded:").count();
    daemon.hang_up();
    daemon.wait_for_count("reloaded:", reloads + 1);
    ip(&daemon, "addr add 10.44.70.5/32 dev lo");
    ip(&daemon, "route add default dev lo src 10.44.70.5");
    daemon.wait_for("told `http://10.44.70.5:8080` instead of `http://10.44.68.128:8080`");
}
