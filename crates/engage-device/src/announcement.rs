//! An announcement as received, taken strictly as it is documented.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miette::Diagnostic;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use engage_wire::limits::MAX_CERT_URL_CHARS;
use engage_wire::site::{AnnouncementHash, SiteKey};
use engage_wire::{HttpUrl, HttpUrlError, excerpt};

/// `{"cert_url":"..","hash":".."}` (PROTOCOL.md section 1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceivedAnnouncement {
    cert_url: String,
    hash: String,
    deviations: Vec<FormatDeviation>,
}

impl ReceivedAnnouncement {
    /// Reads a body: one JSON object with exactly the two documented keys, both strings.
    pub fn parse(body: &[u8]) -> Result<Self, AnnouncementError> {
        let Entries(entries) =
            serde_json::from_slice(body).map_err(|error| AnnouncementError::NotAnObject {
                body: excerpt(body),
                reason: error.to_string(),
            })?;
        let text_of = |key: &'static str| {
            let mut values = entries.iter().filter(|(name, _)| name == key);
            match (values.next(), values.next()) {
                (Some((_, Value::String(text))), None) => Ok(text.clone()),
                (Some(_), None) => Err(AnnouncementError::NotText(key)),
                (Some(_), Some(_)) => Err(AnnouncementError::Repeated(key)),
                (None, _) => Err(AnnouncementError::Missing(key)),
            }
        };
        let (cert_url, hash) = (text_of("cert_url")?, text_of("hash")?);
        if let Some((key, _)) = entries
            .iter()
            .find(|(key, _)| !KEYS.contains(&key.as_str()))
        {
            return Err(AnnouncementError::Unknown(excerpt(key.as_bytes())));
        }
        let mut deviations = Vec::new();
        if entries.first().is_some_and(|(key, _)| key != KEYS[0]) {
            deviations.push(FormatDeviation::KeyOrder);
        }
        let minified_bytes = minified(&entries).len();
        if body.len() != minified_bytes {
            deviations.push(FormatDeviation::NotMinified {
                found: body.len(),
                minified: minified_bytes,
            });
        }
        Ok(Self {
            cert_url,
            hash,
            deviations,
        })
    }

    /// `cert_url`, as received.
    pub fn cert_url(&self) -> &str {
        &self.cert_url
    }

    /// `hash`, as received.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Where the form differs from that of the documentation; a device may tolerate it.
    pub fn deviations(&self) -> &[FormatDeviation] {
        &self.deviations
    }

    /// `cert_url` as a URL of a length that devices take.
    pub fn certificate_url(&self) -> Result<HttpUrl, AnnouncementError> {
        let found = self.cert_url.chars().count();
        if found > MAX_CERT_URL_CHARS {
            return Err(AnnouncementError::UrlTooLong(found));
        }
        self.cert_url
            .parse()
            .map_err(|source| AnnouncementError::Url {
                url: excerpt(self.cert_url.as_bytes()),
                source,
            })
    }

    /// Whether `hash` is the Base64 of the HMAC over `der`.
    pub fn matches(&self, key: &SiteKey, der: &[u8]) -> bool {
        self.hash == key.announcement_hash(der).to_string()
    }

    /// `hash` decoded, if it is Base64 of 20 bytes.
    pub fn decoded_hash(&self) -> Option<AnnouncementHash> {
        let bytes = STANDARD.decode(&self.hash).ok()?;
        bytes.try_into().ok().map(AnnouncementHash::from_bytes)
    }
}

/// A difference from the documented form that a JSON parser does not mind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormatDeviation {
    /// `hash` comes first.
    #[error("`hash` stands before `cert_url`; documented: `cert_url` first")]
    KeyOrder,
    /// White space, or characters escaped without need.
    #[error("the body has {found} bytes and would have {minified} if minified, as documented")]
    NotMinified {
        /// Bytes received.
        found: usize,
        /// Bytes of the same without white space and needless escapes.
        minified: usize,
    },
}

