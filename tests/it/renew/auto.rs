//! `[pki] auto_renew`: the daemon renews by itself, by libfaketime.

use jiff::Timestamp;

use super::*;
use crate::expiry::{faketime, in_faked_time, set_clock, start_in_faked_time};

const DAYS: i64 = 300;

/// A host whose server certificate ends in 300 days, and the daemon that is to renew it.
fn installation() -> Installation {
    let installation = Installation::by_init(&["--days", "300"]).with_admin();
    installation.set("[pki]", "auto_renew = true\nsteady_clock_minutes = 0");
    set_clock(&installation, 0);
    installation
}

/// Has it look at its certificates at another time.
fn look(installation: &Installation, daemon: &mut Daemon, days: i64) {
    set_clock(installation, days);
    let before = daemon.seen("reloading: SIGHUP").count();
    daemon.hang_up();
    daemon.wait_for_count("reloading: SIGHUP", before + 1);
}

/// The server certificate of the next handshake, as OpenSSL is shown it at that time.
fn shown_to_openssl(installation: &Installation, daemon: &Daemon, days: i64) -> String {
    is_verified_at(installation, daemon, days);
    let arguments = [
        "x509",
        "-in",
        "shown.pem",
        "-noout",
        "-fingerprint",
        "-sha256",
    ];
    let fingerprint = openssl(installation.folder(), arguments);
    let text = String::from_utf8(fingerprint).unwrap();
    text.trim().split_once('=').unwrap().1.to_owned()
}

fn is_verified_at(installation: &Installation, daemon: &Daemon, days: i64) {
    let then = Timestamp::now().as_second() + days * 86_400;
    let arguments = ["x509", "-inform", "der", "-in", ROOT, "-out", "root.pem"];
    openssl(installation.folder(), arguments);
    let mut client = Command::new("openssl");
    client
        .args([
            "s_client",
            "-CAfile",
            "root.pem",
            "-verify_return_error",
            "-attime",
        ])
        .arg(then.to_string())
        .arg("-connect")
        .arg(daemon.https.to_string())
        .current_dir(installation.folder());
    let shown = run(&mut client);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr_text());
    installation.write("shown.pem", shown.stdout);
}

#[test]
fn at_two_thirds_of_its_life_it_is_renewed_and_swapped_in_by_a_reload() {
    let Some(library) = faketime() else {
        return;
    };
    let installation = installation();
    let before = chain(&installation);
    let mut daemon = start_in_faked_time(&installation, &library);
    look(&installation, &mut daemon, DAYS * 2 / 3 - 3);
    daemon.wait_for("reloaded:");
    assert_eq!(chain(&installation), before);
    let renewed_at = DAYS * 2 / 3 + 15;
    look(&installation, &mut daemon, renewed_at);
    daemon.wait_for("renewed the server certificate, which is valid until");
    daemon.wait_for("reloading: files changed");
    daemon.wait_for_count("reloaded:", 3);
    let after = chain(&installation);
    assert_eq!(after[0].alt_names(), before[0].alt_names());
    let end = after[0].validity().not_after;
    let days = (end.as_second() - Timestamp::now().as_second() + 3600) / 86_400;
    assert_eq!(days, renewed_at + DAYS);
    let shown = shown_to_openssl(&installation, &daemon, renewed_at);
    assert_eq!(shown, after[0].fingerprint().to_string());
    let success = [("result", "success")];
    daemon.wait_for_metric("certificate_renewals_total", &success, 1);
    // Once: the new one has its own time.
    look(&installation, &mut daemon, renewed_at + 2);
    daemon.wait_for_count("reloaded:", 4);
    assert_eq!(chain(&installation), after);
}

