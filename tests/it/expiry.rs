//! The clock moves across a certificate's end while the daemon runs, by libfaketime.

use std::path::PathBuf;

use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::harness::{Chain, Daemon, Installation, get, tls_get, trusting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// The library, unless this computer lacks it; where `CI` is set, it must be there.
fn faketime() -> Option<PathBuf> {
    let found = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"))
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "libfaketime is needed");
        println!("skipped: libfaketime is not installed");
    }
    found
}

/// The time that the daemon is to believe in, counted from now.
fn set_clock(installation: &Installation, days: i64) {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let then = OffsetDateTime::now_utc() + Duration::days(days);
    installation.write("clock", format!("@{}\n", then.format(format).unwrap()));
}

fn start_in_faked_time(installation: &Installation, library: &PathBuf) -> Daemon {
    Daemon::start_with(installation, |command| {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", installation.path("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC");
    })
}

#[test]
fn expiry_is_warned_of_and_then_refused_while_the_old_state_is_served() {
    let Some(library) = faketime() else {
        return;
    };
    // The server's certificate ends in 100 days, the others in a year.
    let chain = Chain::issue(|[server, ..]| server.days = (-1, 100));
    let installation = Installation::new(&chain).with_admin();
    set_clock(&installation, 0);
    let mut daemon = start_in_faked_time(&installation, &library);
    let admin = daemon.admin();
    assert_eq!(get(admin, "/readyz").status(), 200);
    for (at, days_left) in [90, 30, 14, 7, 1].into_iter().enumerate() {
        set_clock(&installation, 100 - days_left);
        daemon.hang_up();
        let message = format!(
            "server certificate `O=Partner, CN=server.example.com` expires in {days_left} days"
        );
        let line = daemon.wait_for(&message);
        assert!(line.contains("WARN"), "{line}");
        assert!(line.contains(&format!("days={days_left}")), "{line}");
        assert_eq!(
            daemon
                .seen("expires in")
                .filter(|it| it.contains("days="))
                .count(),
            at + 1
        );
    }
    assert_eq!(get(admin, "/readyz").status(), 200);

    set_clock(&installation, 102);
    daemon.hang_up();
    let refused = daemon.wait_for("reload refused, the previous state stays in force");
    assert!(refused.contains("expired"), "{refused}");
    let line = daemon.wait_for("devices refuse it; issue a new one now");
    assert!(line.contains("ERROR"), "{line}");
    let not_ready = get(admin, "/readyz");
    assert_eq!(not_ready.status(), 503);
    let reason = String::from_utf8(not_ready.body).unwrap();
    assert!(
        reason.starts_with(
            "not ready: server certificate `O=Partner, CN=server.example.com` expired at"
        ),
        "{reason}"
    );
    // Alive all the same: a device whose own clock is wrong may still accept it.
    assert_eq!(get(admin, "/healthz").status(), 200);
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    let config = trusting(&chain.root.der);
    assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    daemon.wait_for_metric("reloads_total", &[("result", "failure")], 1);

    // A renewed certificate makes it ready again.
    let renewed = crate::harness::Request {
        days: (-1, 300),
        ..crate::harness::Request::new(
            "server.example.com",
            chain.server.key,
            crate::harness::SERVER,
        )
    };
    let renewed = renewed.issued_by(&chain.intermediate);
    let pem = format!("{}{}", renewed.pem, chain.intermediate.pem);
    installation.write("pki/partner_server.pem", pem);
    let before = daemon.seen("reloaded:").count();
    daemon.wait_for_count("reloaded:", before + 1);
    assert_eq!(get(admin, "/readyz").status(), 200);
}
