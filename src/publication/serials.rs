//! The devices of a site, by their serial numbers.

use std::path::{Path, PathBuf};

use miette::Diagnostic;

use engage_store::SerialNumber;
use engage_wire::{ReadError, read_regular_file};

/// Why a site's serial numbers cannot be read.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum SerialsError {
    /// A line that is no serial number.
    #[error(
        "line {line} of serials file `{}` is no serial number; allowed: 16 or 32 hexadecimal digits",
        path.display()
    )]
    #[diagnostic(
        code("malformed-serials"),
        help("one serial number a line; `#` starts a comment")
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The file itself.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
}

/// Reads a file with a serial number a line. Errors never quote it: a wrong file may be a secret one.
pub(super) fn load(path: &Path) -> Result<Vec<SerialNumber>, SerialsError> {
    let contents = read_regular_file("serials file", path, MAX_BYTES)?;
    parse(&contents).map_err(|line| SerialsError::Line {
        path: path.to_owned(),
        line,
    })
}

/// Fails with the number of a line.
fn parse(contents: &[u8]) -> Result<Vec<SerialNumber>, usize> {
    let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
    let mut serials = Vec::new();
    for (line, text) in (1_usize..).zip(contents.split(|byte| *byte == b'\n')) {
        let text = text.split(|byte| *byte == b'#').next().unwrap_or_default();
        let text = text.trim_ascii();
        if !text.is_empty() {
            serials.push(SerialNumber::from_hex(text).ok_or(line)?);
        }
    }
    Ok(serials)
}

/// Half a million lines.
const MAX_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_serial_number_or_nothing() {
        let read = |text: &str| {
            let serials = parse(text.as_bytes())?;
            Ok(serials.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let text = "\u{feff}# hall\r\n0123456789abcdef # door 1\r\n\r\n 00000000000000FF\t\n";
        let expected = ["0123456789ABCDEF", "00000000000000FF"].map(str::to_owned);
        assert_eq!(read(text), Ok(expected.to_vec()));
        assert_eq!(read(""), Ok(Vec::new()));
        for text in ["\n0123", "\n0123456789ABCDEF 0", "# x\nASNFZ4mrze8="] {
            assert_eq!(read(text), Err(2), "{text}");
        }
    }
}
