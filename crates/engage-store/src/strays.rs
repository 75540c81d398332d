//! What stands beside the folders of devices, in which `db.json` files are dropped.

use std::io;
use std::path::Path;

use crate::json_files::copy::UNKNOWN;
use crate::{DeviceId, SerialNumber, StoreWarning};

/// Directories that nobody reads: made for a device under another spelling of its name, or for
/// something that is no device.
pub fn strays(root: &Path) -> io::Result<Vec<StoreWarning>> {
    let entries = match entries(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_folder_of_ours = |name: &str| is_device(name) || [QUARANTINE, UNKNOWN].contains(&name);
    let is_ours = |(name, is_folder): &&(String, bool)| match is_folder {
        _ if name.starts_with('.') => true,
        true => is_folder_of_ours(name),
        false => name == README || name.starts_with(DATABASE_FILE),
    };
    let strays = entries
        .iter()
        .filter(|entry| !is_ours(entry))
        .take(MAX_STRAYS)
        .map(|(name, is_folder)| StoreWarning::Stray(stray(&root.join(name), name, *is_folder)));
    Ok(strays.collect())
}

fn stray(path: &Path, name: &str, is_folder: bool) -> String {
    let of_device = |name: &str| {
        let device = name.parse().ok();
        device.or_else(|| SerialNumber::parse(name).map(DeviceId::Serial))
    };
    let name_of_file = name.split_once('.').map_or(name, |(before, _)| before);
    let device = of_device(if is_folder { name } else { name_of_file });
    let path = path.display();
    match device {
        Some(device) if !is_folder => format!(
            "file `{path}` is not read; a database for this device is `{device}/db.json`: move it there"
        ),
        None if !is_folder => {
            format!("file `{path}` is not read; what concerns a device lies in a folder of its own")
        }
        Some(device) => format!(
            "folder `{path}` is not read; the folder of this device is `{device}`: rename it, or move its db.json there"
        ),
        None => format!(
            "folder `{path}` is not read; a device's folder is its serial number in 16 or 32 upper-case hexadecimal digits, or `addr-` and its address"
        ),
    }
}

/// Names, and which of them are folders. One that has gone meanwhile is none.
fn entries(root: &Path) -> io::Result<Vec<(String, bool)>> {
    let mut entries = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let entry = entry?;
        if let Ok(kind) = entry.file_type() {
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push((name, kind.is_dir()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// Only the canonical name is a device's.
fn is_device(name: &str) -> bool {
    let device: Result<DeviceId, _> = name.parse();
    device.is_ok_and(|device| device.to_string() == name)
}

/// Where versions that kept files had the bodies that they refused.
const QUARANTINE: &str = "quarantine";

/// What a checkout of engage-host has there says what the directory is for.
const README: &str = "README.md";

/// With SQLite's `-wal` and `-shm`.
const DATABASE_FILE: &str = "engage-host.db";

/// A person who made more of them needs no more examples.
const MAX_STRAYS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_and_strange_folders_are_told_and_ours_are_not() {
        let root = tempfile::tempdir().unwrap();
        for name in [
            "0123456789ABCDEF",
            "addr-10.44.0.7",
            "quarantine",
            ".tmp",
            "fedcba9876543210",
            "ASNFZ4mrze8=",
            "lobby",
        ] {
            fs_err::create_dir(root.path().join(name)).unwrap();
        }
        for name in ["0123456789abcdef.json", "zz.txt", ".clock", "README.md"] {
            fs_err::write(root.path().join(name), "").unwrap();
        }
        let mut told: Vec<_> = strays(root.path())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 5, "{told:?}");
        let database = told.remove(0);
        assert!(
            database.ends_with("is `0123456789ABCDEF/db.json`: move it there"),
            "{database}"
        );
        assert!(told[3].contains("zz.txt` is not read"), "{told:?}");
        assert!(
            told[0].contains("this device is `0123456789ABCDEF`"),
            "{}",
            told[0]
        );
        assert!(
            told[1].contains("this device is `FEDCBA9876543210`"),
            "{}",
            told[1]
        );
        assert!(
            told[2].contains("lobby` is not read; a device's folder is"),
            "{}",
            told[2]
        );
    }
}
