//! The shape of `config.toml`, key by key. Values become validated types in [`super::Config`].

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use super::devices::DevicesSection;
use super::limits::LimitsSection;
use super::webhook::WebhookSection;
use super::{Access, AdminConfig, BaseUrl, LogConfig};
use engage_wire::HostName;
use engage_wire::site::SiteName;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) base_url: Option<BaseUrl>,
    #[serde(default = "default_static_dir")]
    pub(super) static_dir: PathBuf,
    #[serde(default)]
    pub(super) http: HttpSection,
    pub(super) https: HttpsSection,
    #[serde(default)]
    pub(super) site: Vec<SiteSection>,
    #[serde(default)]
    pub(super) limits: LimitsSection,
    #[serde(default)]
    pub(super) access: Access,
    #[serde(default)]
    pub(super) admin: AdminSection,
    #[serde(default)]
    pub(super) log: LogConfig,
    #[serde(default)]
    pub(super) devices: DevicesSection,
    pub(super) webhook: Option<WebhookSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpSection {
    #[serde(default = "default_http_listen")]
    pub(super) listen: SocketAddr,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            listen: default_http_listen(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpsSection {
    #[serde(default = "default_https_listen")]
    pub(super) listen: SocketAddr,
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
    pub(super) root: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteSection {
    pub(super) name: SiteName,
    pub(super) key_file: PathBuf,
    pub(super) certificate: PathBuf,
    #[serde(default)]
    pub(super) hosts: Vec<HostName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminSection {
    #[serde(default)]
    pub(super) listen: AdminConfig,
}

fn default_static_dir() -> PathBuf {
    "static".into()
}

fn default_http_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 80).into()
}

fn default_https_listen() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 443).into()
}
