//! `init`: what it makes, what it keeps, what it refuses.

mod access;
mod interrupted;
mod kept;
mod made;
mod refused;
mod tokens;
mod used;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const ROOT: &str = "static/Device_Certificates/partner_CA.der";
const INTERMEDIATE: &str = "static/Device_Certificates/partner_intermediate.der";
const SERVER: &str = "pki/partner_server.pem";
const SERVER_KEY: &str = "pki/partner_server.key";
const EXAMPLE_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

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

/// `serve --init` in a place where it must not create anything.
fn serve_refuses(dir: &Path) -> String {
    let config = dir.join("config.toml");
    let before = files(dir);
    let served = crate::harness::run(&mut command(&[
        "serve",
        "--init",
        "--config",
        config.to_str().unwrap(),
        "--http",
        "127.0.0.1:0",
        "--https",
        "127.0.0.1:0",
    ]));
    assert_eq!(served.code, Some(1), "{}", served.stderr_text());
    assert_eq!(files(dir), before);
    served.errors()
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
