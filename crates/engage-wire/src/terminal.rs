//! Foreign text, made harmless for a terminal and for the line that it stands on.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The same text with everything that cannot be seen as Rust's escapes: control characters, line
/// separators, spaces that are none, and marks that turn the direction of writing.
pub fn escape_for_terminal(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        push_escaped(&mut escaped, character);
    }
    Cow::Owned(escaped)
}

/// JSON that says the same, with what cannot be seen as its own escapes (RFC 8259 section 7), in names
/// and values. Line breaks and tabs stay: in JSON they stand between tokens only.
pub fn escape_json_for_terminal(json: &str) -> Cow<'_, str> {
    let stays = |character| matches!(character, '\n' | '\r' | '\t') || is_visible(character);
    if json.chars().all(stays) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if stays(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

/// The start of `bytes` as text between back-ticks, with what cannot be seen as escapes.
///
/// What a peer sends is shown to a person: it must neither move the cursor nor end our quotes.
pub fn excerpt(bytes: &[u8]) -> String {
    let mut text = format!("`{}`", escape_bytes(bytes, MAX_EXCERPT_CHARS));
    if bytes.len() > MAX_EXCERPT_CHARS {
        let _ = write!(text, ".. ({} bytes)", bytes.len());
    }
    text
}

/// The first `max_chars` characters of `bytes`, to stand between back-ticks.
pub fn escape_bytes(bytes: &[u8], max_chars: usize) -> String {
    // No character has more than four bytes: the rest need not be decoded.
    let start = &bytes[..bytes.len().min(4 * max_chars)];
    let mut text = String::new();
    for character in String::from_utf8_lossy(start).chars().take(max_chars) {
        match character {
            '`' => text.push('\''),
            character => push_escaped(&mut text, character),
        }
    }
    text
}

fn push_escaped(text: &mut String, character: char) {
    if is_visible(character) {
        text.push(character);
    } else {
        let _ = write!(text, "{}", character.escape_debug());
    }
}

/// The standard library knows which characters print; quotes and `\` it escapes for its own sake.
fn is_visible(character: char) -> bool {
    matches!(character, ' '..='~') || character.escape_debug().len() == 1
}

const MAX_EXCERPT_CHARS: usize = 160;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_and_the_rest_is_not() {
        for (text, escaped) in [
            ("Tür 1 \"\\'", "Tür 1 \"\\'"),
            ("a\x1b[2J\u{9b}b", r"a\u{1b}[2J\u{9b}b"),
            (
                "\u{202e}\u{2028}\u{200f}\u{ad}\r\n",
                r"\u{202e}\u{2028}\u{200f}\u{ad}\r\n",
            ),
        ] {
            assert_eq!(escape_for_terminal(text), escaped);
        }
    }

    #[test]
    fn escape_sequences_and_long_texts_cannot_spoil_a_line() {
        assert_eq!(excerpt(b"a\x1b[2J\"b`\r\n"), r#"`a\u{1b}[2J"b'\r\n`"#);
        assert_eq!(
            excerpt(&[b'x'; 1000]),
            format!("`{}`.. (1000 bytes)", "x".repeat(160))
        );
    }

    proptest! {
        #[test]
        fn json_says_the_same_and_moves_no_cursor(name: String, value: String) {
            let json = serde_json::json!({ name: value });
            let text = json.to_string();
            let shown = escape_json_for_terminal(&text);
            prop_assert!(shown.chars().all(is_visible), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
        }

        #[test]
        fn no_text_moves_the_cursor(text in any::<String>(), bytes: Vec<u8>) {
            for shown in [escape_for_terminal(&text).into_owned(), excerpt(&bytes)] {
                prop_assert!(!shown.chars().any(char::is_control), "{shown:?}");
            }
        }
    }
}
