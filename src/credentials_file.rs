//! The lines of a credentials file, set and removed one by one; all others stay as they are, and so do
//! its encoding and its line ends.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::new_files::{NewFile, Readers, lock_folder_of, replace};
use crate::platform::FileAccess;
use engage_store::{Credentials, SerialNumber, credential_line};
use engage_wire::Text;

/// Gives a device a password: its line is put in the place of the one that it has, or added.
pub(crate) fn set_credential(
    path: &Path,
    serial: SerialNumber,
    password: &[u8],
) -> Result<(), Failure> {
    let line = credential_line(serial, password)?;
    let _lock = lock_folder_of(path)?;
    let contents = read(path)?;
    let line_end = contents.line_end().as_bytes();
    let mut edited = Zeroizing::new(Vec::with_capacity(contents.len() + line.len() + 4));
    let mut is_set = false;
    for text in contents.split_inclusive(|byte| *byte == b'\n') {
        if serial_of(text) != Some(serial) {
            edited.extend_from_slice(text);
        } else if !is_set {
            edited.extend_from_slice(line.as_bytes());
            edited.extend_from_slice(line_end);
            is_set = true;
        }
    }
    if !is_set {
        if !edited.is_empty() && !edited.ends_with(b"\n") {
            edited.extend_from_slice(line_end);
        }
        edited.extend_from_slice(line.as_bytes());
        edited.extend_from_slice(line_end);
    }
    write(path, contents.encoding().encode(&edited))
}

/// Takes a device's line away: from then on it may not call.
pub(crate) fn remove_credential(path: &Path, serial: SerialNumber) -> Result<(), Failure> {
    let _lock = lock_folder_of(path)?;
    let contents = read(path)?;
    let mut edited = Zeroizing::new(Vec::with_capacity(contents.len()));
    for text in contents.split_inclusive(|byte| *byte == b'\n') {
        if serial_of(text) != Some(serial) {
            edited.extend_from_slice(text);
        }
    }
    if edited.len() == contents.len() {
        return Err(CredentialFileError::None { serial }.into());
    }
    if Credentials::parse(path, &edited).is_err() && Credentials::parse(path, &contents).is_ok() {
        let path = path.to_owned();
        return Err(CredentialFileError::Only { serial, path }.into());
    }
    write(path, contents.encoding().encode(&edited))
}

/// Of the first word of a line, whatever stands behind it.
fn serial_of(line: &[u8]) -> Option<SerialNumber> {
    let mut words = line.split(|byte| byte.is_ascii_whitespace() || *byte == b'#');
    SerialNumber::from_hex(words.find(|word| !word.is_empty()).filter(|word| {
        // A comment may begin with a serial number.
        line.trim_ascii_start().starts_with(word)
    })?)
}

fn read(path: &Path) -> Result<Text<'static>, Failure> {
    match Text::read("credentials file", path, MAX_BYTES) {
        Err(error) if error.is_not_found() => Ok(Text::default()),
        read => Ok(read?),
    }
}

fn write(path: &Path, contents: Zeroizing<Vec<u8>>) -> Result<(), Failure> {
    let readers = Readers::Daemon(FileAccess::from_path(path).ok());
    let file = NewFile::new(path.to_owned(), contents, "credentials file", readers);
    Ok(replace(&file)?)
}

/// Why a credential is not changed.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum CredentialFileError {
    #[error("device {serial} has no credential")]
    #[diagnostic(
        code("no-credential"),
        help("is the serial number right? its line is in no credentials file")
    )]
    None { serial: SerialNumber },
    #[error(
        "the credential of device {serial} is the only one of `{}`; allowed: at least one",
        path.display()
    )]
    #[diagnostic(
        code("only-credential"),
        help("set that of another device first; without any, no device could call")
    )]
    Only { serial: SerialNumber, path: PathBuf },
}

/// As much as is read of one.
const MAX_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use engage_wire::TextEncoding;

    use super::*;

    const FIRST: &str = "0123456789ABCDEF";
    const SECOND: &str = "FEDCBA9876543210";

    fn serial(text: &str) -> SerialNumber {
        SerialNumber::from_hex(text.as_bytes()).unwrap()
    }

    fn verifies(path: &Path, device: &str, password: &str) -> bool {
        let credentials = Credentials::load(path).unwrap();
        credentials.verify(serial(device), password.as_bytes())
    }

    #[test]
    fn a_line_is_replaced_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        set_credential(&path, serial(FIRST), b"one").unwrap();
        let first = fs_err::read_to_string(&path).unwrap();
        let around = format!("# 0123456789ABCDEF is the front door\n{first}\n# end, no line feed");
        fs_err::write(&path, &around).unwrap();
        set_credential(&path, serial(SECOND), b"two").unwrap();
        set_credential(&path, serial(FIRST), b"three").unwrap();
        let lines = fs_err::read_to_string(&path).unwrap();
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!(lines[0], "# 0123456789ABCDEF is the front door");
        assert_eq!([lines[2], lines[3]], ["", "# end, no line feed"]);
        assert!(verifies(&path, FIRST, "three") && verifies(&path, SECOND, "two"));
        assert!(!verifies(&path, FIRST, "one"));
        remove_credential(&path, serial(FIRST)).unwrap();
        assert!(!verifies(&path, FIRST, "three") && verifies(&path, SECOND, "two"));
    }

    #[test]
    fn a_file_keeps_its_encoding_and_its_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        for encoding in TextEncoding::ALL {
            fs_err::write(&path, encoding.encode("# T\u{fc}ren\r\n".as_bytes())).unwrap();
            set_credential(&path, serial(FIRST), b"one").unwrap();
            set_credential(&path, serial(SECOND), b"two").unwrap();
            set_credential(&path, serial(FIRST), b"three").unwrap();
            assert!(verifies(&path, FIRST, "three") && verifies(&path, SECOND, "two"));
            remove_credential(&path, serial(FIRST)).unwrap();
            let text = Text::read("file", &path, MAX_BYTES).unwrap();
            assert_eq!(text.encoding(), encoding);
            let lines: Vec<_> = text.to_str().unwrap().split("\r\n").collect();
            assert_eq!((lines.len(), lines[0]), (3, "# T\u{fc}ren"), "{lines:?}");
            assert!(lines[1].starts_with(SECOND) && lines[2].is_empty());
        }
    }

    #[test]
    fn the_last_one_and_one_that_is_not_there_are_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        set_credential(&path, serial(FIRST), b"one").unwrap();
        let before = fs_err::read(&path).unwrap();
        for (device, code) in [(SECOND, "no-credential"), (FIRST, "only-credential")] {
            let failure = remove_credential(&path, serial(device)).unwrap_err();
            let codes = failure.errors().map(|it| engage_wire::diagnostic::code(it));
            assert_eq!(codes.collect::<Vec<_>>(), [code]);
        }
        assert_eq!(fs_err::read(&path).unwrap(), before);
    }
}
