//! Characters in a query that the HTTP parser does not take.

/// Replaces what the parser would refuse in the query of a request line, byte for byte.
///
/// Query parameters of devices are ignored, but for the serial number (PROTOCOL.md section 1), and
/// simple clients do not escape what RFC 3986 wants escaped: that is no reason to answer 400. The
/// parser cannot be told so. A space stays: it ends the target.
#[derive(Debug, Default)]
pub(super) enum QueryFilter {
    /// Nothing of the head has been read.
    #[default]
    Expected,
    /// The target's path has begun.
    Path,
    /// The query has begun.
    Parameters,
    /// The target has ended, or this is no request of a device.
    Ended,
}

impl QueryFilter {
    /// Takes the next bytes of a head.
    pub(super) fn make_readable(&mut self, bytes: &mut [u8]) {
        let mut target = &mut bytes[..];
        if matches!(self, Self::Expected) && !target.is_empty() {
            // Bytes behind an earlier request may be the rest of its head: only what is plainly
            // the beginning of another is changed.
            let method = METHODS.iter().find(|method| target.starts_with(method));
            *self = method.map_or(Self::Ended, |_| Self::Path);
            target = &mut target[method.map_or(0, |method| method.len())..];
        }
        if matches!(self, Self::Path) {
            let end = target.iter().position(|byte| b"? \r\n".contains(byte));
            let Some(end) = end else { return };
            *self = match target[end] {
                b'?' => Self::Parameters,
                _ => Self::Ended,
            };
            target = &mut target[end + 1..];
        }
        if matches!(self, Self::Parameters) {
            let end = target.iter().position(|byte| b" \r\n".contains(byte));
            let query = target.iter_mut().take(end.unwrap_or(usize::MAX));
            for byte in query.filter(|byte| !is_taken(**byte)) {
                *byte = REPLACEMENT;
            }
            if end.is_some() {
                *self = Self::Ended;
            }
        }
    }
}

/// Whether the parser takes a byte in a query: all that is visible in ASCII, but for delimiters
/// of texts around a URI (RFC 3986 appendix C).
fn is_taken(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>".contains(&byte)
}

const METHODS: [&[u8]; 4] = [b"GET /", b"HEAD /", b"PUT /", b"POST /"];

/// Stands for itself in every URI, and is no digit of a serial number.
const REPLACEMENT: u8 = b'_';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &[u8] = b"GET /a?sn=\"x\"&y=<\xe9> HTTP/1.1\r\nX: \"\r\n\r\n";

    fn readable(head: &[u8], cut: usize) -> Vec<u8> {
        let (mut query, mut head) = (QueryFilter::default(), head.to_vec());
        let (first, second) = head.split_at_mut(cut);
        query.make_readable(first);
        query.make_readable(second);
        head
    }

    #[test]
    fn only_the_query_of_a_request_line_is_changed() {
        for (head, expected) in [
            (
                &b"GET /a?sn=\"x\"&y=<\xe9\x01> HTTP/1.1\r\nX: \"\xe9\r\n"[..],
                &b"GET /a?sn=_x_&y=____ HTTP/1.1\r\nX: \"\xe9\r\n"[..],
            ),
            (b"GET /\"?a HTTP/1.1\r\n", b"GET /\"?a HTTP/1.1\r\n"),
            (
                b"POST /a?b HTTP/1.1\r\n\r\n?\"",
                b"POST /a?b HTTP/1.1\r\n\r\n?\"",
            ),
            (b"X: a?\"b\"\r\n", b"X: a?\"b\"\r\n"),
        ] {
            assert_eq!(readable(head, head.len()), expected);
        }
    }

    proptest! {
        #[test]
        fn wherever_reads_end_the_result_is_the_same(cut in 5..=HEAD.len()) {
            prop_assert_eq!(readable(HEAD, cut), readable(HEAD, HEAD.len()));
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
