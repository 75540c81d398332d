//! `engage-host admin token`: a new token, which is shown once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use miette::Diagnostic;
use serde::Serialize;

use super::super::output::{eprint_note, print, print_json};
use crate::admin::{Role, TokenName, add_token};
use crate::config::Config;
use crate::failure::Failure;

/// Make a token, add its line to the file of `[admin] token_file`, and print the token once.
///
/// The file keeps a hash, from which nobody can make the token again. A running daemon reads the file
/// when it has changed. To take a token away, remove its line.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host admin token night-shift --role read\n  engage-host admin token integrator --role write --config /etc/engage-host/config.toml"
)]
pub(super) struct NewToken {
    /// Whose it is: 1 to 64 of A-Z a-z 0-9 . _ - @; stands in the record of changes
    #[arg(value_name = "NAME")]
    name: TokenName,
    /// What it allows: `read` to look, `write` to change things too
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Print `{"name": "..", "role": "..", "token": ".."}`
    #[arg(long)]
    pub(super) json: bool,
}

impl NewToken {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load_without_files(&self.config)?;
        let Some(path) = config.admin.token_file else {
            return Err(NoTokenFile { path: config.path }.into());
        };
        let token = add_token(&path, &self.name, self.role)?;
        if self.json {
            print_json(&NewTokenReport {
                name: &self.name,
                role: self.role,
                token: token.reveal(),
            })?;
        } else {
            print(token.reveal())?;
            eprint_note(
                "token",
                format!("of `{}`: keep it, it is not shown again", self.name),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Serialises as `admin token --json`.
#[derive(Serialize)]
struct NewTokenReport<'a> {
    name: &'a TokenName,
    role: Role,
    token: &'a str,
}

/// There is no file to add a token to.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("`{}` names no `[admin] token_file`", path.display())]
#[diagnostic(
    code("no-token-file"),
    help("add `token_file = \"admin-tokens\"` below `[admin]`, and restart the daemon")
)]
struct NoTokenFile {
    path: PathBuf,
}
