//! Files 0640 and directories 0750 at most: what devices send is nobody else's business. Elsewhere
//! than on Unix there are no modes.

use std::io::{self, Write};
use std::path::Path;

pub(crate) fn of_file(options: &mut fs_err::OpenOptions) {
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o640);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// Writes a file that is not there yet, or replaces its contents.
pub(crate) fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    of_file(&mut options);
    options.open(path)?.write_all(contents)
}

/// With its parents.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    create(path, true)
}

/// In a directory that is there.
pub(crate) fn create_one_dir(path: &Path) -> io::Result<()> {
    create(path, false)
}

fn create(path: &Path, with_parents: bool) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(with_parents);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o750);
    }
    builder.create(path)
}
