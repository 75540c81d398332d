//! What a `db.json` must satisfy before any lock sees it.

mod records;

use std::collections::HashMap;
use std::fmt;

use serde_json::value::RawValue;

use crate::event::DeviceTime;
use crate::json::{MAX_NUMBER_CHARS, Object, elements, is_finite, is_number, text_or_number};

/// Checks a whole file; what is sent but looks wrong comes back.
pub(super) fn check(file: &Object<'_>) -> Result<Vec<DbWarning>, DbError> {
    let mut check = DatabaseCheck::default();
    let root = Path("$".to_owned());
    known_members(file, &root, &["db", "config", "dbDwnLdTm", "nxtDbVerTS"])?;
    let at = root.member("db");
    let db = object(required(file, "db", &root)?, &at)?;
    known_members(
        &db,
        &at,
        &["usrRcrd", "schedules", "holidays", "autoUnlock"],
    )?;
    check.user_records(&db, &at)?;
    let schedules = list(required(&db, "schedules", &at)?, &at.member("schedules"))?;
    if schedules.is_empty() {
        return Err(at.member("schedules").refused(DbProblem::NoSchedule));
    }
    for (name, value) in db.members() {
        values(value, &at.member(name), MAX_DEPTH, known_value)?;
    }
    records::each(schedules, &at.member("schedules"), records::schedule)?;
    for (name, record) in [
        ("holidays", records::holiday as records::Record),
        ("autoUnlock", records::auto_unlock),
    ] {
        if let Some(value) = member(&db, name) {
            let path = at.member(name);
            records::each(list(value, &path)?, &path, record)?;
        }
    }
    if let Some(config) = member(file, "config") {
        let path = root.member("config");
        object(config, &path)?;
        values(config, &path, MAX_DEPTH, |_, _, _| Ok(()))?;
    }
    Ok(check.warnings)
}

/// Something to look at in a file that is sent all the same.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DbWarning {
    /// Something is there twice.
    #[error("{0}")]
    Duplicate(DbDuplicate),
    /// The device forgets all users and learns no new one.
    #[error("$.db.usrRcrd deletes all users and adds nobody: no credential opens the door then")]
    NobodyLeft,
}

/// Something that a file holds twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DbDuplicate {
    /// Where it is for the first time.
    pub first: String,
    /// Where it is again.
    pub again: String,
}

impl fmt::Display for DbDuplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Credentials are not shown, only where they are.
        write!(f, "{} is the same as {}", self.again, self.first)
    }
}

/// Why a `db.json` is not sent.
#[derive(Debug, miette::Diagnostic, thiserror::Error)]
#[error("{path}: {problem}")]
#[diagnostic(code("malformed-database"), help("{}", problem.hint()))]
pub struct DbError {
    /// The JSON path of the value: `$.db.schedules`.
    pub path: String,
    /// What is wrong with it.
    pub problem: DbProblem,
}

/// What is wrong with a value of a `db.json`.
#[derive(Debug, thiserror::Error)]
pub enum DbProblem {
    /// A date that is none.
    #[error("{0} is not a date; allowed: YYYYMMDDHHMMSS")]
    Date(String),
    /// A value inside too many others.
    #[error("is nested too deep; allowed: {MAX_DEPTH} levels")]
    Depth,
    /// A member that is not there.
    #[error("is missing")]
    Missing,
    /// No schedule at all.
    #[error("is empty; allowed: at least one schedule, such as 24x7")]
    NoSchedule,
    /// Another type of value.
    #[error("is not {0}")]
    NotA(&'static str),
    /// A number that common parsers do not read.
    #[error(
        "is a number of {0} characters; allowed: {MAX_NUMBER_CHARS} characters, less than 1.8e308"
    )]
    Number(usize),
    /// Members in another order than devices read them.
    #[error("comes after `{after}`; allowed: `deleteAll`, `delete`, `update`, `add` in this order")]
    Order {
        /// The member before it, that must come after it.
        after: String,
    },
    /// A prime credential of another form. Its value is a secret.
    #[error("is not a credential; allowed: 32 hexadecimal digits")]
    PrimeCredential,
    /// A value that the vendor's tables do not have.
    #[error("is {found}; allowed: {allowed}")]
    Value {
        /// The value's beginning.
        found: String,
        /// What the tables have.
        allowed: &'static str,
    },
    /// A name used twice in one object.
    #[error("is there twice")]
    Repeated,
    /// Not JSON.
    #[error("is not JSON: {0}")]
    Syntax(serde_json::Error),
    /// A member that devices do not know.
    #[error("is not known; allowed: {}", .0.join(", "))]
    Unknown(&'static [&'static str]),
}

