//! The disk's own rate.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err::File;

use crate::trouble::Outcome;

/// Durable writes a second: 4 KiB each, one after the other, over a file that has its size, as a
/// write-ahead log has.
pub(super) fn fdatasync_rate(work: &Path, time: Duration) -> Outcome<f64> {
    let path = work.join("fdatasync");
    let mut file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)?;
    let blocks = 1024;
    if file.metadata()?.len() == 0 {
        for _ in 0..blocks {
            file.write_all(&[0; BLOCK])?;
        }
        file.sync_all()?;
    }
    let started = Instant::now();
    let mut writes = 0_u32;
    while started.elapsed() < time {
        if writes.is_multiple_of(blocks) {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&[1; BLOCK])?;
        file.sync_data()?;
        writes += 1;
    }
    Ok(f64::from(writes) / started.elapsed().as_secs_f64())
}

const BLOCK: usize = 4096;
