//! The sections of PEM text, looked at before they are decoded, so that a refusal can name them.

use crate::escape_for_terminal;

/// The first line of a section.
pub(super) struct Section {
    /// `CERTIFICATE`, `RSA PRIVATE KEY` ..
    pub(super) label: String,
    /// Its line, from 1.
    pub(super) line: usize,
    /// Only spaces stand before it on its line.
    pub(super) is_indented: bool,
}

/// Each `-----BEGIN label-----`, wherever it stands on its line.
pub(super) fn sections(text: &[u8]) -> Vec<Section> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter_map(|(at, line)| {
            let start = find(line, BEGIN)?;
            let rest = &line[start + BEGIN.len()..];
            let label = &rest[..find(rest, b"-----")?.min(MAX_LABEL_BYTES)];
            Some(Section {
                label: escape_for_terminal(&String::from_utf8_lossy(label)).into_owned(),
                line: at + 1,
                is_indented: start > 0 && line[..start].trim_ascii().is_empty(),
            })
        })
        .collect()
}

/// Their labels, each once.
pub(super) fn labels(sections: &[Section]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for section in sections {
        if !labels.contains(&section.label) {
            labels.push(section.label.clone());
        }
    }
    labels.truncate(MAX_LABELS);
    labels
}

/// Whether every other byte is zero, as in ASCII that is written in UTF-16 without a byte order mark.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(64)];
    let zeros = |first| start.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    start.len() >= 4 && zeros(0) != zeros(1)
}

pub(super) fn looks_like_pem(bytes: &[u8]) -> bool {
    contains(bytes, BEGIN)
}

pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    find(haystack, needle).is_some()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

const BEGIN: &[u8] = b"-----BEGIN ";
const MAX_LABEL_BYTES: usize = 64;
const MAX_LABELS: usize = 8;
