//! `engage-host admin`: who may use the pages and the API.

mod token;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Say who may use the pages and the API of the admin listener.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host admin token night-shift --role read")]
pub(super) struct Admin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Token(token::NewToken),
}

impl Admin {
    pub(super) fn is_json(&self) -> bool {
        match &self.command {
            Command::Token(token) => token.json,
        }
    }

    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Token(token) => token.run(),
        }
    }
}
