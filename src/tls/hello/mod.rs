//! What a client's first message says of it: why its handshake failed, and what it is able to.
//!
//! The TLS library's own errors mislead (a client that offers only RSA key exchange is reported
//! as having no group in common), so the bytes that it read are read once more here.

mod first_flight;
mod offered;
mod reader;

#[cfg(test)]
pub(in crate::tls) mod captured;

use std::collections::BTreeSet;

use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme};

use engage_wire::escape_bytes;
use first_flight::client_hello_body;
use reader::Reader;

pub(crate) use first_flight::NotTls;
pub(crate) use offered::{CodePoint, Offered};

/// How many bytes of what a client sends need to be kept for [`ClientHello::parse`]: a browser's
/// hello with a post-quantum key share has about 1,800.
pub(crate) const HELLO_BYTES: usize = 4096;

/// A client's offer (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2).
///
/// Every text in it is printable and bounded, ready for a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientHello {
    /// The highest version offered, where `supported_versions` is empty.
    pub legacy_version: ProtocolVersion,
    /// Versions offered by extension (RFC 8446 section 4.2.1); clients below TLS 1.3 send none.
    pub supported_versions: Offered<ProtocolVersion>,
    /// Cipher suites, signalling values included.
    pub cipher_suites: Offered<CipherSuite>,
    /// Key exchange groups (RFC 8446 section 4.2.7, RFC 8422 section 5.1.1).
    pub named_groups: Offered<NamedGroup>,
    /// Signatures that it can check (RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1).
    pub signature_schemes: Offered<SignatureScheme>,
    /// The name asked for (RFC 6066 section 3).
    pub server_name: Option<String>,
    /// Application protocols (RFC 7301).
    pub alpn: Vec<String>,
    /// Largest record that it wants, in bytes (RFC 6066 section 4). The TLS library ignores it.
    pub max_fragment_length: Option<u16>,
    /// Whether it takes session tickets (RFC 5077 section 3.2).
    pub takes_tickets: bool,
    /// Whether it asks to resume a session: by identifier, ticket or pre-shared key.
    pub resumes: bool,
}

impl ClientHello {
    /// Reads the hello at the start of `record_bytes`: TLS records, just as they arrived. What
    /// follows it is ignored.
    pub fn parse(record_bytes: &[u8]) -> Result<Self, HelloError> {
        let body = client_hello_body(record_bytes)?;
        Self::from_body(Reader::new(&body)).map_err(HelloError::Malformed)
    }

    /// The versions offered, as a list: by extension, or else only the highest is known.
    pub fn versions(&self) -> Offered<ProtocolVersion> {
        if self.supported_versions.is_empty() {
            Offered::one(self.legacy_version)
        } else {
            self.supported_versions.clone()
        }
    }

