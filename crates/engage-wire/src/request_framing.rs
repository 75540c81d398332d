//! Where the requests of a connection begin and end (RFC 9112 sections 6 and 7.1).

use memchr::memchr;

/// Follows the requests of a connection, and finds those that another parser could find to end
/// elsewhere: the rest of one would be another request there (RFC 9112 section 11.2).
///
/// What hyper refuses by itself is left to it.
#[derive(Debug, Default)]
pub struct RequestFraming {
    expected: Expected,
    /// Bytes of a body that come ahead of what is expected.
    data: u64,
    /// What the head that is being read says of its body.
    body: Body,
    /// The beginning of a line that has not arrived whole, cut off where it is too long.
    line: Vec<u8>,
    requests: u64,
}

/// Why a request could be read in another way too.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct FramingError(&'static str);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Expected {
    #[default]
    RequestLine,
    Field,
    ChunkSize,
    /// The line end behind a chunk.
    ChunkEnd,
    Trailer,
    /// The connection ends with the answer to a request that is at fault.
    Nothing,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
    Ambiguous,
}

impl RequestFraming {
    /// Takes the next bytes, and fails at the first fault of the connection.
    ///
    /// A head at fault is left as it is, for the caller to refuse. A body is made unreadable from
    /// its fault on. Bytes of request lines are given to `request_lines` first, with their line ends.
    pub fn follow(
        &mut self,
        bytes: &mut [u8],
        mut request_lines: impl FnMut(&mut [u8]),
    ) -> Result<(), FramingError> {
        let (mut rest, mut outcome) = (bytes, Ok(()));
        while !rest.is_empty() {
            if self.expected == Expected::Nothing {
                rest.fill(UNREADABLE);
                break;
            }
            let data = usize::try_from(self.data).unwrap_or(usize::MAX);
            let (data, behind) = rest.split_at_mut(data.min(rest.len()));
            self.data -= data.len() as u64;
            let end = memchr(b'\n', behind);
            if self.expected == Expected::RequestLine {
                let line = end.map_or(behind.len(), |end| end + 1);
                request_lines(&mut behind[..line]);
            }
            let Some(end) = end else {
                append(&mut self.line, behind);
                break;
            };
            if let Err(fault) = self.end_line(&behind[..end]) {
                outcome = Err(fault);
                self.refuse(&mut behind[end]);
            }
            rest = &mut behind[end + 1..];
        }
        outcome
    }

    /// The number of the request to which the last bytes belong, counted from 1.
    pub fn request(&self) -> u64 {
        self.requests
    }

    /// Whether a body was made unreadable: no more of it is to be waited for.
    pub fn is_broken(&self) -> bool {
        self.expected == Expected::Nothing && self.body != Body::Ambiguous
    }

    /// Whether nothing of a request has arrived of which the rest is still to come.
    pub fn is_between_requests(&self) -> bool {
        self.expected == Expected::RequestLine && self.data == 0 && self.line.is_empty()
    }

    /// Takes the end of a line, without its line feed.
    fn end_line(&mut self, end: &[u8]) -> Result<(), FramingError> {
        if self.line.is_empty() {
            return self.take(end);
        }
        let mut line = std::mem::take(&mut self.line);
        append(&mut line, end);
        self.take(&line)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), FramingError> {
        // In a head, a line feed alone ends a line too (RFC 9112 section 2.2).
        let is_empty = line.is_empty() || line == b"\r";
        match self.expected {
            Expected::RequestLine if is_empty => {}
            Expected::RequestLine => {
                self.requests += 1;
                self.body = Body::None;
                self.expected = Expected::Field;
            }
            Expected::Field if is_empty => self.end_head(),
            Expected::Field => self.body = self.body.with_field(line)?,
            Expected::ChunkSize => {
                self.data = chunk_size(line)?;
                self.expected = match self.data {
                    0 => Expected::Trailer,
                    _ => Expected::ChunkEnd,
                };
            }
            Expected::ChunkEnd if line == b"\r" => self.expected = Expected::ChunkSize,
            Expected::ChunkEnd => return Err(FramingError("a chunk is not followed by CR LF")),
            Expected::Trailer if line == b"\r" => self.expected = Expected::RequestLine,
            Expected::Trailer => check_trailer(line)?,
            Expected::Nothing => {}
        }
        Ok(())
    }

    fn end_head(&mut self) {
        self.expected = match self.body {
            Body::Chunked => Expected::ChunkSize,
            Body::Ambiguous => Expected::Nothing,
            Body::None | Body::Length(_) => Expected::RequestLine,
        };
        if let Body::Length(length) = self.body {
            self.data = length;
        }
    }

