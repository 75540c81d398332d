//! `config.toml`, read and made absolute, without binding a socket or reading a secret.

mod access;
mod admin;
mod base_url;
mod devices;
mod error;
mod limits;
mod log;
mod number;
mod otlp;
mod pki;
mod site;
mod site_files;
mod source;
mod syntax_hint;
mod webhook;
mod written_value;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::staged_file::folder;
use engage_store::DatabaseUrl;
use engage_wire::site::SiteKey;
use engage_wire::{Text, read_regular_file};

pub(crate) use access::Access;
pub(crate) use admin::{AdminConfig, AdminExposed, AdminListen};
pub(crate) use base_url::{BaseUrl, primary_ipv4};
pub(crate) use devices::{DevicesConfig, DevicesDirectory};
pub(crate) use error::ConfigError;
pub(crate) use limits::{Limits, PerAddress};
pub(crate) use log::{LogConfig, LogFormat, LogLevel};
pub(crate) use otlp::{OtlpConfig, SampleRatio};
pub(crate) use pki::PkiConfig;
pub(crate) use site::{SiteConfig, SiteHosts};
pub use site_files::parse_site_file;
pub(crate) use site_files::{BrokenSite, SiteFiles, is_site_file};
pub(crate) use source::{ConfigSource, ListenOverrides};
pub(crate) use webhook::WebhookConfig;

/// A configuration whose values are each well-formed and consistent with each other.
///
/// Every path is absolute: messages show them, and the working directory of a service is not
/// that of the person who reads the message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file it came from.
    #[serde(skip)]
    pub path: PathBuf,
    /// How devices reach the plain listener; `None` derives it from the listener's address.
    pub base_url: Option<BaseUrl>,
    /// The folder that holds `Device_Certificates/`.
    #[serde(default = "default_static_dir")]
    pub static_dir: PathBuf,
    /// The plain listener.
    #[serde(default)]
    pub http: HttpConfig,
    /// The TLS listener.
    pub https: HttpsConfig,
    /// At least one, once they are loaded: each `[[site]]`, then each of `sites_dir`.
    #[serde(default, rename = "site", deserialize_with = "site::shared")]
    pub sites: Vec<Arc<SiteConfig>>,
    /// A folder with a file for each further site.
    pub sites_dir: Option<PathBuf>,
    /// Those of its files, as they were read last.
    #[serde(skip)]
    pub(crate) site_files: Arc<SiteFiles>,
    /// Deadlines and bounds.
    #[serde(default)]
    pub limits: Limits,
    /// Who may call.
    #[serde(default)]
    pub access: Access,
    /// Health and metrics; port 0 lets the operating system choose.
    #[serde(default)]
    pub admin: AdminConfig,
    /// How events are logged.
    #[serde(default)]
    pub log: LogConfig,
    /// How certificates are renewed and replaced.
    #[serde(default)]
    pub pki: PkiConfig,
    /// How the nightly call-in is answered.
    #[serde(default)]
    pub devices: DevicesConfig,
    /// Where stored events are delivered to, if anywhere.
    pub webhook: Option<WebhookConfig>,
    /// Where traces are exported to, if anywhere.
    pub otlp: Option<OtlpConfig>,
}

/// The plain listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address to listen on; port 0 lets the operating system choose.
    pub listen: SocketAddr,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 80).into(),
        }
    }
}

