//! What `init` refuses, leaving everything as it was.

use std::process::Command;

use super::{
    EXAMPLE_KEY, INTERMEDIATE, ROOT, SERVER, SERVER_KEY, files, fresh, init, mode, stderr, stdout,
};

#[test]
fn half_of_what_belongs_together_is_refused_and_nothing_is_touched() {
    let home = fresh();
    let whole = files(home.path());
    for (removed, code) in [
        (&[SERVER][..], "are a pair"),
        (&[SERVER_KEY], "are a pair"),
        (&[ROOT], "is missing, but"),
        (&[SERVER, SERVER_KEY, INTERMEDIATE], "are a pair"),
        (
            &[SERVER, SERVER_KEY, "pki/partner_intermediate.key"],
            "are a pair",
        ),
        (&[SERVER, SERVER_KEY, ROOT], "is missing, but"),
        (
            &[
                SERVER,
                SERVER_KEY,
                INTERMEDIATE,
                "pki/partner_intermediate.key",
                "pki/partner_CA.key",
            ],
            "is not there",
        ),
        (
            &[
                SERVER,
                SERVER_KEY,
                INTERMEDIATE,
                "pki/partner_intermediate.key",
                ROOT,
            ],
            "are a pair",
        ),
    ] {
        for name in removed {
            std::fs::remove_file(home.path().join(name)).unwrap();
        }
        let before = files(home.path());
        let refused = init(home.path(), &[]);
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{removed:?}");
        assert!(text.contains(code), "{removed:?}: {text}");
        assert!(text.contains("\n  hint: "), "{text}");
        assert_eq!(files(home.path()), before, "{removed:?}");
        for name in removed {
            fs_err::write(home.path().join(name), &whole[*name]).unwrap();
        }
    }
}

#[test]
fn a_key_of_another_authority_signs_nothing() {
    let home = fresh();
    for half in [SERVER, SERVER_KEY] {
        std::fs::remove_file(home.path().join(half)).unwrap();
    }
    std::fs::copy(
        home.path().join("pki/partner_CA.key"),
        home.path().join("pki/partner_intermediate.key"),
    )
    .unwrap();
    let before = files(home.path());
    let refused = init(home.path(), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("does not belong to the certificate"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(files(home.path()), before);
}

#[test]
fn a_given_site_key_is_copied_as_written_and_a_bad_or_another_one_refused() {
    let home = tempfile::tempdir().unwrap();
    let given = home.path().join("given.key");
    let arguments = ["--site-key-file", given.to_str().unwrap()];
    fs_err::write(&given, &EXAMPLE_KEY[..43]).unwrap();
    let refused = init(home.path(), &arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(files(home.path()).len(), 1, "only the given file is there");

    fs_err::write(&given, format!("{EXAMPLE_KEY}\r\n")).unwrap();
    let made = init(home.path(), &arguments);
    assert!(made.status.success(), "{}", stderr(&made));
    let site_key = home.path().join("pki/site.key");
    assert_eq!(
        fs_err::read(&site_key).unwrap(),
        format!("{EXAMPLE_KEY}\r\n").as_bytes()
    );
    assert_eq!(mode(&site_key), 0o600);
    assert!(
        init(home.path(), &arguments).status.success(),
        "the same key"
    );

    fs_err::write(&given, "00".repeat(32)).unwrap();
    let refused = init(home.path(), &arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("another key"),
        "{}",
        stderr(&refused)
    );
    for output in [made, refused] {
        assert!(!stdout(&output).contains(&EXAMPLE_KEY[..20]));
        assert!(!stderr(&output).contains(&EXAMPLE_KEY[..20]));
    }
}

#[test]
fn names_that_do_not_fit_into_a_device_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let hosts: Vec<String> = (0..30)
        .flat_map(|at| {
            [
                "--host".to_owned(),
                format!("a{at}.{}.example", "b".repeat(60)),
            ]
        })
        .collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let refused = init(home.path(), &hosts);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("allowed: 4096"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(files(home.path()).len(), 0);
}

#[test]
fn hosts_and_days_that_make_no_sense_are_usage_errors() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        ["--host", "0.0.0.0"],
        ["--host", "a b"],
        ["--days", "0"],
        ["--days", "999999"],
    ] {
        assert_eq!(
            init(home.path(), &arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    assert_eq!(files(home.path()).len(), 0);
}

#[test]
fn a_disk_that_fills_up_midway_leaves_no_file_behind() {
    let home = tempfile::tempdir().unwrap();
    // A limit of one block per file: the site key fits, a private key does not.
    let refused = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_engage-host"))
        .args(["init", "--dir", home.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(text.contains("failed to write `"), "{text}");
    assert!(text.contains("partner_CA.key`: File too large"), "{text}");
    assert_eq!(files(home.path()).len(), 0);
    assert!(
        init(home.path(), &[]).status.success(),
        "once there is room"
    );
}

#[test]
fn an_argument_that_what_exists_contradicts_is_not_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let made = init(home.path(), &["--host", "127.0.0.1", "--days", "400"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let before = files(home.path());
    for (arguments, found) in [
        (
            ["--http", "127.0.0.1:8080"],
            "`[http] listen` is 0.0.0.0:80",
        ),
        (
            ["--https", "127.0.0.1:8443"],
            "`[https] listen` is 0.0.0.0:443",
        ),
        (["--host", "192.0.2.9"], "it is for 127.0.0.1"),
        (["--days", "30"], "it is valid for 400 days"),
    ] {
        let refused = init(home.path(), &arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        let said = stderr(&refused);
        let argument = format!("error: `{}` is not what `", arguments.join(" "));
        assert!(said.starts_with(&argument), "{said}");
        assert!(said.contains(found), "{said}");
        assert!(
            said.contains("hint: what exists is never changed: "),
            "{said}"
        );
    }
    // The same arguments again are none.
    let same = [
        "--host",
        "127.0.0.1",
        "--http",
        "0.0.0.0:80",
        "--days",
        "400",
    ];
    assert!(init(home.path(), &same).status.success());
    assert_eq!(files(home.path()), before);
}
