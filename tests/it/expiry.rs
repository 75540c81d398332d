//! The clock moves across a certificate's end while the daemon runs, by libfaketime.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::harness::{Chain, Daemon, Installation, Response, connect, get, tls_get, trusting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// The library, unless this computer lacks it; where `CI` is set, it must be there.
pub(crate) fn faketime() -> Option<PathBuf> {
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
pub(crate) fn set_clock(installation: &Installation, days: i64) {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let then = OffsetDateTime::now_utc() + Duration::days(days);
    installation.write("clock", format!("@{}\n", then.format(format).unwrap()));
}

pub(crate) fn start_in_faked_time(installation: &Installation, library: &PathBuf) -> Daemon {
    Daemon::start_with(installation, in_faked_time(installation, library))
}

pub(crate) fn in_faked_time(
    installation: &Installation,
    library: &PathBuf,
) -> impl FnOnce(&mut Command) + use<> {
    let (clock, library) = (installation.path("clock"), library.to_owned());
    move |command| {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC");
    }
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
    renew(&installation, &chain);
    let before = daemon.seen("reloaded:").count();
    daemon.wait_for_count("reloaded:", before + 1);
    assert_eq!(get(admin, "/readyz").status(), 200);
}

/// Puts a server certificate of the same key and issuer in the place of the old one.
fn renew(installation: &Installation, chain: &Chain) {
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
}

#[test]
fn a_start_with_an_expired_server_certificate_tells_devices_in_clear_text_what_to_install() {
    let chain = Chain::issue(|[server, ..]| server.days = (-20, -10));
    let installation = Installation::new(&chain).with_admin();
    let mut daemon = Daemon::start(&installation);
    let line = daemon.wait_for("the TLS listener refuses everybody: server certificate");
    assert!(
        line.contains("ERROR") && line.contains("expired at"),
        "{line}"
    );
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    let file = get(daemon.http, "/static/Device_Certificates/partner_CA.der");
    assert_eq!(file.body, chain.root.der);
    // Nobody is shown what devices would refuse.
    let mut refused = connect(daemon.https);
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0);
    daemon.wait_for("refused: the server certificate is not valid now");
    daemon.wait_for_metric(
        "refusals_total",
        &[("listener", "https"), ("limit", "certificate")],
        1,
    );
    let admin = daemon.admin();
    let reason = body_text(&get(admin, "/readyz"));
    let expected = "not ready: the TLS listener refuses everybody: server certificate";
    assert!(reason.contains(expected), "{reason}");
    renew(&installation, &chain);
    daemon.wait_for("reloaded:");
    let config = trusting(&chain.root.der);
    assert_eq!(tls_get(daemon.https, &config, ANNOUNCEMENT).status(), 200);
    assert_eq!(get(admin, "/readyz").status(), 200);
}

#[test]
fn a_clock_that_is_set_after_the_start_brings_the_tls_listener_back() {
    let Some(library) = faketime() else {
        return;
    };
    // As on a board without a battery: its clock is between the root and the server certificate.
    let chain = Chain::issue(|[server, ..]| server.days = (1, 100));
    let installation = Installation::new(&chain).with_admin();
    set_clock(&installation, 0);
    let mut daemon = start_in_faked_time(&installation, &library);
    let line = daemon.wait_for("the TLS listener refuses everybody: server certificate");
    assert!(line.contains("is valid from"), "{line}");
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
    set_clock(&installation, 3);
    daemon.wait_for("reloading: a certificate is valid now");
    daemon.wait_for("reloaded:");
    // Our own clients go by the true time: that it is read at all shows that it is let in.
    let mut caller = connect(daemon.https);
    caller.write_all(b"no TLS at all").unwrap();
    daemon.wait_for("TLS handshake with");
    let admin = daemon.admin();
    assert_eq!(get(admin, "/readyz").status(), 200);
}

fn body_text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}
