//! The first bytes of a connection: handshake records, or what is no TLS at all.

use std::fmt;

use rustls::ProtocolVersion;

use super::HelloError;
use super::reader::Reader;
use engage_wire::escape_bytes;

/// Puts the first handshake message together from its records, and returns its body.
///
/// A message may be spread over records (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
pub(super) fn client_hello_body(bytes: &[u8]) -> Result<Vec<u8>, HelloError> {
    match bytes.first() {
        None => return Err(HelloError::Empty),
        Some(&HANDSHAKE) => {}
        Some(_) => return Err(not_handshake(bytes)),
    }
    let mut records = Reader::new(bytes);
    let mut message = Vec::new();
    loop {
        append_record(&mut records, &mut message).map_err(|broken| match broken {
            Broken::Short => HelloError::Truncated { bytes: bytes.len() },
            Broken::Malformed(what) => HelloError::Malformed(what),
        })?;
        let mut message = Reader::new(&message);
        // RFC 8446 section 4: one byte of type, three of length.
        let Some(&[kind, high, middle, low]) = message.take(4) else {
            continue;
        };
        if kind != CLIENT_HELLO {
            return Err(HelloError::Malformed("another message comes first"));
        }
        let length = u32::from_be_bytes([0, high, middle, low]);
        if let Some(body) = usize::try_from(length).ok().and_then(|n| message.take(n)) {
            return Ok(body.to_vec());
        }
    }
}

enum Broken {
    Short,
    Malformed(&'static str),
}

fn append_record(records: &mut Reader<'_>, message: &mut Vec<u8>) -> Result<(), Broken> {
    let kind = records.u8().ok_or(Broken::Short)?;
    if kind != HANDSHAKE {
        return Err(Broken::Malformed("a record of another kind interrupts it"));
    }
    // The record's version tells nothing (RFC 8446 section 5.1: ignored), but its first byte has
    // been 3 since SSL 3.0.
    let version = records.u16().ok_or(Broken::Short)?;
    if version >> 8 != 3 {
        return Err(Broken::Malformed("its record has no TLS version"));
    }
    let mut ahead = *records;
    let length = usize::from(ahead.u16().ok_or(Broken::Short)?);
    // RFC 8446 section 5.1: no empty handshake records, none above 2^14 bytes.
    if !(1..=1 << 14).contains(&length) {
        return Err(Broken::Malformed("its record has an illegal length"));
    }
    let fragment = records.vector16().ok_or(Broken::Short)?;
    message.extend_from_slice(fragment.rest());
    Ok(())
}

fn not_handshake(bytes: &[u8]) -> HelloError {
    if let Some(highest) = ssl2_hello(bytes) {
        return HelloError::Ssl2 { highest };
    }
    match bytes {
        [ALERT, 3, ..] => HelloError::Malformed("an alert comes first"),
        _ => HelloError::NotTls(NotTls::recognise(bytes)),
    }
}

/// RFC 5246 appendix E.2: a length with its top bit set, type 1, the highest version offered.
fn ssl2_hello(bytes: &[u8]) -> Option<ProtocolVersion> {
    match *bytes {
        [0x80..=0xff, _, CLIENT_HELLO, 0, 2, ..] => Some(ProtocolVersion::SSLv2),
        [0x80..=0xff, _, CLIENT_HELLO, 3, minor, ..] => {
            Some(ProtocolVersion::from(u16::from_be_bytes([3, minor])))
        }
        _ => None,
    }
}

/// What was sent to the TLS port instead of TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotTls {
    /// A clear-text HTTP request: its method and path, without the query.
    Http {
        /// For messages: printable, and short.
        request: String,
    },
    /// The header with which a balancer announces a client.
    ProxyProtocol,
    /// The greeting of a secure shell.
    Ssh,
    /// None of these.
    Unknown,
}

impl NotTls {
    fn recognise(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"PROXY ") || bytes.starts_with(PROXY_V2) {
            return Self::ProxyProtocol;
        }
        if bytes.starts_with(b"SSH-") {
            return Self::Ssh;
        }
        http_request(bytes).map_or(Self::Unknown, |request| Self::Http { request })
    }
}

impl fmt::Display for NotTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { request } => {
                write!(f, "sent plain HTTP to the TLS port: `{request}`")
            }
            Self::ProxyProtocol => f.write_str(
                "sent a PROXY protocol header to the TLS port: is it a balancer that is not \
                 listed in proxy_protocol_from?",
            ),
            Self::Ssh => f.write_str("sent an SSH greeting to the TLS port"),
            Self::Unknown => f.write_str("sent something other than TLS to the TLS port"),
        }
    }
}

/// Method and path of a request line (RFC 9112 section 3), if the bytes start with one. The query
/// stays out: it holds what a caller would not expect in a log.
fn http_request(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let mut words = line.split(|&byte| byte == b' ');
    let method = words.next()?;
    if !HTTP_METHODS.contains(&method) {
        return None;
    }
    let path = words.next()?.split(|&byte| byte == b'?').next()?;
    Some(format!(
        "{} {}",
        escape_bytes(method, MAX_PATH),
        escape_bytes(path, MAX_PATH)
    ))
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// The PROXY protocol's version 2 signature.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// `PRI` opens HTTP/2 (RFC 9113 section 3.4).
const HTTP_METHODS: [&[u8]; 10] = [
    b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PRI", b"PUT", b"TRACE",
];

const MAX_PATH: usize = 80;
