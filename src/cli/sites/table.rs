//! A table of sites, as spreadsheets write it.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};
use zeroize::Zeroizing;

use super::add::absolute;
use super::error::TableError;
use crate::failure::Failure;
use crate::sites::{GivenKey, Wanted, hosts, once};
use engage_store::SerialNumber;
use engage_wire::limits;
use engage_wire::site::{SiteKey, SiteName};
use engage_wire::{HostName, Text, read_regular_file};

/// A line of the table that is a site.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) wanted: Wanted,
}

/// A table, read.
pub(super) struct Table {
    path: PathBuf,
    /// Where each column is; `None` where it is not.
    columns: [Option<usize>; COLUMNS.len()],
    records: Vec<StringRecord>,
}

impl Table {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = Text::read("table of sites", path, MAX_TABLE_BYTES)?;
        let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // What spreadsheets write where the comma is the decimal point.
        let is_semicolon = first_line.contains(&b';') && !first_line.contains(&b',');
        let mut reader = ReaderBuilder::new()
            .delimiter(if is_semicolon { b';' } else { b',' })
            .trim(Trim::All)
            .from_reader(&text[..]);
        let malformed = |error: csv::Error| TableError::Malformed {
            path: path.to_owned(),
            line: error.position().map_or(1, csv::Position::line),
            reason: error.to_string(),
        };
        let columns = columns(path, reader.headers().map_err(malformed)?)?;
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        for record in reader.records().take(MAX_ROWS) {
            match record {
                Ok(record) => records.push(record),
                Err(error) => faults.push(malformed(error)),
            }
        }
        refuse(path, faults)?;
        if records.is_empty() {
            return Err(TableError::Empty {
                path: path.to_owned(),
            }
            .into());
        }
        Ok(Self {
            path: path.to_owned(),
            columns,
            records,
        })
    }

    pub(super) fn rows(&self) -> Result<Vec<Row>, Failure> {
        let (mut rows, mut faults) = (Vec::new(), Vec::new());
        for record in &self.records {
            let line = record.position().map_or(0, csv::Position::line);
            match self.wanted(record) {
                Ok(wanted) => rows.push(Row { line, wanted }),
                Err((column, reason)) => faults.push(TableError::Cell {
                    path: self.path.clone(),
                    line,
                    column,
                    reason: without_key(reason),
                }),
            }
        }
        refuse(&self.path, faults)?;
        Ok(rows)
    }

    /// What a line wants, or which cell is wrong. What stands under `key` is never told.
    fn wanted(&self, record: &StringRecord) -> Result<Wanted, (&'static str, String)> {
        let cell = |column: &'static str| {
            let at = COLUMNS.iter().position(|it| *it == column);
            let at = at.and_then(|at| self.columns[at]);
            at.and_then(|at| record.get(at))
                .filter(|text| !text.is_empty())
        };
        let wrong =
            |column: &'static str| move |reason: &dyn ToString| (column, reason.to_string());
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = |text: &str| absolute(&folder.join(text));
        let name = SiteName::try_from(cell("name").unwrap_or_default().to_owned());
        let serials = values(cell("serials")).map(|text| {
            let serial = SerialNumber::from_hex(text.as_bytes());
            serial.ok_or_else(|| {
                (
                    "serials",
                    format!("`{text}` is no serial number; allowed: 16 or 32 hexadecimal digits"),
                )
            })
        });
        let serials = once(serials.collect::<Result<Vec<_>, _>>()?);
        let names = values(cell("hosts")).map(str::parse::<HostName>);
        let names = names
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| wrong("hosts")(&error))?;
        let base_url = cell("base_url").map(str::parse).transpose();
        Ok(Wanted {
            name: name.map_err(|error| wrong("name")(&error))?,
            key: key(cell("key"), cell("key_file").map(path))?,
            certificate: cell("certificate").map(path),
            hosts: hosts(names, !serials.is_empty()),
            serials,
            serials_file: None,
            base_url: base_url.map_err(|error| wrong("base_url")(&error))?,
        })
    }
}

