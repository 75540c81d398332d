//! Passwords of devices.

use super::{Api, DEVICE, host, start};
use crate::harness::{Host, program, run_with_input};

const OTHER_DEVICE: &str = "FEDCBA9876543210";

fn basic(device: &str, password: &str) -> String {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{device}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

/// Where only devices of a file may call.
fn host_with_credentials() -> (Host, Api) {
    let installation = Host::installation("credentials_file = \"credentials\"");
    let line = run_with_input(
        program().args(["devices", "credential", OTHER_DEVICE]),
        b"other password\n",
    );
    installation.write("credentials", &line.stdout);
    start(installation)
}

/// What a device with this password is answered.
fn status(host: &Host, device: &str, password: &str) -> u16 {
    let headers = basic(device, password);
    let answer = host.call_with(&headers, "GET", "/swordfish/lock/db/0", "");
    answer.status()
}

#[test]
fn a_password_that_is_set_lets_the_device_in_at_once() {
    let (host, api) = host_with_credentials();
    let status = |device, password| status(&host, device, password);
    assert_eq!(status(DEVICE, "front door"), 401);
    let path = format!("/v1/devices/{DEVICE}/credential");
    let body = r#"{"password":"front door"}"#;
    let report = api.expect(200, "PUT", &path, "", body);
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(status(DEVICE, "front door"), 200);
    assert_eq!(status(OTHER_DEVICE, "other password"), 200);
    let kept = fs_err::read_to_string(host.installation.path("credentials")).unwrap();
    assert!(!kept.contains("front door"), "{kept}");
    api.expect(200, "DELETE", &path, "", "");
    assert_eq!(status(DEVICE, "front door"), 401);
    assert_eq!(api.refused(404, "DELETE", &path, "", ""), "no-credential");
    let last = format!("/v1/devices/{OTHER_DEVICE}/credential");
    assert_eq!(api.refused(409, "DELETE", &last, "", ""), "only-credential");
    assert_eq!(
        api.refused(422, "PUT", &path, "", r#"{"password":""}"#),
        "unusable-password"
    );
    let address = "/v1/devices/10.1.2.3/credential";
    assert_eq!(
        api.refused(422, "PUT", address, "", body),
        "not-a-serial-number"
    );
}

#[test]
fn without_a_credentials_file_none_is_made() {
    let (_host, api) = host("");
    let path = format!("/v1/devices/{DEVICE}/credential");
    let body = r#"{"password":"front door"}"#;
    assert_eq!(
        api.refused(409, "PUT", &path, "", body),
        "no-credentials-file"
    );
}

#[test]
fn of_a_change_of_a_password_neither_key_nor_answer_is_kept() {
    let (host, api) = host_with_credentials();
    let path = format!("/v1/devices/{DEVICE}/credential");
    let key = "Idempotency-Key: 5f20\r\n";
    // With the same key, and neither refused nor answered from before.
    for password in ["first door", "second door", "second door"] {
        let body = format!(r#"{{"password":"{password}"}}"#);
        let answer = api.ask("PUT", &path, key, &body);
        assert_eq!(answer.status(), 200, "{}", super::client::shown(&answer));
        assert_eq!(answer.header("idempotency-replayed"), None);
        assert_eq!(status(&host, DEVICE, password), 200);
    }
    assert_eq!(status(&host, DEVICE, "first door"), 401);
    api.expect(200, "DELETE", &path, key, "");
    let again = api.refused(404, "DELETE", &path, key, "");
    assert_eq!(again, "no-credential");
    // As long as its hash is in no table of answers, nobody can try passwords against it.
    let kept = api.expect(200, "POST", "/v1/reload", key, "");
    assert_eq!(kept["ok"], true, "the key is free for another request");
}
