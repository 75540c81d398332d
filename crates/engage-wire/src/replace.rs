//! Putting a finished file in the place of another.

#[cfg(windows)]
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
#[cfg(windows)]
use std::time::{Duration, Instant};

/// Renames a file; one that has the name already is replaced at once and whole.
///
/// Windows refuses that while a program has the old file open that did not mean to share it: a virus
/// scanner, a backup. They take moments, so it is tried for two seconds. Blocks. The error names both.
pub fn replace_file(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        let deadline = Instant::now() + REPLACE_TIMEOUT;
        while let Err(error) = fs::rename(from, to) {
            if !is_held(&error) || Instant::now() >= deadline {
                return fs_err::rename(from, to);
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
        Ok(())
    }
    #[cfg(not(windows))]
    fs_err::rename(from, to)
}

/// Makes the names in a folder durable. Does nothing on Windows, whose file systems keep a journal of
/// them and let no program do it.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder)?.sync_all()
}

/// `ERROR_ACCESS_DENIED` and `ERROR_SHARING_VIOLATION` of Windows' `winerror.h`.
#[cfg(windows)]
fn is_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(5 | 32))
}

#[cfg(windows)]
const REPLACE_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(windows)]
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg_attr(windows, ignore = "wine replaces no file that is open")]
    #[test]
    fn a_file_that_is_read_meanwhile_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [new, old] = ["new", "old"].map(|name| folder.path().join(name));
        fs_err::write(&new, "new").unwrap();
        fs_err::write(&old, "old").unwrap();
        let open = File::open(&old).unwrap();
        replace_file(&new, &old).unwrap();
        assert_eq!(fs_err::read(&old).unwrap(), b"new");
        assert_eq!(io::read_to_string(&open).unwrap(), "old");
        sync_folder(folder.path()).unwrap();
    }

    #[cfg(windows)]
    #[test]
    fn a_file_that_another_program_does_not_share_is_replaced_once_it_is_closed() {
        use std::os::windows::fs::OpenOptionsExt;

        let folder = tempfile::tempdir().unwrap();
        let [new, old] = ["new", "old"].map(|name| folder.path().join(name));
        fs_err::write(&new, "new").unwrap();
        fs_err::write(&old, "old").unwrap();
        let open = fs::OpenOptions::new()
            .read(true)
            .share_mode(0)
            .open(&old)
            .unwrap();
        std::thread::scope(|scope| {
            let replacing = scope.spawn(|| replace_file(&new, &old));
            std::thread::sleep(5 * RETRY_INTERVAL);
            drop(open);
            replacing.join().unwrap().unwrap();
        });
        assert_eq!(fs_err::read(&old).unwrap(), b"new");
    }
}
