//! `init`: what it makes, what it keeps, what it refuses.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const ROOT: &str = "static/Device_Certificates/partner_CA.der";
const INTERMEDIATE: &str = "static/Device_Certificates/partner_intermediate.der";
const SERVER: &str = "pki/partner_server.pem";
const SERVER_KEY: &str = "pki/partner_server.key";
const EXAMPLE_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

#[test]
fn a_fresh_folder_gets_everything_and_check_finds_nothing_to_say() {
    let home = fresh();
    let modes: BTreeMap<_, _> = files(home.path())
        .into_keys()
        .map(|name| (mode(&home.path().join(&name)), name))
        .fold(
            BTreeMap::new(),
            |mut modes: BTreeMap<_, Vec<_>>, (mode, name)| {
                modes.entry(mode).or_default().push(name);
                modes
            },
        );
    assert_eq!(
        modes[&0o600],
        [
            "pki/partner_CA.key",
            "pki/partner_intermediate.key",
            SERVER_KEY,
            SERVER,
            "pki/site.key",
        ]
    );
    assert_eq!(mode(&home.path().join("pki")), 0o700);
    for name in ["config.toml", ROOT, INTERMEDIATE] {
        assert_eq!(mode(&home.path().join(name)), 0o644, "{name}");
    }
    assert_eq!(files(home.path()).len(), 8, "no temporary file is left");
    assert!(home.path().join("Engage_Data").is_dir());
    let check = check(home.path());
    let text = stdout(&check);
    assert!(check.status.success(), "{text}");
    assert!(text.contains("ok: 0 errors, 0 warnings"), "{text}");
}

