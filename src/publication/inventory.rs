//! What a validation looked at, for people and scripts: the rows of `check`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::SiteHosts;
use engage_wire::HostName;
use engage_wire::site::SiteName;

/// What a validation found, whether or not it was refused.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Inventory {
    /// Each distinct certificate of the server's chain and above, server first.
    pub certificates: Vec<CertificateEntry>,
    /// Bytes of the TLS 1.2 Certificate message.
    pub certificate_message_bytes: Option<usize>,
    /// Each site, in the order of the configuration.
    pub sites: Vec<SiteEntry>,
    /// How many distinct DER files are served.
    pub served_files: usize,
}

/// One certificate.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CertificateEntry {
    /// server, intermediate or root.
    pub role: String,
    /// Subject name.
    pub subject: String,
    /// DER length.
    pub size_bytes: usize,
    /// Kind and size of its key.
    pub key: String,
    /// Last valid second.
    pub not_after: String,
    /// Whole days until then; negative once over.
    pub days_left: i64,
    /// SHA-256 fingerprint.
    pub fingerprint_sha256: String,
}

/// One site.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SiteEntry {
    /// Its name.
    pub name: String,
    /// Whether its devices would accept what it says.
    pub ok: bool,
    /// Its Host header values.
    pub hosts: Vec<String>,
    /// Whether it is the default site.
    pub is_default: bool,
    /// What its devices are told.
    pub cert_url: Option<String>,
    /// What its devices are told.
    pub hash: Option<String>,
    /// SHA-256 fingerprint of the announced certificate.
    pub fingerprint_sha256: Option<String>,
    /// DER total that a device of this site counts.
    pub chain_bytes: Option<usize>,
}

impl SiteEntry {
    /// Of a site of which little is known.
    pub(crate) fn refused(name: &SiteName, hosts: &SiteHosts) -> Self {
        Self {
            name: name.to_string(),
            ok: false,
            hosts: hosts.iter().map(HostName::to_string).collect(),
            is_default: hosts.is_default(),
            cert_url: None,
            hash: None,
            fingerprint_sha256: None,
            chain_bytes: None,
        }
    }
}
