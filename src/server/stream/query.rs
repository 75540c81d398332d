//! Characters in a query that the HTTP parser does not take.

use memchr::{memchr, memchr3};

/// Replaces what the parser would refuse in the query of a request line, byte for byte.
///
/// Query parameters of devices are ignored, but for the serial number (PROTOCOL.md section 1), and
/// simple clients do not escape what RFC 3986 wants escaped: that is no reason to answer 400. The
/// parser cannot be told so. A space stays: it ends the target.
///
/// Takes the bytes of request lines only, wherever reads end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum QueryFilter {
    /// The line begins.
    #[default]
    Method,
    /// The target has begun.
    Target,
    /// Its query has begun.
    Query,
    /// The target has ended, or this is no request.
    Ended,
}

impl QueryFilter {
    /// Takes the next bytes of request lines.
    pub(super) fn make_readable(&mut self, line: &mut [u8]) {
        let mut rest = line;
        loop {
            // Part by part and not byte by byte: every request passes here.
            let end = match self {
                Self::Method => rest.iter().position(|byte| !byte.is_ascii_uppercase()),
                // The parser refuses CR in a target.
                Self::Target => memchr3(b'?', b' ', b'\n', rest),
                Self::Query => memchr3(b' ', b'\r', b'\n', rest),
                Self::Ended => memchr(b'\n', rest),
            };
            let (part, ended) = rest.split_at_mut(end.unwrap_or(rest.len()));
            if let Self::Query = self {
                let refused = part.iter_mut().filter(|byte| !is_taken(**byte));
                refused.for_each(|byte| *byte = REPLACEMENT);
            }
            let Some((end, next)) = ended.split_first_mut() else {
                return;
            };
            *self = match (*self, *end) {
                (_, b'\n') => Self::Method,
                (Self::Method, b' ') => Self::Target,
                (Self::Target, b'?') => Self::Query,
                _ => Self::Ended,
            };
            rest = next;
        }
    }
}

/// Whether the parser takes a byte in a query: all that is visible in ASCII, but for delimiters
/// of texts around a URI (RFC 3986 appendix C).
fn is_taken(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>".contains(&byte)
}

/// Stands for itself in every URI, and is no digit of a serial number.
const REPLACEMENT: u8 = b'_';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINES: &[u8] = b"\r\n\nGET /a?sn=\"x\"&y=<\xe9> HTTP/1.1\r\nPUT /?\" HTTP/1.1\n\"?\"\n";

    fn readable(lines: &[u8], cut: usize) -> Vec<u8> {
        let (mut query, mut lines) = (QueryFilter::default(), lines.to_vec());
        let (first, second) = lines.split_at_mut(cut);
        query.make_readable(first);
        query.make_readable(second);
        lines
    }

    #[test]
    fn only_the_query_of_a_request_line_is_changed() {
        for (lines, expected) in [
            (
                &b"\r\nGET /a?sn=\"x\"&y=<\xe9\x01> HTTP/1.1\"\r\n"[..],
                &b"\r\nGET /a?sn=_x_&y=____ HTTP/1.1\"\r\n"[..],
            ),
            (b"GET /\"?a HTTP/1.1\r\n", b"GET /\"?a HTTP/1.1\r\n"),
            (
                b"GET http://a/?\" HTTP/1.1\r\nPOST /b?\"",
                b"GET http://a/?_ HTTP/1.1\r\nPOST /b?_",
            ),
            (b"X: a?\"b\"\r\n", b"X: a?\"b\"\r\n"),
        ] {
            assert_eq!(readable(lines, lines.len()), expected);
        }
    }

    proptest! {
        #[test]
        fn wherever_reads_end_the_result_is_the_same(cut in 0..=LINES.len()) {
            prop_assert_eq!(readable(LINES, cut), readable(LINES, LINES.len()));
        }

        #[test]
        fn every_query_becomes_one_that_the_parser_takes(query in proptest::collection::vec(any::<u8>(), 0..40)) {
            let query: Vec<u8> = query.into_iter().filter(|byte| !b" \r\n".contains(byte)).collect();
            let head = [b"GET /a?", &query[..], b" HTTP/1.1\r\n\r\n"].concat();
            let head = readable(&head, head.len());
            let mut headers = [httparse::EMPTY_HEADER; 1];
            let mut request = httparse::Request::new(&mut headers);
            prop_assert!(request.parse(&head).is_ok());
            prop_assert!(request.path.unwrap().parse::<http::Uri>().is_ok());
        }
    }
}
