//! engage-host, as a service runs it: its log goes to a file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::installation::Installation;
use crate::process::{Server, free_address};
use crate::trouble::{Outcome, Trouble, While};

/// Makes chain, keys and configuration in `folder`, with `engage-host init`.
pub(crate) fn init(program: &Path, folder: &Path) -> Outcome<()> {
    let made = Command::new(program)
        .args(["init", "--host", "127.0.0.1", "--http", "127.0.0.1:80"])
        .args(["--https", "127.0.0.1:443", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .status()
        .doing("running `engage-host init`")?;
    if made.success() {
        Ok(())
    } else {
        Err(Trouble::new("`engage-host init` failed"))
    }
}

/// A configuration of `init` with the admin listener there, and without pages: an earlier version has none.
pub(crate) fn with_admin(config: &str, listen: &str) -> String {
    let listen = format!("listen = \"{listen}\"");
    let tokens = "token_file = \"admin-tokens\"";
    if config.contains(tokens) {
        config.replace(tokens, &listen)
    } else {
        format!("{config}\n[admin]\n{listen}\n")
    }
}

/// Starts the daemon with `config` on free ports.
pub(crate) fn spawn(installation: &Installation, config: &Path) -> Outcome<Server> {
    start(
        &installation.engage_host,
        config,
        &installation.work.join(LOG),
    )
}

/// Likewise the earlier one.
pub(crate) fn spawn_baseline(installation: &Installation, config: &Path) -> Outcome<Server> {
    let program = installation.baseline.as_deref();
    let program = program.ok_or_else(|| Trouble::new("there is no baseline"))?;
    start(program, config, &installation.work.join("log/baseline.log"))
}

/// Starts `program` with `config` on free ports; its log goes to `log`.
pub(crate) fn start(program: &Path, config: &Path, log: &Path) -> Outcome<Server> {
    start_at(program, config, log, [free_address()?, free_address()?])
}

/// Likewise on these, of HTTP and HTTPS.
pub(crate) fn start_at(
    program: &Path,
    config: &Path,
    log: &Path,
    [http, https]: [SocketAddr; 2],
) -> Outcome<Server> {
    let log = std::fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .open(log)
        .doing("opening the daemon's log")?;
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg("--config")
        .arg(config)
        .args(["--http", &http.to_string(), "--https", &https.to_string()])
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(log);
    Server::spawn(&mut command, http, https)
}

/// In a folder of its own, as under `/var/log`: the daemon watches the folder of its configuration.
pub(crate) const LOG: &str = "log/engage-host.log";
