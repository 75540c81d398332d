//! Tokens of programs.

use serde_json::Value;

use crate::harness::{
    Daemon, Installation, Response, Role, TOKEN_FILE, ask_admin, bearer, get, standard,
};

/// Where the API answers every method: nothing is there.
const NOTHING: &str = "/api/v1/nothing-is-here";

fn assert_problem(answer: &Response, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/problem+json"));
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["code"], code);
    assert_eq!(problem["status"], status);
    assert!(problem["hint"].as_str().is_some_and(|it| !it.is_empty()));
}

#[test]
fn without_a_token_file_there_are_neither_pages_nor_an_api() {
    let mut daemon = Daemon::start(&Installation::new(standard()).with_admin());
    for path in ["/", "/sign-in", "/api", NOTHING, "/devices"] {
        let answer = get(daemon.admin(), path);
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.body.is_empty(), "{path}");
    }
    assert_eq!(get(daemon.admin(), "/healthz").status(), 200);
}

#[test]
fn who_shows_no_token_or_a_wrong_one_is_refused_before_anything_is_looked_up() {
    let installation = Installation::new(standard()).with_admin();
    let token = installation.with_admin_token(Role::Read);
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    let answer = ask_admin(admin, &format!("GET {NOTHING}"), "", "");
    assert_problem(&answer, 401, "no-token");
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, Some("Bearer realm=\"engage-host\""));
    let other = format!(
        "{}{}",
        &token[..49],
        if token.ends_with('A') { 'B' } else { 'A' }
    );
    for headers in [
        bearer(&other),
        bearer(&token[..49]),
        bearer(&format!("{token}x")),
        bearer(""),
        bearer(&token) + &bearer(&token),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
    ] {
        let answer = ask_admin(admin, &format!("GET {NOTHING}"), &headers, "");
        assert_problem(&answer, 401, "unknown-token");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    let answer = ask_admin(admin, &format!("GET {NOTHING}"), &bearer(&token), "");
    assert_problem(&answer, 404, "not-found");
    // Health and metrics ask for none, as before.
    assert_eq!(get(admin, "/healthz").status(), 200);
    assert_eq!(get(admin, "/metrics").status(), 200);
}

#[test]
fn a_read_token_changes_nothing_whatever_the_method() {
    let installation = Installation::new(standard()).with_admin();
    let read = installation.with_admin_token(Role::Read);
    let write = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"] {
        let target = format!("{method} {NOTHING}");
        let refused = ask_admin(admin, &target, &bearer(&read), "");
        assert_problem(&refused, 403, "role-too-low");
        let passed = ask_admin(admin, &target, &bearer(&write), "");
        assert_problem(&passed, 404, "not-found");
    }
    for method in ["GET", "OPTIONS"] {
        let passed = ask_admin(admin, &format!("{method} {NOTHING}"), &bearer(&read), "");
        assert_problem(&passed, 404, "not-found");
    }
}

#[test]
fn a_token_that_is_taken_out_of_the_file_opens_nothing_any_more() {
    let installation = Installation::new(standard()).with_admin();
    let first = installation.with_named_admin_token("first", Role::Read);
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    let target = format!("GET {NOTHING}");
    assert_eq!(ask_admin(admin, &target, &bearer(&first), "").status(), 404);
    installation.write(TOKEN_FILE, "# nobody\n");
    let second = installation.with_named_admin_token("second", Role::Read);
    daemon.hang_up();
    daemon.wait_for("reloaded: new connections get the new state");
    assert_eq!(ask_admin(admin, &target, &bearer(&first), "").status(), 401);
    assert_eq!(
        ask_admin(admin, &target, &bearer(&second), "").status(),
        404
    );
}

#[test]
fn a_token_file_that_others_can_use_or_that_is_none_lets_nobody_in_and_keeps_no_door_closed() {
    for (contents, mode, code) in [
        (None, 0o644, "token-file-open"),
        (None, 0o620, "token-file-open"),
        (Some("ops write not-a-hash\n"), 0o600, "token-file-line"),
    ] {
        let installation = Installation::new(standard()).with_admin();
        let token = installation.with_admin_token(Role::Write);
        let good = fs_err::read_to_string(installation.path(TOKEN_FILE)).unwrap();
        installation.write(TOKEN_FILE, contents.unwrap_or(&good));
        installation.chmod(TOKEN_FILE, mode);
        let mut daemon = Daemon::start(&installation);
        let line = daemon.wait_for("nobody is let in to the pages and the API");
        assert!(line.contains("ERROR") && line.contains(code), "{line}");
        assert!(!line.contains("not-a-hash"), "{line}");
        let admin = daemon.admin();
        let target = format!("GET {NOTHING}");
        assert_eq!(ask_admin(admin, &target, &bearer(&token), "").status(), 401);
        assert_eq!(
            get(daemon.http, "/swordfish/lock/certificates/current").status(),
            200
        );
        installation.write(TOKEN_FILE, &good);
        daemon.wait_for("reloaded: new connections get the new state");
        assert_eq!(ask_admin(admin, &target, &bearer(&token), "").status(), 404);
    }
}

#[test]
fn a_name_that_somebody_points_here_opens_nothing() {
    let installation = Installation::new(standard()).with_admin();
    let token = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start(&installation);
    let admin = daemon.admin();
    for path in [NOTHING, "/", "/sign-in"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n{}\r\n",
            bearer(&token)
        );
        let answer = Response::parse(&crate::harness::exchange(admin, request));
        assert_eq!(answer.status(), 421, "{path}");
    }
}
