//! `engage-host sites add`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::ConfigArgs;
use super::told::TellArgs;
use crate::config::BaseUrl;
use crate::failure::Failure;
use crate::sites::{GivenKey, SitesError, Wanted, add_site, hosts, once};
use engage_store::SerialNumber;
use engage_wire::limits::MAX_FILE_BYTES;
use engage_wire::site::{SiteKey, SiteName};
use engage_wire::{HostName, read_regular_file};

/// Add a site, in a file of its own.
///
/// Its key goes into a file beside the server's key, readable as that is, and is never written over. Nothing is
/// written unless name, hosts and serial numbers are free.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host sites add Annex --host annex.example.com --site-key-file annex.key"
)]
pub(super) struct Add {
    /// Its label
    #[arg(value_name = "NAME", value_parser = site_name)]
    name: SiteName,
    /// Site key of an existing ENGAGE site: Base64, hex or raw; `-` is standard input. Default: a new one
    #[arg(long, value_name = "FILE")]
    site_key_file: Option<PathBuf>,
    /// DER file that its devices install. Default: that of the first site
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Host header value that selects it. Repeatable. Without one it is selected by serial numbers, and
    /// without those it is the default site
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostName>,
    /// Serial number of a device of it. Repeatable
    #[arg(long = "serial", value_name = "SERIAL", value_parser = serial_number)]
    serials: Vec<SerialNumber>,
    /// File with a serial number a line
    #[arg(long, value_name = "FILE")]
    serials_file: Option<PathBuf>,
    /// How its devices reach port 80, if not as those of other sites do
    #[arg(long, value_name = "URL")]
    base_url: Option<BaseUrl>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Add {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let key = match &self.site_key_file {
            Some(path) => GivenKey::Text(read_key(path)?),
            None => GivenKey::New,
        };
        let serials_file = self.serials_file.as_deref().map(absolute);
        let is_listed = !self.serials.is_empty() || serials_file.is_some();
        let change = add_site(
            &self.config.config,
            Wanted {
                name: self.name,
                key,
                certificate: self.certificate.as_deref().map(absolute),
                hosts: hosts(self.hosts, is_listed),
                serials: once(self.serials),
                serials_file,
                base_url: self.base_url,
            },
        )?;
        change.tell(self.tell, self.json)
    }
}

/// The contents of a key file, or what is piped in.
fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if path != Path::new("-") {
        // Refuses what is no key before it is copied.
        SiteKey::load(path)?;
        return Ok(read_regular_file("site key", path, MAX_FILE_BYTES)?);
    }
    let mut contents = Zeroizing::new(Vec::with_capacity(MAX_INPUT_BYTES));
    let mut input = io::stdin().lock().take(MAX_INPUT_BYTES as u64);
    input
        .read_to_end(&mut contents)
        .map_err(|source| SitesError::Input { source })?;
    Ok(contents)
}

/// Of the command line, whose paths do not start where those of a site's file do.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn site_name(text: &str) -> Result<SiteName, String> {
    SiteName::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn serial_number(text: &str) -> Result<SerialNumber, String> {
    SerialNumber::from_hex(text.as_bytes())
        .ok_or_else(|| "allowed: 16 or 32 hexadecimal digits".to_owned())
}

/// A key has 64 characters, and perhaps white space.
const MAX_INPUT_BYTES: usize = 4096;
