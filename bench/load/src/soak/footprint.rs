//! What the operating system has given to a process.

use fs_err as fs;

use crate::trouble::{Outcome, Trouble, While};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Footprint {
    pub(super) resident_kib: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

impl Footprint {
    pub(super) fn read(process: u32) -> Outcome<Self> {
        let status = format!("/proc/{process}/status");
        let text = fs::read_to_string(&status).doing(&status)?;
        let number = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value
                .and_then(|it| it.split_whitespace().next()?.parse().ok())
                .ok_or_else(|| Trouble::new(format!("{status} has no {name}")))
        };
        let descriptors = format!("/proc/{process}/fd");
        Ok(Self {
            resident_kib: number("VmRSS:")?,
            descriptors: fs::read_dir(&descriptors).doing(&descriptors)?.count() as u64,
            threads: number("Threads:")?,
        })
    }

    pub(super) fn min(self, other: Self) -> Self {
        self.by(other, u64::min)
    }

    pub(super) fn max(self, other: Self) -> Self {
        self.by(other, u64::max)
    }

    fn by(self, other: Self, choose: fn(u64, u64) -> u64) -> Self {
        Self {
            resident_kib: choose(self.resident_kib, other.resident_kib),
            descriptors: choose(self.descriptors, other.descriptors),
            threads: choose(self.threads, other.threads),
        }
    }
}
