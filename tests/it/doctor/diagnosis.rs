//! The command, run against the real daemon or a host of the tests.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::faulty_host::{Fault, Host};
use super::openssl::Pki;

/// The daemon, ended with its handle.
pub(super) struct Daemon {
    child: Child,
    pub(super) http: String,
    pub(super) https: String,
}

impl Daemon {
    pub(super) fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_engage-host"))
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        let mut daemon = Self {
            child,
            http: String::new(),
            https: String::new(),
        };
        let end = Instant::now() + PATIENCE;
        while daemon.http.is_empty() || daemon.https.is_empty() {
            let line = lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
                .expect("the daemon says where it listens");
            let address = |scheme: &str| {
                let (_, address) = line.split_once(&format!("listening on {scheme}://"))?;
                let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
                Some(address.split(|c| !is_part(c)).next()?.to_owned())
            };
            daemon.http = address("http").unwrap_or(daemon.http.clone());
            daemon.https = address("https").unwrap_or(daemon.https.clone());
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps reading until the end, so that the daemon never waits for a full pipe.
fn lines_of(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn doctor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_engage-host"))
        .arg("doctor")
        .args(arguments)
        .output()
        .unwrap()
}

/// The steps of one examination, by name.
pub(super) struct Diagnosis {
    pub(super) exit_code: Option<i32>,
    pub(super) steps: Vec<Value>,
}

impl Diagnosis {
    pub(super) fn run(arguments: &[&str]) -> Self {
        let output = doctor(&[arguments, &["--json"]].concat());
        Self {
            exit_code: output.status.code(),
            steps: serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {output:?}")),
        }
    }

    pub(super) fn of_faulty_host(pki: &Pki, fault: Fault) -> Self {
        let host = Host::start(pki, fault);
        let key = pki.path("site.key");
        Self::run(&[
            &host.url(),
            "--site-key-file",
            &key,
            "--https",
            &host.https(),
        ])
    }

    pub(super) fn outcome(&self, name: &str) -> &str {
        self.step(name)["outcome"].as_str().unwrap()
    }

    /// Detail and hint.
    pub(super) fn words(&self, name: &str) -> String {
        let step = self.step(name);
        format!(
            "{} | {}",
            step["detail"].as_str().unwrap(),
            step["hint"].as_str().unwrap_or_default()
        )
    }

    pub(super) fn step(&self, name: &str) -> &Value {
        self.steps
            .iter()
            .find(|step| step["name"] == name)
            .unwrap_or_else(|| panic!("no step {name}"))
    }

    #[track_caller]
    pub(super) fn assert_outcomes(&self, wanted: &[&str]) {
        let found: Vec<_> = self
            .steps
            .iter()
            .map(|step| step["outcome"].as_str().unwrap())
            .collect();
        assert_eq!(found, wanted, "{:#?}", self.steps);
        let is_failed = wanted.contains(&"fail");
        assert_eq!(self.exit_code, Some(i32::from(is_failed)));
    }
}
