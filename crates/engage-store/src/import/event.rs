//! Events as 0.1.0 wrote them.

use crate::{BatchId, StoredEvent};

/// A line that is an event.
pub(crate) struct OldEvent {
    pub(crate) event: StoredEvent,
    pub(crate) batch: BatchId,
    /// As it stands in the file.
    pub(crate) text: String,
}

impl OldEvent {
    /// Reads a line without its newline; `None` if it is none.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        // An array would be read as an event, too.
        let event: StoredEvent =
            serde_json::from_str(text.starts_with('{').then_some(text)?).ok()?;
        Some(Self {
            batch: BatchId::parse(&event.batch).filter(|_| (1..=event.of).contains(&event.line))?,
            text: text.to_owned(),
            event,
        })
    }

    /// Whether it follows a line of the same batch.
    pub(super) fn continues(&self, (batch, line, of): (BatchId, usize, usize)) -> bool {
        (self.batch, Some(self.event.line), self.event.of) == (batch, line.checked_add(1), of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text: Vec<u8>, line: String) {
            let _ = (OldEvent::parse(&text), OldEvent::parse(line.as_bytes()));
        }
    }
}
