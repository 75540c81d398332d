//! Host names and addresses, as they stand in a Host header or a URL.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// A host without its port: a DNS name in lower case, or an IP address.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub enum HostName {
    /// A DNS name, lower-cased, without a trailing dot.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl HostName {
    /// Reads the value of a Host header (RFC 9110 section 7.2), dropping its port.
    #[must_use]
    pub fn from_host_header(value: &str) -> Option<Self> {
        if let Some(bracketed) = value.strip_prefix('[') {
            let (address, _port) = bracketed.split_once(']')?;
            return address
                .parse::<Ipv6Addr>()
                .ok()
                .map(|address| Self::Ip(IpAddr::from(address).to_canonical()));
        }
        let host = value.split_once(':').map_or(value, |(host, _port)| host);
        host.parse().ok()
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unbracketed = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = unbracketed.parse::<IpAddr>() {
            return Ok(Self::Ip(address.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A name whose last label is a number is a mistyped address (RFC 1123 section 2.1).
        let ends_in_number = name
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        if name.len() > 253 || !name.split('.').all(is_label) || ends_in_number {
            return Err(HostNameError(text.to_owned()));
        }
        Ok(Self::Dns(name.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for HostName {
    type Error = HostNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

/// Text that is neither a DNS name nor an IP address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is neither a DNS name nor an IP address")]
pub struct HostNameError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_case_and_brackets_do_not_make_another_host() {
        let dns = Some(HostName::Dns("site-a.example.com".into()));
        assert_eq!(HostName::from_host_header("Site-A.example.com"), dns);
        assert_eq!(HostName::from_host_header("site-a.example.com:8080"), dns);
        assert_eq!(HostName::from_host_header("site-a.example.com."), dns);
        let loopback = Some(HostName::Ip(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(HostName::from_host_header("[::1]:80"), loopback);
        assert_eq!(HostName::from_host_header("[::1]"), loopback);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "a b",
            "256.1.1.1",
            "10.0.0",
            "-a.example",
            "a..b",
            "a/b",
            "[::1",
        ] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
