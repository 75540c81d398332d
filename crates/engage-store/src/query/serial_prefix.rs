//! The beginning of serial numbers.

use std::fmt;
use std::str::FromStr;

/// How serial numbers begin: 1 to 32 hexadecimal digits, displayed in upper case as they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SerialPrefix(String);

/// Text that no serial number begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("allowed: 1 to 32 hexadecimal digits, of any case")]
pub struct InvalidSerialPrefix;

impl FromStr for SerialPrefix {
    type Err = InvalidSerialPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidSerialPrefix> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && (1..=32).contains(&text.len()) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(InvalidSerialPrefix)
        }
    }
}

impl fmt::Display for SerialPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_any_case_are_read_and_wildcards_are_refused() {
        let read = |text: &str| text.parse::<SerialPrefix>().map(|it| it.to_string());
        assert_eq!(read("01ab"), Ok("01AB".to_owned()));
        for text in ["", "%", "01_", "addr-", &"0".repeat(33)] {
            assert_eq!(read(text), Err(InvalidSerialPrefix), "{text}");
        }
    }
}
