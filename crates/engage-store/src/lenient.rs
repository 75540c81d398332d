//! JSON as embedded writers make it: padded, cut, in another encoding, nearly JSON.
//!
//! A lock deletes its audits once they are acknowledged, and gives up on what is refused: so
//! whatever can be read is read. What is JSON is kept as it is; what is not is mended as little as
//! possible, and what was mended is said in a note.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::value::RawValue;

use super::body_error::BodyError;
use super::json::{MAX_NUMBER_CHARS, is_finite, is_number};
use super::notes::{Note, Notes};

/// What was read of a body.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// JSON objects and arrays, minified, nearly always one.
    pub(crate) values: Vec<String>,
    pub(crate) notes: Notes,
}

/// Reads a body.
/// Fails where it holds what common parsers do not read, and so no line may hold.
pub(crate) fn mend(body: &[u8]) -> Result<Mended, BodyError> {
    let mut notes = Notes::default();
    let text = decode(body, &mut notes);
    if let Ok(inner) = serde_json::from_str::<String>(text.trim_matches(is_padding))
        && inner.starts_with(['{', '['])
    {
        notes.add(Note::Nested);
        return Mender::new(&inner, notes).run();
    }
    Mender::new(&text, notes).run()
}

/// The text of a body: UTF-8, else UTF-16 by its byte order mark, else UTF-8 with each byte that
/// does not belong there read as ISO 8859-1.
pub(crate) fn decode<'a>(body: &'a [u8], notes: &mut Notes) -> Cow<'a, str> {
    let utf16 = match body {
        [0xff, 0xfe, rest @ ..] => Some((rest, u16::from_le_bytes as fn([u8; 2]) -> u16)),
        [0xfe, 0xff, rest @ ..] => Some((rest, u16::from_be_bytes as fn([u8; 2]) -> u16)),
        _ => None,
    };
    if let Some((rest, from_bytes)) = utf16 {
        notes.add(Note::Utf16);
        let units = rest
            .chunks_exact(2)
            .map(|pair| from_bytes([pair[0], pair[1]]));
        let text = char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}'));
        return Cow::Owned(text.collect());
    }
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    notes.add(Note::Latin1);
    let mut text = String::with_capacity(body.len() + 16);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().copied().map(char::from));
    }
    Cow::Owned(text)
}

struct Mender<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    out: String,
    /// The closing brackets that are due.
    closing: Vec<char>,
    /// A value has just ended, so a comma or a bracket is due.
    is_after_value: bool,
    /// The last place at which everything inside was complete.
    whole: Option<(usize, Vec<char>)>,
    /// Values and names so far.
    values: usize,
    mended: Mended,
}

impl<'a> Mender<'a> {
    fn new(text: &'a str, notes: Notes) -> Self {
        Self {
            text,
            rest: text.char_indices().peekable(),
            out: String::with_capacity(text.len()),
            closing: Vec::new(),
            is_after_value: false,
            whole: None,
            values: 0,
            mended: Mended {
                values: Vec::new(),
                notes,
            },
        }
    }

    fn run(mut self) -> Result<Mended, BodyError> {
        while let Some((at, character)) = self.rest.next() {
            match character {
                ' ' | '\t' | '\r' | '\n' | '\u{feff}' => {}
                '\0' => self.note(Note::Padding),
                '{' => self.open('}')?,
                '[' => self.open(']')?,
                '}' | ']' => self.close(character),
                '"' | '\'' => self.string(character)?,
                ',' => self.comma(),
                ':' => self.colon(),
                character if character.is_control() => self.note(Note::TextAround),
                _ => self.token(at)?,
            }
        }
        if !self.closing.is_empty() {
            self.cut();
        }
        if self.mended.values.len() > 1 {
            self.note(Note::Several);
        }
        Ok(self.mended)
    }

    fn open(&mut self, closing: char) -> Result<(), BodyError> {
        if self.closing.len() >= MAX_NESTING {
            return Err(BodyError::TooDeep);
        }
        self.begin_value()?;
        self.closing.push(closing);
        self.out.push(if closing == '}' { '{' } else { '[' });
        self.is_after_value = false;
        Ok(())
    }

