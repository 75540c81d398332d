use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::TextEncoding;

const COUNTING: [u8; 32] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    27, 28, 29, 30, 31, 32,
];

#[test]
fn the_published_example_key_is_the_bytes_1_to_32_in_every_form() {
    let hex = hex(&COUNTING);
    for form in [
        b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=".as_slice(),
        b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\r\n",
        b"\xef\xbb\xbfAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        hex.as_bytes(),
        hex.to_uppercase().as_bytes(),
        &COUNTING,
    ] {
        assert_eq!(SiteKey::parse(form).unwrap().0, COUNTING);
    }
}

#[test]
fn keys_are_recognised_inside_other_text() {
    for text in [
        "key_file = \"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"",
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        "x=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        "private_key = \"pki/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"",
        &format!("[site]\nkey = '{}'", hex(&COUNTING)),
        &format!(
            "name = '{} {}'",
            &hex(&COUNTING)[..32],
            &hex(&COUNTING)[32..]
        ),
    ] {
        assert!(SiteKey::is_written_in(text), "{text}");
    }
    for text in [
        "key_file = \"pki/site.key\"",
        "static_dir = \"/opt/company/accesscontrol/installations/engagehost/static\"",
    ] {
        assert!(!SiteKey::is_written_in(text), "{text}");
    }
}

#[test]
fn other_lengths_and_alphabets_are_refused() {
    let refused = |contents: &[u8]| SiteKey::parse(contents).unwrap_err();
    assert_eq!(refused(b" \n"), KeyTextError::Empty);
    assert_eq!(refused(&[b'a'; 63]), KeyTextError::Length(63));
    assert_eq!(refused(&[b'g'; 64]), KeyTextError::Hex(1));
    assert_eq!(
        refused(b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy-_"),
        KeyTextError::Base64
    );
    // 44 characters of Base64, but of 33 bytes.
    assert_eq!(refused(&[b'A'; 44]), KeyTextError::Base64);
}

#[test]
fn the_commonest_slips_are_named() {
    let refused = |contents: &[u8]| SiteKey::parse(contents).unwrap_err();
    let raw: Vec<u8> = (200..232).collect();
    for end in [&b"\n"[..], b"\r\n"] {
        let with_end = [&raw, end].concat();
        assert_eq!(refused(&with_end), KeyTextError::RawWithLineEnd);
    }
    let utf16: Vec<u8> = hex(&COUNTING).bytes().flat_map(|byte| [byte, 0]).collect();
    assert_eq!(refused(&utf16), KeyTextError::Utf16);
    assert_eq!(
        refused(&[b"\xff\xfe", &utf16[1..]].concat()),
        KeyTextError::NotText(TextError::HalfUnit { offset: 128 })
    );
    let digits = hex(&COUNTING);
    let wrapped = format!("{}\n{}\n", &digits[..60], &digits[60..]);
    let wrapped = refused(wrapped.as_bytes());
    assert_eq!(wrapped, KeyTextError::InnerWhitespace(60));
    let half = refused(format!("{}\n", &digits[..32]).as_bytes());
    assert_eq!(half, KeyTextError::HalfHex);
    let unpadded = refused(&STANDARD.encode(COUNTING).as_bytes()[..43]);
    assert_eq!(unpadded, KeyTextError::NoPadding);
}

#[test]
fn placeholders_are_recognised() {
    let placeholder = |bytes: [u8; 32]| SiteKey::from_bytes(bytes).placeholder();
    assert!(placeholder([0; 32]).is_some());
    assert!(placeholder([0xff; 32]).is_some());
    assert!(placeholder(COUNTING).is_some());
    let published = b"ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=";
    assert!(SiteKey::parse(published).unwrap().placeholder().is_some());
    assert_eq!(placeholder(*b"-one random key of 32 bytes here"), None);
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

proptest! {
    #[test]
    fn every_form_of_a_key_gives_the_same_key_in_every_encoding(bytes: [u8; 32]) {
        for text in [hex(&bytes), STANDARD.encode(bytes)] {
            for line_end in ["", "\n", "\r\n"] {
                let line = format!("{text}{line_end}");
                for encoding in TextEncoding::ALL {
                    let file = encoding.encode(line.as_bytes());
                    prop_assert_eq!(SiteKey::parse(&file).unwrap().0, bytes);
                }
            }
        }
        prop_assert_eq!(SiteKey::parse(&bytes).unwrap().0, bytes);
    }

    #[test]
    fn raw_bytes_that_begin_as_utf_16_does_are_the_key(rest: [u8; 30]) {
        for mark in [b"\xff\xfe", b"\xfe\xff"] {
            let raw = [&mark[..], &rest].concat();
            prop_assert_eq!(&SiteKey::parse(&raw).unwrap().0[..], &raw[..]);
            let with_end = [&raw[..], b"\n"].concat();
            prop_assert_eq!(SiteKey::parse(&with_end).unwrap_err(), KeyTextError::RawWithLineEnd);
        }
    }

    #[test]
    fn no_contents_make_it_panic(contents: Vec<u8>) {
        let _ = SiteKey::parse(&contents);
    }
}
