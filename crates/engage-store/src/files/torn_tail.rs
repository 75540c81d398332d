//! What a crash left half-written: found, set aside and reported.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use super::disk::mode;
use super::line::BatchPosition;

/// The end of a file that was never acknowledged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TornTail {
    /// The file that it was cut from.
    pub path: PathBuf,
    /// Where it is kept now.
    pub kept_in: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes at the end of `{}` were never acknowledged; they are kept in `{}`",
            self.bytes,
            self.path.display(),
            self.kept_in.display()
        )
    }
}

/// Cuts off what follows the last whole batch, and appends it to a `.torn` file beside it.
///
/// A batch is acknowledged when all of its lines are durable, so half a batch was not: the device
/// delivers it again, and its events must not be there twice.
pub(super) fn truncate_torn_tail(path: &Path) -> io::Result<Option<TornTail>> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    if ends_whole(&mut file)? {
        return Ok(None);
    }
    let mut contents = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut contents)?;
    let whole = last_complete_batch(&contents);
    if whole == contents.len() {
        return Ok(None);
    }
    let kept_in = PathBuf::from(format!("{}.torn", path.display()));
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    mode::of_file(&mut options);
    let mut aside = options.open(&kept_in)?;
    aside.write_all(&contents[whole..])?;
    aside.write_all(b"\n")?;
    aside.sync_all()?;
    file.set_len(whole as u64)?;
    file.sync_all()?;
    Ok(Some(TornTail {
        path: path.to_owned(),
        kept_in,
        bytes: (contents.len() - whole) as u64,
    }))
}

/// Looks at the last few lines only: at start, this is asked of every device.
fn ends_whole(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(WINDOW_BYTES);
    let mut window = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(WINDOW_BYTES).read_to_end(&mut window)?;
    Ok(length == 0 || !window.is_empty() && last_complete_batch(&window) == window.len())
}

/// The length up to which `contents` ends with a whole batch; 0 if there is none.
pub(super) fn last_complete_batch(contents: &[u8]) -> usize {
    let mut end = contents
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    while end > 0 && !ends_a_batch(&contents[..end]) {
        end = start_of_last_line(&contents[..end]);
    }
    end
}

/// Whether the last lines are all the lines of one batch, in order.
fn ends_a_batch(lines: &[u8]) -> bool {
    let mut rest = lines;
    let mut following: Option<BatchPosition> = None;
    while !rest.is_empty() {
        let start = start_of_last_line(rest);
        let Some(place) = BatchPosition::read(&rest[start..rest.len() - 1]) else {
            return false;
        };
        let is_expected = match following {
            None => place.line == place.of,
            Some(next) => {
                place
                    == BatchPosition {
                        line: next.line - 1,
                        ..next
                    }
            }
        };
        if !is_expected || place.line == 1 {
            return is_expected;
        }
        following = Some(place);
        rest = &rest[..start];
    }
    false
}

/// `lines` ends with a newline.
fn start_of_last_line(lines: &[u8]) -> usize {
    lines[..lines.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1)
}

/// More than a usual night's audits.
const WINDOW_BYTES: u64 = 64 * 1024;
