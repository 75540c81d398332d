//! Path tricks: 404, and never a byte of a secret.

use std::os::unix::fs::symlink;

use crate::harness::{Daemon, Installation, Key, exchange, get, openssl, standard};

const FOLDER: &str = "static/Device_Certificates";

/// The sample's layout, with everything in it that must not leave.
pub(crate) fn tempting() -> Installation {
    let chain = standard();
    let installation = Installation::new(chain);
    let put =
        |name: &str, contents: &[u8]| installation.write(&format!("{FOLDER}/{name}"), contents);
    put("partner_server.key", Key::Server.pem().as_bytes());
    put("partner_server.pem", chain.pem().as_bytes());
    put("renamed_key.der", Key::Server.pem().as_bytes());
    let key = Key::Server.path();
    let to_der = ["pkey", "-in", key.to_str().unwrap(), "-outform", "der"];
    put("binary_key.der", &openssl(installation.folder(), to_der));
    put("renamed_pem.der", chain.pem().as_bytes());
    put(
        "two.der",
        &[chain.root.der.as_slice(), &chain.intermediate.der].concat(),
    );
    put("trailing.der", &[chain.root.der.as_slice(), b"\n"].concat());
    put("empty.der", b"");
    put(".hidden.der", &chain.intermediate.der);
    put("upper.DER", &chain.intermediate.der);
    put("partner_CA.der.bak", &chain.intermediate.der);
    put("below/nested.der", &chain.intermediate.der);
    put("folder.der/inner.der", &chain.intermediate.der);
    installation.write("static/beside.der", &chain.intermediate.der);
    installation.write("outside.der", &chain.intermediate.der);
    let link = |target: &str, name: &str| {
        symlink(target, installation.path(&format!("{FOLDER}/{name}"))).unwrap();
    };
    link("../../outside.der", "link_outside.der");
    link("../../pki/partner_server.key", "link_key.der");
    link("loop.der", "loop.der");
    link("nowhere.der", "dangling.der");
    link("../beside.der", "link_inside.der");
    installation
}

/// Request targets that must not be found.
pub(crate) const TRICKS: &[&str] = &[
    "/static/Device_Certificates",
    "/static/Device_Certificates/",
    "/static/",
    "/static/Device_Certificates/.",
    "/static/Device_Certificates/..",
    "/static/Device_Certificates/partner_server.key",
    "/static/Device_Certificates/partner_server.pem",
    "/static/Device_Certificates/renamed_key.der",
    "/static/Device_Certificates/binary_key.der",
    "/static/Device_Certificates/renamed_pem.der",
    "/static/Device_Certificates/two.der",
    "/static/Device_Certificates/trailing.der",
    "/static/Device_Certificates/empty.der",
    "/static/Device_Certificates/.hidden.der",
    "/static/Device_Certificates/upper.DER",
    "/static/Device_Certificates/partner_CA.der.bak",
    "/static/Device_Certificates/below/nested.der",
    "/static/Device_Certificates/nested.der",
    "/static/Device_Certificates/folder.der",
    "/static/Device_Certificates/folder.der/",
    "/static/Device_Certificates/folder.der/inner.der",
    "/static/Device_Certificates/link_outside.der",
    "/static/Device_Certificates/link_key.der",
    "/static/Device_Certificates/loop.der",
    "/static/Device_Certificates/dangling.der",
    "/static/beside.der",
    "/static/Device_Certificates/../beside.der",
    "/static/Device_Certificates/../../pki/partner_server.key",
    "/static/Device_Certificates/../../pki/site.key",
    "/static/Device_Certificates/%2e%2e/%2e%2e/pki/site.key",
    "/static/Device_Certificates/%2e%2e%2f%2e%2e%2fpki%2fsite.key",
    "/static/Device_Certificates/..%5c..%5cpki%5csite.key",
    "/static/Device_Certificates/..%252f..%252fpki%252fsite.key",
    "/static/Device_Certificates/..%c0%af..%c0%afpki%c0%afsite.key",
    "/static/Device_Certificates/..%e0%80%af..%e0%80%afpki/site.key",
    "/static/Device_Certificates/%c0%ae%c0%ae/%c0%ae%c0%ae/pki/site.key",
    "/static/Device_Certificates/..%00/..%00/pki/site.key",
    "/static/Device_Certificates/..;/..;/pki/site.key",
    "/static/Device_Certificates/..%ef%bc%8f..%ef%bc%8fpki%ef%bc%8fsite.key",
    "/static/Device_Certificates/....//....//pki/site.key",
    "/static/Device_Certificates/%2f%2e%2e%2fpki/site.key",
    "/static/Device_Certificates/partner_server.key/",
    "/static/Device_Certificates/partner_server.key.",
    "/static/Device_Certificates/partner_server.KEY",
    "/static/Device_Certificates/partner_server%2ekey",
    "/static/Device_Certificates/./partner_CA.der",
    "/static/Device_Certificates/x/../partner_CA.der",
    "/static/Device_Certificates/%2e/partner_CA.der",
    "/static//Device_Certificates/partner_CA.der",
    "//static/Device_Certificates/partner_CA.der",
    "/static/Device_Certificates//partner_CA.der",
    "/static/Device_Certificates/partner_CA.der/",
    "/static/Device_Certificates/partner_CA.der%00",
    "/static/Device_Certificates/partner_CA.der%00.key",
    "/static/Device_Certificates/partner_server.key%00.der",
    "/static/Device_Certificates/partner_CA.der%20",
    "/static/Device_Certificates/partner_CA.der.",
    "/static/Device_Certificates/partner_CA.der%0d%0aX-Injected:%20yes",
    "/static/Device_Certificates/partner_CA.der::$DATA",
    "/static/Device_Certificates/partner_CA.der;x",
    "/static/Device_Certificates/partner_CA%2eder",
    "/static/Device_Certificates/partner%5FCA.der",
    "/static/Device_Certificates/PARTNER_CA.DER",
    "/static/Device_Certificates/partner_ca.der",
    "/Static/Device_Certificates/partner_CA.der",
    "/static/device_certificates/partner_CA.der",
    "/static%2fDevice_Certificates/partner_CA.der",
    "/static/Device_Certificates%2fpartner_CA.der",
    "/pki/partner_server.key",
    "/config.toml",
    "/swordfish/lock/certificates/current/",
    "/swordfish/lock/certificates//current",
    "/swordfish/lock/certificates/%63urrent",
    "/swordfish/lock/certificates/../certificates/current",
];

