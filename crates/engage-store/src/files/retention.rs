//! Months that are old enough are removed.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use tracing::{info, warn};

use super::device_dirs::existing;
use super::month::months;
use super::observer::StoreObserver;
use crate::EventKind;

/// For how many days audits and alerts are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepDays(u32);

impl KeepDays {
    /// Hosts should keep at least 30 days (PROTOCOL.md section 4).
    pub const MIN: u32 = 30;

    /// At least [`MIN`](Self::MIN) and at most a hundred years.
    pub fn new(days: u32) -> Result<Self, KeepDaysError> {
        match days {
            Self::MIN..=36_500 => Ok(Self(days)),
            found => Err(KeepDaysError(found)),
        }
    }
}

impl Default for KeepDays {
    fn default() -> Self {
        Self(400)
    }
}

/// Too few days, or too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("keep_audits_days is {0}; allowed: 30 to 36500")]
pub struct KeepDaysError(u32);

pub(super) struct Retention {
    root: PathBuf,
    keep: KeepDays,
    applied: Option<Timestamp>,
}

impl Retention {
    pub(super) fn new(root: &Path, keep: KeepDays) -> Self {
        Self {
            root: root.to_owned(),
            keep,
            applied: None,
        }
    }

    /// Once a day is enough for months.
    pub(super) fn apply_if_due(&mut self, now: Timestamp, observer: &dyn StoreObserver) {
        let is_due = self.applied.is_none_or(|applied| {
            now.duration_since(applied).abs() >= SignedDuration::from_hours(24)
        });
        if is_due {
            self.applied = Some(now);
            for path in expired(&self.root, self.keep, now) {
                observer.removing(&path);
                match fs_err::remove_file(&path) {
                    Ok(()) => info!(path = %path.display(), "removed a month past retention"),
                    Err(error) => warn!(%error, "failed to remove a month past retention"),
                }
            }
        }
    }
}

/// The files of which every event is older than what is kept.
fn expired(root: &Path, keep: KeepDays, now: Timestamp) -> Vec<PathBuf> {
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let Ok(oldest_kept) = today.checked_sub(i64::from(keep.0).days()) else {
        return Vec::new();
    };
    existing(root)
        .unwrap_or_default()
        .into_iter()
        .flat_map(|device| {
            let directory = root.join(device.to_string());
            [EventKind::Audits, EventKind::Alerts]
                .into_iter()
                .flat_map(move |log| months(&directory, log).unwrap_or_default())
        })
        .filter(|(month, _)| month.last_day().is_some_and(|last| last < oldest_kept))
        .map(|(_, path)| path)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_thirty_days_are_refused() {
        assert!(KeepDays::new(29).is_err());
        assert!(KeepDays::new(30).is_ok());
        assert_eq!(KeepDays::default(), KeepDays(400));
    }

    #[test]
    fn a_month_goes_when_its_last_day_is_too_old_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("0123456789ABCDEF");
        fs_err::create_dir(&device).unwrap();
        for name in [
            "audits-2026-01.jsonl",
            "alerts-2026-01.jsonl",
            "audits-2026-02.jsonl",
            "audits-2020-01.txt",
        ] {
            fs_err::write(device.join(name), "").unwrap();
        }
        let keep = KeepDays::new(30).unwrap();
        // 30 days before 2026-03-02 is 2026-01-31: a day of January is still kept.
        let kept = "2026-03-02T12:00:00Z".parse().unwrap();
        assert_eq!(expired(folder.path(), keep, kept), Vec::<PathBuf>::new());
        let mut retention = Retention::new(folder.path(), keep);
        retention.apply_if_due("2026-03-03T00:00:00Z".parse().unwrap(), &());
        let mut left: Vec<_> = fs_err::read_dir(&device)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["audits-2020-01.txt", "audits-2026-02.jsonl"]);
    }
}
