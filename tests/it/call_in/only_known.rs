//! `[devices] only_known`: who is not listed and has no credentials is not answered.

use crate::harness::{Daemon, Host, Installation, get};

const LISTED: &str = "0123456789ABCDEF";
const IN_FILE: &str = "00000000000000FF";
const STRANGER: &str = "00000000000000AA";

fn body(event: u32) -> String {
    format!(r#"{{"asyncEvents":[{{"event":"{event:08X}","time":"20261123021259"}}]}}"#)
}

fn audit(device: &str) -> String {
    format!("/swordfish/lock/audit?sn={device}")
}

fn deliver(host: &Host, device: &str, event: u32) -> u16 {
    host.call("POST", &audit(device), body(event)).status()
}

fn listing(sites: &str) -> Installation {
    let installation = Host::installation("only_known = true");
    installation.edit("[[site]]", &format!("[[site]]\n{sites}"));
    installation.set_base_url("http://10.44.68.128");
    installation
}

#[test]
fn a_stranger_is_answered_503_and_leaves_nothing_and_who_is_listed_is_taken() {
    let installation = listing(&format!(
        "serials = [\"{LISTED}\"]\nserials_file = \"hall.txt\""
    ));
    installation.write("hall.txt", "00000000000000EE\n");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    assert_eq!(deliver(&host, LISTED, 1), 201);
    for (method, target) in [
        ("POST", audit(STRANGER)),
        ("POST", "/swordfish/lock/audit".to_owned()),
        ("PUT", format!("/swordfish/lock/Config?sn={STRANGER}")),
        ("GET", format!("/swordfish/lock/db/0?sn={IN_FILE}")),
    ] {
        let sent = if method == "GET" {
            String::new()
        } else {
            body(2)
        };
        let refused = host.call(method, &target, sent);
        assert_eq!(refused.status(), 503, "{target}");
        assert_eq!(refused.body, br#"{"error":"unknown device"}"#, "{target}");
    }
    let line = host.daemon.wait_for("`[devices] only_known` is set");
    assert!(line.contains(STRANGER), "{line}");
    let labels = [("limit", "only_known")];
    host.daemon.wait_for_metric("refusals_total", &labels, 4);
    let announcement = format!("/swordfish/lock/certificates/current?sn={STRANGER}");
    assert_eq!(get(host.daemon.http, &announcement).status(), 200);

    host.installation.write("hall.txt", IN_FILE);
    host.daemon.wait_for("reloaded: new connections");
    assert_eq!(deliver(&host, IN_FILE, 3), 201);
    assert_eq!(host.readiness().status(), 200);
    assert_eq!(host.installation.known(), [IN_FILE, LISTED]);
    assert_eq!(host.installation.quarantined(), []);
}

#[test]
fn where_nobody_is_known_the_log_and_readiness_say_so() {
    let installation = listing("serials = []");
    let daemon = Daemon::start(&installation);
    let mut host = Host {
        installation,
        daemon,
    };
    let said = "`[devices] only_known` is set, and no device is known";
    host.daemon.wait_for(said);
    let is_said = |host: &mut Host| {
        let ready = host.readiness();
        String::from_utf8_lossy(&ready.body).contains(&format!("warning: {said}"))
    };
    assert!(is_said(&mut host));
    let listed = format!("serials = [\"{LISTED}\"]");
    host.installation.edit("serials = []", &listed);
    host.daemon.wait_for("reloaded: new connections");
    assert!(!is_said(&mut host));
    assert_eq!(host.installation.warning_codes(), [""; 0]);
}
