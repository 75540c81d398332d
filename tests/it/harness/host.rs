//! A host that records call-ins, and the calls of devices.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Daemon, Installation, Response, connect, read_to_end, standard};

/// A daemon that answers call-ins, and what it records.
pub(crate) struct Host {
    pub(crate) installation: Installation,
    pub(crate) daemon: Daemon,
}

impl Host {
    /// Answers in clear text too, because most tests are not about TLS; `devices` are further
    /// lines of that section.
    pub(crate) fn start(devices: &str) -> Self {
        let installation = Self::installation(devices);
        let daemon = Daemon::start(&installation);
        Self {
            installation,
            daemon,
        }
    }

    /// What [`Host::start`] starts.
    pub(crate) fn installation(devices: &str) -> Installation {
        let installation = Installation::new(standard()).with_admin();
        installation.set(
            "[devices]",
            &format!("plain_http = true\ntime_zone = \"UTC\"\n{devices}"),
        );
        installation
    }

    /// Kills the daemon and starts another on what it left.
    pub(crate) fn restart(self) -> Self {
        let Self {
            installation,
            daemon,
        } = self;
        drop(daemon);
        let daemon = Daemon::start(&installation);
        Self {
            installation,
            daemon,
        }
    }

    /// Asks the daemon to stop, and waits until it has: all that it knows is stored then.
    pub(crate) fn stop(self) -> (Installation, String) {
        self.daemon.terminate();
        let (code, log) = self.daemon.finish();
        assert_eq!(code, Some(0), "{log}");
        (self.installation, log)
    }

    /// One call in clear text, on its own connection.
    pub(crate) fn call(&self, method: &str, target: &str, body: impl AsRef<[u8]>) -> Response {
        self.call_with("", method, target, body)
    }

    /// As [`Host::call`], with further header lines.
    pub(crate) fn call_with(
        &self,
        headers: &str,
        method: &str,
        target: &str,
        body: impl AsRef<[u8]>,
    ) -> Response {
        let headers = format!("Connection: close\r\n{headers}");
        send(
            self.daemon.http,
            &request(method, target, &headers, body.as_ref()),
        )
    }

    /// Whether the daemon calls itself ready, and why not.
    pub(crate) fn readiness(&mut self) -> Response {
        let request = request("GET", "/readyz", "Connection: close\r\n", b"");
        send(self.daemon.admin(), &request)
    }

    /// A file or folder of `Engage_Data`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.installation.path("Engage_Data").join(name)
    }

    /// A device's audits, in the order in which they were stored.
    pub(crate) fn audits(&self, device: &str) -> Vec<Value> {
        self.installation.audits(device)
    }

    /// The codes of its audits.
    pub(crate) fn codes(&self, device: &str) -> Vec<String> {
        let code = |event: &Value| event["code"].as_str().unwrap().to_owned();
        self.audits(device).iter().map(code).collect()
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: 10.44.68.128\r\n{headers}");
    if !body.is_empty() {
        request = format!("{request}Content-Length: {}\r\n", body.len());
    }
    [format!("{request}\r\n").as_bytes(), body].concat()
}

/// The names of what lies in a folder, sorted; none if it is not there.
pub(crate) fn ledger(folder: &Path) -> Vec<String> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap(),
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn send(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = connect(address);
    // The server may refuse and close before it has read all of a long body.
    let _ = stream.write_all(request);
    Response::parse(&read_to_end(&mut stream))
}