#[test]
fn what_it_cannot_prove_or_issue_leaves_the_present_one_and_is_tried_again() {
    let Some(library) = faketime() else {
        return;
    };
    let installation = installation();
    let key = read(&installation, INTERMEDIATE_KEY);
    installation.remove(INTERMEDIATE_KEY);
    assert_eq!(installation.check(&[]).code, Some(0));
    assert!(
        installation
            .warning_codes()
            .contains(&"auto-renew-impossible".to_owned())
    );
    let mut daemon = start_in_faked_time(&installation, &library);
    let line =
        daemon.wait_for("`[pki] auto_renew` is set, but the certificate could not be renewed");
    assert!(
        line.contains("WARN") && line.contains("partner_intermediate.key"),
        "{line}"
    );
    let before = chain(&installation);
    look(&installation, &mut daemon, 220);
    let line = daemon.wait_for("the server certificate was not renewed, and the present one stays");
    assert!(line.contains("partner_intermediate.key"), "{line}");
    let failure = [("result", "failure")];
    daemon.wait_for_metric("certificate_renewals_total", &failure, 1);
    assert_eq!(chain(&installation), before);
    let shown = shown_to_openssl(&installation, &daemon, 220);
    assert_eq!(shown, before[0].fingerprint().to_string());
    // Mended, it is renewed at the next attempt.
    installation.write(INTERMEDIATE_KEY, key);
    look(&installation, &mut daemon, 221);
    daemon.wait_for("renewed the server certificate");
    assert_ne!(chain(&installation)[0], before[0]);
}

#[test]
fn a_renewal_that_would_gain_no_time_is_none() {
    let Some(library) = faketime() else {
        return;
    };
    let installation = installation();
    // The issuer ends 400 days after the server certificate, which is renewed a first time beyond that.
    let mut daemon = start_in_faked_time(&installation, &library);
    look(&installation, &mut daemon, 250);
    daemon.wait_for("renewed the server certificate");
    daemon.wait_for("reloading: files changed");
    look(&installation, &mut daemon, 250 + 250);
    daemon.wait_for_count("renewed the server certificate", 2);
    daemon.wait_for_count("reloading: files changed", 2);
    let last = chain(&installation);
    assert_eq!(last[0].validity().not_after, last[1].validity().not_after);
    look(&installation, &mut daemon, 690);
    let line = daemon.wait_for("the server certificate was not renewed");
    assert!(line.contains("no later than the present one"), "{line}");
    assert_eq!(chain(&installation), last);
}

#[test]
fn a_clock_that_is_ahead_for_a_moment_renews_nothing() {
    let Some(library) = faketime() else {
        return;
    };
    let installation = installation();
    installation.edit("steady_clock_minutes = 0", "steady_clock_minutes = 60");
    let before = chain(&installation);
    let mut daemon = start_in_faked_time(&installation, &library);
    look(&installation, &mut daemon, 250);
    let line = daemon.wait_for("waits until the clock has run evenly for 60 minutes");
    assert!(line.contains("due for renewal"), "{line}");
    look(&installation, &mut daemon, 0);
    daemon.wait_for_count("reloaded:", 2);
    assert_eq!(chain(&installation), before);
    is_verified_at(&installation, &daemon, 0);
}

#[test]
fn what_a_clock_that_was_ahead_has_dated_is_replaced_under_the_right_one() {
    let Some(library) = faketime() else {
        return;
    };
    let installation = Installation::by_init(&[]);
    let ahead = |more: &[&str]| {
        set_clock(&installation, 8 * 365);
        let mut command = command(&installation, more);
        in_faked_time(&installation, &library)(&mut command);
        let finished = run(&mut command);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let checked = installation.check(&[]);
        assert!(
            checked.stdout_text().contains("[not-yet-valid]"),
            "{checked:?}"
        );
    };
    ahead(&[]);
    renewed(&installation, &[]);
    assert_eq!(installation.check(&[]).code, Some(0));

    let root_key = installation.path("pki/partner_CA.key");
    let both = ["--intermediate", "--root-key", root_key.to_str().unwrap()];
    ahead(&both);
    let refused = renew(&installation, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let said = refused.errors();
    let old = installation.path("static/Device_Certificates/old");
    for part in ["clock says", "renew --intermediate", old.to_str().unwrap()] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(renew(&installation, &both).code, Some(0));
    assert_eq!(installation.check(&[]).code, Some(0));
}