impl DbProblem {
    fn hint(&self) -> &'static str {
        match self {
            Self::NoSchedule | Self::Missing => {
                "without a schedule valid credentials get no access: send at least a 24x7 schedule"
            }
            Self::Order { .. } => "devices read the members in the order of the text",
            _ => {
                "correct the file and check it with `engage-host devices db check FILE`; the last good one stays in use"
            }
        }
    }
}

impl DbError {
    pub(super) fn syntax(source: serde_json::Error) -> Self {
        Path("$".to_owned()).refused(DbProblem::Syntax(source))
    }

    pub(super) fn not_text() -> Self {
        Path("$".to_owned()).refused(DbProblem::NotA("UTF-8 text"))
    }
}

/// A JSON path: `$.db.usrRcrd.add[3].primeCr`.
#[derive(Clone)]
struct Path(String);

impl Path {
    fn member(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    fn element(&self, at: usize) -> Self {
        Self(format!("{}[{at}]", self.0))
    }

    fn refused(&self, problem: DbProblem) -> DbError {
        DbError {
            path: self.0.clone(),
            problem,
        }
    }
}

#[derive(Default)]
struct DatabaseCheck {
    warnings: Vec<DbWarning>,
    /// Where each user and credential of the list being checked was seen.
    seen: HashMap<(String, String), String>,
}

impl DatabaseCheck {
    fn user_records(&mut self, db: &Object<'_>, path: &Path) -> Result<(), DbError> {
        let Some(records) = db.get("usrRcrd") else {
            return Ok(());
        };
        let path = path.member("usrRcrd");
        let records = object(records, &path)?;
        known_members(&records, &path, ORDER)?;
        let place = |name: &str| ORDER.iter().position(|known| *known == name);
        let names: Vec<_> = records.members().map(|(name, _)| name).collect();
        if let Some(pair) = names
            .windows(2)
            .find(|pair| place(pair[0]) > place(pair[1]))
        {
            let after = pair[0].to_owned();
            return Err(path.member(pair[1]).refused(DbProblem::Order { after }));
        }
        for (name, value) in records.members().filter(|(name, _)| *name != "deleteAll") {
            self.seen.clear();
            let path = path.member(name);
            for (at, record) in list(value, &path)?.into_iter().enumerate() {
                let path = path.element(at);
                records::user(name, record, &path)?;
                self.note_repeated(record, &path);
            }
        }
        let is_empty = |name| {
            let users = member(&records, name).and_then(elements);
            users.is_none_or(|users| users.is_empty())
        };
        let deletes_all = member(&records, "deleteAll").is_some_and(super::contents::is_set);
        if deletes_all && is_empty("add") && is_empty("update") {
            self.warnings.push(DbWarning::NobodyLeft);
        }
        Ok(())
    }

    fn note_repeated(&mut self, record: &RawValue, path: &Path) {
        // `delete` lists may hold bare user numbers.
        let object = Object::parse(record.get()).ok();
        let values = ["usrID", "primeCr"].map(|name| {
            let value = match &object {
                Some(object) => object.get(name)?,
                None if name == "usrID" => record,
                None => return None,
            };
            Some((name, text_or_number(value)?.to_ascii_uppercase()))
        });
        for (name, value) in values.into_iter().flatten() {
            let again = path.member(name).0;
            match self.seen.get(&(name.to_owned(), value.clone())) {
                Some(first) if self.warnings.len() < MAX_WARNINGS => {
                    let first = first.clone();
                    let duplicate = DbDuplicate { first, again };
                    self.warnings.push(DbWarning::Duplicate(duplicate));
                }
                Some(_) => {}
                None => {
                    self.seen.insert((name.to_owned(), value), again);
                }
            }
        }
    }
}

fn known_members(
    found: &Object<'_>,
    path: &Path,
    known: &'static [&'static str],
) -> Result<(), DbError> {
    match found.members().find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => Err(path.member(name).refused(DbProblem::Unknown(known))),
        None => unrepeated(found, path),
    }
}

