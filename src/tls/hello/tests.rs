use proptest::prelude::*;

use super::captured::{CBC, RSA_KEY_EXCHANGE, TLS_1_0, TLS_1_2, TLS_1_3, bytes};
use super::*;

#[test]
fn everything_that_a_tls_1_2_client_offers_is_read() {
    let hello = ClientHello::parse(&bytes(TLS_1_2)).unwrap();
    assert_eq!(hello.legacy_version, ProtocolVersion::TLSv1_2);
    assert_eq!(hello.versions(), Offered::one(ProtocolVersion::TLSv1_2));
    assert_eq!(
        hello.cipher_suites.to_string(),
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
    );
    assert_eq!(hello.named_groups.to_string(), "secp256r1");
    assert_eq!(hello.signature_schemes.to_string(), "RSA_PKCS1_SHA256");
    assert_eq!(hello.server_name.as_deref(), Some("lock.example"));
    assert_eq!(hello.alpn, ["http/1.1"]);
    assert_eq!(hello.max_fragment_length, Some(1024));
    assert!(hello.takes_tickets);
    assert!(!hello.resumes);
}

#[test]
fn a_tls_1_3_client_lists_its_versions() {
    let hello = ClientHello::parse(&bytes(TLS_1_3)).unwrap();
    assert_eq!(
        hello.supported_versions.to_string(),
        "TLS 1.3 TLS 1.2 TLS 1.1 TLS 1.0"
    );
    assert_eq!(
        hello.named_groups.iter().next(),
        Some(NamedGroup::X25519),
        "{}",
        hello.named_groups
    );
    // It sends a session identifier, which asks for nothing.
    assert!(!hello.resumes);
}

#[test]
fn a_client_without_extensions_is_read() {
    let hello = ClientHello::parse(&records(&message(&body(&[]))[..], 100)).unwrap();
    assert_eq!(hello.legacy_version, ProtocolVersion::TLSv1_0);
    assert!(hello.supported_versions.is_empty());
    assert_eq!(
        hello.cipher_suites.to_string(),
        "TLS_RSA_WITH_AES_128_CBC_SHA"
    );
    assert_eq!(hello.named_groups.to_string(), "none");
}

#[test]
fn sessions_are_resumed_by_identifier_ticket_or_pre_shared_key() {
    let resumes = |extensions: &[u8]| {
        let mut list = u16::try_from(extensions.len())
            .unwrap()
            .to_be_bytes()
            .to_vec();
        list.extend_from_slice(extensions);
        parse_body(&body(&list)).unwrap().resumes
    };
    assert!(!resumes(&[0, 35, 0, 0]));
    assert!(resumes(&[0, 35, 0, 1, 7]));
    assert!(resumes(&[0, 41, 0, 1, 7]));
    let mut with_identifier = body(&[]);
    with_identifier.splice(34..35, [1, 7]);
    assert!(parse_body(&with_identifier).unwrap().resumes);
}

#[test]
fn names_from_outside_are_made_printable_and_short() {
    let mut hostile = bytes(TLS_1_2);
    let at = find(&hostile, b"lock.example");
    hostile[at..at + 12].copy_from_slice(b"a\x1b[2J`\n\0 \xc3\xa9b");
    let hello = ClientHello::parse(&hostile).unwrap();
    assert_eq!(hello.server_name.as_deref(), Some(r"a\u{1b}[2J'\n\0 éb"));
}

