//! Files of the store that are read whole, and only if they are files: opening a pipe waits for its
//! writer, and a device may never end.

use std::io;
use std::path::Path;

use engage_wire::diagnostic::causes;
use engage_wire::{ReadError, read_regular_file};
use zeroize::Zeroizing;

/// Reads a file of at most `max_bytes`; `None` if there is none. What is no regular file, links
/// included, or longer, is [`InvalidData`](io::ErrorKind::InvalidData).
pub(crate) fn read_regular(
    what: &'static str,
    path: &Path,
    max_bytes: usize,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    if fs_err::symlink_metadata(path).is_ok_and(|it| it.is_symlink()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            not_regular(path),
        ));
    }
    match read_regular_file(what, path, max_bytes) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => {
            let kind = match &error {
                ReadError::Unreadable { source, .. } => source.kind(),
                ReadError::NotRegular { .. }
                | ReadError::NotText { .. }
                | ReadError::TooLarge { .. } => io::ErrorKind::InvalidData,
            };
            Err(io::Error::new(kind, causes(&error)))
        }
    }
}

/// Before a file is opened: refuses whatever is there and is no regular file, links included.
pub(crate) fn require_regular(path: &Path) -> io::Result<()> {
    match fs_err::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            not_regular(path),
        )),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn not_regular(path: &Path) -> String {
    format!("`{}` is not a regular file", path.display())
}
