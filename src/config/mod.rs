//! `config.toml`, read and made absolute, without binding a socket or reading a secret.

mod access;
mod admin;
mod base_url;
mod devices;
mod error;
mod file;
mod limits;
mod log;
mod source;
mod webhook;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use engage_wire::site::{SiteKey, SiteName};
use engage_wire::{HostName, read_regular_file};
use file::{AdminSection, ConfigFile, HttpSection, HttpsSection, SiteSection};

pub use access::{Access, Network, NetworkError};
pub use admin::AdminConfig;
pub use base_url::{BaseUrl, BaseUrlError, primary_ipv4};
pub use devices::{DevicesConfig, DevicesDirectory};
pub use error::ConfigError;
pub use limits::{Limits, PerAddress};
pub use log::{LogConfig, LogFormat, LogLevel, LogLevelError};
pub use source::{ConfigSource, ListenOverrides};
pub use webhook::WebhookConfig;

/// A configuration whose values are each well-formed and consistent with each other.
///
/// Every path is absolute: messages show them, and the working directory of a service is not
/// that of the person who reads the message.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// How devices reach the plain listener; `None` derives it from the listener's address.
    pub base_url: Option<BaseUrl>,
    /// The folder that holds `Device_Certificates/`.
    pub static_dir: PathBuf,
    /// The plain listener.
    pub http: HttpConfig,
    /// The TLS listener.
    pub https: HttpsConfig,
    /// At least one, with distinct hosts, at most one without hosts.
    pub sites: Vec<SiteConfig>,
    /// Deadlines and bounds.
    pub limits: Limits,
    /// Who may call.
    pub access: Access,
    /// Health and metrics; port 0 lets the operating system choose.
    pub admin: AdminConfig,
    /// How events are logged.
    pub log: LogConfig,
    /// How the nightly call-in is answered.
    pub devices: DevicesConfig,
    /// Where stored events are delivered to, if anywhere.
    pub webhook: Option<WebhookConfig>,
}

/// The plain listener.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address to listen on; port 0 lets the operating system choose.
    pub listen: SocketAddr,
}

/// The TLS listener.
#[derive(Clone, Debug)]
pub struct HttpsConfig {
    /// Address to listen on; port 0 lets the operating system choose.
    pub listen: SocketAddr,
    /// PEM file: server certificate, intermediates, and perhaps the root.
    pub certificate: PathBuf,
    /// PEM file of the server certificate's key.
    pub private_key: PathBuf,
    /// DER or PEM file of the root, where neither the chain nor an announced certificate is it.
    /// Only counted against the device limit.
    pub root: Option<PathBuf>,
}

/// One site.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// Its label.
    pub name: SiteName,
    /// The file that holds its site key.
    pub key_file: PathBuf,
    /// The DER file that its devices are told to install.
    pub certificate: PathBuf,
    /// Host header values that select it; none makes it the default.
    pub hosts: Vec<HostName>,
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = read_regular_file("configuration file", &path, MAX_FILE_BYTES)?;
        let text = str::from_utf8(&text).map_err(|_| ConfigError::not_text(&path))?;
        Self::parse(&path, text)
    }

    /// Checks a configuration's text; `path` is where its relative paths start from.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        // Before anything is quoted: a key in place of its file's path would stand in the message
        // that there is no such file.
        if text.contains("PRIVATE KEY-----") || SiteKey::is_written_in(text) {
            return Err(ConfigError::holds_key(path));
        }
        let file: ConfigFile =
            toml::from_str(text).map_err(|source| ConfigError::syntax(path, source))?;
        let ConfigFile {
            base_url,
            static_dir,
            http: HttpSection {
                listen: http_listen,
            },
            https,
            site,
            limits,
            access,
            admin: AdminSection { listen: admin },
            log,
            devices,
            webhook,
        } = file;
        let HttpsSection {
            listen: https_listen,
            certificate,
            private_key,
            root,
        } = https;
        let folder = path.parent().unwrap_or(Path::new("/"));
        Ok(Self {
            path: path.to_owned(),
            base_url,
            static_dir: folder.join(static_dir),
            http: HttpConfig {
                listen: http_listen,
            },
            https: HttpsConfig {
                listen: https_listen,
                certificate: folder.join(certificate),
                private_key: folder.join(private_key),
                root: root.map(|root| folder.join(root)),
            },
            sites: sites(path, folder, site)?,
            limits: limits.into(),
            access,
            admin,
            log,
            devices: devices.in_folder(folder),
            webhook: webhook.map(|webhook| webhook.in_folder(folder)),
        })
    }

    /// The address that devices are told, with the plain listener bound at `http`.
    #[must_use]
    pub fn base_url_at(&self, http: SocketAddr) -> BaseUrl {
        self.base_url
            .clone()
            .unwrap_or_else(|| BaseUrl::from_listener(http))
    }
}

/// The site that each Host header value selects must be one.
fn sites(
    path: &Path,
    folder: &Path,
    sections: Vec<SiteSection>,
) -> Result<Vec<SiteConfig>, ConfigError> {
    if sections.is_empty() {
        return Err(ConfigError::NoSite {
            path: path.to_owned(),
        });
    }
    let mut owners: HashMap<Option<HostName>, SiteName> = HashMap::new();
    for SiteSection { name, hosts, .. } in &sections {
        let selectors: Vec<Option<HostName>> = match hosts.as_slice() {
            [] => vec![None],
            hosts => hosts.iter().cloned().map(Some).collect(),
        };
        for host in selectors {
            if let Some(other) = owners.insert(host.clone(), name.clone()) {
                return Err(ConfigError::ambiguous_host(path, host, other, name.clone()));
            }
        }
    }
    let absolute = |SiteSection {
                        name,
                        key_file,
                        certificate,
                        hosts,
                    }| SiteConfig {
        name,
        key_file: folder.join(key_file),
        certificate: folder.join(certificate),
        hosts,
    };
    Ok(sections.into_iter().map(absolute).collect())
}

/// Room for 100,000 sites.
const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

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
        assert_eq!(shown.devices.keep_audits, default.devices.keep_audits);
        assert_eq!(
            shown.devices.directory.path(),
            default.devices.directory.path()
        );
        assert_eq!(
            shown.admin,
            AdminConfig::Listen(AdminConfig::DEFAULT_ADDRESS.into())
        );
    }

    #[test]
    fn every_documented_key_is_one() {
        let all = parsed(&uncommented(&[]));
        assert!(all.webhook.is_some() && all.devices.credentials_file.is_some());
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
