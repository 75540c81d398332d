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

    /// What is stored of a device's audits, in the order of the files.
    pub(crate) fn audits(&self, device: &str) -> Vec<Value> {
        stored(&self.path(device), "audits-")
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

/// The lines of a device's files of one log, `audits-` or `alerts-`, oldest file first. Every line
/// must be whole.
pub(crate) fn stored(device: &Path, log: &str) -> Vec<Value> {
    months(device, log)
        .iter()
        .flat_map(|file| {
            let text = fs_err::read_to_string(file).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "torn: {text}");
            let lines: Vec<Value> = text
                .lines()
                .map(|line| {
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
                })
                .collect();
            lines
        })
        .collect()
}

/// A device's files of one log, oldest first.
pub(crate) fn months(device: &Path, log: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = entries(device)
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(log) && path.extension().is_some_and(|it| it == "jsonl")
        })
        .collect();
    files.sort();
    files
}

/// What lies in a folder of the ledger; nothing if it is not there.
pub(crate) fn ledger(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = entries(folder)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        entries => entries
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect(),
    }
}

fn send(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = connect(address);
    // The server may refuse and close before it has read all of a long body.
    let _ = stream.write_all(request);
    Response::parse(&read_to_end(&mut stream))
}
