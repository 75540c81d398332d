//! `init` that is killed: what it leaves, and what the next one makes of it.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crate::harness::killing_library;

use super::{check, command, files, init, mode, stderr};

/// Killed at each of its steps in turn: every one of them, staging a file or giving it its name, ends
/// with an `fsync`.
#[test]
fn a_killed_run_is_completed_by_the_next_and_nothing_hidden_stays() {
    let tools = tempfile::tempdir().unwrap();
    let library = killing_library(tools.path());
    let mut killed = 0;
    loop {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().to_str().unwrap();
        let ended = command(&["init", "--dir", dir, "--host", "127.0.0.1"])
            .env("LD_PRELOAD", &library)
            .env("FSYNCS", killed.to_string())
            .output()
            .unwrap();
        if ended.status.success() {
            break;
        }
        assert_eq!(ended.status.signal(), Some(9), "{}", stderr(&ended));
        killed += 1;
        assert_keys_are_private(home.path());
        let before = files(home.path());
        let completed = init(home.path(), &["--host", "127.0.0.1"]);
        assert!(
            completed.status.success(),
            "{killed}: {}",
            stderr(&completed)
        );
        let after = files(home.path());
        assert_eq!(after.len(), 9, "{killed}: {:?}", after.keys());
        assert!(
            !after.keys().any(|name| is_hidden(name)),
            "{:?}",
            after.keys()
        );
        // What had its name may be in use already.
        for (name, contents) in before.iter().filter(|(name, _)| !is_hidden(name)) {
            assert_eq!(after.get(name), Some(contents), "{killed}: {name}");
        }
        assert_keys_are_private(home.path());
        let checked = check(home.path());
        assert!(checked.status.success(), "{killed}: {}", stderr(&checked));
    }
    // Eight files, each staged and published, file and folder.
    assert!(killed >= 24, "{killed}");
}

fn is_hidden(name: &str) -> bool {
    Path::new(name)
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn assert_keys_are_private(home: &Path) {
    for (name, _) in files(home).iter().filter(|(name, _)| name.contains(".key")) {
        assert_eq!(mode(&home.join(name)), 0o600, "{name}");
    }
}

#[test]
fn what_an_earlier_version_left_hidden_is_removed() {
    let home = super::fresh();
    let copy = home.path().join("pki/.partner_CA.key.0123456789abcdef.new");
    fs_err::write(&copy, "a copy of a key").unwrap();
    let other = home.path().join("pki/.partner_CA.key.mine.new");
    fs_err::write(&other, "not ours").unwrap();
    assert!(init(home.path(), &[]).status.success());
    assert!(!copy.exists());
    assert!(other.exists());
}