/// Targets that no URL may contain: 400 is as good as 404.
pub(crate) const MALFORMED: &[&str] = &[
    "/static/Device_Certificates\\partner_CA.der",
    "/static/Device_Certificates/..\\..\\pki\\site.key",
    "/static/Device_Certificates/partner_CA.der\0",
    "static/Device_Certificates/partner_CA.der",
    "../pki/site.key",
    "file:///etc/passwd",
    "",
];

#[test]
fn no_trick_reaches_a_file() {
    let installation = tempting();
    let daemon = Daemon::start(&installation);
    for target in TRICKS {
        let answer = get(daemon.http, target);
        assert_eq!(answer.status(), 404, "{target}");
        assert_eq!(answer.body, br#"{"error":"not found"}"#, "{target}");
    }
}

#[test]
fn no_malformed_target_reaches_a_file() {
    let installation = tempting();
    let daemon = Daemon::start(&installation);
    for target in MALFORMED {
        let answer = get(daemon.http, target);
        assert!(
            matches!(answer.status(), 400 | 404),
            "{target}: {}",
            answer.head
        );
        assert!(answer.body.len() < 64, "{target}");
    }
}

#[test]
fn a_space_or_a_line_end_in_a_target_reaches_no_file() {
    let installation = tempting();
    let daemon = Daemon::start(&installation);
    for target in ["/static/Device_Certificates/partner_CA.der ", "/x\ny"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answered = exchange(daemon.http, request);
        assert!(answered.starts_with(b"HTTP/1.1 400 "), "{target:?}");
    }
}

#[test]
fn what_is_a_certificate_inside_the_directory_is_served() {
    let installation = tempting();
    let daemon = Daemon::start(&installation);
    let served = |name: &str| get(daemon.http, &format!("/{FOLDER}/{name}"));
    assert_eq!(served("partner_CA.der").body, standard().root.der);
    assert_eq!(served("link_inside.der").body, standard().intermediate.der);
    assert_eq!(
        served("partner_CA.der?../../pki/site.key").body,
        standard().root.der
    );
}

#[test]
fn the_samples_layout_is_served_and_warned_about() {
    let installation = tempting();
    let codes = installation.warning_codes();
    let count = |code: &str| codes.iter().filter(|it| *it == code).count();
    // partner_server.key, renamed_key.der and binary_key.der; what a link leads to lies elsewhere.
    assert_eq!(count("key-in-static-dir"), 3, "{codes:?}");
    // Both keys, PEM, two, trailing, empty, both links outside, loop, dangling.
    assert_eq!(count("not-served"), 10, "{codes:?}");
    assert_eq!(installation.refusal_codes(), [""; 0]);
}

#[test]
fn a_pipe_named_as_a_certificate_does_not_hold_up_the_start() {
    let installation = Installation::new(standard());
    let pipe = installation.path(&format!("{FOLDER}/pipe.der"));
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let daemon = Daemon::start(&installation);
    assert_eq!(
        get(daemon.http, &format!("/{FOLDER}/pipe.der")).status(),
        404
    );
}

#[test]
fn an_unusual_file_name_is_served_by_its_one_encoded_spelling() {
    let installation = Installation::new(standard());
    let name = format!("{FOLDER}/Büro 1%.der");
    installation.write(&name, &standard().intermediate.der);
    let daemon = Daemon::start(&installation);
    let served = get(daemon.http, &format!("/{FOLDER}/B%C3%BCro%201%25.der"));
    assert_eq!(served.body, standard().intermediate.der);
    assert_eq!(
        get(daemon.http, &format!("/{FOLDER}/B%c3%bcro%201%25.der")).status(),
        404
    );
}