fn key(text: Option<&str>, file: Option<PathBuf>) -> Result<GivenKey, (&'static str, String)> {
    match (text, file) {
        (Some(text), None) => {
            let text = Zeroizing::new(text.as_bytes().to_vec());
            let key = SiteKey::parse(&text);
            key.map_err(|error| ("key", format!("the key is none: {error}")))?;
            Ok(GivenKey::Text(text))
        }
        (None, Some(file)) => {
            let contents = read_regular_file("site key", &file, limits::MAX_FILE_BYTES);
            let contents =
                contents.map_err(|error| ("key_file", engage_wire::diagnostic::causes(&error)))?;
            let key = SiteKey::parse(&contents);
            key.map_err(|error| {
                (
                    "key_file",
                    format!("`{}` is no key: {error}", file.display()),
                )
            })?;
            Ok(GivenKey::Text(contents))
        }
        (Some(_), Some(_)) => Err((
            "key_file",
            "it has a key and a key file; allowed: one of them".into(),
        )),
        (None, None) => Err((
            "key",
            "it has no key; `sites add` makes one for a site that does not exist yet".into(),
        )),
    }
}

fn columns(
    path: &Path,
    headers: &StringRecord,
) -> Result<[Option<usize>; COLUMNS.len()], TableError> {
    if headers.is_empty() {
        return Err(TableError::Empty {
            path: path.to_owned(),
        });
    }
    let mut columns = [None; COLUMNS.len()];
    for (at, header) in headers.iter().enumerate() {
        let header = header.to_ascii_lowercase();
        let Some(column) = COLUMNS.iter().position(|it| *it == header) else {
            return Err(TableError::UnknownColumn {
                path: path.to_owned(),
                column: shown_header(&header),
            });
        };
        if columns[column].replace(at).is_some() {
            return Err(TableError::RepeatedColumn {
                path: path.to_owned(),
                column: COLUMNS[column],
            });
        }
    }
    let found: Vec<_> = headers
        .iter()
        .map(|it| format!("`{}`", shown_header(it)))
        .collect();
    let missing = |column: &'static str| TableError::NoColumn {
        path: path.to_owned(),
        column,
        found: found.join(", "),
    };
    match columns {
        [None, ..] => Err(missing("name")),
        [_, None, None, ..] => Err(missing("key")),
        columns => Ok(columns),
    }
}

/// A key that stands in another column is not told.
fn without_key(reason: String) -> String {
    if SiteKey::is_written_in(&reason) {
        return "it contains a key, so nothing of it is shown".to_owned();
    }
    reason
}

/// A table without its first line begins with a key perhaps.
fn shown_header(header: &str) -> String {
    if SiteKey::is_written_in(header) {
        return "(a key)".to_owned();
    }
    header.chars().take(40).collect()
}

/// Several values of one cell.
fn values(cell: Option<&str>) -> impl Iterator<Item = &str> {
    let cell = cell.unwrap_or_default();
    cell.split(|it: char| it.is_whitespace() || it == ';' || it == ',')
        .filter(|value| !value.is_empty())
}

/// Refuses a table with all of its faults, as many as somebody reads.
pub(super) fn refuse(path: &Path, mut faults: Vec<TableError>) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    if faults.len() > MAX_FAULTS {
        faults.truncate(MAX_FAULTS);
        faults.push(TableError::More {
            path: path.to_owned(),
        });
    }
    Err(Failure::from_errors(faults))
}

const COLUMNS: [&str; 7] = [
    "name",
    "key",
    "key_file",
    "hosts",
    "serials",
    "certificate",
    "base_url",
];

/// As many as somebody corrects at a time.
const MAX_FAULTS: usize = 100;

/// More than [`MAX_ROWS`] need.
const MAX_TABLE_BYTES: usize = 64 * 1024 * 1024;

/// More than any installation has sites.
const MAX_ROWS: usize = 100_000;
