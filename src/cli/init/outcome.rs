//! What was made, and what to do next: the texts.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::certificates::NewServer;
use super::layout::Layout;
use crate::config::Config;
use engage_wire::HostName;
use engage_wire::limits::MAX_CHAIN_BYTES;

/// The result of a run, for the person at the console.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Each new file or folder, and what it is.
    pub(super) created: Vec<(PathBuf, &'static str)>,
    pub(super) existing: Vec<PathBuf>,
    pub(super) server: Option<NewServer>,
    pub(super) is_new_site_key: bool,
    pub(super) layout: Layout,
    pub(super) config: Config,
}

impl Outcome {
    pub(super) fn created_something(&self) -> bool {
        !self.created.is_empty()
    }

    /// For scripts.
    pub(super) fn report(&self) -> Report {
        let text = |path: &PathBuf| path.display().to_string();
        Report {
            created: self
                .created
                .iter()
                .map(|(path, what)| CreatedEntry {
                    path: text(path),
                    what,
                })
                .collect(),
            existing: self.existing.iter().map(text).collect(),
            server: self.server.as_ref().map(|server| ServerEntry {
                hosts: server.hosts.iter().map(HostName::to_string).collect(),
                not_after: server.not_after.to_string(),
                chain_bytes: server.chain_bytes,
            }),
            next: if self.created_something() {
                self.next_steps()
            } else {
                Vec::new()
            },
        }
    }

    fn has_created(&self, path: &Path) -> bool {
        self.created.iter().any(|(created, _)| created == path)
    }

    fn created_an_anchor(&self) -> bool {
        self.config
            .sites
            .iter()
            .any(|site| self.has_created(&site.certificate))
    }

    fn next_steps(&self) -> Vec<String> {
        let config = &self.config;
        let mut steps = Vec::new();
        if self.is_new_site_key {
            steps.push(SITE_KEY.replace("FILES", &shown(&self.layout.site_keys)));
        }
        let start = format!("engage-host serve --config {}", config.path.display());
        steps.push(format!("start the daemon (or restart it): {start}"));
        // Only a server certificate of issuers that devices already trust spares them.
        steps.push(if self.server.is_some() && !self.created_an_anchor() {
            "nothing to do on devices: they keep what they trust".to_owned()
        } else {
            DEVICES.replace("SERVER", &address_of(config))
        });
        if self.has_created(&self.layout.root.key) {
            steps.push(OFFLINE.replace("FILE", &self.layout.root.key.display().to_string()));
        }
        steps
    }
}

/// Serialises as `init --json`.
#[derive(Serialize)]
pub(super) struct Report {
    created: Vec<CreatedEntry>,
    existing: Vec<String>,
    server: Option<ServerEntry>,
    /// What the operator does next, in this order.
    next: Vec<String>,
}

#[derive(Serialize)]
struct CreatedEntry {
    path: String,
    what: &'static str,
}

#[derive(Serialize)]
struct ServerEntry {
    hosts: Vec<String>,
    not_after: String,
    chain_bytes: usize,
}

impl fmt::Display for Outcome {
    /// Ends without a line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, what) in &self.created {
            writeln!(f, "made    {}  ({what})", path.display())?;
        }
        for path in &self.existing {
            writeln!(f, "exists  {}", path.display())?;
        }
        if let Some(server) = &self.server {
            write!(f, "\n{server}")?;
        }
        if !self.created_something() {
            return f.write_str("\nnothing is missing, nothing was changed");
        }
        f.write_str("\nnext:")?;
        for (at, step) in self.next_steps().iter().enumerate() {
            write!(f, "\n{}. {step}", at + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for NewServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hosts,
            names_from,
            not_after,
            chain_bytes,
        } = self;
        let hosts: Vec<_> = hosts.iter().map(HostName::to_string).collect();
        writeln!(f, "server certificate for {}", hosts.join(", "))?;
        if let Some(path) = names_from {
            writeln!(f, "with the names of `{}`", path.display())?;
        }
        writeln!(
            f,
            "valid until {not_after}; {chain_bytes} bytes with its issuers, of {MAX_CHAIN_BYTES} that a device accepts"
        )
    }
}

/// The address for devices; with port 0 only the running daemon knows it.
fn address_of(config: &Config) -> String {
    let listen = config.http.listen;
    if config.base_url.is_none() && listen.port() == 0 {
        return "the address that the daemon logs".to_owned();
    }
    config.base_url_at(listen).to_string()
}

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

const SITE_KEY: &str = "create the ENGAGE site with the site key in FILES.
   A site key can never be changed once its site exists: if the site exists already, put ITS key
   into this file now, before the first device is commissioned";

const DEVICES: &str =
    "in the ENGAGE mobile app (or through its API) set the site's server to SERVER, commission the
   locks, and trigger the certificate update: each lock then fetches the new certificate";

const OFFLINE: &str = "move FILE to a place that is offline:
   it is only needed to issue another intermediate";
