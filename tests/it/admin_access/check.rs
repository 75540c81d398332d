//! `check` and a reload say what is wrong with the files of `[admin]`.

use crate::harness::{
    Daemon, Installation, Key, Request, Role, SERVER, TOKEN_FILE, openssl, standard,
};

/// With tokens, and a certificate of these days.
fn installation(days: (i64, i64)) -> Installation {
    let installation = Installation::new(standard()).with_admin();
    installation.set_base_url("http://10.44.68.128");
    installation.with_admin_token(Role::Read);
    let request = Request {
        days,
        ..Request::new("admin", Key::Server, SERVER)
    };
    let certificate = request.self_signed();
    installation.write("pki/admin.pem", &certificate.pem);
    installation.write("pki/admin.key", certificate.key.pem());
    installation.set(
        "[admin]",
        "certificate = \"pki/admin.pem\"\nprivate_key = \"pki/admin.key\"",
    );
    installation
}

#[test]
fn nothing_is_said_where_nothing_is_wrong() {
    let installation = installation((-1, 100));
    let report = installation.check_json();
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["warnings"], serde_json::json!([]));
}

#[test]
fn each_file_that_a_start_or_a_reload_would_stumble_over_is_named() {
    type Spoil = fn(&Installation);
    let cases: [(Spoil, &[&str]); 8] = [
        (|it| it.remove(TOKEN_FILE), &["token-file-missing"]),
        (|it| it.chmod(TOKEN_FILE, 0o644), &["token-file-open"]),
        (|it| it.write(TOKEN_FILE, "a read b"), &["token-file-line"]),
        (|it| it.remove("pki/admin.pem"), &["unreadable-file"]),
        (|it| it.write("pki/admin.key", "no key"), &["not-pem"]),
        (
            |it| {
                let key = it.path("pki/admin.key");
                openssl(
                    it.folder(),
                    ["genrsa", "-out", key.to_str().unwrap(), "2048"],
                );
            },
            &["admin-identity"],
        ),
        (|it| it.remove("pki/admin.key"), &["unreadable-file"]),
        (
            |it| {
                it.remove(TOKEN_FILE);
                it.remove("pki/admin.key");
            },
            &["token-file-missing", "unreadable-file"],
        ),
    ];
    for (spoil, codes) in cases {
        let installation = installation((-1, 100));
        let mut daemon = Daemon::start(&installation);
        spoil(&installation);
        let report = installation.check_json();
        assert_eq!(installation.refusal_codes(), codes, "{report}");
        for refusal in report["refusals"].as_array().unwrap() {
            assert!(refusal["hint"].as_str().unwrap().len() > 5, "{report}");
        }
        assert_eq!(installation.check(&[]).code, Some(1), "{codes:?}");
        daemon.hang_up();
        for code in codes {
            let line = daemon.wait_for(code);
            assert!(line.contains("reloaded in part"), "{line}");
        }
    }
}

#[test]
fn what_browsers_refuse_or_others_can_read_is_warned_of() {
    for (days, code) in [
        ((-9, -2), "admin-certificate-over"),
        ((2, 9), "admin-certificate-early"),
    ] {
        let installation = installation(days);
        assert_eq!(installation.refusal_codes(), [""; 0]);
        assert_eq!(installation.warning_codes(), [code]);
        assert_eq!(installation.check(&["--strict"]).code, Some(1));
    }
    let installation = installation((-1, 100));
    installation.chmod("pki/admin.key", 0o644);
    assert_eq!(installation.warning_codes(), ["key-readable-by-others"]);
    assert_eq!(installation.check(&[]).code, Some(0));
}
