//! How commands end: a result that reaches nobody is a failure, and errors have one form.

use std::process::{Command, Stdio};

use engage_store::{KeepDays, SqlOptions, SqlStore};

use crate::harness::{Installation, program, run, standard};

/// Every command that prints a result, with arguments under which it succeeds.
fn commands(installation: &Installation) -> Vec<Vec<String>> {
    let database = installation.path("Engage_Data/engage-host.db");
    drop(SqlStore::open(SqlOptions::sqlite(database), KeepDays::default()).unwrap());
    let path = |name: &str| installation.path(name).display().to_string();
    let (config, der) = (
        path("config.toml"),
        path("static/Device_Certificates/partner_CA.der"),
    );
    let (key, fresh) = (path("pki/site.key"), path("fresh"));
    [
        &["hash", &der, "--site-key-file", &key][..],
        &["hash", &der, "--site-key-file", &key, "--json"],
        &["check", "--config", &config],
        &["check", "--config", &config, "--json"],
        &["init", "--dir", &fresh],
        &["init", "--dir", &fresh, "--json"],
        &["devices", "--config", &config, "--json"],
        &["devices", "audits", "--csv", "--config", &config],
        &["devices", "credential", "0123456789ABCDEF"],
        &["--help"],
        &["--version"],
    ]
    .map(|arguments| arguments.iter().map(ToString::to_string).collect())
    .into()
}

fn with_password(arguments: &[String]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo secret | \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_engage-host"))
        .args(arguments)
        .env_remove("RUST_LOG");
    command
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let installation = Installation::new(standard());
    for arguments in commands(&installation) {
        let full = fs_err::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let failed = with_password(&arguments)
            .stdout(full.into_parts().0)
            .output()
            .unwrap();
        let text = String::from_utf8(failed.stderr).unwrap();
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(
            text.contains("error: failed to write to standard output: No space left on device"),
            "{arguments:?}: {text}"
        );
        assert!(text.contains("\n  hint: "), "{arguments:?}: {text}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let installation = Installation::new(standard());
    for arguments in commands(&installation) {
        let mut child = with_password(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {text}");
        assert!(!text.contains("error"), "{arguments:?}: {text}");
    }
}

#[test]
fn with_json_every_command_fails_in_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none").display().to_string();
    let file = folder.path().join("file");
    fs_err::write(&file, "").unwrap();
    let file = file.display().to_string();
    for (arguments, code) in [
        (&["check", "--config", &none][..], 1),
        (&["hash", &none, "--site-key-file", &none], 1),
        (&["init", "--dir", &file], 1),
        (&["doctor", "--config", &none], 2),
        (
            &["doctor", "http://127.0.0.1/x", "--site-key-file", &none],
            2,
        ),
        (&["devices", "--config", &none], 1),
        (
            &["devices", "show", "0123456789ABCDEF", "--config", &none],
            1,
        ),
        (&["devices", "audits", "--config", &none], 1),
    ] {
        let failed = run(program().args(arguments).arg("--json"));
        assert_eq!(failed.code, Some(code), "{arguments:?}");
        assert_eq!(failed.stderr_text(), "", "{arguments:?}");
        let report: serde_json::Value = serde_json::from_slice(&failed.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", failed.stdout_text()));
        assert_eq!(report["ok"], false, "{arguments:?}");
        let refusal = &report["refusals"][0];
        for member in ["code", "message", "hint"] {
            let text = refusal[member].as_str().unwrap();
            assert!(!text.is_empty(), "{arguments:?}: {member} of {report}");
        }
        let told = run(program().args(arguments));
        let message = refusal["message"].as_str().unwrap();
        assert!(
            told.stderr_text()
                .starts_with(&format!("error: {message}\n  hint: ")),
            "{arguments:?}: {}",
            told.stderr_text()
        );
    }
}

#[test]
fn with_json_arguments_that_are_none_are_an_error_in_json_too() {
    for (arguments, message) in [
        (
            &["check", "--json", "--stricd"][..],
            "unexpected argument '--stricd' found",
        ),
        (
            &["hash", "--json"],
            "the following required arguments were not provided",
        ),
        (&["--json", "check"], "unexpected argument '--json' found"),
        (&["serve", "--json"], "unexpected argument '--json' found"),
        (
            &["devices", "audits", "--json", "--since", "yesterday"],
            "invalid value 'yesterday' for '--since <TIME|DURATION>': allowed: how long ago, such as `90s`",
        ),
    ] {
        let failed = run(program().args(arguments));
        assert_eq!(failed.code, Some(2), "{arguments:?}");
        assert_eq!(failed.stderr_text(), "", "{arguments:?}");
        let report: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
        assert_eq!(report["ok"], false, "{arguments:?}");
        let refusal = &report["refusals"][0];
        assert_eq!(refusal["code"], "usage", "{arguments:?}");
        let told = refusal["message"].as_str().unwrap();
        assert!(told.starts_with(message), "{arguments:?}: {told}");
        assert!(
            refusal["hint"].as_str().unwrap().ends_with("try '--help'"),
            "{arguments:?}: {report}"
        );
    }
    // People get clap's own words, and help is a result.
    let told = run(program().args(["check", "--stricd"]));
    assert_eq!(told.code, Some(2));
    assert_eq!(told.stdout_text(), "");
    assert!(told.stderr_text().starts_with("error: unexpected argument"));
    let help = run(program().args(["check", "--json", "--help"]));
    assert_eq!(help.code, Some(0));
    assert!(help.stdout_text().contains("Usage: engage-host check"));
}

/// A folder on an old share may have a name that is not UTF-8.
#[test]
#[cfg(unix)]
fn a_path_that_is_not_utf_8_is_shown_as_far_as_it_can_be() {
    use std::os::unix::ffi::OsStrExt;

    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join(std::ffi::OsStr::from_bytes(b"B\xfcro"));
    let arguments = ["--host", "127.0.0.1", "--json"];
    let made = run(program()
        .arg("init")
        .arg("--dir")
        .arg(&home)
        .args(arguments));
    assert_eq!(made.code, Some(0), "{}", made.stderr_text());
    let checked = run(program()
        .args(["check", "--json", "--config"])
        .arg(home.join("config.toml")));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr_text());
    for output in [made, checked] {
        assert!(output.stdout_text().contains("B\u{fffd}ro"));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
    }
}