    /// Notes a fault that a line told which `line_feed` ends.
    fn refuse(&mut self, line_feed: &mut u8) {
        if self.expected == Expected::Field {
            self.body = Body::Ambiguous;
        } else {
            // No parser takes what follows for the line feed that belongs to it.
            *line_feed = b'\r';
            self.expected = Expected::Nothing;
        }
    }
}

impl Body {
    /// With what a further field of the head says of it.
    fn with_field(self, line: &[u8]) -> Result<Self, FramingError> {
        let (length, coding) = (value(line, CONTENT_LENGTH), value(line, TRANSFER_ENCODING));
        match (self, length, coding) {
            (Self::Ambiguous, ..) | (_, None, None) => Ok(self),
            (Self::None, Some(length), _) => content_length(length).map(Self::Length),
            (Self::None, _, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Self::Chunked)
            }
            (Self::None, ..) => Err(FramingError(
                "its Transfer-Encoding is not exactly `chunked`",
            )),
            (Self::Length(_), Some(_), _) => {
                Err(FramingError("it has more than one Content-Length"))
            }
            (Self::Chunked, _, Some(_)) => {
                Err(FramingError("it has more than one Transfer-Encoding"))
            }
            (Self::Length(_) | Self::Chunked, ..) => Err(FramingError(
                "it has both a Content-Length and a Transfer-Encoding",
            )),
        }
    }
}

/// The value of a field, if it has this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    // Nobody pads a number so far, and of a line that arrives in pieces not more is kept.
    let value = if line.len() > MAX_LINE_BYTES {
        b""
    } else {
        value
    };
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

/// RFC 9110 section 8.6. hyper refuses what this calls no number, and is asked again by nobody.
fn content_length(value: &[u8]) -> Result<u64, FramingError> {
    match number(value, 10) {
        None => Err(FramingError(
            "its Content-Length is not a number of 64 bits, or in a line of more than 256 bytes",
        )),
        Some(length) if length > MAX_LENGTH => {
            Err(FramingError("its Content-Length is 2^63 or more"))
        }
        Some(length) => Ok(length),
    }
}

/// Of a line with a chunk's size: that, and perhaps extensions, which have no meaning here. Spaces are
/// not taken between both (RFC 9112 section 7.1.1 calls them bad).
fn chunk_size(line: &[u8]) -> Result<u64, FramingError> {
    let line = whole(line)?;
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (size, extensions) = line.split_at(digits);
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if extensions.iter().any(is_control) {
        return Err(FramingError(
            "an extension of a chunk has a control character",
        ));
    }
    if digits > MAX_CHUNK_SIZE_DIGITS || !(extensions.is_empty() || extensions.starts_with(b";")) {
        return Err(CHUNK_SIZE);
    }
    number(size, 16).ok_or(CHUNK_SIZE)
}

/// Trailers carry nothing that is used; whoever merges them into the head reads another one.
fn check_trailer(line: &[u8]) -> Result<(), FramingError> {
    let line = whole(line)?;
    let frames = |name| value(line, name).is_some();
    if frames(CONTENT_LENGTH) || frames(TRANSFER_ENCODING) || frames(b"Host") {
        return Err(FramingError(
            "a trailer has a field that only a head may have",
        ));
    }
    Ok(())
}

/// Without the CR at the end of a line that must have it.
fn whole(line: &[u8]) -> Result<&[u8], FramingError> {
    let line = line
        .strip_suffix(b"\r")
        .filter(|line| line.len() <= MAX_LINE_BYTES);
    line.ok_or(FramingError(
        "a line of its chunks is longer than 256 bytes or does not end with CR LF",
    ))
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    // `from_str_radix` would take a plus sign too.
    let is_number = digits.iter().all(|byte| char::from(*byte).is_digit(radix));
    let digits = str::from_utf8(digits).ok().filter(|_| is_number)?;
    u64::from_str_radix(digits, radix).ok()
}

/// As much of `more` as leaves it recognisable that a line is too long.
fn append(line: &mut Vec<u8>, more: &[u8]) {
    let room = (MAX_LINE_BYTES + 2).saturating_sub(line.len());
    line.extend_from_slice(&more[..more.len().min(room)]);
}

const CONTENT_LENGTH: &[u8] = b"Content-Length";
const TRANSFER_ENCODING: &[u8] = b"Transfer-Encoding";

/// Others count with a sign.
const MAX_LENGTH: u64 = i64::MAX.cast_unsigned();

/// As many as 64 bits need.
const MAX_CHUNK_SIZE_DIGITS: usize = 16;

/// Without its line end.
const MAX_LINE_BYTES: usize = 256;

/// No part of a chunk's frame.
const UNREADABLE: u8 = 0;

const CHUNK_SIZE: FramingError =
    FramingError("the size of a chunk is not 1 to 16 hexadecimal digits");

#[cfg(test)]
mod tests;
