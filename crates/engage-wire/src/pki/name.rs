//! Distinguished names, compared as RFC 5280 section 7.1 and OpenSSL do.

use std::fmt::{self, Write as _};

use x509_parser::asn1_rs::Tag;
use x509_parser::prelude::{AttributeTypeAndValue, X509Name};

use crate::escape_for_terminal;

/// A subject's or an issuer's name.
///
/// Equal are names whose strings differ only in their type, in the case of ASCII letters, or in
/// spaces. Letters outside ASCII count as they are, as OpenSSL and embedded stacks have it.
#[derive(Clone, Debug)]
pub struct DistinguishedName {
    shown: String,
    /// Each relative name, normalised.
    normalized: Vec<String>,
}

impl DistinguishedName {
    pub(super) fn from_x509(name: &X509Name<'_>) -> Self {
        Self {
            shown: escape_for_terminal(&name.to_string()).into_owned(),
            normalized: name
                .iter()
                .map(|relative| relative.iter().map(normalized_attribute).collect())
                .collect(),
        }
    }

    /// For people.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// Whether the name starts with all of `base`: what a directory name constraint asks.
    pub(super) fn is_within(&self, base: &Self) -> bool {
        self.normalized.starts_with(&base.normalized)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.normalized.is_empty()
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for DistinguishedName {}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The type and the value; what is no string stands as its bytes.
fn normalized_attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let mut normalized = format!("+{}=", attribute.attr_type());
    match decoded(attribute) {
        Some(text) => {
            let words: Vec<_> = text.split_whitespace().collect();
            let _ = write!(normalized, "{:?}", words.join(" ").to_ascii_lowercase());
        }
        None => {
            let _ = write!(normalized, "{:?}", attribute.as_slice());
        }
    }
    normalized
}

/// The text of a string of any type (RFC 5280 section 4.1.2.4; T.61 is read as Latin-1, as
/// everybody does).
fn decoded(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let bytes = attribute.as_slice();
    match attribute.attr_value().tag() {
        Tag::BmpString => {
            let (units, []) = bytes.as_chunks() else {
                return None;
            };
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        Tag::UniversalString => {
            let (units, []) = bytes.as_chunks() else {
                return None;
            };
            let units = units.iter().map(|unit| u32::from_be_bytes(*unit));
            units.map(char::from_u32).collect()
        }
        Tag::T61String => Some(bytes.iter().copied().map(char::from).collect()),
        _ => attribute.as_str().ok().map(ToOwned::to_owned),
    }
}
