//! Each warning: devices accept it, so the daemon starts, but somebody is told.

use crate::harness::{
    Chain, INTERMEDIATE, Installation, Key, Request, SERVER, SITE_KEY_BASE64, openssl, shown,
    standard,
};

/// Checks that there is exactly one warning of `code`, that nothing is refused, and what it says.
fn assert_warned(code: &str, installation: &Installation) {
    let report = installation.check_json();
    assert_eq!(report["ok"], true, "{code}: {report}");
    let warnings: Vec<_> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|warning| warning["code"] == code)
        .collect();
    let [warning] = warnings[..] else {
        panic!("{code}: {report}");
    };
    let [message, hint] = ["message", "hint"].map(|part| warning[part].as_str().unwrap());
    let told = format!("warning[{code}]: {message}\n  hint: {hint}");
    insta::assert_snapshot!(code, shown(installation, &told));
    assert_eq!(installation.check(&["--strict"]).code, Some(1), "{code}");
}

fn installed(change: impl FnOnce(&mut [Request; 3])) -> Installation {
    let installation = Installation::new(&Chain::issue(change));
    installation.set_base_url("http://10.44.68.128");
    installation
}

#[test]
fn a_well_made_chain_gives_no_warning() {
    assert_eq!(installed(|_| {}).warning_codes(), [""; 0]);
}

#[test]
fn only_known_devices_and_none_that_is() {
    let installation = installed(|_| {});
    installation.set("[devices]", "only_known = true");
    assert_warned("nobody-known", &installation);
}

#[test]
fn expiry_within_30_days() {
    assert_warned(
        "expires-soon",
        &installed(|[server, ..]| server.days = (-1, 30)),
    );
    let later = installed(|[server, ..]| server.days = (-1, 31));
    assert_eq!(later.warning_codes(), [""; 0]);
}

#[test]
fn names_that_are_missing() {
    let without = |line: &str| SERVER.replace(line, "");
    let names =
        "subjectAltName = IP:127.0.0.1, IP:10.44.68.128, DNS:localhost, DNS:server.example.com\n";
    assert_warned(
        "name-missing",
        &installed(|[server, ..]| server.extensions = without(names)),
    );
    assert_warned(
        "only-ip-names",
        &installed(|[server, ..]| {
            server.extensions = without(", DNS:localhost, DNS:server.example.com");
        }),
    );
}

#[test]
fn extensions_that_strict_clients_want() {
    assert_warned(
        "server-is-ca",
        &installed(|[server, ..]| server.extensions = SERVER.replace("CA:FALSE", "CA:TRUE")),
    );
    let names = "subjectAltName = IP:10.44.68.128, DNS:localhost\n\
                 subjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n";
    assert_warned(
        "missing-extensions",
        &installed(|[server, ..]| server.extensions = names.to_owned()),
    );
    assert_warned(
        "wrong-key-use",
        &installed(|[server, ..]| {
            server.extensions = SERVER.replace("serverAuth", "clientAuth");
        }),
    );
    assert_warned(
        "issuer-not-ca",
        &installed(|[_, intermediate, _]| {
            intermediate.extensions = INTERMEDIATE.replace("CA:TRUE, pathlen:0", "CA:FALSE");
        }),
    );
}

#[test]
fn algorithms_that_devices_may_not_like() {
    assert_warned(
        "weak-signature",
        &installed(|[server, ..]| server.digest = "sha1"),
    );
    assert_warned("ecdsa-key", &installed(|[server, ..]| server.key = Key::Ec));
}

#[test]
fn a_root_signed_with_sha_1_is_trusted_all_the_same() {
    let installation = installed(|[.., root]| root.digest = "sha1");
    assert_eq!(installation.warning_codes(), [""; 0]);
}

#[test]
fn sizes_close_to_the_limit() {
    let comment = |length| format!("nsComment = \"{}\"\n", "x".repeat(length));
    let tight = installed(|[server, ..]| server.extensions.push_str(&comment(1000)));
    assert_warned("chain-tight", &tight);
    let chain = Chain::issue(|[server, ..]| server.extensions.push_str(&comment(1000)));
    let filling = 1000 + 4094 - chain.total_bytes();
    let chain = Chain::issue(|[server, ..]| server.extensions.push_str(&comment(filling)));
    let installation = Installation::new(&chain);
    installation.write("pki/partner_server.pem", chain.pem() + &chain.root.pem);
    assert_warned("tls-message-large", &installation);
}

