//! Device serial numbers.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use percent_encoding::percent_decode_str;

/// A device's serial number: 8 bytes (short) or 16 bytes (long). Displayed as upper-case hex.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SerialNumber {
    bytes: [u8; 16],
    length: usize,
}

impl SerialNumber {
    /// Finds the serial number in a request's query.
    ///
    /// The parameter's name is not public, so those in use are all accepted; a value that cannot
    /// be read is as good as none (PROTOCOL.md section 1: never fail on a parameter).
    pub fn from_query(query: &str) -> Option<Self> {
        query.split('&').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            PARAMETER_NAMES
                .contains(&name)
                .then(|| Self::parse(value))?
        })
    }

    /// Reads Base64 of the bytes, Base64 of their hexadecimal text, or that text itself.
    ///
    /// "SN parameter is Base64 encoded" does not say of what. A `+` that was not percent-encoded
    /// arrives as such.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let text = Cow::from(percent_decode_str(text));
        Self::from_hex(&text).or_else(|| {
            let bytes = LENIENT_BASE64.decode(&text).ok()?;
            Self::from_hex(&bytes).or_else(|| Self::from_bytes(&bytes))
        })
    }

    /// Reads the user name of HTTP Basic credentials: hexadecimal digits, or padded Base64 of the
    /// bytes.
    ///
    /// Stricter than [`parse`](Self::parse): a person's user name of eleven letters is Base64 of
    /// eight bytes too, and must not become a device.
    pub fn from_user_name(name: &str) -> Option<Self> {
        Self::from_hex(name.as_bytes())
            .or_else(|| name.ends_with('=').then(|| Self::parse(name)).flatten())
    }

    /// Reads 16 or 32 hexadecimal digits, of any case.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        Self::from_bytes(&HEXLOWER_PERMISSIVE.decode(text).ok()?)
    }

    fn from_bytes(serial: &[u8]) -> Option<Self> {
        if !matches!(serial.len(), 8 | 16) {
            return None;
        }
        let mut bytes = [0; 16];
        bytes[..serial.len()].copy_from_slice(serial);
        Some(Self {
            bytes,
            length: serial.len(),
        })
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXUPPER.encode(&self.bytes[..self.length]))
    }
}

const PARAMETER_NAMES: [&str; 4] = ["sn", "SN", "serialNumber", "serialnumber"];

/// Base64 of 32 hexadecimal digits has 44 characters; percent-encoding adds a few.
const MAX_TEXT: usize = 64;

const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_serial_number_is_the_same() {
        for query in [
            "sn=ASNFZ4mrze8=",
            "SN=ASNFZ4mrze8%3D",
            "other=1&serialNumber=ASNFZ4mrze8",
            "serialnumber=0123456789abcdef",
            "sn=MDEyMzQ1Njc4OUFCQ0RFRg==",
        ] {
            let serial = SerialNumber::from_query(query).map(|serial| serial.to_string());
            assert_eq!(serial.as_deref(), Some("0123456789ABCDEF"), "{query}");
        }
    }

    #[test]
    fn a_user_name_is_a_serial_number_only_in_hex_or_padded_base64() {
        for name in ["0123456789abcdef", "0123456789ABCDEF", "ASNFZ4mrze8="] {
            let serial = SerialNumber::from_user_name(name).map(|serial| serial.to_string());
            assert_eq!(serial.as_deref(), Some("0123456789ABCDEF"), "{name}");
        }
        for name in ["", "swordfishes", "ASNFZ4mrze8", "admin"] {
            assert_eq!(SerialNumber::from_user_name(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_serial_number_is_none() {
        for query in [
            "",
            "sn",
            "sn=",
            "sn=AAAA",
            "sn=%00%00",
            "name=ASNFZ4mrze8=",
            "sn=+1+2+3+4+5+6+7+8",
        ] {
            assert_eq!(SerialNumber::from_query(query), None, "{query}");
        }
    }
}
