//! What was made, and what to do next: the texts.

use std::fmt;
use std::path::{Path, PathBuf};

use super::certificates::NewServer;
use super::layout::Layout;
use crate::config::Config;
use crate::pki::limits::MAX_CHAIN_BYTES;
use crate::site::HostName;

/// The result of a run, for the person at the console.
pub(super) struct Outcome {
    /// Each new file or folder, and what it is.
    pub(super) made: Vec<(PathBuf, &'static str)>,
    pub(super) existing: Vec<PathBuf>,
    pub(super) server: Option<NewServer>,
    pub(super) made_site_key: bool,
    pub(super) layout: Layout,
    pub(super) config: Config,
}

impl Outcome {
    pub(super) fn made_something(&self) -> bool {
        !self.made.is_empty()
    }

    fn made(&self, path: &Path) -> bool {
        self.made.iter().any(|(made, _)| made == path)
    }

    fn next_steps(&self) -> Vec<String> {
        let config = &self.config;
        let mut steps = Vec::new();
        if self.made_site_key {
            steps.push(SITE_KEY.replace("FILES", &shown(&self.layout.site_keys)));
        }
        let start = format!("engage-host serve --config {}", config.path.display());
        steps.push(format!("start the daemon (or restart it): {start}"));
        match &self.server {
            Some(NewServer {
                has_new_root: false,
                ..
            }) => {
                steps.push("nothing to do on devices: they keep the root that they have".into());
            }
            _ => steps
                .push(DEVICES.replace("URL", &config.base_url_at(config.http.listen).to_string())),
        }
        if self.made(&self.layout.root_key) {
            steps.push(OFFLINE.replace("FILE", &self.layout.root_key.display().to_string()));
        }
        steps
    }
}

impl fmt::Display for Outcome {
    /// Ends without a line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, what) in &self.made {
            writeln!(f, "made    {}  ({what})", path.display())?;
        }
        for path in &self.existing {
            writeln!(f, "exists  {}", path.display())?;
        }
        if let Some(server) = &self.server {
            write!(f, "\n{server}")?;
        }
        if !self.made_something() {
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
            not_after,
            chain_bytes,
            has_new_root: _,
        } = self;
        let hosts: Vec<_> = hosts.iter().map(HostName::to_string).collect();
        writeln!(f, "server certificate for {}", hosts.join(", "))?;
        writeln!(
            f,
            "valid until {not_after}; {chain_bytes} bytes with its issuers, of {MAX_CHAIN_BYTES} that a device accepts"
        )
    }
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
    "in the ENGAGE mobile app (or through its API) set the site's server to URL, commission the
   locks, and trigger the certificate update: each lock then fetches the new root";

const OFFLINE: &str = "move FILE to a place that is offline:
   it is only needed to issue another intermediate";
