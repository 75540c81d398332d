//! Bodies that were refused: kept, because the device will not send them again.

use std::io::{self, Write};
use std::path::Path;

use fs_err::OpenOptions;
use jiff::Timestamp;
use tracing::warn;

use super::disk::{Disk, mode};
use crate::{DeviceId, UploadKind};

/// Keeps a body, and drops the oldest ones where there are too many.
pub(super) fn keep(
    root: &Path,
    disk: &dyn Disk,
    device: DeviceId,
    call: UploadKind,
    body: &[u8],
    received_at: Timestamp,
) -> io::Result<()> {
    let folder = root.join(FOLDER);
    disk.create_dir(&folder)?;
    let mut names = Vec::new();
    for entry in fs_err::read_dir(&folder)? {
        let name = entry?.file_name();
        // Somebody else's files are not ours to count or remove.
        if name.as_encoded_bytes().ends_with(b".body") {
            names.push(name);
        }
    }
    names.sort();
    let surplus = (names.len() + 1).saturating_sub(MAX_BODIES);
    for name in &names[..surplus] {
        if let Err(error) = fs_err::remove_file(folder.join(name)) {
            warn!(%error, "failed to remove an old body from quarantine");
        }
    }
    let call = match call {
        UploadKind::Alert => "alert",
        UploadKind::Audit => "audit",
        UploadKind::Config => "config",
    };
    // Sorted by name they are sorted by time; several in one nanosecond are one.
    let moment = received_at.strftime("%Y%m%dT%H%M%S.%9fZ");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    mode::of_file(&mut options);
    let mut file = options.open(folder.join(format!("{moment}-{device}-{call}.body")))?;
    file.write_all(&body[..body.len().min(MAX_BODY_BYTES)])?;
    file.sync_all()?;
    disk.sync_dir(&folder)
}

const FOLDER: &str = "quarantine";

/// At most 256 MiB in all.
const MAX_BODIES: usize = 256;

/// The largest body that is accepted; of a larger one this much is kept.
const MAX_BODY_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
    use super::*;

    #[test]
    fn the_newest_bodies_are_kept_and_cut_to_the_limit() {
        let root = tempfile::tempdir().unwrap();
        let device = "0123456789ABCDEF".parse().unwrap();
        let body = vec![b'x'; MAX_BODY_BYTES + 1];
        for second in 0..MAX_BODIES + 3 {
            let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
            let body = match second {
                0..3 => &body[..3],
                3 => &body[..],
                _ => b"{",
            };
            keep(root.path(), &RealDisk, device, UploadKind::Audit, body, at).unwrap();
        }
        let mut kept: Vec<_> = fs_err::read_dir(root.path().join(FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        kept.sort();
        assert_eq!(kept.len(), MAX_BODIES);
        assert!(
            kept[0].ends_with("19700101T000003.000000000Z-0123456789ABCDEF-audit.body"),
            "{:?}",
            kept[0]
        );
        assert_eq!(fs_err::read(&kept[0]).unwrap().len(), MAX_BODY_BYTES);
    }
}
