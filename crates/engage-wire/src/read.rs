//! Reading whole files that an operator names.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::TextError;
use crate::diagnostic::io_hint;

/// Reads a regular file of at most `max_bytes`; `what` names its part for messages: "site key".
///
/// The bytes are wiped when dropped, because keys are read in this way too. The kind of file is
/// looked at before it is opened: opening a pipe would wait for its writer.
pub fn read_regular_file(
    what: &'static str,
    path: &Path,
    max_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let unreadable = |source| ReadError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    };
    // `fs_err` would name the path again, which the message has said.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ReadError::NotRegular {
            what,
            path: path.to_owned(),
            found: kind_name(metadata.file_type()),
        });
    }
    let expected_bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    let capacity = expected_bytes.min(max_bytes).saturating_add(1);
    // As large as it gets: a vector that grows leaves copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    File::open(path)
        .and_then(|file| file.take(max_bytes as u64 + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() > max_bytes {
        return Err(ReadError::TooLarge {
            what,
            path: path.to_owned(),
            found: metadata.len().max(bytes.len() as u64),
            allowed: max_bytes,
        });
    }
    Ok(bytes)
}

/// Why a file cannot be read.
#[derive(Debug, miette::Diagnostic, thiserror::Error)]
pub enum ReadError {
    /// A folder, a pipe, a device.
    #[error("{what} `{}` is {found}; allowed: a regular file", path.display())]
    #[diagnostic(code("unreadable-file"), help("name the file itself"))]
    NotRegular {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of what is no regular file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// In no encoding that is read.
    #[error("{what} `{}` is not text: {problem}; allowed: {}", path.display(), TextError::ALLOWED)]
    #[diagnostic(code("not-text"), help("{}", TextError::HINT))]
    NotText {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the file that is no text.
        path: PathBuf,
        /// What is wrong, and where.
        problem: TextError,
    },
    /// Larger than anything of its kind.
    #[error("{what} `{}` has {found} bytes; allowed: {allowed}", path.display())]
    #[diagnostic(code("file-too-large"), help("is this the right file?"))]
    TooLarge {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the file that is too large.
        path: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes allowed.
        allowed: usize,
    },
    /// The operating system refused.
    #[error("failed to read {what} `{}`", path.display())]
    #[diagnostic(code("unreadable-file"), help("{}", io_hint(source)))]
    Unreadable {
        /// What the file is for, as messages say it: `server certificate`.
        what: &'static str,
        /// The path of the file that cannot be read.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl ReadError {
    pub(crate) fn not_text(what: &'static str, path: &Path, problem: TextError) -> Self {
        Self::NotText {
            what,
            path: path.to_owned(),
            problem,
        }
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn kind_name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_exactly_the_allowed_size_is_read_and_one_byte_more_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, [b'x'; 10]).unwrap();
        assert_eq!(*read_regular_file("file", &path, 10).unwrap(), [b'x'; 10]);
        let refused = read_regular_file("file", &path, 9).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("file `{}` has 10 bytes; allowed: 9", path.display())
        );
    }

    #[test]
    fn folders_and_devices_are_refused_by_kind_and_missing_files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let read = |path: &Path| read_regular_file("site key", path, 10).unwrap_err();
        assert!(read(folder.path()).to_string().contains("is a folder"));
        let missing = read(&folder.path().join("none"));
        assert!(missing.is_not_found());
        assert!(missing.to_string().starts_with("failed to read site key `"));
        #[cfg(unix)]
        assert!(
            read(Path::new("/dev/zero"))
                .to_string()
                .contains("is a device")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_without_a_writer_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let refused = read_regular_file("site key", &path, 10).unwrap_err();
        assert!(refused.to_string().contains("is a pipe"), "{refused}");
    }
}