    fn from_body(mut body: Reader<'_>) -> Result<Self, &'static str> {
        let legacy_version = body.u16().ok_or("its version is cut")?.into();
        body.take(32).ok_or("its random is cut")?;
        let session_id = body.vector8().ok_or("its session identifier is cut")?;
        let suites = body.vector16().ok_or("its cipher suites are cut")?;
        body.vector8().ok_or("its compression methods are cut")?;
        let mut hello = Self {
            legacy_version,
            supported_versions: Offered::default(),
            cipher_suites: Offered::read(suites).ok_or("half a cipher suite")?,
            named_groups: Offered::default(),
            signature_schemes: Offered::default(),
            server_name: None,
            alpn: Vec::new(),
            max_fragment_length: None,
            takes_tickets: false,
            resumes: false,
        };
        hello.read_extensions(body)?;
        // A TLS 1.3 client sends an identifier that means nothing (RFC 8446 appendix D.4).
        hello.resumes |= !session_id.is_empty() && hello.supported_versions.is_empty();
        Ok(hello)
    }

    /// Before TLS 1.3 there may be none at all (RFC 5246 section 7.4.1.2).
    fn read_extensions(&mut self, mut body: Reader<'_>) -> Result<(), &'static str> {
        if body.is_empty() {
            return Ok(());
        }
        let mut extensions = body.vector16().ok_or("its extensions are cut")?;
        if !body.is_empty() {
            return Err("bytes follow its extensions");
        }
        let mut seen = BTreeSet::new();
        while !extensions.is_empty() {
            let kind = extensions.u16().ok_or("an extension is cut")?;
            let content = extensions.vector16().ok_or("an extension is cut")?;
            // RFC 8446 section 4.2: not more than one of a kind; the TLS library refuses it.
            if !seen.insert(kind) {
                return Err("it has an extension twice");
            }
            self.read_extension(kind, content)
                .ok_or("an extension is malformed")?;
        }
        Ok(())
    }

    fn read_extension(&mut self, kind: u16, mut content: Reader<'_>) -> Option<()> {
        match kind {
            SERVER_NAME => self.server_name = server_name(content)?,
            // The TLS library does not read it, so it fails nothing.
            MAX_FRAGMENT_LENGTH => {
                self.max_fragment_length = content.u8().and_then(max_fragment_length);
            }
            SUPPORTED_GROUPS => self.named_groups = Offered::read(content.vector16()?)?,
            SIGNATURE_ALGORITHMS => self.signature_schemes = Offered::read(content.vector16()?)?,
            ALPN => self.alpn = protocols(content.vector16()?)?,
            SESSION_TICKET => {
                self.takes_tickets = true;
                self.resumes |= !content.is_empty();
            }
            PRE_SHARED_KEY => self.resumes = true,
            SUPPORTED_VERSIONS => self.supported_versions = Offered::read(content.vector8()?)?,
            _ => {}
        }
        Some(())
    }
}

/// Why there is no hello to read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloError {
    /// Not one byte.
    #[error("sent nothing")]
    Empty,
    /// TLS, but not a hello that anybody could read.
    #[error("sent a malformed hello: {0}")]
    Malformed(&'static str),
    /// Something else.
    #[error("{0}")]
    NotTls(NotTls),
    /// A hello in the form of SSL 2.0 (RFC 5246 appendix E.2), whatever version it offers.
    #[error("sent a hello in the form of SSL 2.0")]
    Ssl2 {
        /// The highest version offered.
        highest: ProtocolVersion,
    },
    /// It stopped before its end.
    #[error("sent only the first {bytes} bytes of a hello")]
    Truncated {
        /// Bytes that arrived, or that were kept.
        bytes: usize,
    },
}

/// The first host name (type 0) of RFC 6066 section 3.
#[expect(
    clippy::option_option,
    reason = "malformed, or well-formed without a host name"
)]
fn server_name(mut content: Reader<'_>) -> Option<Option<String>> {
    let mut names = content.vector16()?;
    while !names.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?;
        if kind == 0 {
            return Some(Some(escape_bytes(name.rest(), MAX_SERVER_NAME)));
        }
    }
    Some(None)
}

fn protocols(mut list: Reader<'_>) -> Option<Vec<String>> {
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let protocol = list.vector8()?;
        if protocols.len() < MAX_PROTOCOLS {
            protocols.push(escape_bytes(protocol.rest(), MAX_PROTOCOL));
        }
    }
    Some(protocols)
}

/// RFC 6066 section 4: 1 to 4 stand for 2^9 to 2^12 bytes.
fn max_fragment_length(code: u8) -> Option<u16> {
    (1..=4).contains(&code).then(|| 1 << (8 + code))
}

const SERVER_NAME: u16 = 0;
const MAX_FRAGMENT_LENGTH: u16 = 1;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// Longest DNS name, in characters.
const MAX_SERVER_NAME: usize = 253;
const MAX_PROTOCOL: usize = 32;
const MAX_PROTOCOLS: usize = 8;

#[cfg(test)]
mod tests;
