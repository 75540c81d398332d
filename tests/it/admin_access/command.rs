//! `engage-host admin token`.

use serde_json::Value;

use crate::harness::{
    Daemon, Installation, Role, TOKEN_FILE, ask_admin, bearer, openssl, program, run, standard,
};

fn command(installation: &Installation, arguments: &[&str]) -> std::process::Command {
    let mut command = program();
    command.args(["admin", "token"]).args(arguments);
    command
        .arg("--config")
        .arg(installation.path("config.toml"));
    command
}

#[test]
fn the_command_makes_a_token_that_a_running_daemon_knows_and_keeps_only_its_hash() {
    let installation = Installation::new(standard()).with_admin();
    installation.set("[admin]", &format!("token_file = \"{TOKEN_FILE}\""));
    installation.write(TOKEN_FILE, "# nobody yet");
    let mut daemon = Daemon::start(&installation);
    let made = run(&mut command(
        &installation,
        &["night-shift", "--role", "read"],
    ));
    assert_eq!(made.code, Some(0), "{}", made.stderr_text());
    let token = made.stdout_text().trim_end().to_owned();
    assert!(!made.stderr_text().contains(&token));
    daemon.wait_for("reloaded: new connections get the new state");
    let answer = ask_admin(daemon.admin(), "GET /api/v1/nothing", &bearer(&token), "");
    assert_eq!(answer.status(), 404, "{answer:?}");
    // The file's hash is what anybody computes.
    installation.write("token", &token);
    let hash = openssl(
        installation.folder(),
        ["dgst", "-sha256", "-binary", "token"],
    );
    let hash = data_encoding::BASE64URL_NOPAD.encode(&hash);
    let file = fs_err::read_to_string(installation.path(TOKEN_FILE)).unwrap();
    assert_eq!(file, format!("# nobody yet\nnight-shift read {hash}\n"));
}

#[test]
fn a_file_that_is_missing_is_made_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let installation = Installation::new(standard());
    installation.set("[admin]", "token_file = \"tokens\"");
    let made = run(command(&installation, &["a", "--role", "write"]).arg("--json"));
    assert_eq!(made.code, Some(0), "{}", made.stderr_text());
    let report: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(report["role"], "write");
    assert!(report["token"].as_str().unwrap().starts_with("engage_"));
    let metadata = fs_err::metadata(installation.path("tokens")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_link_stays_one_and_what_it_leads_to_gets_the_token() {
    let installation = Installation::new(standard());
    installation.with_named_admin_token("a", Role::Read);
    let (file, link) = (
        installation.path("elsewhere"),
        installation.path(TOKEN_FILE),
    );
    fs_err::rename(&link, &file).unwrap();
    std::os::unix::fs::symlink("elsewhere", &link).unwrap();
    let made = run(&mut command(&installation, &["b", "--role", "read"]));
    assert_eq!(made.code, Some(0), "{}", made.stderr_text());
    assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
    let lines = fs_err::read_to_string(&file).unwrap();
    assert!(lines.contains("\nb read "), "{lines}");
}

#[test]
fn what_cannot_be_added_is_refused_and_the_file_stays_as_it_was() {
    let installation = Installation::new(standard());
    let refused = |installation: &Installation, arguments: &[&str], code: &str| {
        let finished = run(command(installation, arguments).arg("--json"));
        assert_eq!(finished.code, Some(1), "{}", finished.stderr_text());
        let report: Value = serde_json::from_slice(&finished.stdout).unwrap();
        assert_eq!(report["refusals"][0]["code"], code);
    };
    refused(&installation, &["a", "--role", "read"], "no-token-file");
    installation.with_named_admin_token("a", Role::Read);
    let before = fs_err::read_to_string(installation.path(TOKEN_FILE)).unwrap();
    refused(&installation, &["a", "--role", "read"], "token-name-taken");
    let after = fs_err::read_to_string(installation.path(TOKEN_FILE)).unwrap();
    assert_eq!(before, after);
    installation.write(TOKEN_FILE, "a read b\n");
    refused(&installation, &["b", "--role", "read"], "token-file-line");
    // A token in it would open nothing.
    installation.write(TOKEN_FILE, &before);
    installation.chmod(TOKEN_FILE, 0o644);
    refused(&installation, &["b", "--role", "read"], "token-file-open");
    fs_err::remove_file(installation.path(TOKEN_FILE)).unwrap();
    fs_err::create_dir(installation.path(TOKEN_FILE)).unwrap();
    refused(&installation, &["b", "--role", "read"], "unreadable-file");
    for arguments in [["a b", "--role", "read"], ["a", "--role", "admin"]] {
        let finished = run(&mut command(&installation, &arguments));
        assert_eq!(finished.code, Some(2), "{arguments:?}");
    }
}
