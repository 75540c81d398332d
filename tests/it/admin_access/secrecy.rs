//! Tokens, cookies and form tokens never show, not even at trace level.

use crate::harness::{Browser, Daemon, Installation, Role, ask_admin, bearer, standard};

#[test]
fn no_line_of_the_log_and_no_metric_holds_what_opens_anything() {
    let installation = Installation::new(standard()).with_admin();
    let token = installation.with_admin_token(Role::Write);
    let mut daemon = Daemon::start_with(&installation, |command| {
        command.env("RUST_LOG", "trace");
    });
    let admin = daemon.admin();
    let wrong = format!("engage_{}", "W".repeat(43));
    let mut browser = Browser::new(admin);
    browser.signed_in(&token);
    let cookie = browser.cookie.clone().unwrap();
    let id = cookie.split_once('=').unwrap().1.to_owned();
    let form_token = browser.form_token();
    for secret in [&token, &wrong] {
        ask_admin(admin, "GET /api/v1/nothing", &bearer(secret), "");
        ask_admin(admin, "POST /api/v1/nothing", &bearer(secret), "{");
        Browser::new(admin).sign_in(secret, "/");
    }
    let header = format!("X-Form-Token: {form_token}\r\n");
    assert_eq!(
        browser.send("DELETE /api/v1/nothing", &header, "").status(),
        404
    );
    let form = format!("form_token={form_token}");
    assert_eq!(browser.post_form("/sign-out", &form).status(), 303);
    let metrics = String::from_utf8(ask_admin(admin, "GET /metrics", "", "").body).unwrap();
    daemon.hang_up();
    daemon.wait_for("reloaded: new connections get the new state");
    daemon.terminate();
    let (_, log) = daemon.finish();
    assert!(log.contains("signed in on the admin listener"), "{log}");
    for (name, secret) in [
        ("token", &token[7..]),
        ("wrong token", &wrong[7..]),
        ("session", &id),
        ("form token", &form_token),
    ] {
        assert!(secret.len() == 43, "{name}");
        assert!(!log.contains(secret), "{name} in the log");
        assert!(!metrics.contains(secret), "{name} in the metrics");
    }
}
