//! A file is written under a hidden name beside its own, and then renamed.

use std::path::{Path, PathBuf};

use engage_wire::sync_folder;

/// Hidden, and not ending in `.der`: such a file can never be served.
pub(crate) fn staged_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Makes the names beside a file durable; where folders cannot be opened, nothing can be done.
pub(crate) fn sync_folder_of(path: &Path) {
    let _ = sync_folder(folder(path));
}

/// The folder of a file.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}
