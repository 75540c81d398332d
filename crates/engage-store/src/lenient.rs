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
use super::upload_limits::{MAX_NESTING, MAX_VALUES};

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

#[cfg(test)]
mod tests;
