//! `renew` that is killed: whatever it leaves, a daemon starts from it.

use std::os::unix::process::ExitStatusExt;

use super::*;
use crate::harness::killing_library;

#[test]
fn a_killed_renewal_leaves_what_a_daemon_starts_from() {
    assert_started_after_each_kill(&[], 8);
}

#[test]
fn a_killed_renewal_of_both_leaves_what_a_daemon_starts_from() {
    assert_started_after_each_kill(&["--intermediate"], 16);
}

/// Killed at each of its writes in turn, every one of which ends with an `fsync`.
fn assert_started_after_each_kill(arguments: &[&str], writes: usize) {
    let tools = tempfile::tempdir().unwrap();
    let library = killing_library(tools.path());
    let installation = Installation::by_init(&[]);
    let root = trusting(&read(&installation, ROOT));
    let mut killed = 0;
    loop {
        let before = chain(&installation);
        let mut renewal = command(&installation, arguments);
        renewal
            .env("LD_PRELOAD", &library)
            .env("FSYNCS", killed.to_string());
        let ended = renewal.output().unwrap();
        let daemon = Daemon::start(&installation);
        assert_eq!(
            tls_get(daemon.https, &root, ANNOUNCEMENT).status(),
            200,
            "{killed}"
        );
        drop(daemon);
        is_verified_by_openssl(&installation);
        if ended.status.success() {
            break;
        }
        assert_eq!(ended.status.signal(), Some(9), "{killed}");
        killed += 1;
        // The next one, from whatever there is, leaves nothing of the killed one behind.
        if killed % 4 == 0 {
            renewed(&installation, arguments);
            assert_ne!(chain(&installation)[0], before[0]);
            let key = String::from_utf8(read(&installation, SERVER_KEY)).unwrap();
            assert_eq!(key.matches("BEGIN").count(), 1);
            assert_eq!(hidden(&installation.path("pki")), [""; 0]);
        }
    }
    assert!(killed >= writes, "{killed}");
    assert_eq!(installation.check(&[]).code, Some(0));
}
