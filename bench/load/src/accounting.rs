//! What the operating system says that processes have used.

use fs_err as fs;
use std::collections::HashMap;
use std::time::Duration;

use crate::trouble::{Outcome, Trouble, While};

/// CPU time of every thread of some processes, in nanoseconds (`schedstat`).
#[derive(Debug)]
pub(crate) struct CpuTime(HashMap<u32, u64>);

impl CpuTime {
    /// The time used so far by `processes`.
    pub(crate) fn read(processes: &[u32]) -> Outcome<Self> {
        let mut threads = HashMap::new();
        for process in processes {
            let folder = format!("/proc/{process}/task");
            for entry in fs::read_dir(&folder).doing(&folder)?.flatten() {
                let thread = entry.file_name().to_string_lossy().parse::<u32>().ok();
                // A thread may end between the listing and the reading.
                let used = fs::read_to_string(entry.path().join("schedstat")).ok();
                let used = used.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
                threads.extend(thread.zip(used));
            }
        }
        if threads.is_empty() {
            return Err(Trouble::new("the server's processes are gone"));
        }
        Ok(Self(threads))
    }

    /// The time used between `earlier` and this.
    ///
    /// What a thread used that has ended since is lost; servers keep their workers.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = self
            .0
            .iter()
            .map(|(thread, used)| used - earlier.0.get(thread).copied().unwrap_or(0).min(*used));
        Duration::from_nanos(used.sum())
    }
}

/// CPU time of the calling thread.
pub(crate) fn own_thread() -> Outcome<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(path).doing(path)?;
    text.split(' ')
        .next()
        .and_then(|used| used.parse().ok())
        .map(Duration::from_nanos)
        .ok_or_else(|| Trouble::new(format!("{path} is unreadable")))
}

/// Proportional set size of `processes` in bytes: pages shared between them count once.
pub(crate) fn memory(processes: &[u32]) -> Outcome<u64> {
    let mut sum = 0;
    for process in processes {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(&path).doing(&path)?;
        let kilobytes: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Trouble::new(format!("{path} has no Pss")))?;
        sum += kilobytes * 1024;
    }
    Ok(sum)
}
