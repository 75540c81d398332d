//! URLs as a device takes them apart: `cert_url`, and the address of a host.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::excerpt;
use engage_wire::HostName;

/// An `http` or `https` URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostUrl {
    scheme: Scheme,
    host: HostName,
    /// The host as it is written, with brackets around an IPv6 address.
    host_text: String,
    port: u16,
    target: String,
}

impl HostUrl {
    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, without its port.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.port,
        }
    }

    /// The request target: path and query exactly as written, never normalised.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The Host header: the host as written, with the port unless it is the scheme's own
    /// (RFC 9110 section 7.2).
    #[must_use]
    pub fn host_header(&self) -> String {
        if self.port == self.scheme.port() {
            self.host_text.clone()
        } else {
            format!("{}:{}", self.host_text, self.port)
        }
    }

    /// The same host with another target, which starts with a slash.
    #[must_use]
    pub fn with_target(&self, target: &str) -> Self {
        Self {
            target: target.to_owned(),
            ..self.clone()
        }
    }

    /// The same host and target by another scheme and port.
    #[must_use]
    pub fn with_scheme(&self, scheme: Scheme, port: u16) -> Self {
        Self {
            scheme,
            port,
            ..self.clone()
        }
    }
}

impl FromStr for HostUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| UrlError {
            url: excerpt(text.as_bytes()),
            reason,
        };
        if !text.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) {
            return Err(refuse("it contains a space or a character outside ASCII"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .and_then(|(scheme, rest)| Some((Scheme::of(scheme)?, rest)))
            .ok_or_else(|| refuse("it must start with `http://` or `https://`"))?;
        if rest.contains('#') {
            return Err(refuse("it must not contain `#`"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(refuse("it must not contain a user name"));
        }
        let (host_text, port) = split_port(authority).map_err(refuse)?;
        Ok(Self {
            scheme,
            host: host_text
                .parse()
                .map_err(|_| refuse("its host is neither a name nor an address"))?,
            host_text: host_text.to_owned(),
            port: port.unwrap_or(scheme.port()),
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("/{target}")
            },
        })
    }
}

impl fmt::Display for HostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.host_header(), self.target)
    }
}

/// Text that a device cannot take as a URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("URL {url} cannot be used: {reason}; allowed: `http://HOST[:PORT]/PATH`")]
pub struct UrlError {
    url: String,
    reason: &'static str,
}

/// How a URL is fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Under TLS.
    Https,
}

impl Scheme {
    /// The port of a URL that names none.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn of(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A host and a port to connect to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HostPort {
    /// Name or address.
    pub host: HostName,
    /// TCP port, not 0.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| UrlError {
            url: excerpt(text.as_bytes()),
            reason,
        };
        let (host, port) = split_port(text).map_err(refuse)?;
        Ok(Self {
            host: host
                .parse()
                .map_err(|_| refuse("its host is neither a name nor an address"))?,
            port: port.ok_or_else(|| refuse("it must be HOST:PORT"))?,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostName::Ip(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// The host, brackets included, and the port if one is written.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']').ok_or("its `[` is not closed")? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    if port.is_empty() {
        return Ok((host, None));
    }
    match port.strip_prefix(':').map(str::parse) {
        Some(Ok(port)) if port != 0 => Ok((host, Some(port))),
        _ => Err("its port is not 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_host_header_is_what_the_url_says() {
        for (url, host_header, target) in [
            ("http://10.44.68.128", "10.44.68.128", "/"),
            ("http://Doors.example.com:80/a", "Doors.example.com", "/a"),
            (
                "http://[::1]:8080/a/../b%2e?q=1",
                "[::1]:8080",
                "/a/../b%2e?q=1",
            ),
            ("HTTPS://a.example:443?q", "a.example", "/?q"),
        ] {
            let url: HostUrl = url.parse().unwrap();
            assert_eq!(url.host_header(), host_header);
            assert_eq!(url.target(), target);
        }
    }

    #[test]
    fn what_no_device_can_fetch_is_refused() {
        for text in [
            "",
            "10.44.68.128",
            "ftp://a/",
            "http://",
            "http://a:0/",
            "http://a:99999/",
            "http://a:/",
            "http://u@a/",
            "http://a/#f",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://[::1/",
            "http://[::1]x/",
        ] {
            assert!(text.parse::<HostUrl>().is_err(), "{text:?}");
        }
        for text in ["a", "a:0", ":1", "a:1:2", "::1:443"] {
            assert!(text.parse::<HostPort>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", scheme in "(http://|https://\\[|)") {
            let _ = format!("{scheme}{text}").parse::<HostUrl>();
            let _ = text.parse::<HostPort>();
        }

        #[test]
        fn a_shown_url_reads_back_as_itself(
            url in "https?://[a-z]{1,9}(:[1-9][0-9]{0,3})?(/[!-\"$-~]{0,20})?"
        ) {
            let url: HostUrl = url.parse().unwrap();
            prop_assert_eq!(url.to_string().parse::<HostUrl>().unwrap(), url);
        }
    }
}
