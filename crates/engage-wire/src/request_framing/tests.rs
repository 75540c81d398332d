use proptest::prelude::*;

use super::*;

const POST: &str = "POST /a HTTP/1.1\r\nHost: a\r\n";

/// What becomes of a connection that is read in pieces of at most `piece` bytes.
fn followed(bytes: &[u8], piece: usize) -> (Vec<u8>, Option<FramingError>, RequestFraming) {
    let (mut framing, mut bytes, mut error) = (RequestFraming::default(), bytes.to_vec(), None);
    for piece in bytes.chunks_mut(piece) {
        error = error.or(framing.follow(piece, |_| ()).err());
    }
    (bytes, error, framing)
}

#[test]
fn whole_requests_are_left_as_they_are() {
    let bodies = [
        "\r\n",
        "X: y\n\n",
        "Content-Length: 0\r\n\r\n",
        "content-length:\t007 \r\n\r\n\r\n\r\n\0\n\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "TRANSFER-ENCODING: Chunked\r\n\r\n00A;a=\"b\"\r\n0123\r\n\0\n89\r\n0\r\nX: y\r\n\r\n",
    ];
    let all = bodies.map(|it| format!("\r\n{POST}{it}")).concat();
    for piece in [1, 2, 3, 7, 1000] {
        let (bytes, error, framing) = followed(all.as_bytes(), piece);
        assert_eq!((bytes, error), (all.clone().into_bytes(), None));
        assert_eq!(framing.request(), bodies.len() as u64);
        assert!(framing.is_between_requests());
    }
}

#[test]
fn a_head_at_fault_is_left_to_be_refused_and_what_follows_is_unreadable() {
    for fields in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\nX: y\nContent-Length: 1\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 9223372036854775808\r\n",
    ] {
        let head = format!("{POST}\r\n{POST}{fields}X: y\r\n\r\n");
        for piece in [1, 5, 1000] {
            let all = format!("{head}1\r\nGET");
            let (bytes, error, framing) = followed(all.as_bytes(), piece);
            assert!(error.is_some(), "{fields}");
            assert_eq!(bytes, format!("{head}\0\0\0\0\0\0").into_bytes());
            assert_eq!(framing.request(), 2);
            assert!(!framing.is_between_requests());
        }
    }
}

#[test]
fn a_length_is_refused_in_the_right_words() {
    let long = format!("{}2", "0".repeat(300));
    for (length, expected) in [
        ("9223372036854775807", None),
        ("9223372036854775808", Some("is 2^63 or more")),
        ("18446744073709551615", Some("is 2^63 or more")),
        ("18446744073709551616", Some("is not a number of 64 bits")),
        (&long, Some("in a line of more than 256 bytes")),
    ] {
        let head = format!("{POST}Content-Length: {length}\r\n\r\n");
        let error = followed(head.as_bytes(), 7).1.map(|it| it.to_string());
        assert_eq!(error.is_some(), expected.is_some(), "{length}");
        let error = error.unwrap_or_default();
        assert!(error.contains(expected.unwrap_or_default()), "{error}");
    }
}

#[test]
fn a_body_is_unreadable_from_its_fault_on() {
    for (body, left) in [
        ("1 \r\n", "1 \r\r"),
        ("1\n", "1\r"),
        ("00000000000000001\r\n", "00000000000000001\r\r"),
        ("1;\u{1}\r\n", "1;\u{1}\r\r"),
        ("1\r\nxy\r\n", "1\r\nxy\r\r"),
        ("0\r\n\n", "0\r\n\r"),
        ("0\r\nHost: a\r\n", "0\r\nHost: a\r\r"),
    ] {
        let head = format!("{POST}Transfer-Encoding: chunked\r\n\r\n");
        for piece in [1, 5, 1000] {
            let (bytes, error, framing) = followed(format!("{head}{body}\r\n").as_bytes(), piece);
            assert!(error.is_some(), "{body}");
            assert_eq!(bytes, format!("{head}{left}\0\0").into_bytes());
            assert!(framing.is_broken());
        }
    }
}

proptest! {
    #[test]
    fn wherever_reads_end_the_result_is_the_same(
        parts in proptest::collection::vec(prop_oneof![
            Just("POST /a HTTP/1.1\r\n"), Just("Content-Length: 3\r\n"), Just("Transfer-Encoding: chunked\r\n"),
            Just("\r\n"), Just("\n"), Just("0\r\n\r\n"), Just("3\r\nabc\r\n"), Just("A: "), Just("3;"),
            Just("0000000000"), Just("\r"), Just("\u{1}"),
        ], 0..20),
        long in 240_usize..270,
        at in 0_usize..20,
        piece in 1_usize..40,
    ) {
        let mut parts: Vec<_> = parts.into_iter().map(str::to_owned).collect();
        parts.insert(at.min(parts.len()), " ".repeat(long));
        let all = parts.concat();
        let (bytes, error, framing) = followed(all.as_bytes(), piece);
        let (whole, whole_error, whole_framing) = followed(all.as_bytes(), usize::MAX);
        prop_assert_eq!(bytes, whole);
        prop_assert_eq!(error, whole_error);
        prop_assert_eq!(framing.request(), whole_framing.request());
        prop_assert_eq!(framing.expected, whole_framing.expected);
    }
}
