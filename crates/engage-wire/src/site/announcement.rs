//! The announcement: the JSON that tells a device which certificate to install.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use crate::limits::MAX_CERT_URL_CHARS;

/// The body of `GET /swordfish/lock/certificates/current`, made once.
///
/// The key order is part of the contract (PROTOCOL.md section 3), so it is the order of the
/// serialised fields, minified.
#[derive(Clone, Debug)]
pub struct Announcement {
    body: Bytes,
    cert_url: CertUrl,
    hash: AnnouncementHash,
}

impl Announcement {
    /// Composes the body.
    pub fn new(cert_url: CertUrl, hash: AnnouncementHash) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            cert_url: &'a str,
            hash: &'a str,
        }

        let body = serde_json::to_vec(&Body {
            cert_url: &cert_url.0,
            hash: &hash.to_string(),
        });
        let Ok(body) = body else {
            unreachable!("two strings always serialise");
        };
        Self {
            body: body.into(),
            cert_url,
            hash,
        }
    }

    /// The bytes that devices receive; cloning shares them.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Where devices fetch the certificate.
    pub fn cert_url(&self) -> &CertUrl {
        &self.cert_url
    }

    /// The hash that devices check.
    pub fn hash(&self) -> AnnouncementHash {
        self.hash
    }
}

/// A URL within the length that devices accept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertUrl(String);

impl CertUrl {
    /// Checks the length; the parts are checked where they come from.
    pub fn new(url: String) -> Result<Self, CertUrlError> {
        match url.chars().count() {
            ..=MAX_CERT_URL_CHARS => Ok(Self(url)),
            found => Err(CertUrlError { url, found }),
        }
    }

    /// The URL's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL that is longer than devices accept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cert_url `{url}` has {found} characters; a device accepts at most {MAX_CERT_URL_CHARS}")]
pub struct CertUrlError {
    url: String,
    found: usize,
}

/// HMAC-SHA1 of a certificate under a site key. Displayed as devices receive it: MIME Base64.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnouncementHash([u8; 20]);

impl AnnouncementHash {
    /// Wraps the HMAC's bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for AnnouncementHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_minified_with_cert_url_first() {
        let url = "http://10.44.68.128/static/Device_Certificates/partner_CA.der";
        let announcement = Announcement::new(
            CertUrl::new(url.to_owned()).unwrap(),
            AnnouncementHash::from_bytes([0; 20]),
        );
        assert_eq!(
            announcement.body(),
            format!(r#"{{"cert_url":"{url}","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAA="}}"#)
        );
    }

    #[test]
    fn a_url_of_256_characters_is_the_longest() {
        assert!(CertUrl::new("x".repeat(256)).is_ok());
        assert!(CertUrl::new("x".repeat(257)).is_err());
    }
}
