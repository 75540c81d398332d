//! Finds what is not copied yet, and copies it round by round.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engage_wire::diagnostic::{causes, one_line};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tracing::{info, warn};

use super::super::copies::Copies;
use super::super::devices;
use super::queries;
use super::store_thread::StoreThread;
use crate::json_files::copy::{Copied, CopyError, copy, is_as_noted};
use crate::json_files::cursor::CopyCursor;
use crate::json_files::directory_id::DirectoryId;
use crate::json_files::folder::{Folder, sync_all};
use crate::owner_lock::OwnerLock;
use crate::{DeviceId, EventKind, KeepDays, OpenError, StoreError};

pub(super) struct Writer {
    store: StoreThread,
    copies: Arc<Copies>,
    root: PathBuf,
    id: DirectoryId,
    keep: KeepDays,
    #[expect(dead_code, reason = "dropping it gives the lock back")]
    lock: Option<OwnerLock>,
    /// Devices that are to be copied.
    stale: BTreeSet<DeviceId>,
    looked_at: Option<Instant>,
    /// When retention was applied, as far as it was followed here.
    retained_at: Option<i64>,
}

impl Writer {
    /// Tries until the directory can be used; `None` when it is to finish before.
    pub(super) fn open(
        store: StoreThread,
        copies: Arc<Copies>,
        root: PathBuf,
        keep: KeepDays,
    ) -> Option<Self> {
        let mut logged = String::new();
        loop {
            let error = match open_directory(&store, &root) {
                Ok((lock, id)) => {
                    return Some(Self {
                        store,
                        copies,
                        root,
                        id,
                        keep,
                        lock,
                        stale: BTreeSet::new(),
                        looked_at: None,
                        retained_at: None,
                    });
                }
                Err(error) => one_line(&error),
            };
            if error != logged {
                warn!("JSON files of devices are not written until this is mended: {error}");
                logged = error;
            }
            if store.pause(RETRY_INTERVAL) {
                return None;
            }
        }
    }

