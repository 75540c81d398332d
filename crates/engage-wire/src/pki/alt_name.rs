//! The names of a certificate's subjectAltName.

use std::fmt;
use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use super::DistinguishedName;
use crate::HostName;
use crate::escape_for_terminal;

/// A name under which a certificate may be presented.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SubjectAltName {
    /// directoryName.
    Directory(DistinguishedName),
    /// dNSName, lower-cased.
    Dns(String),
    /// iPAddress.
    Ip(IpAddr),
    /// Another kind of name, which names no host.
    Other(&'static str),
}

impl SubjectAltName {
    /// The entries of a certificate's subjectAltName.
    pub(super) fn all(certificate: &X509Certificate<'_>) -> Vec<Self> {
        let Ok(Some(extension)) = certificate.subject_alternative_name() else {
            return Vec::new();
        };
        extension
            .value
            .general_names
            .iter()
            .map(|name| match name {
                GeneralName::DNSName(name) => Self::Dns(name.to_ascii_lowercase()),
                GeneralName::IPAddress(octets) => {
                    ip_address(octets).map_or(Self::Other("malformed address"), Self::Ip)
                }
                GeneralName::DirectoryName(name) => {
                    Self::Directory(DistinguishedName::from_x509(name))
                }
                other => Self::Other(Self::kind_of(other)),
            })
            .collect()
    }

    /// Whether a client that asked for `host` takes this name: addresses only as iPAddress, names
    /// only as dNSName, of which the left-most label may be a wildcard (RFC 6125 section 6.4.3).
    pub fn matches(&self, host: &HostName) -> bool {
        match (self, host) {
            (Self::Ip(name), HostName::Ip(host)) => name == host,
            (Self::Dns(name), HostName::Dns(host)) => {
                let parent = |text: &str| text.split_once('.').map(|(_, parent)| parent.to_owned());
                name == host || (name.starts_with("*.") && parent(name) == parent(host))
            }
            _ => false,
        }
    }

    /// The host that it names, if it names one that a device can be told.
    pub fn host(&self) -> Option<HostName> {
        match self {
            Self::Dns(name) => name.parse().ok(),
            Self::Ip(address) => Some(HostName::Ip(*address)),
            Self::Directory(_) | Self::Other(_) => None,
        }
    }

    pub(super) fn kind_of(name: &GeneralName<'_>) -> &'static str {
        match name {
            GeneralName::RFC822Name(_) => "e-mail address",
            GeneralName::URI(_) => "URI",
            _ => "name of another kind",
        }
    }
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(name) => write!(f, "{name}"),
            Self::Dns(name) => f.write_str(&escape_for_terminal(name)),
            Self::Ip(address) => write!(f, "{address}"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}
