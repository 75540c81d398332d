//! `init` that is killed: what it leaves, and what the next one makes of it.

use std::time::{Duration, Instant};

use super::{check, command, files, init, stderr};

/// The unit tests of `init` end it after each single step; here it is the kernel that does.
#[test]
fn a_killed_run_is_completed_by_the_next_and_nothing_hidden_stays() {
    for visible in 1..=8 {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().to_str().unwrap();
        let mut child = command(&["init", "--dir", dir, "--host", "127.0.0.1"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Watches without a pause: all is written within a millisecond.
        let deadline = Instant::now() + Duration::from_mins(1);
        while files_so_far(home.path()) < visible
            && child.try_wait().unwrap().is_none()
            && Instant::now() < deadline
        {}
        child.kill().unwrap();
        child.wait().unwrap();
        let completed = init(home.path(), &["--host", "127.0.0.1"]);
        assert!(
            completed.status.success(),
            "{visible}: {}",
            stderr(&completed)
        );
        let names: Vec<_> = files(home.path()).into_keys().collect();
        assert_eq!(names.len(), 8, "{visible}: {names:?}");
        assert!(check(home.path()).status.success(), "{visible}");
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

/// Counts entries that may vanish meanwhile.
fn files_so_far(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_so_far(&entry.path()),
            _ => usize::from(!entry.file_name().to_string_lossy().starts_with('.')),
        })
        .sum()
}
