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
    /// Reads a host and perhaps a port, and nothing else: the value of a Host header (RFC 9110 section
    /// 7.2), or an authority (RFC 3986 section 3.2) without user information.
    pub fn from_authority(value: &str) -> Option<Self> {
        let (host, rest) = Self::split(value)?;
        let port = match rest {
            "" => rest,
            _ => rest.strip_prefix(':')?,
        };
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let is_port = is_number && (port.is_empty() || port.parse::<u16>().is_ok());
        is_port.then_some(host)
    }

    /// The host, and what follows it.
    fn split(value: &str) -> Option<(Self, &str)> {
        if let Some(bracketed) = value.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']')?;
            let address = address.parse::<Ipv6Addr>().ok()?;
            return Some((Self::Ip(IpAddr::from(address).to_canonical()), rest));
        }
        let end = value.bytes().position(|byte| byte == b':');
        let (host, rest) = value.split_at(end.unwrap_or(value.len()));
        Some((host.parse().ok()?, rest))
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
        assert_eq!(HostName::from_authority("Site-A.example.com"), dns);
        assert_eq!(HostName::from_authority("site-a.example.com:8080"), dns);
        assert_eq!(HostName::from_authority("site-a.example.com."), dns);
        let loopback = Some(HostName::Ip(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(HostName::from_authority("[::1]:80"), loopback);
        assert_eq!(HostName::from_authority("[::1]"), loopback);
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for text in [
            "localhost:80",
            "localhost:",
            "a.example.:65535",
            "[::1]:80",
            "[::1]",
            "10.0.0.5:080",
        ] {
            assert!(HostName::from_authority(text).is_some(), "{text}");
        }
        for text in [
            "localhost:80@x",
            "localhost@x",
            "x@localhost",
            "localhost:80:80",
            "localhost:80x",
            "localhost:+80",
            "localhost:65536",
            "localhost:80, x",
            "localhost, x",
            "localhost/x",
            "localhost..",
            "127.0.0.1.",
            "[::1]x",
            "[::1]:80]",
            "[::1]@x",
            "[::1",
            "[::1%25lo]",
            "[127.0.0.1]",
            "::1",
            ":80",
            "",
        ] {
            assert_eq!(HostName::from_authority(text), None, "{text}");
        }
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