#[test]
fn keys_that_others_can_read() {
    let installation = installed(|_| {});
    installation.chmod("pki/partner_server.key", 0o644);
    assert_warned("key-readable-by-others", &installation);
    let installation = installed(|_| {});
    installation.chmod("pki/site.key", 0o604);
    assert_eq!(installation.warning_codes(), ["key-readable-by-others"]);
    installation.chmod("pki/site.key", 0o640);
    assert_eq!(installation.warning_codes(), [""; 0]);
}

#[test]
fn what_lies_in_the_static_directory() {
    let installation = installed(|_| {});
    installation.write("static/partner_server.key", Key::Server.pem());
    assert_warned("key-in-static-dir", &installation);
    let installation = installed(|_| {});
    installation.write("static/Device_Certificates/notes.der", "hello");
    assert_warned("not-served", &installation);
}

#[test]
fn a_root_that_is_not_known() {
    let installation = installed(|_| {});
    installation.write(
        "static/Device_Certificates/partner_CA.der",
        &standard().intermediate.der,
    );
    installation.write("pki/partner_server.pem", standard().pem());
    assert_warned("root-not-counted", &installation);
}

#[test]
fn a_site_key_that_looks_like_half_a_key() {
    let installation = installed(|_| {});
    installation.write("pki/site.key", "0123456789abcdeffedcba9876543210");
    assert_warned("site-key-is-text", &installation);
}

#[test]
fn base_urls_that_devices_cannot_use() {
    assert_warned("loopback-base-url", &Installation::new(standard()));
    let installation = Installation::new(standard());
    installation.set_base_url("https://10.44.68.128");
    assert_warned("https-base-url", &installation);
}

#[test]
fn a_daemon_that_is_warned_about_starts_and_says_so() {
    let installation = installed(|[server, ..]| server.days = (-1, 3));
    let mut daemon = crate::harness::Daemon::start(&installation);
    assert!(
        daemon
            .wait_for("expires in 3 days")
            .contains("expires-soon")
    );
}

#[test]
fn keys_in_the_static_directory_in_every_form() {
    let key = Key::Server.pem();
    let path = Key::Server.path();
    let from = path.to_str().unwrap();
    let convert = |args: &[&str]| openssl(path.parent().unwrap(), args);
    let utf16: Vec<u8> = key.bytes().flat_map(|byte| [byte, 0]).collect();
    for (form, contents) in [
        ("PEM", key.clone().into_bytes()),
        ("PEM in UTF-16", [b"\xff\xfe", &*utf16].concat()),
        (
            "PEM in UTF-16, high byte first",
            [b"\xfe\xff\0", &utf16[..]].concat(),
        ),
        (
            "PEM far into a file",
            ["#".repeat(200_000), key].concat().into_bytes(),
        ),
        ("DER", convert(&["pkey", "-in", from, "-outform", "der"])),
        (
            "encrypted DER",
            convert(&[
                "pkcs8", "-topk8", "-in", from, "-outform", "der", "-passout", "pass:x",
            ]),
        ),
        (
            "PKCS#12",
            convert(&[
                "pkcs12", "-export", "-nocerts", "-inkey", from, "-passout", "pass:x",
            ]),
        ),
        ("a site key", SITE_KEY_BASE64.as_bytes().to_vec()),
    ] {
        let installation = installed(|_| {});
        installation.write("static/Device_Certificates/backup", contents);
        assert_eq!(
            installation.warning_codes(),
            ["key-in-static-dir"],
            "{form}"
        );
    }
}

#[test]
fn site_keys_that_anybody_can_guess() {
    let installation = installed(|_| {});
    for placeholder in [
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ] {
        installation.write("pki/site.key", placeholder);
        assert_eq!(installation.warning_codes(), ["site-key-placeholder"]);
    }
    assert_warned("site-key-placeholder", &installation);
}

