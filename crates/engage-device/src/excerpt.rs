//! Foreign bytes, made harmless for a terminal and short enough for a line.

use std::fmt::Write as _;

/// The start of `bytes` as text between back-ticks, without control or non-ASCII characters.
///
/// What a host answers is shown to a person: an escape sequence in it must not move the cursor.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    let mut text = String::from("`");
    for character in String::from_utf8_lossy(bytes).chars().take(MAX_CHARS) {
        let _ = match character {
            ' '..='~' => write!(text, "{character}"),
            other => write!(text, "{}", other.escape_default()),
        };
    }
    text.push('`');
    if bytes.len() > MAX_CHARS {
        let _ = write!(text, ".. ({} bytes)", bytes.len());
    }
    text
}

const MAX_CHARS: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_long_texts_cannot_spoil_a_line() {
        assert_eq!(excerpt(b"a\x1b[2J\"b\r\n"), r#"`a\u{1b}[2J"b\r\n`"#);
        assert_eq!(
            excerpt(&[b'x'; 1000]),
            format!("`{}`.. (1000 bytes)", "x".repeat(160))
        );
    }
}
