//! Bodies that were refused: kept, because the device will not send them again.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::OpenOptions;
use tracing::warn;

use super::disk::{Disk, FileIdentity, mode};
use super::regular::require_regular;
use crate::quarantine::{MAX_BODIES, MAX_BODIES_EACH, surplus};
use crate::{Call, UploadKind};

/// The bodies in quarantine, with a bound for each device and one for all together.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    /// Oldest first; read from the folder of this directory when it is first needed.
    bodies: Option<(FileIdentity, Vec<Body>)>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Body {
    /// Sorted by name they are sorted by time.
    name: String,
    bytes: u64,
}

impl Quarantine {
    /// Keeps a body, and drops the oldest ones of the same device, or of the one that has most,
    /// where there are too many.
    pub(super) fn keep(
        &mut self,
        root: (&Path, FileIdentity),
        disk: &dyn Disk,
        call: &Call,
        kind: UploadKind,
        body: &[u8],
    ) -> io::Result<()> {
        let (root, identity) = root;
        let folder = root.join(FOLDER);
        disk.create_dir(&folder)?;
        let mut bodies = match self.bodies.take() {
            Some((of, bodies)) if of == identity => bodies,
            _ => list(&folder)?,
        };
        let name = write(&folder, call, kind, body)?;
        disk.sync_dir(&folder)?;
        let bytes = body.len() as u64;
        bodies.retain(|body| body.name != name);
        bodies.push(Body { name, bytes });
        bodies.sort();
        while let Some(surplus) = surplus(&shares(&bodies)) {
            let body = bodies.remove(surplus);
            drop_body(&folder.join(&body.name), device(&body.name));
        }
        self.bodies = Some((identity, bodies));
        Ok(())
    }
}

fn write(folder: &Path, call: &Call, kind: UploadKind, body: &[u8]) -> io::Result<String> {
    let kind = kind.as_str();
    // Several in one nanosecond are one.
    let moment = call.received_at.strftime("%Y%m%dT%H%M%S.%9fZ");
    let name = format!("{moment}-{}-{kind}.body", call.device);
    let path = folder.join(&name);
    require_regular(&path)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    mode::of_file(&mut options);
    let mut file = options.open(path)?;
    file.write_all(body)?;
    file.sync_all()?;
    Ok(name)
}

fn shares(bodies: &[Body]) -> Vec<(&str, u64)> {
    bodies
        .iter()
        .map(|body| (device(&body.name), body.bytes))
        .collect()
}

fn drop_body(path: &PathBuf, device: &str) {
    match fs_err::remove_file(path) {
        Ok(()) => warn!(
            device,
            path = %path.display(),
            "quarantine is full: dropped the oldest body of device {device}; of each device {MAX_BODIES_EACH} bodies are kept, {MAX_BODIES} in all"
        ),
        Err(error) => warn!(%error, "failed to remove an old body from quarantine"),
    }
}

/// Somebody else's files are not ours to count or remove.
fn list(folder: &Path) -> io::Result<Vec<Body>> {
    let mut bodies = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension() == Some(OsStr::new("body")) {
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            bodies.push(Body { name, bytes });
        }
    }
    bodies.sort();
    Ok(bodies)
}

/// `20261123T021305.000000000Z-0123456789ABCDEF-audit.body`; an address may hold hyphens.
fn device(name: &str) -> &str {
    let device = name
        .split_once('-')
        .and_then(|(_, rest)| rest.rsplit_once('-'));
    device.map_or("", |(device, _)| device)
}

pub(super) const FOLDER: &str = "quarantine";

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::disk::{RealDisk, look_up};
    use super::*;

    fn call(number: u64, second: i64) -> Call {
        Call {
            device: format!("{number:016X}").parse().unwrap(),
            peer: "10.44.0.7".parse().unwrap(),
            is_authenticated: false,
            received_at: Timestamp::from_second(second).unwrap(),
        }
    }

    fn of(root: &Path) -> (&Path, FileIdentity) {
        (root, look_up(root).unwrap().unwrap().0)
    }

    fn kept(root: &Path) -> Vec<String> {
        list(&root.join(FOLDER))
            .unwrap()
            .into_iter()
            .map(|body| body.name)
            .collect()
    }

    #[test]
    fn a_device_that_sends_nonsense_all_night_costs_no_other_its_body() {
        let root = tempfile::tempdir().unwrap();
        let mut quarantine = Quarantine::default();
        let mut keep = |call| {
            quarantine
                .keep(of(root.path()), &RealDisk, &call, UploadKind::Audit, b"{")
                .unwrap();
        };
        keep(call(1, 0));
        for second in 1..100 {
            keep(call(2, second));
        }
        let kept = kept(root.path());
        assert_eq!(kept.len(), 1 + MAX_BODIES_EACH);
        assert_eq!(
            kept[0],
            "19700101T000000.000000000Z-0000000000000001-audit.body"
        );
        assert!(kept[1].starts_with("19700101T000124"), "{}", kept[1]);
    }

    #[test]
    fn a_body_is_kept_whole_whatever_the_limit_of_bodies_is() {
        let root = tempfile::tempdir().unwrap();
        let body = vec![b'x'; 3 * 1024 * 1024];
        let mut quarantine = Quarantine::default();
        quarantine
            .keep(
                of(root.path()),
                &RealDisk,
                &call(1, 0),
                UploadKind::Config,
                &body,
            )
            .unwrap();
        let path = root.path().join(FOLDER).join(&kept(root.path())[0]);
        assert_eq!(fs_err::read(path).unwrap(), body);
    }
}
