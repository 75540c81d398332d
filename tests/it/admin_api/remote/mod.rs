//! Commands that ask another host's API: they say what they say on the host itself.

mod changes;
mod pages;
mod refused;
mod same;
mod secrecy;
mod set_aside;

use std::process::Command;

use super::Api;
use crate::harness::{Finished, Host, Installation, program, run_with_input};

/// Where a host's API is asked, and with what.
struct There {
    url: String,
    token_file: std::path::PathBuf,
}

impl There {
    fn new(installation: &Installation, api: &Api) -> Self {
        installation.write("another-host.token", format!("{}\n", api.token));
        Self {
            url: format!("http://{}", api.address),
            token_file: installation.path("another-host.token"),
        }
    }

    /// A command from elsewhere: where it runs there is no configuration.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command
            .args(["--server", &self.url, "--token-file"])
            .arg(&self.token_file)
            .args(args)
            .current_dir("/");
        command
    }

    fn run(&self, args: &[&str]) -> Finished {
        self.run_with_input(args, b"")
    }

    fn run_with_input(&self, args: &[&str], input: &[u8]) -> Finished {
        run_with_input(&mut self.command(args), input)
    }

    /// What it prints when all is well.
    #[track_caller]
    fn stdout(&self, args: &[&str]) -> String {
        let finished = self.run(args);
        assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
        finished.stdout_text()
    }
}

fn host(devices: &str) -> (Host, There) {
    let (host, api) = super::host(devices);
    let there = There::new(&host.installation, &api);
    (host, there)
}

/// The same command on the host itself.
fn here(installation: &Installation, args: &[&str]) -> Finished {
    let mut command = program();
    command
        .args(args)
        .arg("--config")
        .arg(installation.path("config.toml"));
    run_with_input(&mut command, b"")
}

/// The codes that a command with `--json` fails with.
#[track_caller]
fn refusals(finished: &Finished) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_slice(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    let refusals = report["refusals"].as_array().unwrap().iter();
    refusals
        .map(|it| it["code"].as_str().unwrap().to_owned())
        .collect()
}
