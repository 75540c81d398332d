//! Owner, group, mode and names of what `init` makes for a daemon that runs as somebody else.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::{INTERMEDIATE, ROOT, SERVER, SERVER_KEY, fresh, init, mode, openssl, stderr, stdout};

/// A group that nobody is in.
const DAEMONS: u32 = 54_321;

#[test]
fn a_renewed_pair_has_the_names_of_the_one_that_was_moved_away() {
    let home = fresh();
    let before = names(home.path());
    move_pair_away(home.path());
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    assert_eq!(names(home.path()), before);
    assert!(before.contains("DNS:doors.example.com"), "{before}");
    let text = stdout(&renewed);
    assert!(text.contains("with the names of `"), "{text}");

    move_pair_away(home.path());
    let named = init(home.path(), &["--host", "192.0.2.9"]);
    assert!(named.status.success(), "{}", stderr(&named));
    assert!(!names(home.path()).contains("doors.example.com"));
    assert!(!stdout(&named).contains("with the names of"));
}

#[test]
fn a_renewed_pair_can_be_read_by_whom_the_old_one_was_for() {
    let home = fresh();
    for name in [SERVER, SERVER_KEY] {
        set(&home.path().join(name), 0o640);
    }
    if is_root() {
        for name in [SERVER, SERVER_KEY] {
            chown(home.path().join(name), Some(DAEMONS), Some(DAEMONS)).unwrap();
        }
    }
    let before = [SERVER, SERVER_KEY].map(|name| access(&home.path().join(name)));
    move_pair_away(home.path());
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    let after = [SERVER, SERVER_KEY].map(|name| access(&home.path().join(name)));
    assert_eq!(after, before);
}

#[test]
fn without_the_old_pair_the_site_key_shows_whom_the_new_one_is_for() {
    let home = fresh();
    set(&home.path().join("pki/site.key"), 0o640);
    if is_root() {
        chown(home.path().join("pki/site.key"), None, Some(DAEMONS)).unwrap();
    }
    for half in [SERVER, SERVER_KEY] {
        std::fs::remove_file(home.path().join(half)).unwrap();
    }
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    let expected = access(&home.path().join("pki/site.key"));
    for half in [SERVER, SERVER_KEY] {
        assert_eq!(access(&home.path().join(half)), expected, "{half}");
    }
}

#[test]
fn what_root_makes_in_a_folder_of_the_daemons_group_the_daemon_can_use() {
    if !is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    chown(home.path(), None, Some(DAEMONS)).unwrap();
    set(home.path(), 0o750);
    let made = init(home.path(), &[]);
    assert!(made.status.success(), "{}", stderr(&made));
    for (name, mode) in [
        ("pki", 0o750),
        ("pki/site.key", 0o640),
        (SERVER, 0o640),
        (SERVER_KEY, 0o640),
        ("pki/partner_CA.key", 0o600),
        ("pki/partner_intermediate.key", 0o600),
        ("Engage_Data", 0o770),
        ("static/Device_Certificates", 0o755),
        (ROOT, 0o644),
        (INTERMEDIATE, 0o644),
        ("config.toml", 0o644),
    ] {
        let found = access(&home.path().join(name));
        assert_eq!(found, (0, DAEMONS, mode), "{name}: {:o}", found.2);
    }
}

/// As docs/OPERATIONS.md says.
fn move_pair_away(home: &Path) {
    let old = home.join("pki/old");
    fs_err::create_dir_all(&old).unwrap();
    for name in [SERVER, SERVER_KEY] {
        let path = home.join(name);
        fs_err::rename(&path, old.join(path.file_name().unwrap())).unwrap();
    }
}

fn names(home: &Path) -> String {
    let text = openssl(
        home,
        &["x509", "-noout", "-ext", "subjectAltName", "-in", SERVER],
    );
    text.lines().last().unwrap().trim().to_owned()
}

fn access(path: &Path) -> (u32, u32, u32) {
    let metadata = std::fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid(), mode(path))
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Only root can give files away; everybody else tests the modes.
fn is_root() -> bool {
    let own = tempfile::NamedTempFile::new().unwrap();
    own.as_file().metadata().unwrap().uid() == 0
}