    fn close(&mut self, bracket: char) {
        if self.closing.last() != Some(&bracket) {
            self.note(Note::Bracket);
            if !self.closing.contains(&bracket) {
                return;
            }
        }
        while let Some(due) = self.closing.pop() {
            self.end_members();
            self.out.push(due);
            if due == bracket {
                break;
            }
        }
        self.is_after_value = true;
        if self.closing.is_empty() {
            let value = std::mem::take(&mut self.out);
            self.mended.values.push(value);
            self.is_after_value = false;
            self.whole = None;
        } else {
            self.whole = Some((self.out.len(), self.closing.clone()));
        }
    }

    fn string(&mut self, quote: char) -> Result<(), BodyError> {
        if self.closing.is_empty() {
            self.note(Note::TextAround);
            return Ok(());
        }
        if quote == '\'' {
            self.note(Note::Token);
        }
        self.begin_value()?;
        self.out.push('"');
        while let Some((_, character)) = self.rest.next() {
            match character {
                _ if character == quote => {
                    self.out.push('"');
                    self.is_after_value = true;
                    return Ok(());
                }
                '\\' => self.escape(),
                '"' => self.out.push_str("\\\""),
                '\u{0}'..='\u{1f}' => {
                    self.note(Note::Control);
                    // Writing to a string cannot fail.
                    let _ = write!(self.out, "\\u{:04x}", character as u32);
                }
                character => self.out.push(character),
            }
        }
        // The end of the text: cut back to what is whole.
        Ok(())
    }

    /// After a backslash.
    fn escape(&mut self) {
        let length = match self.rest.peek() {
            Some((_, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => 1,
            Some((at, 'u')) => unicode_escape_length(&self.text[*at..]),
            _ => 0,
        };
        if length == 0 {
            self.note(Note::InString);
            self.out.push('\\');
        }
        self.out.push('\\');
        let escaped = self.rest.by_ref().take(length);
        self.out.extend(escaped.map(|(_, character)| character));
    }

    fn comma(&mut self) {
        if self.out.ends_with(':') {
            self.end_members();
            self.is_after_value = true;
        }
        if self.is_after_value {
            self.out.push(',');
            self.is_after_value = false;
        } else if !self.closing.is_empty() {
            self.note(Note::Comma);
        }
    }

    fn colon(&mut self) {
        if !self.closing.is_empty() {
            self.out.push(':');
            self.is_after_value = false;
        }
    }

    /// A number, `true`, `false`, `null`, or something that JSON does not know.
    fn token(&mut self, start: usize) -> Result<(), BodyError> {
        let mut end = self.text.len();
        while let Some((at, character)) = self.rest.peek() {
            if character.is_ascii_whitespace()
                || character.is_control()
                || matches!(character, '{' | '}' | '[' | ']' | '"' | ',' | ':')
            {
                end = *at;
                break;
            }
            self.rest.next();
        }
        if self.closing.is_empty() {
            self.note(Note::TextAround);
            return Ok(());
        }
        if end == self.text.len() {
            // It may go on where the body was cut.
            return Ok(());
        }
        self.begin_value()?;
        let token = &self.text[start..end];
        if is_common_json(token)? {
            self.out.push_str(token);
        } else {
            self.note(Note::Token);
            self.out.push_str(&serde_json::json!(token).to_string());
        }
        self.is_after_value = true;
        Ok(())
    }

    fn begin_value(&mut self) -> Result<(), BodyError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(BodyError::TooManyValues);
        }
        if self.is_after_value {
            self.note(Note::Comma);
            self.out.push(',');
        }
        Ok(())
    }

    /// Before a closing bracket: a trailing comma goes, a name without a value has none.
    fn end_members(&mut self) {
        if self.out.ends_with(',') {
            self.out.pop();
        } else if self.out.ends_with(':') {
            self.note(Note::Token);
            self.out.push_str("null");
        }
    }

    /// The text has ended within a value: what is whole of it is kept.
    fn cut(&mut self) {
        self.note(Note::Cut);
        if let Some((length, closing)) = self.whole.take() {
            self.out.truncate(length);
            self.out.extend(closing.into_iter().rev());
            self.mended.values.push(std::mem::take(&mut self.out));
        }
    }