#[test]
fn a_second_run_changes_no_byte_and_says_what_exists() {
    let home = fresh();
    let before = files(home.path());
    let again = init(home.path(), &["--host", "192.0.2.1", "--days", "9"]);
    let text = stdout(&again);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(files(home.path()), before);
    for name in before.keys() {
        let line = format!("exists  {}", home.path().join(name).display());
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(!text.contains("made "), "{text}");
}

#[test]
fn openssl_accepts_the_chain_and_sees_every_extension() {
    let home = fresh();
    let [root, intermediate] =
        [(ROOT, "root.pem"), (INTERMEDIATE, "intermediate.pem")].map(|(der, pem)| {
            let pem = home.path().join(pem).display().to_string();
            openssl(
                home.path(),
                &["x509", "-inform", "der", "-in", der, "-out", &pem],
            );
            pem
        });
    let verified = openssl(
        home.path(),
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_ip",
            "127.0.0.1",
            "-CAfile",
            &root,
            "-untrusted",
            &intermediate,
            SERVER,
        ],
    );
    assert_eq!(verified.trim(), format!("{SERVER}: OK"));
    for (file, expected) in [
        (
            root.as_str(),
            [
                "Subject: O = ENGAGE partner host, CN = partner_CA",
                "X509v3 Basic Constraints: critical\nCA:TRUE\n",
                "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign\n",
                "X509v3 Subject Key Identifier:",
                "sha256WithRSAEncryption",
            ],
        ),
        (
            intermediate.as_str(),
            [
                "Issuer: O = ENGAGE partner host, CN = partner_CA",
                "X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:0\n",
                "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign\n",
                "X509v3 Subject Key Identifier:",
                "X509v3 Authority Key Identifier:",
            ],
        ),
        (
            SERVER,
            [
                "X509v3 Extended Key Usage:\nTLS Web Server Authentication\n",
                "X509v3 Basic Constraints: critical\nCA:FALSE\n",
                "X509v3 Key Usage: critical\nDigital Signature, Key Encipherment\n",
                "IP Address:127.0.0.1, DNS:doors.example.com, DNS:localhost\n",
                "X509v3 Authority Key Identifier:",
            ],
        ),
    ] {
        let text = openssl(home.path(), &["x509", "-noout", "-text", "-in", file]);
        let text: String = text
            .lines()
            .map(|line| format!("{}\n", line.trim()))
            .collect();
        // OpenSSL 1.1 and later 3.x write `O=..` without spaces.
        let text = text.replace(" = ", "=");
        for line in expected {
            let line = line.replace(" = ", "=");
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}

#[test]
fn a_renewal_keeps_what_devices_trust() {
    let home = fresh();
    let before = files(home.path());
    for half in [SERVER, SERVER_KEY] {
        std::fs::remove_file(home.path().join(half)).unwrap();
    }
    // Offline, as the text of the first run advises.
    std::fs::remove_file(home.path().join("pki/partner_CA.key")).unwrap();
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    let after = files(home.path());
    for (name, bytes) in &before {
        match name.as_str() {
            SERVER | SERVER_KEY => assert_ne!(&after[name], bytes, "{name}"),
            "pki/partner_CA.key" => assert!(!after.contains_key(name)),
            kept => assert_eq!(&after[kept], bytes, "{kept}"),
        }
    }
    assert!(stdout(&renewed).contains("nothing to do on devices"));
    assert!(check(home.path()).status.success());
}

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
fn files_are_made_where_an_existing_configuration_names_them() {
    let home = tempfile::tempdir().unwrap();
    let config = r#"
base_url = "http://doors.example.com"
static_dir = "public"
[https]
certificate = "tls/host.pem"
private_key = "secret/host.key"
[[site]]
name = "A"
key_file = "secret/a.key"
certificate = "public/Device_Certificates/a.der"
[[site]]
name = "B"
key_file = "secret/b.key"
certificate = "public/Device_Certificates/b.der"
hosts = ["b.example.com"]
"#;
    fs_err::write(home.path().join("config.toml"), config).unwrap();
    let made = init(home.path(), &[]);
    assert!(made.status.success(), "{}", stderr(&made));
    let files = files(home.path());
    assert_eq!(
        files.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "config.toml",
            "public/Device_Certificates/a.der",
            "public/Device_Certificates/b.der",
            "public/Device_Certificates/partner_intermediate.der",
            "secret/a.key",
            "secret/b.key",
            "secret/host.key",
            "secret/partner_CA.key",
            "secret/partner_intermediate.key",
            "tls/host.pem",
        ]
    );
    assert_eq!(files["config.toml"], config.as_bytes());
    assert_eq!(
        files["public/Device_Certificates/a.der"],
        files["public/Device_Certificates/b.der"]
    );
    assert_ne!(files["secret/a.key"], files["secret/b.key"]);
    let text = stdout(&check(home.path()));
    assert!(text.contains("ok: 0 errors, 0 warnings"), "{text}");
}

#[test]
fn an_announced_intermediate_is_renewed_without_any_root() {
    let home = tempfile::tempdir().unwrap();
    let config = format!(
        "base_url = \"http://127.0.0.1\"\n[https]\ncertificate = \"{SERVER}\"\nprivate_key = \"{SERVER_KEY}\"\n\
         [[site]]\nname = \"A\"\nkey_file = \"pki/site.key\"\ncertificate = \"{INTERMEDIATE}\"\n"
    );
    fs_err::write(home.path().join("config.toml"), config).unwrap();
    assert!(init(home.path(), &[]).status.success());
    let before = files(home.path());
    for name in [SERVER, SERVER_KEY, ROOT, "pki/partner_CA.key"] {
        std::fs::remove_file(home.path().join(name)).unwrap();
    }
    let renewed = init(home.path(), &[]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    assert_eq!(files(home.path())[INTERMEDIATE], before[INTERMEDIATE]);
    assert!(check(home.path()).status.success());
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
fn two_at_once_leave_one_whole_set() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().to_str().unwrap();
    let both: Vec<_> = (0..2)
        .map(|_| {
            command(&["init", "--dir", dir, "--host", "127.0.0.1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let succeeded = both
        .into_iter()
        .map(|mut child| child.wait().unwrap().success())
        .filter(|success| *success)
        .count();
    assert!(succeeded >= 1);
    // Whoever came second was refused or found everything; what is there belongs together.
    let completed = init(home.path(), &["--host", "127.0.0.1"]);
    assert!(completed.status.success(), "{}", stderr(&completed));
    assert_eq!(files(home.path()).len(), 8);
    assert!(check(home.path()).status.success());
}

#[test]
fn serve_with_init_makes_what_is_missing_and_is_silent_when_nothing_is() {
    let home = tempfile::tempdir().unwrap();
    let first = serve_until_it_logs(home.path());
    assert!(first.contains("made "), "{first}");
    let before = files(home.path());
    assert_eq!(before.len(), 8);
    assert_eq!(serve_until_it_logs(home.path()), "");
    assert_eq!(files(home.path()), before);
}

/// Runs `serve --init` until both listeners have said their address; returns its output on
/// standard output.
fn serve_until_it_logs(dir: &Path) -> String {
    let config = dir.join("config.toml");
    let mut child = command(&[
        "serve",
        "--init",
        "--config",
        config.to_str().unwrap(),
        "--http",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
    ])
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut log = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        log.push_str(&line);
        log.push('\n');
        if log.matches("listening").count() == 2 {
            break;
        }
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(log.matches("listening").count(), 2, "{log}");
    stdout(&output)
}

/// A folder in which `init` has made everything.
fn fresh() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let made = init(
        home.path(),
        &["--host", "127.0.0.1", "--host", "doors.example.com"],
    );
    assert!(made.status.success(), "{}", stderr(&made));
    home
}

fn init(dir: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["init", "--dir", dir.to_str().unwrap()];
    arguments.extend(more);
    run(&arguments)
}

fn check(dir: &Path) -> Output {
    let config = dir.join("config.toml");
    run(&["check", "--config", config.to_str().unwrap()])
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The binary under the usual umask, whatever that of the person who tests.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 022; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_engage-host"))
        .args(arguments);
    command
}

fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}{}",
        stdout(&output),
        stderr(&output)
    );
    stdout(&output)
}

/// Every file below `dir`, hidden ones too, with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                files.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
