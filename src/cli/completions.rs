//! `engage-host completions` and `engage-host man`: what packages install beside the binary, from the
//! command line's own definitions.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;
use miette::Diagnostic;

use super::commands;
use super::output::written;
use crate::failure::Failure;

/// Print what completes engage-host's commands and options in a shell.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host completions bash > /usr/share/bash-completion/completions/engage-host"
)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut commands(), NAME, &mut script);
        written(io::stdout().lock().write_all(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Write the manual pages, one a command, into a folder.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host man /usr/local/share/man/man1")]
pub(super) struct ManualPages {
    /// Folder, which exists; pages of the same names are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl ManualPages {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        clap_mangen::generate_to(commands(), &self.folder).map_err(|source| PageError {
            folder: self.folder,
            source,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Why there are no pages, or not all.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("failed to write manual pages into `{}`", folder.display())]
#[diagnostic(
    code("unusable-folder"),
    help("name a folder that exists and in which you may write")
)]
struct PageError {
    folder: PathBuf,
    source: io::Error,
}

const NAME: &str = "engage-host";