#[test]
fn hosts_of_a_site_that_the_certificate_does_not_name() {
    let installation = installed(|_| {});
    installation.edit(
        "name = \"Main Office\"\n",
        "name = \"Main Office\"\nhosts = [\"10.44.68.128\", \"annex.example.com\", \"SERVER.example.com\"]\n",
    );
    assert_warned("site-host-not-named", &installation);
}

/// The one warning of `check`: its code and its message.
fn only_warning(installation: &Installation) -> (String, String) {
    let report = installation.check_json();
    let [warning] = report["warnings"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    let part = |name: &str| warning[name].as_str().unwrap().to_owned();
    (part("code"), part("message"))
}

/// Lets everybody read a file, of which there is one warning then.
fn assert_warned_of_readers(installation: &Installation, what: &str, file: &str) {
    assert_eq!(installation.warning_codes(), [""; 0], "{file}");
    installation.chmod(file, 0o644);
    let (code, message) = only_warning(installation);
    assert_eq!(code, "key-readable-by-others");
    let path = installation.path(file);
    let expected = format!(
        "{what} `{}` has mode 0644: other users can read it",
        path.display()
    );
    assert_eq!(message, expected);
    assert_eq!(installation.check(&["--strict"]).code, Some(1), "{file}");
}

#[test]
fn a_webhook_that_others_can_read_or_hear() {
    let installation = installed(|_| {});
    installation.set(
        "[webhook]",
        "url = \"http://10.44.68.9/events\"\nsecret_file = \"hook.secret\"",
    );
    installation.write("hook.secret", [b'x'; 32]);
    assert_warned("webhook-plain-http", &installation);
    installation.edit("http://10.44.68.9/events", "http://127.0.0.1:9/events");
    assert_warned_of_readers(&installation, "webhook secret_file", "hook.secret");
    // Nobody reads it where nothing is recorded.
    installation.set("[devices]", "directory = \"\"");
    assert_eq!(installation.warning_codes(), [""; 0]);
}

#[test]
fn traces_that_others_can_read_or_hear() {
    let installation = installed(|_| {});
    installation.set(
        "[otlp]",
        "endpoint = \"http://10.44.68.9/v1/traces\"\nheaders_file = \"otlp.headers\"",
    );
    installation.write("otlp.headers", "X-Token: the-token\n");
    assert_warned("otlp-plain-http", &installation);
    installation.edit("http://10.44.68.9/", "http://127.0.0.1:9/");
    assert_warned_of_readers(&installation, "otlp headers_file", "otlp.headers");
}

#[test]
fn a_database_password_that_others_can_read() {
    let installation = installed(|_| {});
    installation.set("[devices]", "database_password_file = \"db.password\"");
    installation.write("db.password", "the-password\n");
    assert_warned_of_readers(&installation, "database_password_file", "db.password");
}

#[test]
fn a_start_says_once_what_others_can_read() {
    let installation = installed(|_| {});
    installation.set(
        "[webhook]",
        "url = \"https://127.0.0.1:9/\"\nsecret_file = \"hook.secret\"\nca_file = \"hook.pem\"",
    );
    installation.set(
        "[otlp]",
        "endpoint = \"http://127.0.0.1:9/v1/traces\"\nheaders_file = \"otlp.headers\"",
    );
    installation.set("[devices]", "database_password_file = \"db.password\"");
    let files = ["hook.secret", "otlp.headers", "db.password"];
    for file in files {
        installation.write(file, "X-Token: of more than sixteen bytes\n");
        installation.chmod(file, 0o644);
    }
    // Read again and again until it can be used.
    installation.write(
        "hook.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let mut daemon = crate::harness::Daemon::start(&installation);
    daemon.wait_for("audits and alerts are stored but not delivered until this is mended");
    installation.write("hook.pem", standard().root.pem.as_str());
    daemon.wait_for("delivering audits and alerts to");
    daemon.wait_for("exporting traces to");
    daemon.terminate();
    let (_, log) = daemon.finish();
    for file in files {
        let path = installation.path(file);
        let told = format!(
            "`{}` has mode 0644: other users can read it",
            path.display()
        );
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&told)).collect();
        let [line] = lines[..] else {
            panic!("{file}: {log}");
        };
        assert!(line.contains("WARN"), "{line}");
        assert!(line.contains("key-readable-by-others"), "{line}");
    }
}
