//! Lists of code points, as a client offers them and as people read them.

use std::fmt;

use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme};

use super::reader::Reader;

/// What a client offers of one kind, in its order of preference.
///
/// GREASE values (RFC 8701) are left out: they mean nothing, and are there to be ignored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offered<T>(Vec<T>);

impl<T: CodePoint> Offered<T> {
    /// What was offered, in the client's order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied()
    }

    /// Whether nothing was offered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `value` was offered.
    pub fn contains(&self, value: T) -> bool {
        self.0.contains(&value)
    }

    /// An offer of nothing else.
    pub(super) fn one(value: T) -> Self {
        Self(vec![value])
    }

    /// Reads `list` as 16-bit code points; `None` if half of one is left over.
    pub(super) fn read(mut list: Reader<'_>) -> Option<Self> {
        let mut offered = Vec::with_capacity(list.len() / size_of::<u16>());
        while !list.is_empty() {
            let code = list.u16()?;
            if !is_grease(code) {
                offered.push(T::from(code));
            }
        }
        Some(Self(offered))
    }
}

impl<T> Default for Offered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: CodePoint> fmt::Display for Offered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (at, code) in self.iter().take(MAX_SHOWN).enumerate() {
            let separator = if at == 0 { "" } else { " " };
            f.write_str(separator)?;
            code.write_name(f)?;
        }
        match self.0.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A 16-bit number of an IANA registry of TLS.
pub trait CodePoint: Copy + Eq + From<u16> + Into<u16> {
    /// Its name, where it is well known.
    fn name(self) -> Option<&'static str>;

    /// Writes its name, or its number in hexadecimal.
    fn write_name(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:04x}", self.into()),
        }
    }
}

impl CodePoint for CipherSuite {
    fn name(self) -> Option<&'static str> {
        self.as_str()
    }
}

impl CodePoint for NamedGroup {
    fn name(self) -> Option<&'static str> {
        self.as_str()
    }
}

impl CodePoint for SignatureScheme {
    fn name(self) -> Option<&'static str> {
        // rustls leaves out what it could never use; old clients offer it all the same
        // (RFC 5246 section 7.4.1.4.1, RFC 8446 section 4.2.3).
        self.as_str().or(match u16::from(self) {
            0x0101 => Some("RSA_PKCS1_MD5"),
            0x0202 => Some("DSA_SHA1"),
            0x0301 => Some("RSA_PKCS1_SHA224"),
            0x0303 => Some("ECDSA_SHA224"),
            0x0809 => Some("RSA_PSS_PSS_SHA256"),
            0x080a => Some("RSA_PSS_PSS_SHA384"),
            0x080b => Some("RSA_PSS_PSS_SHA512"),
            _ => None,
        })
    }
}

impl CodePoint for ProtocolVersion {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::SSLv2 => Some("SSL 2.0"),
            Self::SSLv3 => Some("SSL 3.0"),
            Self::TLSv1_0 => Some("TLS 1.0"),
            Self::TLSv1_1 => Some("TLS 1.1"),
            Self::TLSv1_2 => Some("TLS 1.2"),
            Self::TLSv1_3 => Some("TLS 1.3"),
            _ => None,
        }
    }
}

/// RFC 8701 section 2: 0x0a0a, 0x1a1a .. 0xfafa.
fn is_grease(code: u16) -> bool {
    let [high, low] = code.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Code points in one log line; OpenSSL offers some thirty cipher suites.
const MAX_SHOWN: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unknown_is_shown_as_hex_and_grease_is_not_shown() {
        let codes = [0x4a, 0x4a, 0xc0, 0x2f, 0xfe, 0x0d];
        let offered = Offered::<CipherSuite>::read(Reader::new(&codes)).unwrap();
        assert_eq!(
            offered.to_string(),
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 0xfe0d"
        );
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let offered = Offered::<NamedGroup>::read(Reader::new(&[0; 100])).unwrap();
        assert!(offered.to_string().ends_with(" 0x0000 and 2 more"));
    }

    #[test]
    fn half_a_code_point_is_refused() {
        assert_eq!(Offered::<NamedGroup>::read(Reader::new(&[0; 3])), None);
    }
}
