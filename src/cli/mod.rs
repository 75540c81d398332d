//! The command line: one file per command, and the only place that prints.

mod admin;
mod adopt;
mod check;
mod check_ports;
mod completions;
mod devices;
mod doctor;
mod hash;
mod healthcheck;
mod init;
mod output;
mod reload;
mod remote;
mod renew;
mod rotate;
mod serve;
#[cfg(any(windows, test))]
mod service;
mod simulate;
mod sites;
mod usage_error;

use std::process::ExitCode;

use clap::{Arg, Args as _, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::failure::Failure;
use output::written;
use remote::RemoteArgs;
use usage_error::{UsageError, ask_for_json};

/// Certificate distribution for Schlage ENGAGE Wi-Fi devices.
///
/// Tells door locks which certificate to install (port 80), and speaks TLS with them under that
/// certificate (port 443). Everything is checked as a lock would before a lock sees it.
#[derive(Debug, Parser)]
#[command(
    name = "engage-host",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Examples:\n  engage-host init --host 10.44.68.128\n  engage-host check\n  engage-host serve\n\nEach command's own are in its `--help`."
)]
struct Cli {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Reload(reload::Reload),
    Check(check::Check),
    Init(init::Init),
    Renew(renew::Renew),
    Adopt(adopt::Adopt),
    Hash(hash::Hash),
    Doctor(doctor::Doctor),
    Healthcheck(healthcheck::Healthcheck),
    Simulate(Box<simulate::Simulate>),
    Devices(Box<devices::Devices>),
    Rotate(Box<rotate::Rotate>),
    Sites(sites::Sites),
    #[cfg(windows)]
    Service(service::Service),
    Admin(admin::Admin),
    Completions(completions::Completions),
    #[command(name = "man")]
    ManualPages(completions::ManualPages),
}

/// Runs the command that the arguments name. Exit codes: 0 done, 1 refused or failed, 2 usage.
pub fn run() -> ExitCode {
    let mut commands = commands();
    let arguments: Vec<_> = std::env::args_os().collect();
    let parsed = commands.try_get_matches_from_mut(&arguments);
    let parsed = parsed.and_then(|matches| {
        let parsed = Cli::from_arg_matches(&matches);
        parsed.map_err(|error| error.format(&mut commands))
    });
    match parsed {
        Ok(Cli { remote, command }) => {
            let json = command.is_json();
            let done = command.run(&remote);
            done.unwrap_or_else(|failure| failure.report(json))
        }
        Err(usage) if usage.use_stderr() && ask_for_json(&arguments) => {
            let failure = Failure::from(UsageError::new(&usage));
            failure.into_usage_error().report(true)
        }
        // `--help` and `--version` are results too.
        Err(usage) => match written(usage.print()) {
            Ok(()) => ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2)),
            Err(failure) => failure.report(false),
        },
    }
}

/// All commands. The help of those that cannot ask another host does not speak of it.
fn commands() -> clap::Command {
    let hidden = |arg: Arg| {
        let is_remote = RemoteArgs::IDS.contains(&arg.get_id().as_str());
        if is_remote { arg.hide(true) } else { arg }
    };
    Cli::command().mut_subcommands(|command| match command.get_name() {
        "devices" | "sites" => command,
        // What a command has itself does not come to it from above.
        _ => RemoteArgs::augment_args(command).mut_args(hidden),
    })
}

impl Command {
    /// Whether scripts read the result, and so the errors too.
    fn is_json(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Healthcheck(_) | Self::Completions(_) | Self::ManualPages(_) => {
                false
            }
            Self::Reload(reload) => reload.json,
            Self::Check(check) => check.json,
            Self::Init(init) => init.json,
            Self::Renew(renew) => renew.json,
            Self::Adopt(adopt) => adopt.json,
            Self::Hash(hash) => hash.json,
            Self::Doctor(doctor) => doctor.json,
            Self::Simulate(simulate) => simulate.json,
            Self::Devices(devices) => devices.is_json(),
            Self::Rotate(rotate) => rotate.is_json(),
            Self::Sites(sites) => sites.is_json(),
            #[cfg(windows)]
            Self::Service(service) => service.is_json(),
            Self::Admin(admin) => admin.is_json(),
        }
    }

    fn run(self, remote: &RemoteArgs) -> Result<ExitCode, Failure> {
        if !matches!(self, Self::Devices(_) | Self::Sites(_)) {
            remote.refuse()?;
        }
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Reload(reload) => reload.run(),
            Self::Check(check) => check.run(),
            Self::Init(init) => init.run(),
            Self::Renew(renew) => renew.run(),
            Self::Adopt(adopt) => adopt.run(),
            Self::Hash(hash) => hash.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Healthcheck(healthcheck) => healthcheck.run(),
            Self::Simulate(simulate) => simulate.run(),
            Self::Devices(devices) => devices.run(remote),
            Self::Rotate(rotate) => rotate.run(),
            Self::Sites(sites) => sites.run(remote),
            #[cfg(windows)]
            Self::Service(service) => service.run(),
            Self::Admin(admin) => admin.run(),
            Self::Completions(completions) => completions.run(),
            Self::ManualPages(pages) => pages.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_help_texts_are_commands() {
        let mut examples = Vec::new();
        collect_examples(&commands(), &mut examples);
        assert_eq!(examples[0], "engage-host init --host 10.44.68.128");
        assert!(examples.len() >= 10, "{examples:?}");
        for example in examples {
            let arguments = example
                .split(['|', '<', '>', '&'])
                .next()
                .unwrap_or_default();
            let arguments = arguments.split_whitespace();
            let parsed = Cli::try_parse_from(arguments.map(|it| it.trim_matches('\'')));
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }

    /// With the lines that a backslash continues.
    fn collect_examples(command: &clap::Command, examples: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default().replace("\\\n", " ");
        let lines = help.lines().map(str::trim);
        examples.extend(
            lines
                .filter(|line| line.starts_with("engage-host "))
                .map(str::to_owned),
        );
        for below in command.get_subcommands() {
            collect_examples(below, examples);
        }
    }
}
