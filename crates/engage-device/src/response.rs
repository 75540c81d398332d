//! An HTTP answer, read from raw bytes.

use super::ResponseError;
use engage_wire::excerpt;

/// Longest head that is read, in bytes.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// One answer: status, headers in their exact spelling and order, and body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    head: Head,
    body: Vec<u8>,
}

impl Response {
    /// Reads `bytes`, all of them, as a device does: refuses whatever a device chokes on.
    pub fn parse(bytes: &[u8]) -> Result<Self, ResponseError> {
        let LenientResponse { response, faults } = Self::parse_lenient(bytes)?;
        faults.into_iter().next().map_or(Ok(response), Err)
    }

    /// Reads `bytes` as far as they make sense, with everything that a device would choke on.
    ///
    /// For diagnosis: what comes after one fault can still be looked at.
    pub fn parse_lenient(bytes: &[u8]) -> Result<LenientResponse, ResponseError> {
        let (head, head_bytes) = Head::find(bytes)?.ok_or_else(|| unfinished(bytes))?;
        let body = &bytes[head_bytes..];
        let mut faults = Vec::new();
        if head.version != "HTTP/1.1" {
            faults.push(ResponseError::Version(head.version.clone()));
        }
        let body = match head.framing() {
            Ok(Framing { length, spelling }) => {
                faults.extend(spelling);
                faults.extend(length_fault(length, body.len()));
                usize::try_from(length).map_or(body, |length| &body[..length.min(body.len())])
            }
            Err(fault) => {
                faults.push(fault);
                body
            }
        };
        if body.len() > MAX_BODY_BYTES {
            faults.push(ResponseError::BodyTooLong(body.len() as u64));
        }
        Ok(LenientResponse {
            response: Self {
                body: body.to_vec(),
                head,
            },
            faults,
        })
    }

    /// The status code: 200, 404 ..
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The status line, as received.
    pub fn status_line(&self) -> &str {
        &self.head.status_line
    }

    /// The headers, as received.
    pub fn headers(&self) -> &[Header] {
        &self.head.headers
    }

    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .named(name)
            .next()
            .map(|header| header.value.as_str())
    }

    /// The body's bytes, without those that follow after its announced length.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// An answer with what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LenientResponse {
    /// What could be read.
    pub response: Response,
    /// What a device would choke on, in the order in which it would.
    pub faults: Vec<ResponseError>,
}

/// One header line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The name, in the case in which it was received.
    pub name: String,
    /// The value, without surrounding white space; bytes that are not UTF-8 are replaced.
    pub value: String,
}

/// The status line and the headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Head {
    status_line: String,
    version: String,
    status: u16,
    headers: Vec<Header>,
}

impl Head {
    /// The head at the start of `bytes` and its length in bytes; `None` while it has no end.
    pub(super) fn find(bytes: &[u8]) -> Result<Option<(Self, usize)>, ResponseError> {
        let window = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
        let Some(end) = find(window, b"\r\n\r\n") else {
            return match bytes.len() {
                MAX_HEAD_BYTES.. => Err(ResponseError::HeadTooLong),
                _ => Ok(None),
            };
        };
        Self::parse(&window[..end]).map(|head| Some((head, end + 4)))
    }

    /// How many body bytes follow by the literal rules of a device, in any spelling.
    pub(super) fn framing(&self) -> Result<Framing, ResponseError> {
        if let Some(Header { name, value }) = self.named("Transfer-Encoding").next() {
            return Err(ResponseError::Chunked(format!(
                "{name}: {}",
                excerpt(value.as_bytes()).trim_matches('`')
            )));
        }
        let lengths: Vec<_> = self.named("Content-Length").collect();
        let [Header { name, value }] = lengths.as_slice() else {
            return Err(match lengths.len() {
                0 => ResponseError::LengthMissing,
                found => ResponseError::LengthRepeated(found),
            });
        };
        let is_decimal = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse().ok().filter(|_| is_decimal);
        Ok(Framing {
            length: length.ok_or_else(|| ResponseError::LengthValue(excerpt(value.as_bytes())))?,
            spelling: (name != "Content-Length")
                .then(|| ResponseError::LengthSpelling(name.clone())),
        })
    }

    fn parse(head: &[u8]) -> Result<Self, ResponseError> {
        let mut lines = HeadLines(Some(head));
        let status_line = lines.next().unwrap_or_default();
        let (version, status) = parse_status_line(status_line)
            .ok_or_else(|| ResponseError::StatusLine(excerpt(status_line)))?;
        Ok(Self {
            version,
            status,
            headers: lines.map(parse_header).collect::<Result<_, _>>()?,
            status_line: String::from_utf8_lossy(status_line).into_owned(),
        })
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Header> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
    }
}

/// How the end of the body is told.
pub(super) struct Framing {
    /// Announced bytes.
    pub(super) length: u64,
    /// The fault of a length in another case than a device reads.
    spelling: Option<ResponseError>,
}

/// Lines that end with CR LF, or with the end of the head.
struct HeadLines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for HeadLines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0?;
        let Some(end) = find(rest, b"\r\n") else {
            self.0 = None;
            return Some(rest);
        };
        self.0 = Some(&rest[end + 2..]);
        Some(&rest[..end])
    }
}

/// `HTTP/1.1 200 OK`; the reason may be missing (RFC 9112 section 4).
fn parse_status_line(line: &[u8]) -> Option<(String, u16)> {
    let line = str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let number = version.strip_prefix("HTTP/")?;
    if number.is_empty()
        || !number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let code = rest.split_once(' ').map_or(rest, |(code, _reason)| code);
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    Some((version.to_owned(), code.parse().ok().filter(|_| is_code)?))
}

/// A name of token characters, at once a colon, a value without control characters (RFC 9112
/// section 5).
fn parse_header(line: &[u8]) -> Result<Header, ResponseError> {
    let malformed = || ResponseError::HeaderLine(excerpt(line));
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or_else(malformed)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if name.is_empty() || !name.iter().all(is_token) || value.iter().any(is_control) {
        return Err(malformed());
    }
    Ok(Header {
        name: String::from_utf8_lossy(name).into_owned(),
        value: String::from_utf8_lossy(value.trim_ascii()).into_owned(),
    })
}

fn length_fault(announced: u64, found: usize) -> Option<ResponseError> {
    if announced > MAX_BODY_BYTES as u64 {
        return Some(ResponseError::BodyTooLong(announced));
    }
    match (found as u64).cmp(&announced) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some(ResponseError::Truncated { found, announced }),
        // Not more than `found`, which is a `usize`.
        std::cmp::Ordering::Greater => Some(ResponseError::TrailingBytes(
            found - usize::try_from(announced).unwrap_or(0),
        )),
    }
}

/// Why bytes without an end of their head are no answer.
fn unfinished(bytes: &[u8]) -> ResponseError {
    let first_line = HeadLines(Some(bytes)).next().unwrap_or_default();
    if bytes.is_empty() {
        ResponseError::Empty
    } else if !bytes.starts_with(b"HTTP/") {
        ResponseError::StatusLine(excerpt(first_line))
    } else if find(bytes, b"\n\n").is_some() {
        ResponseError::BareLineFeed
    } else {
        ResponseError::HeadUnfinished(bytes.len())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
