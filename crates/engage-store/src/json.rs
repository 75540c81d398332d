//! JSON as devices send it, one level at a time, with everything kept as it was written.
//!
//! `serde_json::Value` would sort or merge members and rewrite numbers. What devices send is kept
//! as it arrived, and what integrators drop is served verbatim (PROTOCOL.md sections 3 and 4), so
//! members are a list in the order of the text and each value stays the text that it was.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object's members, in the order of the text, repeated names included.
#[derive(Debug)]
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads text that [`minified`] made.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The first member of this name, of any case: devices and tables disagree on case.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.members()
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Object { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed unless it holds escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The elements of an array; `None` for anything else.
pub(super) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// The text of a string, or the digits of a number: the tables and the examples of the wire
/// contract disagree on which it is (PROTOCOL.md section 4).
pub(super) fn text_or_number(value: &RawValue) -> Option<Cow<'_, str>> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<Name<'_>>(value.get())
            .ok()
            .map(|Name(text)| text),
        b'0'..=b'9' | b'-' => Some(Cow::Borrowed(value.get())),
        _ => None,
    }
}

/// Whether a JSON value is a number, by its beginning.
pub(super) fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Whether a number has a value for parsers that read it as binary64: `1e999` has none.
pub(super) fn is_finite(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The same JSON without white space, commas before a closing bracket, or a byte order mark.
///
/// Looks only at strings and brackets: whether the result is JSON is for the parser to say.
pub(super) fn minified(text: &str) -> String {
    let mut small = String::with_capacity(text.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for character in text.trim_start_matches('\u{feff}').chars() {
        if in_string {
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else {
            match character {
                ' ' | '\t' | '\r' | '\n' => continue,
                '}' | ']' if small.ends_with(',') => {
                    small.pop();
                }
                '"' => in_string = true,
                _ => {}
            }
        }
        small.push(character);
    }
    small
}

/// Longer than any that means something, and well under what common parsers read: Jackson 1,000
/// characters, Python 4,300 digits.
pub(super) const MAX_NUMBER_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trailing_comma_and_white_space_go_and_strings_stay() {
        let text = "\u{feff}{ \"a b\" : [1, 2 ,], \"c\\\", }\" : \" , } \" , }\n";
        assert_eq!(minified(text), r#"{"a b":[1,2],"c\", }":" , } "}"#);
    }

    #[test]
    fn order_repetition_and_the_spelling_of_numbers_are_kept() {
        let object = Object::parse(r#"{"z":1.50,"a":1e2,"z":12345678901234567890123}"#).unwrap();
        let members: Vec<_> = object.members().map(|(name, v)| (name, v.get())).collect();
        assert_eq!(
            members,
            [
                ("z", "1.50"),
                ("a", "1e2"),
                ("z", "12345678901234567890123")
            ]
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for text in ["", "[]", "1", "null", "\"a\"", "{", "{}x", "{\"a\"}"] {
            assert!(Object::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn minifying_changes_nothing_but_the_spelling(keys: Vec<String>, number: f64) {
            let value: serde_json::Value =
                keys.iter().map(|key| (key.clone(), serde_json::json!([key, number, {}]))).collect();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(minified(&pretty), value.to_string());
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let small = minified(&text);
            let _ = Object::parse(&small);
        }
    }
}
