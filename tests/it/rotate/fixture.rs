//! A host whose root is changed by commands.

use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use engage_store::{Replaced, Rotation, RotationStep, SqlOptions, StoreReader, StoreWriter};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Chain, Daemon, Finished, Host, Installation, Key, get, program, read_answer, request, run,
    tls_connect, tls_get, trusting,
};

pub(super) const SERIAL: &str = "0123456789ABCDEF";

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// A chain that somebody else has made.
pub(super) fn new_chain() -> &'static Chain {
    static NEW: OnceLock<Chain> = OnceLock::new();
    NEW.get_or_init(|| {
        Chain::issue(|[server, intermediate, root]| {
            server.key = Key::Foreign;
            intermediate.subject = "/O=Partner/CN=Partner Intermediate 2".into();
            root.subject = "/O=Partner/CN=Partner CA 2".into();
            root.key = Key::Rsa(2048);
        })
    })
}

pub(super) struct Rotating {
    pub(super) installation: Installation,
    pub(super) daemon: Daemon,
    /// Of the daemon's socket, over which it is asked to reload.
    runtime: TempDir,
}

impl Rotating {
    pub(super) fn start() -> Self {
        Self::start_with("")
    }

    /// With further lines of `[devices]`.
    pub(super) fn start_with(devices: &str) -> Self {
        Self::on(Host::installation(devices), |_| {})
    }

    /// With further environment of the daemon.
    pub(super) fn on(installation: Installation, change: impl FnOnce(&mut Command)) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let daemon = Daemon::start_with(&installation, |command| {
            command.env("RUNTIME_DIRECTORY", runtime.path());
            change(command);
        });
        Self {
            installation,
            daemon,
            runtime,
        }
    }

    pub(super) fn run(&self, step: &str, args: &[&str]) -> Finished {
        self.command(&["rotate", step], args)
    }

    pub(super) fn command(&self, command_line: &[&str], args: &[&str]) -> Finished {
        let mut command = program();
        command
            .env("RUNTIME_DIRECTORY", self.runtime.path())
            .args(command_line)
            .args(args)
            .arg("--config")
            .arg(self.installation.path("config.toml"));
        run(&mut command)
    }

    /// A step that is taken; what it says.
    pub(super) fn rotate(&self, step: &str, args: &[&str]) -> String {
        let finished = self.run(step, args);
        assert_eq!(finished.code, Some(0), "{step}: {finished:?}");
        finished.stdout_text()
    }

    pub(super) fn status(&self) -> Value {
        serde_json::from_str(&self.rotate("status", &["--json"])).unwrap()
    }

    /// What was seen is written within seconds.
    pub(super) fn wait_for_status(&self, is_wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status();
            if is_wanted(&status) {
                return;
            }
            assert!(Instant::now() < deadline, "{status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Path and hash.
    pub(super) fn announced(&self) -> (String, String) {
        let answer = get(self.daemon.http, ANNOUNCEMENT);
        let url = answer.json("cert_url");
        let path = url.find("/static/").unwrap();
        (url[path..].to_owned(), answer.json("hash"))
    }

    /// A device that trusts only `anchor` gets through, if not at once then at its next attempt.
    pub(super) fn accepts(&self, anchor: &[u8]) -> bool {
        let config = trusting(anchor);
        let attempt = || {
            let mut stream = tls_connect(self.daemon.https, &config);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        };
        (0..3).any(|_| attempt().is_ok())
    }

    /// In clear text.
    pub(super) fn call_in(&self) {
        let target = format!("/swordfish/lock/audit?sn={SERIAL}");
        let body = br#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"}]}"#;
        let call = request("POST", &target, "Connection: close\r\n", body);
        let mut stream = crate::harness::connect(self.daemon.http);
        stream.write_all(&call).unwrap();
        assert!([201, 202].contains(&read_answer(&mut stream).status()));
    }

    /// Over TLS.
    pub(super) fn call_in_trusting(&self, anchor: &[u8]) {
        self.call_in();
        let target = format!("/swordfish/lock/db/0?sn={SERIAL}");
        assert!(self.accepts(anchor));
        let answer = tls_get(self.daemon.https, &trusting(anchor), &target);
        assert_eq!(answer.status(), 200);
    }

    /// Arguments that name the files of [`new_chain`].
    pub(super) fn given(&self) -> [String; 6] {
        let new = new_chain();
        self.installation.write("given/root.pem", &new.root.pem);
        self.installation.write("given/server.pem", new.pem());
        self.installation
            .write("given/server.key", new.server.key.pem());
        let path = |name: &str| self.installation.path(name).display().to_string();
        [
            "--root".into(),
            path("given/root.pem"),
            "--chain".into(),
            path("given/server.pem"),
            "--key".into(),
            path("given/server.key"),
        ]
    }

    pub(super) fn forget_row(&self) {
        self.replace_row(|_| None);
    }

    pub(super) fn set_step(&self, step: RotationStep) {
        self.replace_row(|row| Some(Rotation { step, ..row? }));
    }

    fn replace_row(&self, change: impl FnOnce(Option<Rotation>) -> Option<Rotation>) {
        let database = self.installation.path("Engage_Data/engage-host.db");
        let options = SqlOptions::sqlite(database);
        let row = StoreReader::open(&options).unwrap().rotation().unwrap();
        let mut writer = StoreWriter::open(&options).unwrap();
        let replaced = writer
            .replace_rotation(row.revision, change(row.rotation))
            .unwrap();
        assert!(matches!(replaced, Replaced::Stored(_)));
    }
}

#[track_caller]
pub(super) fn shows(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}
