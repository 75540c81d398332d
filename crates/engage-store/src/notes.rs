//! What had to be mended to read a body.

use std::collections::BTreeSet;
use std::fmt;

/// What had to be mended. Displayed as one sentence after the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Notes(BTreeSet<Note>);

/// The order is that in which they are told.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Note {
    Latin1,
    Utf16,
    Padding,
    TextAround,
    InString,
    Nested,
    Several,
    Control,
    Token,
    Comma,
    Bracket,
    Cut,
    OnlyEvents,
    LongMembers,
}

impl Notes {
    pub(crate) fn add(&mut self, note: Note) {
        self.0.insert(note);
    }

    /// Whether the brackets are not those of the body: then an event counts only if it can be read.
    pub(crate) fn is_structural(&self) -> bool {
        self.0
            .iter()
            .any(|note| matches!(note, Note::Bracket | Note::Cut | Note::OnlyEvents))
    }

    pub(crate) fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.to_string())
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, note) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "; " })?;
            f.write_str(match note {
                Note::Latin1 => "bytes that are not UTF-8 are read as ISO 8859-1",
                Note::Utf16 => "the body was UTF-16",
                Note::Padding => "NUL bytes are left out",
                Note::TextAround => "text before or after the JSON is left out",
                Note::InString => "backslashes that begin no escape are doubled",
                Note::Nested => "the JSON was inside a JSON string",
                Note::Several => "the body held several JSON values",
                Note::Control => "control characters are escaped",
                Note::Token => "words and numbers that are not JSON are quoted",
                Note::Comma => "commas are added or left out",
                Note::Bracket => "brackets are added or left out",
                Note::Cut => "the body ended early, and its last incomplete part is left out",
                Note::OnlyEvents => "only the events are kept that could be read",
                Note::LongMembers => "other members were too long, and are left out",
            })?;
        }
        Ok(())
    }
}
