//! Bodies that were refused.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sqlx::AnyConnection;

use super::super::devices;
use crate::import::QUARANTINE;
use crate::regular::read_regular;
use crate::{DeviceId, UploadKind};

/// Takes over bodies that are not in the store yet; returns how many there are.
pub(super) async fn import(
    connection: &mut AnyConnection,
    directory: &Path,
    left_out: &mut Vec<String>,
) -> Result<usize, sqlx::Error> {
    let mut count = 0;
    for path in files(directory) {
        let name = path.file_name().and_then(OsStr::to_str);
        let Some((received_at, device, kind)) = name.and_then(parse) else {
            left_out.push(format!(
                "`{}` is left out: its name is none of a refused body",
                path.display()
            ));
            continue;
        };
        let body = match read_regular("refused body", &path, MAX_BODY_BYTES) {
            Ok(Some(body)) => body,
            Ok(None) => continue,
            Err(error) => {
                left_out.push(format!(
                    "`{}` is left out: {}",
                    path.display(),
                    causes(&error)
                ));
                continue;
            }
        };
        devices::lock(connection, &[(device, received_at)].into()).await?;
        sqlx::query(
            "INSERT INTO quarantine (device, received_at, kind, size, body) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (device, received_at, kind) DO NOTHING",
        )
        .bind(device.to_string())
        .bind(received_at.as_microsecond())
        .bind(kind.as_str())
        .bind(i64::try_from(body.len()).unwrap_or(i64::MAX))
        .bind(body.to_vec())
        .execute(&mut *connection)
        .await?;
        count += 1;
    }
    Ok(count)
}

pub(super) fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs_err::read_dir(directory.join(QUARANTINE));
    let paths = entries.into_iter().flatten().flatten();
    let paths = paths.map(|entry| entry.path());
    paths.filter(|path| path.extension() == Some(OsStr::new("body")))
}

/// `20261123T021305.123456789Z-0123456789ABCDEF-audit.body`; an address may hold hyphens.
fn parse(name: &str) -> Option<(Timestamp, DeviceId, UploadKind)> {
    let (moment, rest) = name.strip_suffix(".body")?.split_once('-')?;
    let (device, kind) = rest.rsplit_once('-')?;
    let moment = DateTime::strptime("%Y%m%dT%H%M%S%.fZ", moment).ok()?;
    let moment = TimeZone::UTC.to_timestamp(moment).ok()?;
    Some((moment, device.parse().ok()?, UploadKind::parse(kind)?))
}

/// More than any `[limits] body_bytes` that is of use.
const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_when_and_of_whom_by_its_name() {
        let (moment, device, kind) =
            parse("20261123T021305.000001000Z-addr-fe80--1-audit.body").unwrap();
        assert_eq!(moment.to_string(), "2026-11-23T02:13:05.000001Z");
        assert_eq!(device.to_string(), "addr-fe80--1");
        assert_eq!(kind, UploadKind::Audit);
        for name in [
            "x.body",
            "20261123T021305.0Z-0123456789ABCDEF-other.body",
            ".body",
        ] {
            assert!(parse(name).is_none(), "{name}");
        }
    }
}
