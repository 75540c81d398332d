//! What a database would send, counted.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Database;
use crate::json::{Object, elements};

/// How much a device would receive. Serialises as `devices db check --json`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DbContents {
    /// `db` and `config` as they are sent.
    pub size_bytes: usize,
    /// Whether all users are removed first.
    pub deletes_all_users: bool,
    /// Users that are removed.
    pub users_deleted: usize,
    /// Users that are changed.
    pub users_updated: usize,
    /// Users that are new.
    pub users_added: usize,
    /// Schedules; at least one.
    pub schedules: usize,
    /// Holidays; `None` leaves the device's as they are, 0 erases them.
    pub holidays: Option<usize>,
    /// Automatic unlocks; `None` leaves the device's as they are, 0 erases them.
    pub auto_unlocks: Option<usize>,
    /// Whether parameters are sent too.
    pub has_config: bool,
}

impl Database {
    /// What would be sent, counted.
    pub fn contents(&self) -> DbContents {
        let text = format!("{{{}}}", self.members);
        let file = Object::parse(&text).ok();
        let db = file
            .as_ref()
            .and_then(|file| Object::parse(file.get("db")?.get()).ok());
        let users = db
            .as_ref()
            .and_then(|db| Object::parse(db.get("usrRcrd")?.get()).ok());
        let listed =
            |object: &Option<Object<'_>>, name| Some(elements(object.as_ref()?.get(name)?)?.len());
        let deletes_all = users.as_ref().and_then(|users| users.get("deleteAll"));
        DbContents {
            size_bytes: self.members.len(),
            deletes_all_users: deletes_all.is_some_and(is_set),
            users_deleted: listed(&users, "delete").unwrap_or(0),
            users_updated: listed(&users, "update").unwrap_or(0),
            users_added: listed(&users, "add").unwrap_or(0),
            schedules: listed(&db, "schedules").unwrap_or(0),
            holidays: listed(&db, "holidays"),
            auto_unlocks: listed(&db, "autoUnlock"),
            has_config: file.is_some_and(|file| file.get("config").is_some()),
        }
    }
}

/// Whether a switch is on, in whichever way it is written.
pub(super) fn is_set(value: &RawValue) -> bool {
    !matches!(
        value.get(),
        "0" | "\"0\"" | "false" | "\"F\"" | "\"f\"" | "null" | "\"\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_counted_and_what_is_not_sent_is_told_from_nothing() {
        let file = br#"{"db":{"usrRcrd":{"deleteAll":1,"delete":[1],"update":[],"add":[{},{}]},
            "schedules":[{"days":["Su"],"strtHr":0,"strtMn":0,"lngth":1439}],"holidays":[]}}"#;
        let contents = Database::parse(file).unwrap().contents();
        assert!(contents.deletes_all_users && !contents.has_config);
        let DbContents {
            users_deleted,
            users_updated,
            users_added,
            schedules,
            ..
        } = contents;
        assert_eq!(
            (users_deleted, users_updated, users_added, schedules),
            (1, 0, 2, 1)
        );
        assert_eq!((contents.holidays, contents.auto_unlocks), (Some(0), None));
    }
}
