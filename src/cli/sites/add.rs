//! `engage-host sites add`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use super::ConfigArgs;
use super::change_report::TellArgs;
use crate::cli::remote::Remote;
use crate::config::BaseUrl;
use crate::failure::Failure;
use crate::publication::{Refusal, listed_serials};
use crate::sites::{ChangeReport, GivenKey, SitesError, Wanted, add_site, hosts, once};
use engage_store::SerialNumber;
use engage_wire::site::{SiteKey, SiteName};
use engage_wire::{HostName, Text};

/// Add a site, in a file of its own.
///
/// Its key goes into a file beside the server's key, readable as that is, and is never written over. Nothing is
/// written unless name, hosts and serial numbers are free. With `--server` the other host does all of that: it is sent the
/// key and the serial numbers, and `--certificate` names a file there, from `/` on.
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
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<ExitCode, Failure> {
        if let Some(remote) = remote {
            return self.send(remote);
        }
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

    /// Has another host add it.
    fn send(self, remote: &Remote) -> Result<ExitCode, Failure> {
        let key = self.site_key_file.as_deref().map(read_key).transpose()?;
        let key = key.as_deref().map(|key| key_text(key));
        let certificate = self.certificate.as_ref();
        let mut serials = self.serials;
        if let Some(file) = &self.serials_file {
            let site = self.name.clone();
            let listed = listed_serials(file);
            serials.extend(listed.map_err(|source| Refusal::Serials { site, source })?);
        }
        let new = NewSite {
            name: self.name.as_str(),
            key: key.as_deref().map(String::as_str),
            certificate: certificate.map(|it| it.display().to_string()),
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            serials: once(serials).iter().map(ToString::to_string).collect(),
            base_url: self.base_url.map(|it| it.to_string()),
        };
        // As large as it gets: no copy of the key stays behind.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_REQUEST_BYTES));
        if serde_json::to_writer(&mut *body, &new).is_err() {
            unreachable!("texts serialise into memory");
        }
        let body = Some(Bytes::from_owner(body));
        let answer = remote.send(Method::POST, "/sites", body)?;
        answer.read::<ChangeReport>()?.print(self.json)
    }
}

/// A site as the API takes it.
#[derive(Serialize)]
struct NewSite<'a> {
    name: &'a str,
    key: Option<&'a str>,
    certificate: Option<String>,
    hosts: Vec<String>,
    serials: Vec<String>,
    base_url: Option<String>,
}

/// A key as JSON can hold it: 32 raw bytes become Base64. What is no key is for the host to refuse.
fn key_text(key: &[u8]) -> Zeroizing<String> {
    let is_raw = key.len() == SiteKey::BYTES;
    let text = Text::decode(key);
    let text = text.as_ref().ok().and_then(|text| text.to_str().ok());
    Zeroizing::new(match text {
        Some(text) if !is_raw => text.trim().to_owned(),
        _ => STANDARD.encode(key),
    })
}

/// The contents of a key file, or what is piped in.
fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if path != Path::new("-") {
        return Ok(SiteKey::load_with_contents(path)?.1);
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

/// What the API takes; more is refused there.
const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// A key has 64 characters, and perhaps white space.
const MAX_INPUT_BYTES: usize = 4096;