/// Why a body is not an announcement.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
pub enum AnnouncementError {
    /// This key is not there.
    #[error("the announcement has no `{0}`; allowed: exactly `cert_url` and `hash`")]
    #[diagnostic(code("announcement-key-missing"), help("{WHOLE_BODY}"))]
    Missing(&'static str),
    /// Not a JSON object.
    #[error("the body {body} is not a JSON object: {reason}")]
    #[diagnostic(code("announcement-not-json"), help("{WHOLE_BODY}"))]
    NotAnObject {
        /// Its start.
        body: String,
        /// The parser's reason.
        reason: String,
    },
    /// The value of this key is of another type.
    #[error("`{0}` is not a JSON string")]
    #[diagnostic(code("announcement-not-text"), help("{WHOLE_BODY}"))]
    NotText(&'static str),
    /// This key is there more than once.
    #[error("the announcement has more than one `{0}`")]
    #[diagnostic(code("announcement-key-repeated"), help("{WHOLE_BODY}"))]
    Repeated(&'static str),
    /// This key is there too.
    #[error("the announcement has the key {0}; allowed: exactly `cert_url` and `hash`")]
    #[diagnostic(code("announcement-key-unknown"), help("{WHOLE_BODY}"))]
    Unknown(String),
    /// `cert_url` is no URL.
    #[error("`cert_url` {url} cannot be used: {source}; allowed: `http://HOST[:PORT]/PATH`")]
    #[diagnostic(
        code("cert-url"),
        help(
            "it is the whole address of the DER file: `http://HOST/static/Device_Certificates/NAME.der`"
        )
    )]
    Url {
        /// The URL's start.
        url: String,
        /// What is wrong with it.
        source: HttpUrlError,
    },
    /// `cert_url` has so many characters.
    #[error("`cert_url` has {0} characters; allowed: {MAX_CERT_URL_CHARS}")]
    #[diagnostic(
        code("cert-url-too-long"),
        help("use a shorter host name, folder or file name")
    )]
    UrlTooLong(usize),
}

const WHOLE_BODY: &str = r#"the whole body must be `{"cert_url":"http://..","hash":".."}`"#;

/// A JSON object as a list: order and repetitions matter here.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// The same entries in the same order, without white space.
fn minified(entries: &[(String, Value)]) -> String {
    let members: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// In their documented order.
const KEYS: [&str; 2] = ["cert_url", "hash"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use engage_wire::site::{Announcement, CertUrl};

    #[test]
    fn order_and_white_space_are_reported_and_tolerated() {
        let deviations = |body: &str| {
            ReceivedAnnouncement::parse(body.as_bytes())
                .unwrap()
                .deviations
        };
        assert_eq!(deviations(r#"{"cert_url":"u","hash":"h"}"#), []);
        assert_eq!(
            deviations(r#"{"hash":"h","cert_url":"u"}"#),
            [FormatDeviation::KeyOrder]
        );
        let spaced = FormatDeviation::NotMinified {
            found: 29,
            minified: 27,
        };
        assert_eq!(deviations(r#"{"cert_url": "u","hash": "h"}"#), [spaced]);
        let escaped = FormatDeviation::NotMinified {
            found: 28,
            minified: 27,
        };
        assert_eq!(deviations(r#"{"cert_url":"\/","hash":"h"}"#), [escaped]);
    }

    #[test]
    fn everything_else_than_the_two_documented_keys_is_refused() {
        for body in [
            "",
            "[]",
            r#""text""#,
            r#"{"cert_url":"u"}"#,
            r#"{"cert_url":"u","hash":1}"#,
            r#"{"cert_url":"u","hash":"h","x":1}"#,
            r#"{"cert_url":"u","hash":"h","hash":"h"}"#,
            r#"{"cert_url":"u","hash":"h"}{}"#,
            "\u{feff}{\"cert_url\":\"u\",\"hash\":\"h\"}",
        ] {
            assert!(
                ReceivedAnnouncement::parse(body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn a_cert_url_of_257_characters_is_refused() {
        let url = |length: usize| {
            let start = "http://a/";
            let url = start.to_owned() + &"x".repeat(length - start.len());
            let body = format!(r#"{{"cert_url":"{url}","hash":""}}"#);
            ReceivedAnnouncement::parse(body.as_bytes())
                .unwrap()
                .certificate_url()
        };
        assert!(url(256).is_ok());
        assert_eq!(url(257), Err(AnnouncementError::UrlTooLong(257)));
    }

    proptest! {
        #[test]
        fn what_this_program_announces_is_read_without_deviation(
            url in "http://[a-z]{1,20}/[ -~]{0,40}",
            der: Vec<u8>,
            key: [u8; 32],
        ) {
            let key = SiteKey::from_bytes(key);
            let hash = key.announcement_hash(&der);
            let body = Announcement::new(CertUrl::new(url.clone()).unwrap(), hash).body();
            let announced = ReceivedAnnouncement::parse(&body).unwrap();
            prop_assert_eq!(announced.cert_url(), url);
            prop_assert_eq!(announced.deviations(), []);
            prop_assert!(announced.matches(&key, &der));
            prop_assert_eq!(announced.decoded_hash(), Some(hash));
        }

        #[test]
        fn no_body_makes_it_panic(body: Vec<u8>, text in "[{}\\[\\]\",:a-z \\\\]{0,60}") {
            let _ = ReceivedAnnouncement::parse(&body);
            let _ = ReceivedAnnouncement::parse(text.as_bytes());
        }
    }
}