type MemberCheck = fn(&str, &RawValue, &Path) -> Result<(), DbError>;

/// What a value may hold wherever it is, and what its members may be.
fn values(value: &RawValue, path: &Path, depth: usize, check: MemberCheck) -> Result<(), DbError> {
    let text = value.get();
    if depth == 0 {
        return Err(path.refused(DbProblem::Depth));
    }
    if is_number(text) && (text.len() > MAX_NUMBER_CHARS || !is_finite(text)) {
        return Err(path.refused(DbProblem::Number(text.len())));
    }
    if let Ok(object) = Object::parse(text) {
        unrepeated(&object, path)?;
        for (name, value) in object.members() {
            let path = path.member(name);
            check(name, value, &path)?;
            values(value, &path, depth - 1, check)?;
        }
    } else if let Some(elements) = elements(value) {
        for (at, element) in elements.into_iter().enumerate() {
            values(element, &path.element(at), depth - 1, check)?;
        }
    }
    Ok(())
}

/// Dates and credentials, wherever they are.
fn known_value(name: &str, value: &RawValue, path: &Path) -> Result<(), DbError> {
    if name.ends_with("DtTm") {
        date(value, path)
    } else if name == "primeCr" {
        prime_credential(value, path)
    } else {
        Ok(())
    }
}

fn unrepeated(object: &Object<'_>, path: &Path) -> Result<(), DbError> {
    let mut names = std::collections::HashSet::new();
    match object.members().find(|(name, _)| !names.insert(*name)) {
        Some((name, _)) => Err(path.member(name).refused(DbProblem::Repeated)),
        None => Ok(()),
    }
}

/// The member of exactly this name: what is sent is read by exact names.
fn member<'a>(found: &Object<'a>, name: &str) -> Option<&'a RawValue> {
    let mut members = found.members();
    members.find_map(|(found, value)| (found == name).then_some(value))
}

fn required<'a>(found: &Object<'a>, name: &str, path: &Path) -> Result<&'a RawValue, DbError> {
    member(found, name).ok_or_else(|| path.member(name).refused(DbProblem::Missing))
}

fn object<'a>(value: &'a RawValue, path: &Path) -> Result<Object<'a>, DbError> {
    Object::parse(value.get()).map_err(|_| path.refused(DbProblem::NotA("an object")))
}

fn list<'a>(value: &'a RawValue, path: &Path) -> Result<Vec<&'a RawValue>, DbError> {
    elements(value).ok_or_else(|| path.refused(DbProblem::NotA("an array")))
}

fn date(value: &RawValue, path: &Path) -> Result<(), DbError> {
    if text_or_number(value).is_some_and(|text| DeviceTime::parse(&text).is_some()) {
        return Ok(());
    }
    let found = value.get().chars().take(MAX_SHOWN_CHARS).collect();
    Err(path.refused(DbProblem::Date(found)))
}

fn prime_credential(value: &RawValue, path: &Path) -> Result<(), DbError> {
    let is_credential = text_or_number(value)
        .is_some_and(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_credential {
        Ok(())
    } else {
        Err(path.refused(DbProblem::PrimeCredential))
    }
}

/// "In that order" (PROTOCOL.md section 4).
const ORDER: &[&str] = &["deleteAll", "delete", "update", "add"];

const MAX_DEPTH: usize = 16;

/// A list of thousands says no more than one of a hundred.
const MAX_WARNINGS: usize = 100;

const MAX_SHOWN_CHARS: usize = 40;

#[cfg(test)]
mod tests;
