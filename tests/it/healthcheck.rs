//! `engage-host healthcheck`, as a container runtime calls it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::harness::{
    Daemon, Finished, Installation, get, make_admin_identity, program, run, standard,
};

/// Asked with the configuration, in which the admin listener has the port that the system chose.
fn healthcheck(installation: &Installation, listen: &str) -> Finished {
    let text = fs::read_to_string(installation.path("config.toml")).unwrap();
    let (before, admin) = text.split_once("[admin]").unwrap();
    let admin = admin.replacen("127.0.0.1:0", listen, 1);
    installation.write("chosen.toml", format!("{before}[admin]{admin}"));
    run(program()
        .args(["healthcheck", "--config"])
        .arg(installation.path("chosen.toml")))
}

/// Where that listener is asked.
fn listen(address: SocketAddr, host: &str) -> String {
    format!("{host}:{}", address.port())
}

fn wait_until_ready(admin: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while get(admin, "/readyz").status() != 200 {
        assert!(Instant::now() < deadline, "not ready");
        thread::yield_now();
    }
}

#[test]
fn a_daemon_that_is_ready_is_healthy_wherever_its_admin_listener_listens() {
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    wait_until_ready(admin);
    installation.set("[admin]", "insecure = true");
    for host in ["127.0.0.1", "0.0.0.0"] {
        let asked = healthcheck(&installation, &listen(admin, host));
        assert_eq!(
            (asked.code, asked.stdout_text().as_str()),
            (Some(0), "ready\n"),
            "{asked:?}"
        );
    }
}

#[test]
fn the_certificate_of_the_admin_listener_does_not_matter() {
    let installation = Installation::new(standard()).with_admin();
    make_admin_identity(&installation, "admin", "somebody.example");
    installation.set(
        "[admin]",
        "certificate = \"admin.pem\"\nprivate_key = \"admin.key\"",
    );
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin_tls();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let asked = healthcheck(&installation, &listen(admin, "127.0.0.1"));
        if asked.code == Some(0) {
            assert_eq!(asked.stdout_text(), "ready\n");
            return;
        }
        assert!(Instant::now() < deadline, "{asked:?}");
    }
}

#[test]
fn a_daemon_that_is_not_ready_is_not_healthy_and_says_why() {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[devices]", "credentials_file = \"credentials\"");
    installation.write("credentials", "");
    let mut daemon = Daemon::start(&installation);
    let asked = healthcheck(&installation, &listen(daemon.admin(), "127.0.0.1"));
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.stdout_text().contains("not ready: "), "{asked:?}");
    assert!(
        asked
            .stdout_text()
            .contains("credentials file cannot be used"),
        "{asked:?}"
    );
}

#[test]
fn no_daemon_is_not_healthy() {
    let installation = Installation::new(standard()).with_admin();
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    daemon.terminate();
    daemon.finish();
    let asked = healthcheck(&installation, &listen(admin, "127.0.0.1"));
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.errors().contains(&admin.to_string()), "{asked:?}");
}

#[test]
fn without_an_admin_listener_it_cannot_be_told() {
    let installation = Installation::new(standard());
    let asked = healthcheck(&installation, "127.0.0.1:1");
    assert_eq!(asked.code, Some(1), "{asked:?}");
    insta::assert_snapshot!(format!("[no-admin-listener] {}", asked.errors()));
}
