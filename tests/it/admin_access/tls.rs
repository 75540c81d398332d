//! Where others than this computer can reach the admin listener, it speaks TLS.

use std::process::Command;

use crate::harness::{
    Daemon, Finished, Installation, Role, SITE_KEY_HEX, TOKEN_FILE, bearer, get,
    make_admin_identity, openssl, run, run_with_input, standard,
};

const CLEAR: &str = "the admin listener is in clear text at";

fn with_tls() -> (Installation, String) {
    let installation = Installation::new(standard()).with_admin();
    let token = installation.with_admin_token(Role::Read);
    make_admin_identity(&installation, "admin", "first");
    installation.set(
        "[admin]",
        "certificate = \"admin.pem\"\nprivate_key = \"admin.key\"",
    );
    (installation, token)
}

fn curl(installation: &Installation, port: u16, path: &str, more: &[&str]) -> Finished {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--include",
            "--noproxy",
            "*",
            "--cacert",
        ])
        .arg(installation.path("admin.pem"))
        .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
        .args(more)
        .arg(format!("https://localhost:{port}{path}"));
    run(&mut command)
}

fn subject_seen(port: u16, more: &[&str]) -> String {
    let mut client = Command::new("openssl");
    client
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(more);
    run_with_input(&mut client, b"").stdout_text()
}

#[test]
fn curl_and_openssl_speak_tls_with_it_and_its_cookies_never_travel_in_clear_text() {
    let (installation, token) = with_tls();
    let mut daemon = Daemon::start(&installation);
    let port = daemon.admin_tls().port();
    let health = curl(&installation, port, "/healthz", &[]);
    assert!(
        health.stdout_text().starts_with("HTTP/1.1 200 "),
        "{health:?}"
    );
    let authorization = bearer(&token);
    let more = ["--header", authorization.trim_end()];
    let answer = curl(&installation, port, "/api/v1/nothing", &more);
    assert!(
        answer.stdout_text().starts_with("HTTP/1.1 404 "),
        "{answer:?}"
    );
    let form = format!("token={token}");
    let more = ["--data", form.as_str()];
    let signed_in = curl(&installation, port, "/sign-in", &more).stdout_text();
    assert!(signed_in.starts_with("HTTP/1.1 303 "), "{signed_in}");
    assert!(
        signed_in.contains("; HttpOnly; SameSite=Strict; Secure\r\n"),
        "{signed_in}"
    );
    for (version, is_spoken) in [("-tls1_2", true), ("-tls1_3", true), ("-tls1_1", false)] {
        let seen = subject_seen(port, &[version]);
        assert_eq!(
            seen.contains("CN = first") || seen.contains("CN=first"),
            is_spoken,
            "{version}: {seen}"
        );
    }
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_a_bad_one_keeps_nothing_from_devices() {
    let (installation, _token) = with_tls();
    let mut daemon = Daemon::start(&installation);
    let port = daemon.admin_tls().port();
    assert!(subject_seen(port, &[]).contains("first"));
    make_admin_identity(&installation, "admin", "second");
    daemon.hang_up();
    daemon.wait_for("reloaded: new connections get the new state");
    assert!(subject_seen(port, &[]).contains("second"));
    let announcement =
        |daemon: &Daemon| get(daemon.http, "/swordfish/lock/certificates/current").body;
    let before = announcement(&daemon);
    installation.write("admin.key", "no key");
    installation.write(TOKEN_FILE, "nobody");
    let other_key: String = SITE_KEY_HEX.chars().rev().collect();
    installation.write("pki/site.key", other_key);
    daemon.hang_up();
    daemon.wait_for("the admin listener keeps what it had: admin token_file");
    daemon.wait_for("the admin listener keeps what it had: private key");
    daemon.wait_for("reloaded: new connections get the new state");
    assert!(subject_seen(port, &[]).contains("second"));
    assert_ne!(announcement(&daemon), before);
}

#[test]
fn clear_text_where_others_can_reach_it_is_refused_unless_it_is_meant() {
    let installation = Installation::new(standard()).with_admin();
    let exposed = "[admin]\nlisten = \"0.0.0.0:0\"";
    installation.edit("[admin]\nlisten = \"127.0.0.1:0\"", exposed);
    for refused in [installation.serve_refused(), installation.check(&[])] {
        assert_eq!(refused.code, Some(1));
        let said = refused.stderr_text() + &refused.stdout_text();
        assert!(
            said.contains("not on loopback") && said.contains("insecure = true"),
            "{said}"
        );
    }
    installation.set("[admin]", "insecure = true");
    let mut daemon = Daemon::start(&installation);
    let line = daemon.wait_for(CLEAR);
    assert!(line.contains("WARN"), "{line}");
    let port = daemon.admin().port();
    assert_eq!(get(([127, 0, 0, 1], port).into(), "/healthz").status(), 200);
}

#[test]
fn with_a_certificate_it_may_listen_everywhere() {
    let (installation, _token) = with_tls();
    let text = fs_err::read_to_string(installation.path("config.toml")).unwrap();
    let (before, admin) = text.split_once("[admin]").unwrap();
    let admin = admin.replace("127.0.0.1:0", "0.0.0.0:0");
    installation.write("config.toml", format!("{before}[admin]{admin}"));
    let mut daemon = Daemon::start(&installation);
    let port = daemon.admin_tls().port();
    let health = curl(&installation, port, "/healthz", &[]);
    assert!(
        health.stdout_text().starts_with("HTTP/1.1 200 "),
        "{health:?}"
    );
    assert_eq!(daemon.seen(CLEAR).count(), 0);
}

#[test]
fn a_pair_that_is_none_keeps_nothing_from_devices_and_is_used_once_it_is_mended() {
    let (installation, _token) = with_tls();
    openssl(
        installation.folder(),
        ["genrsa", "-out", "admin.key", "2048"],
    );
    let refused = installation.check(&[]);
    let said = refused.stderr_text() + &refused.stdout_text();
    assert!(
        said.contains("`[admin] private_key` is not usable"),
        "{said}"
    );
    let mut daemon = Daemon::start(&installation);
    let port = daemon.admin_tls().port();
    let told = daemon.seen("the admin listener refuses everybody until this is mended");
    assert_eq!(told.count(), 1);
    let announcement = get(daemon.http, "/swordfish/lock/certificates/current");
    assert_eq!(announcement.status(), 200);
    assert!(!subject_seen(port, &[]).contains("CN"));
    make_admin_identity(&installation, "admin", "mended");
    daemon.hang_up();
    daemon.wait_for("reloaded: new connections get the new state");
    assert!(subject_seen(port, &[]).contains("mended"));
    drop(daemon);
    installation.edit("private_key = \"admin.key\"\n", "");
    let refused = installation.serve_refused();
    assert_eq!(refused.code, Some(1));
    let said = refused.stderr_text();
    assert!(
        said.contains("one of `[admin] certificate` and `private_key`"),
        "{said}"
    );
}