    /// Works until it is to finish, and then until everything is copied.
    pub(super) fn run(mut self) {
        loop {
            // Before it looks, so that what was stored until then is copied.
            let is_finishing = self.store.is_finishing();
            match self.step() {
                Ok(()) if !self.stale.is_empty() => {}
                Ok(()) if is_finishing => return,
                Ok(()) => self.wait(),
                // The store tells by itself what is wrong with it.
                Err(_) => {
                    if self.store.pause(RETRY_INTERVAL) {
                        return;
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), StoreError> {
        self.look()?;
        self.stale.extend(self.copies.changed.take());
        self.round()
    }

    fn wait(&mut self) {
        let since = self.looked_at.map_or(LOOK_INTERVAL, |at| at.elapsed());
        let longest = LOOK_INTERVAL.saturating_sub(since);
        let devices = self.store.wait_for_change(&self.copies.changed, longest);
        self.stale.extend(devices);
        if !self.stale.is_empty() {
            // Half a dozen things are seen of a device in a minute, and are one write.
            self.store.pause(DELAY);
        }
    }

    /// Now and then: other processes write into the store too, and people into the files.
    fn look(&mut self) -> Result<(), StoreError> {
        if self
            .looked_at
            .is_some_and(|at| at.elapsed() < LOOK_INTERVAL)
        {
            return Ok(());
        }
        let retained_at = self.store.read(|it| Box::pin(queries::retained_at(it)))?;
        if self.looked_at.is_none() || self.retained_at != retained_at {
            self.inspect(self.oldest_kept(retained_at))?;
            self.retained_at = retained_at;
        }
        let mut next = Some(String::new());
        while let Some(after) = next {
            let subscriber = self.id.to_string();
            let stale = self.store.read(move |it| {
                Box::pin(async move { queries::stale(it, &subscriber, &after).await })
            })?;
            next = stale.next;
            self.stale.extend(stale.rows);
            self.store.warn_of_left_out(stale.left_out);
        }
        self.looked_at = Some(Instant::now());
        Ok(())
    }

    fn oldest_kept(&self, retained_at: Option<i64>) -> Option<Date> {
        let now = Timestamp::from_microsecond(retained_at?).ok()?;
        let today = now.to_zoned_datetime(TimeZone::UTC).date();
        today.checked_sub(i64::from(self.keep.days()).days()).ok()
    }

    /// Every folder that is ours: removes months past retention, and finds files that somebody
    /// changed.
    fn inspect(&mut self, oldest_kept: Option<Date>) -> Result<(), StoreError> {
        let (mut next, mut removed) = (Some(String::new()), 0);
        while let Some(after) = next.filter(|_| !self.store.is_finishing()) {
            let subscriber = self.id.to_string();
            let cursors = self.store.read(move |it| {
                Box::pin(async move { queries::cursors_after(it, &subscriber, &after).await })
            })?;
            next = cursors.next;
            self.store.warn_of_left_out(cursors.left_out);
            for (device, cursor) in &cursors.rows {
                // A folder that cannot be read is told when it is written.
                removed += oldest_kept
                    .and_then(|oldest| remove_expired(&self.root, *device, oldest).ok())
                    .unwrap_or(0);
                // One that begins anew may be that of a device which has made room.
                let begins_anew = *cursor == CopyCursor::beginning();
                if begins_anew || !is_as_noted(&self.root, *device, cursor) {
                    self.stale.insert(*device);
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed {removed} monthly files past retention");
        }
        Ok(())
    }

    /// Copies some of the devices. What fails for a device is tried again at the next look.
    fn round(&mut self) -> Result<(), StoreError> {
        let devices: Vec<_> = self.stale.iter().copied().take(MAX_ROUND).collect();
        if devices.is_empty() {
            return Ok(());
        }
        let devices = self.without_evicted(&devices)?;
        let mut problems = Vec::new();
        let cursors = self.claimed(&devices, &mut problems)?;
        let (mut copied, mut whole) = (Vec::new(), Vec::new());
        for (device, cursor) in cursors {
            match copy(&self.root, &self.store, device, cursor, MAX_PAGES) {
                Ok(Copied {
                    cursor, is_whole, ..
                }) => {
                    copied.push((device, cursor));
                    whole.extend(is_whole.then_some(device));
                }
                Err(CopyError::File(error)) => problems.push((device, file_problem(&error))),
                Err(CopyError::Store(error @ StoreError::Malformed { .. })) => {
                    problems.push((device, one_line(&error)));
                }
                Err(CopyError::Store(error)) => return Err(error),
            }
        }
        match sync_all(&self.root) {
            Ok(()) => self.store.commit(self.id, copied)?,
            Err(error) => {
                let failed = whole.drain(..);
                problems.extend(failed.map(|device| (device, file_problem(&error))));
            }
        }
        for device in whole
            .iter()
            .chain(problems.iter().map(|(device, _)| device))
        {
            self.stale.remove(device);
        }
        for device in whole {
            self.copies.problems.remove(device);
        }
        self.copies.problems.add(problems);
        Ok(())
    }

    /// Removes the files of devices that have made room for others, and returns the rest.
    fn without_evicted(&mut self, devices: &[DeviceId]) -> Result<Vec<DeviceId>, StoreError> {
        let named = devices.to_vec();
        let known = self
            .store
            .read(move |it| Box::pin(async move { devices::known(it, &named).await }))?;
        let gone = devices.iter().filter(|device| !known.contains(device));
        let gone: Vec<_> = gone.copied().collect();
        if gone.is_empty() {
            return Ok(known);
        }
        let mut removed = Vec::new();
        for (device, cursor) in self.cursors(gone.clone())? {
            // Of another one somebody has removed the row.
            if cursor == CopyCursor::beginning() && remove_copies(&self.root, device).is_ok() {
                removed.push(device);
            }
        }
        self.store.forget(self.id, removed)?;
        for device in gone {
            self.stale.remove(&device);
            self.copies.problems.remove(device);
        }
        Ok(known)
    }

    fn cursors(&self, devices: Vec<DeviceId>) -> Result<HashMap<DeviceId, CopyCursor>, StoreError> {
        let subscriber = self.id.to_string();
        self.store.read(move |it| {
            Box::pin(async move { queries::cursors(it, &subscriber, &devices).await })
        })
    }

    /// The cursors of devices whose folders are ours. One that is not there, or that holds nothing
    /// that would be written here, becomes ours before anything is written into it.
    fn claimed(
        &self,
        devices: &[DeviceId],
        problems: &mut Vec<(DeviceId, String)>,
    ) -> Result<HashMap<DeviceId, CopyCursor>, StoreError> {
        let mut cursors = self.cursors(devices.to_vec())?;
        let mut claims = Vec::new();
        for device in devices.iter().filter(|it| !cursors.contains_key(it)) {
            let folder = Folder::find(&self.root, *device);
            match folder.and_then(|it| it.map_or(Ok(false), |it| it.holds_copies())) {
                Ok(false) => claims.push((*device, CopyCursor::beginning())),
                Ok(true) => problems.push((*device, self.foreign())),
                Err(error) => problems.push((*device, file_problem(&error))),
            }
        }
        cursors.extend(claims.iter().cloned());
        self.store.commit(self.id, claims)?;
        Ok(cursors)
    }

    fn foreign(&self) -> String {
        let root = self.root.display();
        format!(
            "its folder holds files that were not written from this store, and they are left as they are; hint: stop the daemon and take them over with `engage-host devices import {root}`, or move the folder away"
        )
    }
}

fn open_directory(
    store: &StoreThread,
    root: &Path,
) -> Result<(Option<OwnerLock>, DirectoryId), OpenError> {
    let lock = store.own(root)?;
    let id = DirectoryId::load_or_create(root);
    Ok((
        lock,
        id.map_err(|source| OpenError::unusable(root, source))?,
    ))
}

fn file_problem(error: &io::Error) -> String {
    let hint = engage_wire::diagnostic::io_hint(error);
    format!("{}; hint: {hint}", causes(error))
}

fn remove_copies(root: &Path, device: DeviceId) -> io::Result<()> {
    match Folder::find(root, device)? {
        Some(folder) => folder.remove_copies(),
        None => Ok(()),
    }
}

/// Returns the number of files.
fn remove_expired(root: &Path, device: DeviceId, oldest_kept: Date) -> io::Result<usize> {
    let Some(folder) = Folder::find(root, device)? else {
        return Ok(0);
    };
    let mut removed = 0;
    for kind in EventKind::ALL {
        for month in folder.months(kind)? {
            if month.last_day().is_some_and(|last| last < oldest_kept) {
                folder.remove(&month.file_name(kind))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Devices of one round: their files are made durable together, and their cursors.
const MAX_ROUND: usize = 256;

/// Of one device and round, so that it does not hold up the others.
const MAX_PAGES: usize = 16;

/// Before what changed is copied.
const DELAY: Duration = Duration::from_millis(300);

/// For what no notice told: another process, another host, a person.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);

const RETRY_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_goes_when_its_last_day_is_too_old_and_nothing_else_does() {
        let root = tempfile::tempdir().unwrap();
        let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
        let folder = Folder::create(root.path(), device).unwrap();
        for name in [
            "alerts-2026-01.jsonl",
            "audits-2026-01.jsonl",
            "audits-2026-01.txt",
            "audits-2026-02.jsonl",
        ] {
            fs_err::write(folder.path(name), "").unwrap();
        }
        let removed = |day: &str| remove_expired(root.path(), device, day.parse().unwrap());
        assert_eq!(removed("2026-01-31").unwrap(), 0);
        assert_eq!(removed("2026-02-01").unwrap(), 2);
        assert!(folder.path("audits-2026-01.txt").exists());
        assert!(folder.path("audits-2026-02.jsonl").exists());
    }
}
