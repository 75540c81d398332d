//! The version stamp of a device's database.

use std::fmt;

use sha2::{Digest, Sha256};

/// A device's last `nxtDbVerTS`. Displayed as "0x" and 16 hexadecimal digits.
///
/// Opaque to devices. They send it in any case, and with 15 digits in Allegion's examples, which
/// is what printing a number without its leading zero makes of 16: compared as a number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DbVersion(u64);

impl DbVersion {
    /// "Send everything": what a device that has no database sends.
    pub const NONE: Self = Self(0);

    /// Reads "0x" and up to 16 hexadecimal digits, or `0`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::NONE);
        }
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))?;
        // `from_str_radix` would take a sign for a digit.
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        ((1..=16).contains(&digits.len()) && is_hex)
            .then(|| u64::from_str_radix(digits, 16).ok().map(Self))?
    }

    /// The stamp of a database's content: the same for the same bytes, and never
    /// [`NONE`](Self::NONE).
    ///
    /// The first of the 16 digits is 0, so a device that keeps 15 keeps all that matters.
    pub(crate) fn from_content(content: &[u8]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(content)[..8]);
        Self((u64::from_be_bytes(first) >> 4).max(1))
    }
}

impl fmt::Display for DbVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fifteen_and_sixteen_digits_of_any_case_are_the_same_stamp() {
        let stamp = DbVersion::parse("0x8d1a1399bddb51d");
        assert!(stamp.is_some());
        assert_eq!(stamp, DbVersion::parse("0x08D1A1399BDDB51D"));
        assert_eq!(stamp, DbVersion::parse("0X08d1a1399bddb51d"));
        assert_eq!(DbVersion::parse("0"), Some(DbVersion::NONE));
        assert_eq!(DbVersion::parse("0x0"), Some(DbVersion::NONE));
    }

    #[test]
    fn other_texts_are_no_stamp() {
        for text in [
            "",
            "0x",
            "1",
            "0x12345678901234567",
            "0x+1",
            "8d1a1399bddb51d",
            "0xg",
        ] {
            assert_eq!(DbVersion::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_stamp_of_content_survives_a_device_that_drops_the_leading_zero(content: Vec<u8>) {
            let stamp = DbVersion::from_content(&content);
            let text = stamp.to_string();
            prop_assert_eq!(text.len(), 18);
            prop_assert_ne!(stamp, DbVersion::NONE);
            prop_assert_eq!(DbVersion::parse(&text), Some(stamp));
            prop_assert_eq!(DbVersion::parse(&text.replacen("0x0", "0x", 1)), Some(stamp));
        }
    }
}
