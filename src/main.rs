//! The `engage-host` command: see `engage-host --help`.

use std::process::ExitCode;

use clap::Parser;
use engage_host::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
