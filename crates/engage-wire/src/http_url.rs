//! `http` and `https` URLs, and hosts with a port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use serde::Deserialize;

use crate::HostName;

/// An `http` or `https` URL without user name and fragment.
///
/// Path and query stay exactly as written: a device asks for what it was told, undecoded.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct HttpUrl {
    scheme: Scheme,
    host: HostName,
    /// As written; brackets of an IPv6 address stay outside of it.
    host_text: String,
    /// Only if it is written.
    port: Option<u16>,
    target: String,
}

impl HttpUrl {
    /// The URL of the root of `host`.
    pub fn new(scheme: Scheme, address: HostPort) -> Self {
        let HostPort { host, port } = address;
        Self {
            scheme,
            host_text: host.to_string(),
            host,
            port: (port != scheme.port()).then_some(port),
            target: "/".to_owned(),
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it is fetched under TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host, without its port.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Whether only this computer can be meant.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            HostName::Ip(address) => address.is_loopback(),
            HostName::Dns(name) => name == "localhost",
        }
    }

    /// The TCP port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.port())
    }

    /// Where to connect.
    pub fn address(&self) -> HostPort {
        HostPort {
            host: self.host.clone(),
            port: self.port(),
        }
    }

    /// The request target: path and query as written, never normalised.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The path as written.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether a `?` follows the path.
    pub fn has_query(&self) -> bool {
        self.target.contains('?')
    }

    /// The Host header: the host as written, with the port unless it is the scheme's own
    /// (RFC 9110 section 7.2).
    pub fn host_header(&self) -> String {
        match self.port.filter(|port| *port != self.scheme.port()) {
            Some(port) => format!("{}:{port}", bracketed(&self.host, &self.host_text)),
            None => bracketed(&self.host, &self.host_text),
        }
    }

    /// Scheme, host and port: what stands before the path. The host is in lower case, the port is
    /// there if it is written.
    pub fn origin(&self) -> String {
        let host = bracketed(&self.host, &self.host.to_string());
        match self.port {
            Some(port) => format!("{}://{host}:{port}", self.scheme),
            None => format!("{}://{host}", self.scheme),
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
            port: (port != scheme.port()).then_some(port),
            ..self.clone()
        }
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HttpUrlError(
                "it contains a space or a character outside ASCII",
            ));
        }
        // `Uri` drops a fragment without a word.
        if text.contains('#') {
            return Err(HttpUrlError("it must not contain `#`"));
        }
        let uri: Uri = text.parse().map_err(|_| HttpUrlError("it is not a URL"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(HttpUrlError("it must start with `http://` or `https://`")),
        };
        let authority = uri.authority().ok_or(HttpUrlError("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(HttpUrlError("it must not contain a user name"));
        }
        let (host_text, port) = split_port(authority.as_str())?;
        Ok(Self {
            scheme,
            host: parse_host(host_text)?,
            host_text: host_text.trim_matches(['[', ']']).to_owned(),
            port,
            target: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = HttpUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Without the query, which is where some receivers want a token.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

/// Why a text is not a URL that can be fetched. Never quotes it: it may hold a password or a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct HttpUrlError(&'static str);

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
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
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
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_port(text)?;
        Ok(Self {
            host: parse_host(host)?,
            port: port.ok_or(HttpUrlError("it must be HOST:PORT"))?,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = bracketed(&self.host, &self.host.to_string());
        write!(f, "{host}:{}", self.port)
    }
}

/// The host, brackets included, and the port if one is written.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), HttpUrlError> {
    let host_end = match authority.strip_prefix('[') {
        Some(rest) => {
            rest.find(']')
                .ok_or(HttpUrlError("its `[` is not closed"))?
                + 2
        }
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    if port.is_empty() {
        return Ok((host, None));
    }
    // `u16` would take a plus sign too.
    let digits = port
        .strip_prefix(':')
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.map(str::parse) {
        Some(Ok(port)) if port != 0 => Ok((host, Some(port))),
        _ => Err(HttpUrlError("its port is not 1 to 65535")),
    }
}

fn parse_host(text: &str) -> Result<HostName, HttpUrlError> {
    text.parse()
        .map_err(|_| HttpUrlError("its host is neither a name nor an address"))
}

fn bracketed(host: &HostName, text: &str) -> String {
    match host {
        HostName::Ip(IpAddr::V6(_)) => format!("[{text}]"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_host_header_is_what_the_url_says_and_the_target_stays_undecoded() {
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
            let url: HttpUrl = url.parse().unwrap();
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
            "http://a:+80/",
            "http://a:/",
            "http://u@a/",
            "http://u:p@a/",
            "http://a/#f",
            "http://a/ b",
            "http://a/\r\nX: y",
            "http://[::1/",
            "http://[::1]x/",
            "http://[a]/",
            "/static",
        ] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text:?}");
        }
        for text in ["a", "a:0", ":1", "a:1:2", "::1:443"] {
            assert!(text.parse::<HostPort>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_query_is_never_shown() {
        let url: HttpUrl = "https://a.example/in?token=t".parse().unwrap();
        assert_eq!(url.to_string(), "https://a.example/in");
        assert_eq!(format!("{url:?}"), "HttpUrl(https://a.example/in)");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", scheme in "(http://|https://\\[|)") {
            let _ = format!("{scheme}{text}").parse::<HttpUrl>();
            let _ = text.parse::<HostPort>();
        }

        #[test]
        fn a_shown_url_reads_back_as_itself(
            url in "https?://[a-z]{1,9}(:[1-9][0-9]{0,3})?(/[!$-;=@-Z_a-z~]{0,20})?"
        ) {
            let url: HttpUrl = url.parse().unwrap();
            let shown: HttpUrl = url.to_string().parse().unwrap();
            prop_assert_eq!(shown.to_string(), url.to_string());
            prop_assert_eq!(shown.address(), url.address());
        }
    }
}
