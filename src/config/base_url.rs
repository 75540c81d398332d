//! The address under which devices reach the plain listener.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use serde::Deserialize;

use engage_wire::{HostName, HostPort, HttpUrl, Scheme};

/// An `http` or `https` URL without a query, as the start of a `cert_url`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct BaseUrl(HttpUrl);

impl BaseUrl {
    /// The URL of the plain listener itself, for a configuration without `base_url`: its address,
    /// or the host's primary IPv4 address where it listens on all of them.
    pub fn from_listener(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            ip if ip.is_unspecified() => {
                primary_ipv4().map_or(Ipv4Addr::LOCALHOST.into(), IpAddr::V4)
            }
            ip => ip,
        };
        let address = HostPort {
            host: HostName::Ip(ip),
            port: address.port(),
        };
        Self(HttpUrl::new(Scheme::Http, address))
    }

    /// The URL as a device requests it.
    pub fn as_http_url(&self) -> &HttpUrl {
        &self.0
    }

    /// The host that devices connect to.
    pub fn host(&self) -> &HostName {
        self.0.host()
    }

    /// The path that devices put before every other, which this daemon does not answer itself.
    pub fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Whether fetching the certificate needs the trust that it is to establish.
    pub fn is_https(&self) -> bool {
        self.0.is_https()
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &dyn fmt::Display| BaseUrlError {
            url: text.to_owned(),
            reason: reason.to_string(),
        };
        let url: HttpUrl = text.parse().map_err(|error| refuse(&error))?;
        if url.has_query() {
            return Err(refuse(&"it must not contain `?`"));
        }
        if matches!(url.host(), HostName::Ip(ip) if ip.is_unspecified()) {
            return Err(refuse(
                &"its host is no address that a device can connect to",
            ));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        if !url.path().bytes().all(is_plain) {
            return Err(refuse(
                &"its path contains a character that must be percent-encoded",
            ));
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The host in lower case, and no slash at the end.
impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin(), self.path())
    }
}

/// Text that cannot be the start of a `cert_url`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("base_url `{url}` cannot be used: {reason}; allowed: `http://HOST` or `http://HOST:PORT`")]
pub struct BaseUrlError {
    url: String,
    reason: String,
}

/// The address from which this host would reach the rest of the world.
///
/// Connecting a UDP socket only chooses a route: no packet is sent, least of all to the
/// documentation address (RFC 5737) that is asked about.
pub(crate) fn primary_ipv4() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_and_upper_case_are_normalised() {
        for (text, shown) in [
            ("http://10.44.68.128", "http://10.44.68.128"),
            ("http://10.44.68.128/", "http://10.44.68.128"),
            (
                "http://Doors.Example.com:8080/engage/",
                "http://doors.example.com:8080/engage",
            ),
            ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_no_device_could_fetch_is_refused() {
        for text in [
            "",
            "10.44.68.128",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:99999",
            "http://a:x",
            "http://u@a",
            "http://a/?q",
            "http://a/#f",
            "http://a b",
            "/static",
            "http://0.0.0.0",
            "http://a/\"",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_url_of_a_listener_shows_its_port_unless_it_is_80() {
        let url = |address: &str| BaseUrl::from_listener(address.parse().unwrap()).to_string();
        assert_eq!(url("127.0.0.1:80"), "http://127.0.0.1");
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::1]:8080"), "http://[::1]:8080");
    }
}
