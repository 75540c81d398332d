//! The file of tokens that `init` makes: whoever runs `admin token` is let in at once.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;

use super::{SERVER_KEY, check, command, files, fresh, init, mode, run, stderr, stdout};
use crate::harness::{Daemon, ask_admin, bearer, get, program};

const TOKENS: &str = "admin-tokens";

#[test]
fn a_token_opens_what_init_has_made_without_a_further_word() {
    let home = fresh();
    assert_eq!(mode(&home.path().join(TOKENS)), 0o600);
    let config = home.path().join("config.toml");
    let text = fs_err::read_to_string(&config).unwrap();
    // Of this test alone: port 9480 may be somebody else's.
    let text = text.replace("[admin]\n", "[admin]\nlisten = \"127.0.0.1:0\"\n");
    fs_err::write(&config, text).unwrap();
    let mut daemon = Daemon::run(
        program()
            .args(["serve", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0"])
            .arg("--config")
            .arg(&config),
    );
    let admin: SocketAddr = daemon.admin();
    assert_eq!(get(admin, "/sign-in").status(), 200);
    let config = config.to_str().unwrap();
    let made = run(&["admin", "token", "me", "--role", "read", "--config", config]);
    assert!(made.status.success(), "{}", stderr(&made));
    let token = stdout(&made).trim().to_owned();
    daemon.wait_for("reloaded: new connections get the new state");
    let answer = ask_admin(admin, "GET /api/v1/devices", &bearer(&token), "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    // The file is as private as before, and `init` keeps it.
    assert_eq!(mode(&home.path().join(TOKENS)), 0o600);
    let before = files(home.path());
    let again = init(home.path(), &[]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(files(home.path()), before);
}

#[test]
fn the_steps_say_how_somebody_is_let_in() {
    let home = tempfile::tempdir().unwrap();
    let made = init(home.path(), &["--host", "127.0.0.1"]);
    let said = stdout(&made);
    let path = home.path().join(TOKENS);
    assert!(
        said.contains(&format!("made    {}", path.display())),
        "{said}"
    );
    assert!(said.contains("engage-host admin token NAME"), "{said}");
    assert!(said.contains("http://127.0.0.1:9480/"), "{said}");
    // Not again.
    let again = stdout(&init(home.path(), &[]));
    assert!(!again.contains("admin token"), "{again}");
}

#[test]
fn a_configuration_without_tokens_is_told_what_to_add_and_stays_as_it_is() {
    let home = fresh();
    let config = home.path().join("config.toml");
    let text = fs_err::read_to_string(&config).unwrap();
    let earlier = text.replace("token_file = \"admin-tokens\"\n", "");
    assert_ne!(earlier, text);
    fs_err::write(&config, &earlier).unwrap();
    fs_err::remove_file(home.path().join(TOKENS)).unwrap();
    let before = files(home.path());
    let said = stdout(&init(home.path(), &[]));
    assert_eq!(files(home.path()), before);
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(said.contains("token_file = \"admin-tokens\""), "{said}");
    // Whoever adds it gets the file.
    fs_err::write(&config, &text).unwrap();
    let checked = stdout(&check(home.path()));
    assert!(checked.contains("error[token-file-missing]"), "{checked}");
    let said = stdout(&init(home.path(), &[]));
    assert!(said.contains("made    "), "{said}");
    assert!(check(home.path()).status.success());
    // Where there is no admin listener, there is nothing to say.
    let off = earlier.replace("[admin]\n", "[admin]\nlisten = \"\"\n");
    fs_err::write(&config, off).unwrap();
    let said = stdout(&init(home.path(), &[]));
    assert!(!said.contains("token_file"), "{said}");
}

#[test]
fn a_lost_token_file_keeps_no_daemon_from_serving_and_is_not_made_anew_unasked() {
    let home = fresh();
    fs_err::remove_file(home.path().join(TOKENS)).unwrap();
    let config = home.path().join("config.toml");
    let mut serving = command(&["serve", "--init", "--http", "127.0.0.1:0", "--https"])
        .arg("127.0.0.1:0")
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(serving.stderr.take().unwrap()).lines();
    let mut log = String::new();
    for line in lines.map_while(Result::ok) {
        log.push_str(&line);
        log.push('\n');
        if log.matches("listening").count() >= 2 && log.contains("token-file-missing") {
            break;
        }
    }
    serving.kill().unwrap();
    serving.wait().unwrap();
    assert!(log.contains("nobody is let in"), "{log}");
    assert!(log.contains("listening on https://"), "{log}");
    assert!(!home.path().join(TOKENS).exists());
}

#[test]
fn what_root_makes_for_a_service_the_daemon_reads_and_does_not_write() {
    use std::os::unix::fs::{MetadataExt, chown};

    let home = tempfile::tempdir().unwrap();
    // A group that nobody is in; only root can give a folder to it.
    if chown(home.path(), None, Some(54_321)).is_err() {
        return;
    }
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o750);
    fs_err::set_permissions(home.path(), permissions).unwrap();
    assert!(init(home.path(), &[]).status.success());
    for name in [TOKENS, SERVER_KEY] {
        let path = home.path().join(name);
        let metadata = fs_err::metadata(&path).unwrap();
        let found = (metadata.uid(), metadata.gid(), mode(&path));
        assert_eq!(found, (0, 54_321, 0o640), "{name}");
    }
}