#[test]
fn a_message_that_disagrees_with_itself_is_malformed() {
    let malformed = |body: &[u8]| match parse_body(body).unwrap_err() {
        HelloError::Malformed(what) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(malformed(&[]), "its version is cut");
    assert_eq!(malformed(&[3, 3, 0]), "its random is cut");
    assert_eq!(malformed(&body(&[])[..36]), "its cipher suites are cut");
    assert_eq!(malformed(&body(&[0])), "its extensions are cut");
    assert_eq!(malformed(&body(&[0, 0, 0])), "bytes follow its extensions");
    assert_eq!(malformed(&body(&[0, 2, 0, 10])), "an extension is cut");
    assert_eq!(
        malformed(&body(&[0, 4, 0, 10, 0, 0])),
        "an extension is malformed"
    );
    assert_eq!(
        malformed(&body(&[0, 8, 0, 99, 0, 0, 0, 99, 0, 0])),
        "it has an extension twice"
    );
}

#[test]
fn records_that_are_no_hello_are_malformed() {
    for (records, what) in [
        (&[22, 2, 0, 0, 1, 1][..], "its record has no TLS version"),
        (&[22, 3, 1, 0, 0], "its record has an illegal length"),
        (&[22, 3, 1, 0x40, 1], "its record has an illegal length"),
        (&[22, 3, 1, 0, 4, 2, 0, 0, 0], "another message comes first"),
        (
            &[22, 3, 1, 0, 1, 1, 23, 3, 3, 0, 1, 0],
            "a record of another kind interrupts it",
        ),
        (&[21, 3, 1, 0, 2, 2, 48], "an alert comes first"),
    ] {
        assert_eq!(
            ClientHello::parse(records),
            Err(HelloError::Malformed(what)),
            "{records:?}"
        );
    }
}

#[test]
fn what_is_not_tls_is_recognised() {
    let not_tls = |opening: &[u8]| ClientHello::parse(opening).unwrap_err().to_string();
    assert_eq!(
        not_tls(b"GET /swordfish/lock/certificates/current?sn=secret HTTP/1.1\r\n"),
        "sent plain HTTP to the TLS port: `GET /swordfish/lock/certificates/current`"
    );
    assert_eq!(
        not_tls(b"PUT /\x1b[31m` HTTP/1.1"),
        "sent plain HTTP to the TLS port: `PUT /\\u{1b}[31m'`"
    );
    assert!(not_tls(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n").contains("PROXY protocol"));
    assert!(not_tls(b"\r\n\r\n\0\r\nQUIT\n\x21").contains("PROXY protocol"));
    assert_eq!(
        not_tls(b"SSH-2.0-x\r\n"),
        "sent an SSH greeting to the TLS port"
    );
    for unknown in [
        &b"GET"[..],
        b"HELLO there",
        b"\0",
        b"\xff\xff",
        b"get / HTTP/1.1",
    ] {
        assert_eq!(
            ClientHello::parse(unknown),
            Err(HelloError::NotTls(NotTls::Unknown)),
            "{unknown:?}"
        );
    }
}

#[test]
fn a_hello_in_the_form_of_ssl_2_tells_its_highest_version() {
    let highest = |opening: &[u8]| match ClientHello::parse(opening) {
        Err(HelloError::Ssl2 { highest }) => highest,
        other => panic!("{other:?}"),
    };
    assert_eq!(highest(&[0x80, 46, 1, 0, 2, 0]), ProtocolVersion::SSLv2);
    assert_eq!(highest(&[0x80, 46, 1, 3, 1, 0]), ProtocolVersion::TLSv1_0);
}

#[test]
fn every_cut_of_a_hello_is_truncated_and_nothing_is_empty() {
    let whole = bytes(TLS_1_3);
    assert_eq!(ClientHello::parse(&[]), Err(HelloError::Empty));
    for length in 1..whole.len() {
        assert_eq!(
            ClientHello::parse(&whole[..length]),
            Err(HelloError::Truncated { bytes: length })
        );
    }
}

#[test]
fn what_follows_a_hello_is_ignored() {
    let mut followed = bytes(CBC);
    followed.extend_from_slice(&[21, 3, 3, 0, 2, 2, 48]);
    assert_eq!(
        ClientHello::parse(&followed),
        ClientHello::parse(&bytes(CBC))
    );
}

proptest! {
    #[test]
    fn a_fragmented_hello_is_the_same_hello(
        capture in prop::sample::select(&CAPTURES[..]),
        fragment in 1_usize..200,
    ) {
        let whole = bytes(capture);
        let fragmented = records(&whole[5..], fragment);
        let hello = ClientHello::parse(&whole);
        prop_assert!(hello.is_ok());
        prop_assert_eq!(ClientHello::parse(&fragmented), hello);
    }

    #[test]
    fn no_bytes_make_it_panic(opening: Vec<u8>) {
        let _ = ClientHello::parse(&opening);
        let _ = parse_body(&opening);
    }

    #[test]
    fn no_damage_makes_it_panic_or_print_what_is_not_printable(
        capture in prop::sample::select(&CAPTURES[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut damaged = bytes(capture);
        for (at, byte) in damage {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        let shown = match ClientHello::parse(&damaged) {
            Ok(hello) => format!(
                "{} {} {:?} {:?}",
                hello.cipher_suites, hello.supported_versions, hello.server_name, hello.alpn
            ),
            Err(error) => error.to_string(),
        };
        prop_assert!(!shown.chars().any(char::is_control), "{}", shown);
    }
}

const CAPTURES: [&str; 5] = [TLS_1_0, TLS_1_2, TLS_1_3, CBC, RSA_KEY_EXCHANGE];

/// A TLS 1.0 hello with one cipher suite, ending in `extensions`.
fn body(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend_from_slice(&[0x55; 32]);
    body.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    body.extend_from_slice(extensions);
    body
}

fn parse_body(body: &[u8]) -> Result<ClientHello, HelloError> {
    ClientHello::parse(&records(&message(body), 1 << 14))
}

fn message(body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1][..], &length, body].concat()
}

/// `message` in handshake records of at most `fragment` bytes.
fn records(message: &[u8], fragment: usize) -> Vec<u8> {
    let record = |fragment: &[u8]| {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &length, fragment].concat()
    };
    message.chunks(fragment).flat_map(record).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap()
}
