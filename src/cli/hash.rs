//! `engage-host hash`: the announcement hash of one file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::output::{Failure, print};
use engage_wire::pki::certificate_der;
use engage_wire::site::SiteKey;

/// Print Base64(HMAC-SHA1(site key, file)) and nothing else.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host hash static/Device_Certificates/partner_CA.der --site-key-file pki/site.key"
)]
pub(super) struct Hash {
    /// DER certificate to hash
    #[arg(value_name = "FILE.der")]
    certificate: PathBuf,
    /// Site key: Base64, hex or raw
    #[arg(long, value_name = "FILE")]
    site_key_file: PathBuf,
}

impl Hash {
    pub(super) fn run(self) -> ExitCode {
        match self.hash() {
            Ok(hash) => {
                print(hash);
                ExitCode::SUCCESS
            }
            Err(failure) => failure.report(),
        }
    }

    fn hash(self) -> Result<String, Failure> {
        let Self {
            certificate,
            site_key_file,
        } = self;
        let key = SiteKey::load(&site_key_file)?;
        let certificate = certificate_der("certificate", &certificate)?;
        Ok(key.announcement_hash(certificate.der()).to_string())
    }
}
