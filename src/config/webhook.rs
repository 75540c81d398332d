//! `[webhook]`: where stored audits and alerts are delivered to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::Uri;
use serde::Deserialize;

use super::base_url::port;
use engage_wire::HostName;

/// The receiver of stored events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookConfig {
    /// Where events are posted to.
    pub url: ReceiverUrl,
    /// File whose bytes, without white space around them, key the signature.
    pub secret_file: PathBuf,
    /// PEM file of certificates that an `https` receiver may be signed with, beside those that
    /// the operating system trusts.
    pub ca_file: Option<PathBuf>,
}

/// An `http` or `https` URL with its path and query; no user, no fragment.
///
/// Displayed without its query, which is where some receivers want a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct ReceiverUrl {
    is_https: bool,
    host: HostName,
    /// The host and perhaps the port, as written.
    authority: String,
    port: u16,
    target: String,
}

impl ReceiverUrl {
    /// Whether it is reached under TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host to connect to.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The TCP port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Host header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query as written.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl FromStr for ReceiverUrl {
    type Err = ReceiverUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text is not part of the refusal: it may hold a password or a token.
        let refuse = ReceiverUrlError;
        let uri: Uri = text.parse().map_err(|_| refuse("it is not a URL"))?;
        let is_https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("it must start with `http://` or `https://`")),
        };
        let authority = uri.authority().ok_or(refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it must not contain a user name"));
        }
        if text.contains('#') {
            return Err(refuse("it must not contain `#`"));
        }
        let written = port(authority.as_str(), authority.host())
            .map_err(|()| refuse("its port is not 1 to 65535"))?;
        Ok(Self {
            is_https,
            host: authority
                .host()
                .parse()
                .map_err(|_| refuse("its host is neither a name nor an address"))?,
            authority: authority.as_str().to_owned(),
            port: written.unwrap_or(if is_https { 443 } else { 80 }),
            target: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

impl TryFrom<String> for ReceiverUrl {
    type Error = ReceiverUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

/// Text that nothing can be posted to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("webhook url cannot be used: {0}; allowed: `https://HOST[:PORT]/PATH` or `http://..`")]
pub struct ReceiverUrlError(&'static str);

/// The section as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookSection {
    url: ReceiverUrl,
    secret_file: PathBuf,
    ca_file: Option<PathBuf>,
}

impl WebhookSection {
    /// Makes paths absolute; `folder` is the configuration's.
    pub(super) fn in_folder(self, folder: &Path) -> WebhookConfig {
        let Self {
            url,
            secret_file,
            ca_file,
        } = self;
        WebhookConfig {
            url,
            secret_file: folder.join(secret_file),
            ca_file: ca_file.map(|file| folder.join(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_its_query_is_not_shown() {
        for (text, shown, port, target) in [
            ("https://a.example", "https://a.example/", 443, "/"),
            (
                "http://[::1]:8080/in?token=t",
                "http://[::1]:8080/in",
                8080,
                "/in?token=t",
            ),
        ] {
            let url: ReceiverUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!((url.port(), url.target()), (port, target));
        }
    }

    #[test]
    fn what_nothing_can_be_posted_to_is_refused() {
        for text in [
            "",
            "/in",
            "a.example/in",
            "ftp://a/",
            "http://",
            "http://u:p@a/",
            "http://a:0/",
            "http://a:70000/",
            "http://a/#f",
            "http://a/ b",
        ] {
            let refused = text.parse::<ReceiverUrl>().unwrap_err().to_string();
            assert!(refused.contains("allowed"), "{text}");
        }
    }

    #[test]
    fn a_bad_url_is_refused_with_its_line() {
        let text = "secret_file = \"s\"\nurl = \"ftp://a/\"\n";
        let refused = toml::from_str::<WebhookSection>(text).unwrap_err();
        assert!(
            refused.to_string().contains("line 2, column 7"),
            "{refused}"
        );
    }
}