/// The TLS listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsConfig {
    /// Address to listen on; port 0 lets the operating system choose.
    #[serde(default = "default_https_listen")]
    pub listen: SocketAddr,
    /// PEM file: server certificate, intermediates, and perhaps the root.
    pub certificate: PathBuf,
    /// PEM file of the server certificate's key.
    pub private_key: PathBuf,
    /// DER or PEM file of the root, where neither the chain nor an announced certificate is it.
    /// Only counted against the device limit.
    pub root: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a configuration file and those of its sites.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_after(path, &SiteFiles::default())
    }

    /// The same where these files of sites were read before: what has not changed is not read again,
    /// and what cannot be used any more is known from then.
    pub(crate) fn load_after(path: &Path, last: &SiteFiles) -> Result<Self, ConfigError> {
        let mut config = Self::load_without_files(path)?;
        config.read_site_files(last)?;
        if config.sites.is_empty() {
            return Err(match config.site_files.broken().next() {
                Some(broken) => ConfigError::NoUsableSite(Arc::clone(&broken.error)),
                None => ConfigError::NoSite { path: config.path },
            });
        }
        Ok(config)
    }

    /// The same for whoever adds and removes sites: there may be none, nor the folder for them.
    pub(crate) fn load_for_change(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::load_without_files(path)?;
        match config.read_site_files(&SiteFiles::default()) {
            Err(ConfigError::SitesDir { source, .. })
                if source.kind() == io::ErrorKind::NotFound => {}
            read => read?,
        }
        Ok(config)
    }

    fn read_site_files(&mut self, last: &SiteFiles) -> Result<(), ConfigError> {
        let Some(sites_dir) = &self.sites_dir else {
            return Ok(());
        };
        let files = SiteFiles::read(sites_dir, folder(&self.path), last)?;
        self.sites.extend(files.sites().cloned());
        self.site_files = Arc::new(files);
        Ok(())
    }

    /// Reads and checks a configuration file, without those of `sites_dir`.
    pub(crate) fn load_without_files(path: &Path) -> Result<Self, ConfigError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let bytes = read_regular_file("configuration file", &path, MAX_FILE_BYTES)?;
        let not_text = |problem| ConfigError::not_text(&path, problem);
        let text = Text::decode(&bytes).map_err(not_text)?;
        Self::parse(&path, text.to_str().map_err(not_text)?)
    }

    /// Checks a configuration's text; `path` is where its relative paths start from.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        refuse_secrets(path, text)?;
        let mut config: Self =
            toml::from_str(text).map_err(|source| ConfigError::syntax(path, text, source))?;
        path.clone_into(&mut config.path);
        if config.sites.is_empty() && config.sites_dir.is_none() {
            return Err(ConfigError::NoSite { path: config.path });
        }
        config.make_paths_absolute(text)?;
        Ok(config)
    }

    /// The address that devices are told, with the plain listener bound at `http`.
    pub fn base_url_at(&self, http: SocketAddr) -> BaseUrl {
        self.base_url
            .clone()
            .unwrap_or_else(|| BaseUrl::from_listener(http))
    }

    /// Whether the admin listener may listen as configured.
    fn check_admin(&self) -> Result<(), ConfigError> {
        let admin = &self.admin;
        if admin.certificate.is_some() != admin.private_key.is_some() {
            return Err(ConfigError::AdminHalfPair {
                path: self.path.clone(),
            });
        }
        match admin.listen {
            AdminListen::Address(address) if admin.is_exposed_at(address) && !admin.insecure => {
                Err(ConfigError::AdminExposed(AdminExposed(address)))
            }
            _ => Ok(()),
        }
    }

    /// Whether each listener can have its port. That `[::]` takes `0.0.0.0` too shows when it is bound.
    fn check_ports(&self) -> Result<(), ConfigError> {
        let admin = match self.admin.listen {
            AdminListen::Address(address) => Some(("[admin]", address)),
            AdminListen::Default | AdminListen::Off => None,
        };
        let listeners = [("[http]", self.http.listen), ("[https]", self.https.listen)];
        let listeners: Vec<_> = listeners.into_iter().chain(admin).collect();
        for (at, (other, address)) in listeners.iter().enumerate() {
            let same = |(_, one): &&(_, SocketAddr)| overlap(*one, *address);
            if let Some((one, _)) = listeners[..at].iter().find(same) {
                return Err(ConfigError::SamePort {
                    path: self.path.clone(),
                    one,
                    other,
                    address: *address,
                });
            }
        }
        Ok(())
    }

    /// Relative ones start from the configuration's folder.
    fn make_paths_absolute(&mut self, text: &str) -> Result<(), ConfigError> {
        let path = self.path.clone();
        for site in &mut self.sites {
            Arc::make_mut(site).file.clone_from(&path);
        }
        for value in self.paths_mut() {
            make_absolute(&path, text, folder(&path), value)?;
        }
        Ok(())
    }

    /// Every path that the file names, and those of sites.
    pub(crate) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let HttpsConfig {
            certificate,
            private_key,
            root,
            ..
        } = &mut self.https;
        let sites = self.sites.iter_mut();
        let devices = &mut self.devices;
        let webhook = self.webhook.iter_mut();
        let otlp = self.otlp.iter_mut();
        [&mut self.static_dir, certificate, private_key]
            .into_iter()
            .chain(root)
            .chain(&mut self.sites_dir)
            .chain(sites.flat_map(|site| Arc::make_mut(site).paths_mut()))
            .chain(self.admin.paths_mut())
            .chain(devices.paths_mut())
            .chain(webhook.flat_map(|it| [&mut it.secret_file].into_iter().chain(&mut it.ca_file)))
            .chain(otlp.flat_map(OtlpConfig::paths_mut))
    }
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && (is_any || one.ip() == other.ip())
}

