//! The records of a database, member by member, as the vendor's public tables have them ("ENGAGE
//! JSON Data Structures": credential schedules, holidays, automatic unlocks, user records).

use serde_json::value::RawValue;

use super::{DbError, DbProblem, MAX_SHOWN_CHARS, Path, date, list, object, required};
use crate::json::{Object, text_or_number};

/// Checks one record of a list.
pub(super) type Record = fn(&Object<'_>, &Path) -> Result<(), DbError>;

/// Checks every record of a list; each is an object.
pub(super) fn each(found: Vec<&RawValue>, path: &Path, record: Record) -> Result<(), DbError> {
    for (at, value) in found.into_iter().enumerate() {
        let path = path.element(at);
        record(&object(value, &path)?, &path)?;
    }
    Ok(())
}

/// When credentials open the door.
pub(super) fn schedule(record: &Object<'_>, path: &Path) -> Result<(), DbError> {
    days(record, path)?;
    start(record, path)?;
    number(
        record,
        "lngth",
        1,
        // The vendor's table says 1439, an example beside it has 1440: neither locks anybody out.
        1440,
        "1 to 1440 minutes, which is a whole day",
        path,
    )
}

/// When the door is put into another state, by date.
pub(super) fn holiday(record: &Object<'_>, path: &Path) -> Result<(), DbError> {
    for name in ["strtDtTm", "endDtTm"] {
        date(required(record, name, path)?, &path.member(name))?;
    }
    Ok(())
}

/// When the door is put into another state, every week.
pub(super) fn auto_unlock(record: &Object<'_>, path: &Path) -> Result<(), DbError> {
    days(record, path)?;
    start(record, path)?;
    let (action, path) = (required(record, "action", path)?, path.member("action"));
    if matches!(action.get(), "\"pass\"" | "\"sec\"") {
        return Ok(());
    }
    Err(other(action, "`pass` or `sec`", &path))
}

/// A user of one of the lists; `delete` may name users by their number alone.
pub(super) fn user(list: &str, value: &RawValue, path: &Path) -> Result<(), DbError> {
    if list == "delete" && text_or_number(value).is_some() {
        return Ok(());
    }
    object(value, path).map(drop)
}

fn days(record: &Object<'_>, path: &Path) -> Result<(), DbError> {
    let (value, path) = (required(record, "days", path)?, path.member("days"));
    let days = list(value, &path)?;
    if days.is_empty() {
        return Err(other(value, ALLOWED_DAYS, &path));
    }
    let is_day = |day: &RawValue| {
        let name = day.get().trim_matches('"');
        day.get().len() == 4 && DAYS.contains(&name)
    };
    match days.iter().position(|day| !is_day(day)) {
        Some(at) => Err(other(days[at], ALLOWED_DAYS, &path.element(at))),
        None => Ok(()),
    }
}

fn start(record: &Object<'_>, path: &Path) -> Result<(), DbError> {
    number(record, "strtHr", 0, 23, "0 to 23", path)?;
    number(record, "strtMn", 0, 59, "0 to 59", path)
}

/// A number within bounds, which may be written as a string (PROTOCOL.md section 4).
fn number(
    record: &Object<'_>,
    name: &str,
    min: u32,
    max: u32,
    allowed: &'static str,
    path: &Path,
) -> Result<(), DbError> {
    let (value, path) = (required(record, name, path)?, path.member(name));
    let found = text_or_number(value).and_then(|text| text.parse().ok());
    match found {
        Some(found) if (min..=max).contains(&found) => Ok(()),
        _ => Err(other(value, allowed, &path)),
    }
}

fn other(value: &RawValue, allowed: &'static str, path: &Path) -> DbError {
    let found = value.get().chars().take(MAX_SHOWN_CHARS).collect();
    path.refused(DbProblem::Value { found, allowed })
}

const DAYS: [&str; 7] = ["Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"];

const ALLOWED_DAYS: &str = "at least one of \"Su\", \"Mo\", \"Tu\", \"We\", \"Th\", \"Fr\", \"Sa\"";
