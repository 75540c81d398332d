//! The address under which devices reach the plain listener.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use http::Uri;
use serde::Deserialize;

use engage_wire::HostName;

/// Scheme, host, optional port and path prefix; no query, no user, no trailing slash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct BaseUrl {
    scheme: Scheme,
    host: HostName,
    port: Option<u16>,
    path: String,
}

impl BaseUrl {
    /// The URL of the plain listener itself, for a configuration without `base_url`: its address,
    /// or the host's primary IPv4 address where it listens on all of them.
    #[must_use]
    pub fn of_listener(address: SocketAddr) -> Self {
        let host = match address.ip() {
            ip if ip.is_unspecified() => {
                primary_ipv4().map_or(Ipv4Addr::LOCALHOST.into(), IpAddr::V4)
            }
            ip => ip,
        };
        Self {
            scheme: Scheme::Http,
            host: HostName::Ip(host),
            port: (address.port() != 80).then_some(address.port()),
            path: String::new(),
        }
    }

    /// The host that devices connect to.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The path that devices put before every other, which this daemon does not answer itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether fetching the certificate needs the trust that it is to establish.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| BaseUrlError {
            url: text.to_owned(),
            reason,
        };
        let uri: Uri = text.parse().map_err(|_| refuse("it is not a URL"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(refuse("it must start with `http://` or `https://`")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it must not contain a user name"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(refuse("it must not contain `?` or `#`"));
        }
        let host: HostName = authority
            .host()
            .parse()
            .map_err(|_| refuse("its host is neither a name nor an address"))?;
        if matches!(host, HostName::Ip(ip) if ip.is_unspecified()) {
            return Err(refuse(
                "its host is no address that a device can connect to",
            ));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        if !uri.path().bytes().all(is_plain) {
            return Err(refuse(
                "its path contains a character that must be percent-encoded",
            ));
        }
        Ok(Self {
            scheme,
            host,
            port: port(authority.as_str(), authority.host())
                .map_err(|()| refuse("its port is not 1 to 65535"))?,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
        })?;
        match &self.host {
            HostName::Ip(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            host => write!(f, "{host}")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

/// Text that cannot be the start of a `cert_url`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("base_url `{url}` cannot be used: {reason}; allowed: `http://HOST` or `http://HOST:PORT`")]
pub struct BaseUrlError {
    url: String,
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    Http,
    Https,
}

/// The address from which this host would reach the rest of the world.
///
/// Connecting a UDP socket only chooses a route: no packet is sent, least of all to the
/// documentation address (RFC 5737) that is asked about.
#[must_use]
pub fn primary_ipv4() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    }
}

/// The port after the host; `Uri` turns one that is no number into none.
pub(super) fn port(authority: &str, host: &str) -> Result<Option<u16>, ()> {
    match authority.strip_prefix(host) {
        None | Some("") => Ok(None),
        Some(rest) => match rest.strip_prefix(':').map(str::parse) {
            Some(Ok(port)) if port != 0 => Ok(Some(port)),
            _ => Err(()),
        },
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
        let url = |address: &str| BaseUrl::of_listener(address.parse().unwrap()).to_string();
        assert_eq!(url("127.0.0.1:80"), "http://127.0.0.1");
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::1]:8080"), "http://[::1]:8080");
    }
}