/// A key in place of its file's path would be quoted in the message that there is no such file.
fn refuse_secrets(path: &Path, text: &str) -> Result<(), ConfigError> {
    let path = path.to_owned();
    if text.contains("PRIVATE KEY-----") || SiteKey::is_written_in(text) {
        return Err(ConfigError::HoldsKey { path });
    }
    if DatabaseUrl::is_password_written_in(text) {
        return Err(ConfigError::HoldsPassword { path });
    }
    Ok(())
}

/// Has a path that `text`, which is that of `file`, names start from `folder` if it is relative, and has it
/// written as this system writes paths.
fn make_absolute(
    file: &Path,
    text: &str,
    folder: &Path,
    value: &mut PathBuf,
) -> Result<(), ConfigError> {
    if value.to_string_lossy().contains(char::is_control) {
        return Err(ConfigError::control_character(file, text, value));
    }
    *value = folder.join(value.components().collect::<PathBuf>());
    Ok(())
}

fn default_static_dir() -> PathBuf {
    "static".into()
}

fn default_https_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 443).into()
}

/// Room for 100,000 sites.
pub(crate) const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = include_str!("../../docs/config.toml");

    fn parsed(text: &str) -> Config {
        Config::parse(Path::new("/etc/engage-host/config.toml"), text).unwrap()
    }

    #[test]
    fn the_documented_configuration_shows_the_defaults() {
        let shown = uncommented(&["connections", "connections_per_address", "allow", "hosts"]);
        let (shown, default) = (parsed(&shown), parsed(DOCUMENTED));
        assert_eq!(shown.limits, default.limits);
        assert_eq!(shown.limits, Limits::default());
        assert_eq!(shown.http.listen, default.http.listen);
        assert_eq!(shown.https.listen, default.https.listen);
        assert_eq!(shown.static_dir, default.static_dir);
        assert_eq!(shown.log, default.log);
        assert_eq!(shown.pki, default.pki);
        assert_eq!(shown.devices.keep_audits, default.devices.keep_audits);
        assert_eq!(
            shown.devices.directory.path(),
            default.devices.directory.path()
        );
        assert_eq!(
            shown.admin.listen,
            AdminListen::Address(AdminListen::DEFAULT_ADDRESS.into())
        );
    }

    #[test]
    fn every_documented_key_is_one() {
        let all = parsed(&uncommented(&[]));
        assert!(all.webhook.is_some() && all.otlp.is_some() && all.devices.database_url.is_some());
        assert_eq!(all.sites[0].hosts.len(), 1);
        assert_eq!(all.access.allow.map(|networks| networks.len()), Some(2));
    }

    /// The documented configuration with its examples in force, but for some keys.
    fn uncommented(left_out: &[&str]) -> String {
        let is_left_out = |line: &str| {
            left_out
                .iter()
                .any(|key| line.starts_with(&format!("{key} =")))
        };
        let lines = DOCUMENTED
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(example) if example.contains(" = ") && !is_left_out(example) => example,
                Some(example) if example.starts_with('[') => example,
                _ => line,
            });
        lines.collect::<Vec<_>>().join("\n")
    }
}
