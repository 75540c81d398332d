//! `engage-host sites remove`.

use std::process::ExitCode;

use clap::Args;
use http::Method;

use super::change_report::TellArgs;
use super::{ConfigArgs, path_of};
use crate::cli::remote::Remote;
use crate::failure::Failure;
use crate::sites::{ChangeReport, remove_site};

/// Remove a site that has a file of its own.
///
/// Its devices are answered as those of no site from then on. Its key stays where it is: it can never be made
/// again, and without it no device of the site can be given a certificate.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host sites remove Annex")]
pub(super) struct Remove {
    /// Its label
    #[arg(value_name = "NAME")]
    name: String,
    /// Delete its key file too, for ever. Refused unless it is a site key that nothing else uses
    #[arg(long)]
    delete_key: bool,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Remove {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<ExitCode, Failure> {
        if let Some(remote) = remote {
            let path = path_of(&self.name);
            let path = format!("{path}?delete_key={}", self.delete_key);
            let answer = remote.send(Method::DELETE, &path, None)?;
            return answer.read::<ChangeReport>()?.print(self.json);
        }
        let change = remove_site(&self.config.config, &self.name, self.delete_key, None)?;
        change.tell(self.tell, self.json)
    }
}
