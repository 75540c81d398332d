//! A device's database: what its integrator dropped, and what the device is answered.

mod check;
mod contents;

use bytes::Bytes;

use super::db_version::DbVersion;
use super::json::{Object, minified};
use super::schedule::CallTime;

pub use check::{DbDuplicate, DbError, DbProblem, DbWarning};
pub use contents::DbContents;

/// A database that has passed its check, ready to be sent.
///
/// Verbatim: members in the order of the file, values as they are written there; only white space
/// is gone. engage-host invents no access right, not even a 24x7 schedule: a device that received
/// empty `schedules` would lock everybody out, so what is not in the file is not sent.
#[derive(Clone, Debug)]
pub struct Database {
    /// `"db":{..}` and, where the file has it, `,"config":{..}`.
    members: String,
    stamp: DbVersion,
    warnings: Vec<DbWarning>,
}

impl Database {
    /// Checks a `db.json`: `{"db":{..},"config":{..}}`. `dbDwnLdTm` and `nxtDbVerTS` in it are
    /// not sent, because they are derived.
    pub fn parse(file: &[u8]) -> Result<Self, DbError> {
        let text = std::str::from_utf8(file).map_err(|_| DbError::not_text())?;
        let text = minified(text);
        let object = Object::parse(&text).map_err(DbError::syntax)?;
        let warnings = check::check(&object)?;
        let sent = |name| {
            let (name, value) = object.members().find(|(found, _)| *found == name)?;
            Some(format!("\"{name}\":{}", value.get()))
        };
        let members: Vec<String> = ["db", "config"].into_iter().filter_map(sent).collect();
        let members = members.join(",");
        Ok(Self {
            stamp: DbVersion::from_content(members.as_bytes()),
            members,
            warnings,
        })
    }

    /// Derived from what is sent, so that a changed file is a new version and a touched one is
    /// not.
    pub fn version(&self) -> DbVersion {
        self.stamp
    }

    /// What is there twice, or locks everybody out: sent, because it may be meant, and reported.
    pub fn warnings(&self) -> &[DbWarning] {
        &self.warnings
    }
}

/// The body for `GET /swordfish/lock/db/{timestamp}`.
///
/// Without a database, or where `asked` is its stamp: only when to call next and the stamp. No
/// `db` member at all, because no status for "unchanged" is documented, and an empty one would
/// erase. Without a database the stamp is the device's own, so it asks the same again.
pub fn answer(database: Option<&Database>, asked: &str, next_call: &CallTime) -> Bytes {
    let current = DbVersion::parse(asked);
    let body = match database {
        None => {
            // Only a stamp is repeated: what else a path holds is not for JSON.
            let stamp = current.map_or("0", |_| asked);
            format!(r#"{{"dbDwnLdTm":"{next_call}","nxtDbVerTS":"{stamp}"}}"#)
        }
        Some(Database { stamp, .. }) if current == Some(*stamp) => {
            format!(r#"{{"dbDwnLdTm":"{next_call}","nxtDbVerTS":"{stamp}"}}"#)
        }
        Some(Database { members, stamp, .. }) => {
            format!(r#"{{{members},"dbDwnLdTm":"{next_call}","nxtDbVerTS":"{stamp}"}}"#)
        }
    };
    body.into()
}

/// The longest `db.json`: thousands of users, where a lock holds fewer.
pub const MAX_DB_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::CallInWindow;
    use super::*;

    const FILE: &str = r#"{
        "config": {"z": "T", "a": 1.50},
        "db": {
            "usrRcrd": {"deleteAll": 1, "delete": [], "update": [], "add": [
                {"usrID": "148", "actDtTm": "20150303000000",
                 "primeCr": "735B174C056D0A03D5DBD83EC513463C"}]},
            "schedules": [{"days": ["Su", "Mo"], "strtHr": 0, "strtMn": 0, "lngth": 1439}],
            "holidays": [], "autoUnlock": []
        },
        "nxtDbVerTS": "0x1"
    }"#;

    const SENT: &str = concat!(
        r#""db":{"usrRcrd":{"deleteAll":1,"delete":[],"update":[],"add":[{"usrID":"148","#,
        r#""actDtTm":"20150303000000","primeCr":"735B174C056D0A03D5DBD83EC513463C"}]},"#,
        r#""schedules":[{"days":["Su","Mo"],"strtHr":0,"strtMn":0,"lngth":1439}],"#,
        r#""holidays":[],"autoUnlock":[]},"config":{"z":"T","a":1.50}"#
    );

    fn next_call() -> CallTime {
        let device = "0123456789ABCDEF".parse().unwrap();
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        CallInWindow::parse("00:00-00:01", "UTC")
            .unwrap()
            .next_call(&device, now)
    }

    fn answered(database: Option<&Database>, asked: &str) -> String {
        String::from_utf8(answer(database, asked, &next_call()).to_vec()).unwrap()
    }

    #[test]
    fn a_device_with_another_stamp_gets_the_file_as_it_is_written() {
        let database = Database::parse(FILE.as_bytes()).unwrap();
        let (stamp, next) = (database.version(), next_call());
        for asked in ["0", "0x8d1a1399bddb51d", "nonsense"] {
            assert_eq!(
                answered(Some(&database), asked),
                format!(r#"{{{SENT},"dbDwnLdTm":"{next}","nxtDbVerTS":"{stamp}"}}"#)
            );
        }
    }

    #[test]
    fn a_device_with_the_current_stamp_gets_no_db_member() {
        let database = Database::parse(FILE.as_bytes()).unwrap();
        let (stamp, next) = (database.version(), next_call());
        for asked in [
            stamp.to_string(),
            stamp.to_string().replacen("0x0", "0X", 1),
        ] {
            assert_eq!(
                answered(Some(&database), &asked),
                format!(r#"{{"dbDwnLdTm":"{next}","nxtDbVerTS":"{stamp}"}}"#)
            );
        }
    }

    #[test]
    fn without_a_file_the_stamp_is_repeated_and_nothing_else_is() {
        let next = next_call();
        for (asked, stamp) in [
            ("0x8D1A1399BDDB51D", "0x8D1A1399BDDB51D"),
            ("0", "0"),
            ("\"}", "0"),
        ] {
            assert_eq!(
                answered(None, asked),
                format!(r#"{{"dbDwnLdTm":"{next}","nxtDbVerTS":"{stamp}"}}"#)
            );
        }
    }

    #[test]
    fn white_space_is_no_new_version_and_content_is() {
        let stamp = |file: &str| Database::parse(file.as_bytes()).unwrap().version();
        assert_eq!(stamp(FILE), stamp(&format!("{FILE}\n\n")));
        assert_ne!(stamp(FILE), stamp(&FILE.replace("1439", "1438")));
    }
}
