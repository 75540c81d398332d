//! `engage-host doctor`: behaves as a device against a running daemon.

mod announcement;
mod certificate;
mod key_probe;
mod run;
mod session;
mod step;
mod target;
mod time_limit;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::output::{SystemError, print, print_json};
use crate::failure::Failure;
use engage_wire::{HostPort, HttpUrl};
use run::DoctorRun;
use step::{Step, StepOutcome};
use target::Target;
pub(super) use target::announcement_url;

/// Behave as a device against a running daemon, ours or any other host.
///
/// Fetches the announcement and the certificate in clear text, checks hash and limits, opens TLS
/// trusting only that certificate, and tries to download the private key.
/// Exit code 0 when a device would be content, 1 when not, 2 when it could not be tried.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host doctor\n  engage-host doctor http://10.44.68.128 --site-key-file pki/site.key\n  engage-host doctor http://127.0.0.1:8080 --https 127.0.0.1:8443 --json"
)]
pub(super) struct Doctor {
    /// The host, as `http://HOST[:PORT]`; without it, the configuration's `base_url`
    url: Option<HttpUrl>,
    /// Configuration file: names the site keys, and the host if no URL is given
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Site key: Base64, hex or raw; no configuration is read then
    #[arg(long, value_name = "FILE", requires = "url", conflicts_with = "config")]
    site_key_file: Option<PathBuf>,
    /// Site of the configuration whose key to use; without it, the one that the URL's host selects
    #[arg(long, value_name = "NAME", conflicts_with = "site_key_file")]
    site: Option<String>,
    /// Where TLS is spoken; without it, the URL's host at the configured port or 443
    #[arg(long, value_name = "HOST:PORT")]
    https: Option<HostPort>,
    /// Print a JSON array of the steps
    #[arg(long)]
    pub(super) json: bool,
}

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let json = self.json;
        let steps = self.run_steps().map_err(Failure::into_usage_error)?;
        if json {
            print_json(&steps)?;
        } else {
            print(step::summary(&steps))?;
        }
        let failed = steps.iter().any(|step| step.outcome == StepOutcome::Fail);
        Ok(ExitCode::from(u8::from(failed)))
    }

    fn run_steps(self) -> Result<Vec<Step>, Failure> {
        let is_live = !self.json;
        let target = Target::from_arguments(self)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SystemError::new("start the runtime"))?;
        let steps = runtime.block_on(DoctorRun::new(target, TOTAL_TIMEOUT, is_live).run());
        // A name service that does not answer must not delay the end.
        runtime.shutdown_background();
        Ok(steps)
    }
}

/// How long the whole run may take.
const TOTAL_TIMEOUT: Duration = Duration::from_mins(1);
