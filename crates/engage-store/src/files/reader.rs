//! The read side: works beside a daemon that owns the directory, and without one.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use fs_err::File;
use jiff::Timestamp;

use super::device_dirs::existing;
use super::line::{Line, StoredEvent};
use super::month::{Month, months};
use crate::{DeviceId, DeviceRecord, EventKind, redact};

/// A directory of devices, to be read.
#[derive(Clone, Debug)]
pub struct StoreReader {
    root: PathBuf,
}

impl StoreReader {
    /// The directory need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The devices that have a directory, by name.
    pub fn devices(&self) -> io::Result<Vec<DeviceId>> {
        match existing(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            devices => devices,
        }
    }

    /// What is known of every device. One whose `device.json` cannot be read is left out.
    pub fn list(&self) -> io::Result<Vec<DeviceRecord>> {
        let devices = self.devices()?;
        Ok(devices
            .into_iter()
            .filter_map(|device| self.show(device).ok().flatten())
            .collect())
    }

    /// What is known of a device.
    pub fn show(&self, device: DeviceId) -> io::Result<Option<DeviceRecord>> {
        let Some(text) = self.read(device, DEVICE_FILE)? else {
            return Ok(None);
        };
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// A device's last upload, with secret values replaced.
    pub fn redacted_config(&self, device: DeviceId) -> io::Result<Option<String>> {
        let text = self.read(device, CONFIG_FILE)?;
        Ok(text.map(|text| redact(&String::from_utf8_lossy(&text))))
    }

    /// The events of a device that were received at `since` or later, in the order of the file.
    ///
    /// Reads one line at a time. A line that is not an event, such as one that is being written,
    /// is passed over.
    pub fn events(
        &self,
        device: DeviceId,
        log: EventKind,
        since: Option<Timestamp>,
    ) -> io::Result<impl Iterator<Item = io::Result<StoredEvent>> + use<>> {
        let first = since.map(Month::from_timestamp);
        let files = months(&self.root.join(device.to_string()), log)?;
        let lines = files
            .into_iter()
            .filter(move |(month, _)| first.is_none_or(|first| *month >= first))
            .flat_map(|(_, path)| match File::open(path) {
                Ok(file) => Lines::Of(BufReader::new(file).split(b'\n')),
                Err(error) => Lines::Failed(Some(error)),
            });
        Ok(lines.filter_map(move |line| {
            let line: Line = match line {
                Ok(line) => serde_json::from_slice(&line).ok()?,
                Err(error) => return Some(Err(error)),
            };
            let is_wanted = since.is_none_or(|since| line.received_at >= since);
            is_wanted.then_some(Ok(StoredEvent { device, log, line }))
        }))
    }

    fn read(&self, device: DeviceId, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs_err::read(self.root.join(device.to_string()).join(name)) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

enum Lines {
    Of(io::Split<BufReader<File>>),
    Failed(Option<io::Error>),
}

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Of(lines) => lines.next(),
            Self::Failed(error) => error.take().map(Err),
        }
    }
}

pub(super) const DEVICE_FILE: &str = "device.json";
pub(super) const CONFIG_FILE: &str = "config.json";
