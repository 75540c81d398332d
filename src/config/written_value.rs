//! Where a value stands in a configuration, for messages.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A text of a configuration, found again.
pub(super) struct WrittenValue<'a> {
    /// As the documentation names it: `[[site]] key_file`.
    pub(super) key: String,
    /// As it is written, with its quotes.
    pub(super) text: &'a str,
}

impl<'a> WrittenValue<'a> {
    /// The first value that ends so: a database's URL has its file at the end.
    pub(super) fn find(text: &'a str, value: &str) -> Self {
        let (table, _) = DeTable::parse_recoverable(text);
        let found = find_in(table.get_ref(), "", value);
        let (key, text) = found.map_or((UNKNOWN.to_owned(), ""), |(key, span)| {
            (key, text.get(span).unwrap_or_default())
        });
        Self { key, text }
    }
}

fn find_in(table: &DeTable<'_>, header: &str, value: &str) -> Option<(String, Range<usize>)> {
    table.iter().find_map(|(key, entry)| {
        let key = key.get_ref();
        match entry.get_ref() {
            DeValue::String(found) if found.ends_with(value) => {
                Some((format!("{header}{key}"), entry.span()))
            }
            DeValue::Table(table) => find_in(table, &format!("[{key}] "), value),
            DeValue::Array(tables) => tables.iter().find_map(|it| match it.get_ref() {
                DeValue::Table(table) => find_in(table, &format!("[[{key}]] "), value),
                _ => None,
            }),
            _ => None,
        }
    })
}

const UNKNOWN: &str = "a path";
