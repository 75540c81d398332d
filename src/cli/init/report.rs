//! What was made, and what to do next: the texts.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::certificates::NewServer;
use super::layout::Layout;
use super::token_file;
use crate::config::Config;
use crate::new_files::CreatedEntry;
use engage_wire::limits::MAX_CHAIN_BYTES;

/// The result of a run, for the person at the console; serialises as `init --json`.
#[derive(Debug, Serialize)]
pub(super) struct InitReport {
    pub(super) created: Vec<CreatedEntry>,
    pub(super) existing: Vec<String>,
    pub(super) server: Option<NewServer>,
    /// What the operator does next, in this order.
    pub(super) next: Vec<String>,
}

/// What the operator does after a run that made `created`, in this order.
pub(super) fn next_steps(
    layout: &Layout,
    config: &Config,
    created: &[(PathBuf, &'static str)],
    server: Option<&NewServer>,
    is_new_site_key: bool,
) -> Vec<String> {
    let has_created = |path: &Path| created.iter().any(|(created, _)| created == path);
    let is_new_token_file = layout.token_file.as_deref().is_some_and(has_created);
    let let_in = token_file::next_step(config, is_new_token_file);
    if created.is_empty() {
        return let_in.into_iter().collect();
    }
    let mut steps = Vec::new();
    if is_new_site_key {
        steps.push(SITE_KEY.replace("FILES", &shown(&layout.site_keys)));
    }
    let start = format!("engage-host serve --config {}", config.path.display());
    steps.push(format!("start the daemon (or restart it): {start}"));
    steps.extend(let_in);
    let mut sites = config.sites.iter();
    let is_new_anchor = sites.any(|site| has_created(&site.certificate));
    // Only a server certificate of issuers that devices already trust spares them.
    steps.push(if server.is_some() && !is_new_anchor {
        "nothing to do on devices: they keep what they trust".to_owned()
    } else {
        DEVICES.replace("SERVER", &address_of(config))
    });
    if has_created(&layout.root.key) {
        steps.push(OFFLINE.replace("FILE", &layout.root.key.display().to_string()));
    }
    steps
}

/// Ends without a line break.
impl fmt::Display for InitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for created in &self.created {
            writeln!(f, "{created}")?;
        }
        for path in &self.existing {
            writeln!(f, "exists  {path}")?;
        }
        if let Some(server) = &self.server {
            write!(f, "\n{server}")?;
        }
        if self.created.is_empty() {
            f.write_str("\nnothing is missing, nothing was changed")?;
            if self.next.is_empty() {
                return Ok(());
            }
            f.write_str("\n")?;
        }
        fmt_steps(f, &self.next)
    }
}

/// Numbered, under a heading.
pub(in crate::cli) fn fmt_steps(f: &mut fmt::Formatter<'_>, steps: &[String]) -> fmt::Result {
    f.write_str("\nnext:")?;
    for (at, step) in steps.iter().enumerate() {
        write!(f, "\n{}. {step}", at + 1)?;
    }
    Ok(())
}

impl fmt::Display for NewServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server certificate for {}", self.hosts.join(", "))?;
        if let Some(path) = &self.names_from {
            writeln!(f, "with the names of `{}`", path.display())?;
        }
        writeln!(
            f,
            "valid until {}; {} bytes with its issuers, of {MAX_CHAIN_BYTES} that a device accepts",
            self.not_after, self.chain_bytes
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

const OFFLINE: &str = "keep FILE in a place that is offline, and on no computer that devices reach:
   it is only needed to issue another intermediate";
