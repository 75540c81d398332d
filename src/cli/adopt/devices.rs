//! The device JSON files of the old `Engage_Data`.
//!
//! Their form is not public (PROTOCOL.md section 5). A file is taken over if the daemon would send
//! it as a device's database, and its name, its folder or its text says whose it is; everything
//! else is listed.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::old_server::{MAX_DEPTH, files_below};
use engage_store::{Database, DeviceId};
use engage_wire::Text;
use engage_wire::diagnostic::causes;

/// The files, and what becomes of each.
#[derive(Default)]
pub(super) struct DeviceFiles {
    pub(super) adopted: Vec<DeviceDatabase>,
    pub(super) left: Vec<LeftFile>,
}

/// A database that the daemon will send.
pub(super) struct DeviceDatabase {
    pub(super) from: PathBuf,
    pub(super) device: DeviceId,
    pub(super) contents: Zeroizing<Vec<u8>>,
}

/// A file that is not taken over.
#[derive(Debug, Serialize)]
pub(super) struct LeftFile {
    pub(super) path: String,
    pub(super) reason: String,
}

impl DeviceFiles {
    pub(super) fn read(old_folder: &Path) -> Self {
        let mut files = Self::default();
        for path in files_below(&old_folder.join("Engage_Data"), MAX_DEPTH) {
            match files.read_file(&path) {
                Ok(database) => files.adopted.push(database),
                Err(reason) => files.left.push(LeftFile {
                    path: path.display().to_string(),
                    reason,
                }),
            }
        }
        files
    }

    fn read_file(&self, path: &Path) -> Result<DeviceDatabase, String> {
        let contents = Text::read("device file", path, MAX_BYTES)
            .map_err(|error| causes(&error))?
            .into_bytes();
        let json: Value =
            serde_json::from_slice(&contents).map_err(|error| format!("not JSON: {error}"))?;
        if json.get("db").is_none() {
            return Err(without_database(&json).to_owned());
        }
        Database::parse(&contents)
            .map_err(|error| format!("a database that would not be sent: {}", causes(&error)))?;
        let device = device_of(path, &json).ok_or(
            "a database, but neither its name nor its text has a serial number: \
             copy it to `Engage_Data/SERIAL/db.json`",
        )?;
        if let Some(other) = self.adopted.iter().find(|it| it.device == device) {
            return Err(format!(
                "another database of device {device}: `{}` was taken over",
                other.from.display()
            ));
        }
        Ok(DeviceDatabase {
            from: path.to_owned(),
            device,
            contents,
        })
    }
}

fn without_database(json: &Value) -> &'static str {
    let has = |members: &[&str]| members.iter().any(|member| json.get(member).is_some());
    if has(&["asyncEvents"]) {
        "audits: keep the file for your records"
    } else if has(&[
        "lckPrmtrs",
        "dvcProfile",
        "fwVer",
        "wifiStngs",
        "rdrPrmtrs",
        "battV",
    ]) {
        "device properties: the device uploads them again at its next call-in"
    } else {
        "nothing that a device is sent: it has no `db`"
    }
}

/// From `0123456789ABCDEF.json`, from the folder's name, or from the commanded configuration.
fn device_of(path: &Path, json: &Value) -> Option<DeviceId> {
    let stem = path.file_stem().and_then(|it| it.to_str());
    let folder = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|it| it.to_str());
    let written = ["lckSn", "mnSn"]
        .into_iter()
        .filter_map(|member| json.get("config")?.get(member)?.as_str());
    stem.into_iter()
        .flat_map(|stem| stem.split(|it: char| !it.is_ascii_alphanumeric()))
        .chain(folder)
        .chain(written)
        .filter_map(|text| text.parse().ok())
        .find(|id| matches!(id, DeviceId::Serial(_)))
}

/// What the daemon reads of a database.
const MAX_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = r#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],"add":[]},
        "schedules":[{"days":["Mo"],"strtHr":0,"strtMn":0,"lngth":1439}],"holidays":[],"autoUnlock":[]}}"#;

    fn read(name: &str, text: &str) -> DeviceFiles {
        let old = tempfile::tempdir().unwrap();
        let path = old.path().join("Engage_Data").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
        DeviceFiles::read(old.path())
    }

    #[test]
    fn a_database_is_taken_over_for_the_device_that_its_name_says() {
        for name in [
            "0123456789abcdef.json",
            "0123456789ABCDEF_db.json",
            "0123456789ABCDEF/db.json",
        ] {
            let files = read(name, DATABASE);
            assert_eq!(files.adopted.len(), 1, "{name}: {:?}", files.left);
            assert_eq!(files.adopted[0].device.to_string(), "0123456789ABCDEF");
        }
        let config = r#"{"config":{"lckSn":"0123456789ABCDEF"},"#;
        let named = DATABASE.replacen('{', config, 1);
        assert_eq!(read("door.json", &named).adopted.len(), 1);
    }

    #[test]
    fn everything_else_is_left_with_its_reason() {
        for (name, text, reason) in [
            ("door.json", DATABASE, "serial number"),
            ("0123456789ABCDEF.json", r#"{"db":{}}"#, "would not be sent"),
            (
                "0123456789ABCDEF.json",
                r#"{"fwVer":{}}"#,
                "uploads them again",
            ),
            ("0123456789ABCDEF.json", r#"{"asyncEvents":[]}"#, "audits"),
            ("0123456789ABCDEF.json", r#"{"x":1}"#, "no `db`"),
            ("0123456789ABCDEF.json", "{", "not JSON"),
        ] {
            let files = read(name, text);
            assert!(files.adopted.is_empty(), "{text}");
            assert!(files.left[0].reason.contains(reason), "{:?}", files.left);
        }
    }
}
