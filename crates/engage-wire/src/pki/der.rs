//! Whether bytes are DER, and not merely something that a lenient parser can read.
//!
//! OpenSSL and strict embedded stacks refuse certificates that break these rules, and no tool that
//! shows certificates says so.

use std::ops::ControlFlow;

/// The first rule of X.690 or RFC 5280 section 4.1 that an element of `der` breaks.
pub(super) fn defect(der: &[u8]) -> Option<&'static str> {
    match walk(der, 0) {
        ControlFlow::Break(defect) => Some(defect),
        ControlFlow::Continue(()) => None,
    }
}

fn walk(mut rest: &[u8], depth: usize) -> ControlFlow<&'static str> {
    if depth > MAX_DEPTH {
        return ControlFlow::Break("it is nested too deeply");
    }
    while !rest.is_empty() {
        let (tag, content, after) = element(rest)?;
        if tag & CONSTRUCTED != 0 {
            walk(content, depth + 1)?;
        } else if let Some(defect) = primitive_defect(tag, content) {
            return ControlFlow::Break(defect);
        }
        rest = after;
    }
    ControlFlow::Continue(())
}

/// Tag, content and what follows (X.690 sections 8.1 and 10.1).
fn element(bytes: &[u8]) -> ControlFlow<&'static str, (u8, &[u8], &[u8])> {
    const CUT: &str = "an element is cut";
    let [tag, first, rest @ ..] = bytes else {
        return ControlFlow::Break(CUT);
    };
    if tag & 0x1f == 0x1f {
        return ControlFlow::Break("a tag has more than one byte");
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let Some((length, rest)) = rest.split_at_checked(usize::from(first & 0x7f)) else {
                return ControlFlow::Break(CUT);
            };
            let value = length
                .iter()
                .fold(0, |value, byte| value << 8 | usize::from(*byte));
            if value < 0x80 || length[0] == 0 {
                return ControlFlow::Break("a length is written with more bytes than it needs");
            }
            (value, rest)
        }
        _ => return ControlFlow::Break("a length is indefinite"),
    };
    match rest.split_at_checked(length) {
        Some((content, after)) => ControlFlow::Continue((*tag, content, after)),
        None => ControlFlow::Break(CUT),
    }
}

fn primitive_defect(tag: u8, content: &[u8]) -> Option<&'static str> {
    match tag {
        BOOLEAN if !matches!(content, [0x00 | 0xff]) => Some("a BOOLEAN is neither 00 nor FF"),
        INTEGER => integer_defect(content),
        BIT_STRING => bit_string_defect(content),
        NULL if !content.is_empty() => Some("a NULL is not empty"),
        OBJECT_IDENTIFIER if content.last().is_none_or(|last| *last >= 0x80) => {
            Some("an OBJECT IDENTIFIER is cut")
        }
        UTF8_STRING if str::from_utf8(content).is_err() => Some("a UTF8String is not UTF-8"),
        BMP_STRING if !content.len().is_multiple_of(2) => Some("a BMPString has half a character"),
        UTC_TIME if !is_time(content, 12) => {
            Some("a UTCTime is not YYMMDDHHMMSSZ (RFC 5280 section 4.1.2.5.1)")
        }
        GENERALIZED_TIME if !is_time(content, 14) => {
            Some("a GeneralizedTime is not YYYYMMDDHHMMSSZ (RFC 5280 section 4.1.2.5.2)")
        }
        _ => None,
    }
}

fn integer_defect(content: &[u8]) -> Option<&'static str> {
    match content {
        [] => Some("an INTEGER is empty"),
        [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => {
            Some("an INTEGER is written with more bytes than it needs")
        }
        _ => None,
    }
}

fn bit_string_defect(content: &[u8]) -> Option<&'static str> {
    match content {
        [] => Some("a BIT STRING is empty"),
        [0, ..] => None,
        [unused @ 1..=7, .., last] if last.trailing_zeros() >= u32::from(*unused) => None,
        _ => Some("a BIT STRING has unused bits that are not zero"),
    }
}

fn is_time(content: &[u8], digits: usize) -> bool {
    content
        .strip_suffix(b"Z")
        .is_some_and(|time| time.len() == digits && time.iter().all(u8::is_ascii_digit))
}

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const NULL: u8 = 5;
const OBJECT_IDENTIFIER: u8 = 6;
const UTF8_STRING: u8 = 12;
const UTC_TIME: u8 = 23;
const GENERALIZED_TIME: u8 = 24;
const BMP_STRING: u8 = 30;
const CONSTRUCTED: u8 = 0x20;

/// Deeper than any certificate, shallower than the stack.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_ber_and_not_der_is_found() {
        for bytes in [
            &b"\x01\x01\x01"[..],
            b"\x02\x00",
            b"\x02\x02\x00\x7f",
            b"\x02\x02\xff\x80",
            b"\x02\x81\x01\x05",
            b"\x03\x02\x04\x01",
            b"\x05\x01\x00",
            b"\x06\x01\x80",
            b"\x0c\x01\xff",
            b"\x17\x0b2501010000Z",
            b"\x17\x112501010000+0100",
            b"\x30\x80\x00\x00",
            b"\x30\x03\x02\x01",
            b"\x30\x04\x02\x02\x00\x01",
        ] {
            assert!(defect(bytes).is_some(), "{bytes:x?}");
        }
        let sound = b"\x30\x1a\x01\x01\xff\x02\x02\x00\x80\x03\x02\x04\xf0\x17\x0d250101000000Z";
        assert_eq!(defect(sound), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = defect(&bytes);
        }
    }
}
