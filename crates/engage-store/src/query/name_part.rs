//! What the name of a door contains.

use std::fmt;
use std::str::FromStr;

use super::SerialPrefix;

/// A part of the name of a door, of any case: 1 to 100 characters, none of them a control character.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamePart(String);

/// Text that no name of a door contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("allowed: 1 to 100 characters without control characters")]
pub struct InvalidNamePart;

impl NamePart {
    /// For `LIKE .. ESCAPE '!'`: no letter of it is a wildcard.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.0.len() + 2);
        pattern.push('%');
        for character in name_key(&self.0).chars() {
            if matches!(character, '%' | '_' | '!') {
                pattern.push('!');
            }
            pattern.push(character);
        }
        pattern.push('%');
        pattern
    }

    /// Where it may be the beginning of a serial number.
    pub(crate) fn serial(&self) -> Option<SerialPrefix> {
        self.0.parse().ok()
    }
}

/// A name as it is searched and sorted by.
pub(crate) fn name_key(name: &str) -> String {
    name.to_lowercase().replace('\0', "\u{fffd}")
}

impl FromStr for NamePart {
    type Err = InvalidNamePart;

    fn from_str(text: &str) -> Result<Self, InvalidNamePart> {
        let is_plain = !text.chars().any(char::is_control);
        if is_plain && (1..=MAX_CHARS).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNamePart)
        }
    }
}

impl fmt::Display for NamePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As long as a name is kept.
const MAX_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_letters_and_case_is_no_matter() {
        let part: NamePart = "50%_Türe!".parse().unwrap();
        assert_eq!(part.pattern(), "%50!%!_türe!!%");
        assert_eq!(part.to_string(), "50%_Türe!");
        assert_eq!(part.serial(), None);
        let serial = "01ab".parse::<NamePart>().unwrap().serial();
        assert_eq!(serial.unwrap().to_string(), "01AB");
        for text in ["", "a\nb", &"x".repeat(101)] {
            assert_eq!(text.parse::<NamePart>(), Err(InvalidNamePart), "{text}");
        }
    }
}