    fn note(&mut self, note: Note) {
        self.mended.notes.add(note);
    }
}

/// The characters of `u00fc`, or of a whole pair such as `ud83d\\ude00`; 0 for what names no character:
/// half a pair is refused by some parsers, and replaced by others.
fn unicode_escape_length(text: &str) -> usize {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let is_pair = text.get(5..7) == Some("\\u") && matches!(unit(7), Some(0xDC00..=0xDFFF));
    match unit(1) {
        Some(0xD800..=0xDBFF) if is_pair => 11,
        Some(0xD800..=0xDFFF) | None => 0,
        Some(_) => 5,
    }
}

/// Whether it is JSON as it stands, and such that every parser reads it.
fn is_common_json(token: &str) -> Result<bool, BodyError> {
    if serde_json::from_str::<&RawValue>(token).is_err() {
        return Ok(false);
    }
    if is_number(token) && token.len() > MAX_NUMBER_CHARS {
        return Err(BodyError::LongNumber(token.len()));
    }
    Ok(!is_number(token) || is_finite(token))
}

fn is_padding(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\0' | '\u{feff}')
}

/// Stored lines wrap it twice, and the webhook once more: well under 64, the least that common
/// parsers read.
pub(crate) const MAX_NESTING: usize = 32;

/// Values and names of members in a body, each of which costs whoever reads it some 50 bytes and 100
/// nanoseconds, however short it is: events of four members, ten thousand of them, have 90,000.
pub(crate) const MAX_VALUES: usize = 100_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mended(body: impl AsRef<[u8]>) -> (Vec<String>, String) {
        let Mended { values, notes } = mend(body.as_ref()).unwrap();
        (values, notes.to_string())
    }

    #[test]
    fn what_is_json_stays_as_it_is() {
        for (body, expected) in [
            ("{\"a\" : [1.50, 1e2 ,true] }\n", r#"{"a":[1.50,1e2,true]}"#),
            ("\u{feff}{\"a\":1,}", r#"{"a":1}"#),
            (r#"{"a\u00e9\"}":"{[,\\"}"#, r#"{"a\u00e9\"}":"{[,\\"}"#),
            ("[1,]", "[1]"),
        ] {
            assert_eq!(mended(body), (vec![expected.to_owned()], String::new()));
        }
    }

    #[test]
    fn what_is_nearly_json_is_mended_and_noted() {
        for (body, expected, note) in [
            (&b"{\"a\":1}\0\0"[..], r#"{"a":1}"#, "NUL"),
            (b"\0\0{\"a\":1}\r\n", r#"{"a":1}"#, "NUL"),
            (b")]}',\n{\"a\":1}", r#"{"a":1}"#, "left out"),
            (b"json={\"a\":1}", r#"{"a":1}"#, "before or after"),
            (b"{\"a\":1}OK\r\n", r#"{"a":1}"#, "before or after"),
            (b"{\"a\":\"T\xfcr\"}", "{\"a\":\"T\u{fc}r\"}", "ISO 8859-1"),
            (b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0", r#"{"a":1}"#, "UTF-16"),
            (
                br#""{\"a\":\"b\"}""#,
                r#"{"a":"b"}"#,
                "inside a JSON string",
            ),
            (
                b"{\"a\":\"x\x01\n\"}",
                r#"{"a":"x\u0001\u000a"}"#,
                "control",
            ),
            (
                br#"{"a":"C:\doors\u12"}"#,
                r#"{"a":"C:\\doors\\u12"}"#,
                "backslashes",
            ),
            (
                b"{\"a\":NaN,\"b\":-inf}",
                r#"{"a":"NaN","b":"-inf"}"#,
                "quoted",
            ),
            (
                b"{\"a\":06010002,\"b\":0x1F}",
                r#"{"a":"06010002","b":"0x1F"}"#,
                "quoted",
            ),
            (b"{a:'b\"c'}", r#"{"a":"b\"c"}"#, "quoted"),
            (b"{\"a\":,\"b\":}", r#"{"a":null,"b":null}"#, "quoted"),
            (
                b"{\"a\":1 \"b\":[1 2,,3]}",
                r#"{"a":1,"b":[1,2,3]}"#,
                "commas",
            ),
            (b"{\"a\":[{\"b\":1},}", r#"{"a":[{"b":1}]}"#, "brackets"),
            (b"{\"a\":1}}", r#"{"a":1}"#, "brackets"),
            (
                b"{\"a\":[{\"b\":1},{\"b\":2",
                r#"{"a":[{"b":1}]}"#,
                "ended early",
            ),
        ] {
            let (values, notes) = mended(body);
            let body = String::from_utf8_lossy(body);
            assert_eq!(values, [expected], "{body}");
            assert!(notes.contains(note), "{body}: {notes}");
        }
    }

    #[test]
    fn of_a_value_that_was_cut_nothing_is_guessed() {
        for body in [
            "{\"event\":\"0B04",
            "{\"event\":1",
            "{\"a\":[",
            "{",
            "{\"event\":tru",
        ] {
            assert_eq!(mended(body).0, Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn several_values_are_all_read() {
        let (values, notes) = mended("{\"a\":1}\n{\"b\":2}");
        assert_eq!(values, [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert!(notes.contains("several"), "{notes}");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(mend(nested(MAX_NESTING).as_bytes()).is_ok());
        assert_eq!(
            mend(nested(MAX_NESTING + 1).as_bytes()).err(),
            Some(BodyError::TooDeep)
        );
    }

    #[test]
    fn a_body_has_a_bounded_number_of_values_whatever_their_shape() {
        for (value, values) in [
            ("0,", 1),
            ("[],", 1),
            ("\"\",", 1),
            ("{},", 1),
            ("{\"\":0}", 3),
        ] {
            let body = |count: usize| format!("[{}", value.repeat(count / values));
            let (most, more) = (body(MAX_VALUES - 1), body(MAX_VALUES + 2));
            assert!(mend(most.as_bytes()).is_ok(), "{value}");
            let refused = mend(more.as_bytes()).unwrap_err();
            assert_eq!(refused, BodyError::TooManyValues, "{value}");
        }
    }

    #[test]
    fn numbers_that_some_parsers_do_not_read_are_refused_or_kept_as_strings() {
        let number = |digits: usize| format!("[{},1]", "7".repeat(digits));
        assert_eq!(
            mended(number(MAX_NUMBER_CHARS)),
            (vec![number(MAX_NUMBER_CHARS)], String::new())
        );
        assert_eq!(
            mend(number(MAX_NUMBER_CHARS + 1).as_bytes()).err(),
            Some(BodyError::LongNumber(MAX_NUMBER_CHARS + 1))
        );
        let (values, notes) = mended("[1e999,-1e999,1e308,1e-999,NaN,Infinity,-Infinity]");
        assert_eq!(
            values,
            [r#"["1e999","-1e999",1e308,1e-999,"NaN","Infinity","-Infinity"]"#]
        );
        assert!(notes.contains("quoted"), "{notes}");
    }

    #[test]
    fn half_a_surrogate_pair_is_no_escape_and_a_whole_one_is() {
        let whole = r#"["\ud83d\ude00\u00fc"]"#;
        assert_eq!(mended(whole), (vec![whole.to_owned()], String::new()));
        for (body, expected) in [
            (r#"["\ud83d"]"#, r#"["\\ud83d"]"#),
            (r#"["\ude00\ud83d"]"#, r#"["\\ude00\\ud83d"]"#),
            (r#"["\ud83d\u0041"]"#, r#"["\\ud83d\u0041"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\\ud83d\ud83d\ude00"]"#),
        ] {
            let (values, notes) = mended(body);
            assert_eq!(values, [expected], "{body}");
            assert!(notes.contains("backslashes"), "{notes}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_only_minified(keys: Vec<String>, number: f64) {
            let value: serde_json::Value =
                keys.iter().map(|key| (key.clone(), serde_json::json!([key, number, {}]))).collect();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(mended(pretty), (vec![value.to_string()], String::new()));
        }

        #[test]
        fn no_body_makes_it_panic(body: Vec<u8>, text in "[{}\\[\\]\"',:\\\\a1 \u{0}]*") {
            for body in [&body[..], text.as_bytes()] {
                let _ = mend(body);
            }
        }
    }
}
