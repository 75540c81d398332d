//! Passwords of devices.

use super::{DEVICE, host};
use crate::harness::{program, run_with_input};

const OTHER_DEVICE: &str = "FEDCBA9876543210";

fn basic(device: &str, password: &str) -> String {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{device}:{password}"));
    format!("Authorization: Basic {pair}\r\n")
}

#[test]
fn a_password_that_is_set_lets_the_device_in_at_once() {
    let installation = crate::harness::Host::installation("credentials_file = \"credentials\"");
    let line = run_with_input(
        program().args(["devices", "credential", OTHER_DEVICE]),
        b"other password\n",
    );
    installation.write("credentials", &line.stdout);
    let token = installation.with_admin_token(crate::harness::Role::Write);
    let mut daemon = crate::harness::Daemon::start(&installation);
    let address = daemon.admin();
    let api = super::Api { address, token };
    let host = crate::harness::Host {
        installation,
        daemon,
    };
    let target = "/swordfish/lock/db/0";
    let status = |device, password: &str| {
        let headers = basic(device, password);
        host.call_with(&headers, "GET", target, "").status()
    };
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
