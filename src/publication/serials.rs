//! The devices of a site, by their serial numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::Diagnostic;

use crate::file_version::FileVersion;
use engage_store::SerialNumber;
use engage_wire::{ReadError, Text, read_regular_file};

/// What a serials file lists.
#[derive(Debug)]
pub(super) struct SerialsFile {
    /// With their lines, counted from 1.
    pub(super) serials: Vec<(usize, SerialNumber)>,
    /// At most 20 of them.
    pub(super) malformed: Vec<MalformedLine>,
}

/// A serials file as it was read at a moment.
#[derive(Clone, Debug)]
pub(super) struct ReadSerials {
    version: FileVersion,
    pub(super) file: Arc<SerialsFile>,
}

/// Read at the same time.
impl PartialEq for ReadSerials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }
}

impl ReadSerials {
    /// Reads a file that looks like this, unless it is what it was when it was read last.
    pub(super) fn load(
        path: &Path,
        version: FileVersion,
        last: Option<&Self>,
    ) -> Result<Self, SerialsError> {
        if let Some(last) = last.filter(|last| version.is_as(last.version)) {
            return Ok(last.clone());
        }
        let file = Arc::new(load(path)?);
        Ok(Self { version, file })
    }
}

/// A line that is no serial number.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
#[error(
    "line {line} of serials file `{}` is no serial number; allowed: 16 or 32 hexadecimal digits",
    path.display()
)]
#[diagnostic(
    code("malformed-serials"),
    help("one serial number a line; `#` starts a comment; the other lines are used")
)]
pub struct MalformedLine {
    path: PathBuf,
    /// Counted from 1.
    line: usize,
}

/// Why it is not known whom a file lists.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum SerialsError {
    /// Cut, perhaps.
    #[error("serials file `{}` lists no device; allowed: one serial number a line", .0.display())]
    #[diagnostic(
        code("no-serials"),
        help("if it was cut, copy it again; if it is to list nobody, leave `serials_file` out")
    )]
    Empty(PathBuf),
    /// No line is a serial number; this is the first that is none.
    #[error(transparent)]
    #[diagnostic(
        code("malformed-serials"),
        help("no line of it is a serial number: is it the right file?")
    )]
    Malformed(MalformedLine),
    /// The file itself.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
}

/// Reads a file with a serial number a line. Errors never quote it: a wrong file may be a secret one.
fn load(path: &Path) -> Result<SerialsFile, SerialsError> {
    let contents = read_regular_file(WHAT, path, MAX_BYTES)?;
    parse(path, &contents)
}

/// Whom a file lists.
pub(crate) fn listed_serials(path: &Path) -> Result<Vec<SerialNumber>, SerialsError> {
    let serials = load(path)?.serials.into_iter();
    Ok(serials.map(|(_, serial)| serial).collect())
}

/// A line that is no serial number concerns its device only, if there are others.
fn parse(path: &Path, contents: &[u8]) -> Result<SerialsFile, SerialsError> {
    let contents = Text::of_file(WHAT, path, contents)?;
    let (mut serials, mut malformed) = (Vec::new(), Vec::new());
    for (line, text) in (1_usize..).zip(contents.split(|byte| *byte == b'\n')) {
        let text = text.split(|byte| *byte == b'#').next().unwrap_or_default();
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        if let Some(serial) = SerialNumber::from_hex(text) {
            serials.push((line, serial));
        } else if malformed.len() < MAX_MALFORMED {
            let path = path.to_owned();
            malformed.push(MalformedLine { path, line });
        }
    }
    if serials.is_empty() {
        let first = malformed.into_iter().next();
        return Err(first.map_or_else(
            || SerialsError::Empty(path.to_owned()),
            SerialsError::Malformed,
        ));
    }
    Ok(SerialsFile { serials, malformed })
}

/// How messages call the file.
const WHAT: &str = "serials file";

/// Half a million lines.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A file that is none at all is not told line by line.
const MAX_MALFORMED: usize = 20;

#[cfg(test)]
mod tests {
    use engage_wire::TextEncoding;

    use super::*;

    #[test]
    fn a_line_is_a_serial_number_or_nothing_and_a_bad_one_concerns_no_other() {
        let read = |text: &str| parse(Path::new("x"), text.as_bytes());
        let text = "\u{feff}# hall\r\n0123456789abcdef # door 1\r\n\r\n 00000000000000FF\t\n";
        let good = read(text).unwrap();
        let serials = good.serials.iter();
        let serials: Vec<_> = serials.map(|(line, it)| (*line, it.to_string())).collect();
        let expected = [(2, "0123456789ABCDEF"), (4, "00000000000000FF")];
        assert_eq!(serials, expected.map(|(line, it)| (line, it.to_owned())));
        assert_eq!(good.malformed, []);
        for bad in ["0123", "0123456789ABCDEF 0", "ASNFZ4mrze8="] {
            let SerialsFile { serials, malformed } =
                read(&format!("\n{bad}\n0123456789abcdef\nFF00000000000000")).unwrap();
            assert_eq!((serials.len(), malformed.len()), (2, 1), "{bad}");
            assert_eq!(malformed[0].line, 2, "{bad}");
            let Err(SerialsError::Malformed(first)) = read(&format!("# x\n{bad}\nzz")) else {
                panic!("{bad}");
            };
            assert_eq!(first.line, 2, "{bad}");
        }
        for encoding in TextEncoding::ALL {
            let file = encoding.encode(text.trim_start_matches('\u{feff}').as_bytes());
            let read = parse(Path::new("x"), &file).unwrap();
            assert_eq!(read.serials, good.serials, "{encoding:?}");
        }
        let cut = parse(Path::new("x"), b"\xff\xfe0");
        assert!(matches!(
            cut,
            Err(SerialsError::Read(ReadError::NotText { .. }))
        ));
        for empty in ["", "\u{feff}\r\n# hall\n"] {
            assert!(matches!(read(empty), Err(SerialsError::Empty(_))));
        }
    }
}
