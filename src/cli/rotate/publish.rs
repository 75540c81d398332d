//! `rotate publish`: the new certificate is announced.

use std::process::ExitCode;

use clap::Args;
use engage_store::RotationStep;

use super::StepArgs;
use super::error::RotateError;
use super::hosts::{HostEntry, hosts_table};
use super::report::StepReport;
use super::session::Session;
use crate::cli::output::Failure;

/// Announce the new certificate; each device gets the chain that it can verify.
///
/// Refused unless the new files hold on every host that runs.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host rotate publish --config /etc/engage-host/config.toml"
)]
pub(super) struct Publish {
    #[command(flatten)]
    pub(super) step: StepArgs,
}

impl Publish {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut session = Session::open(&self.step)?;
        let rotation = session.rotation()?;
        match rotation.step {
            RotationStep::Prepared | RotationStep::Undoing => {
                let refusals = session.judge(rotation, RotationStep::Published);
                if !refusals.is_empty() {
                    return Err(Failure::from_errors(refusals));
                }
                require_hosts(&session)?;
            }
            RotationStep::Published => {}
            found @ (RotationStep::Activated | RotationStep::Retiring) => {
                return Err(RotateError::WrongStep {
                    command: "publish",
                    found,
                    allowed: "`prepare`, or `undo`",
                }
                .into());
            }
        }
        session.go_to(RotationStep::Published)?;
        let hosts = session.wait_for_hosts(|_| true)?;
        StepReport::new(&session, Vec::new(), &hosts).print(self.step.json)
    }
}

/// A host without the new files would announce the old certificate, and send devices that have the
/// new one a chain that they cannot verify.
pub(super) fn require_hosts(session: &Session) -> Result<(), Failure> {
    let hosts = session.wait_for_hosts(|_| true)?;
    let hosts = HostEntry::all(session, &hosts);
    if hosts.iter().all(|it| it.follows) {
        return Ok(());
    }
    let table = hosts_table(&hosts);
    if !hosts.iter().any(|it| it.is_refusing) {
        return Err(RotateError::HostsBehind { table }.into());
    }
    let next = session.files.folder().to_owned();
    Err(RotateError::HostsNotReady { next, table }.into())
}
