//! `engage-host hash`: the announcement hash of one file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::output::{print, print_json};
use crate::failure::Failure;
use engage_wire::pki::load_certificate_der;
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
    /// Print `{"hash": ".."}`
    #[arg(long)]
    pub(super) json: bool,
}

impl Hash {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let key = SiteKey::load(&self.site_key_file)?;
        let certificate = load_certificate_der("certificate", &self.certificate)?;
        let hash = key.announcement_hash(certificate.der()).to_string();
        if self.json {
            print_json(&HashReport { hash })?;
        } else {
            print(hash)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Serialises as `hash --json`.
#[derive(Serialize)]
struct HashReport {
    hash: String,
}
