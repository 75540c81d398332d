//! Who has which trust anchor, of all hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use engage_wire::CallerNetwork;
use engage_wire::pki::Fingerprint;
use jiff::{SignedDuration, Timestamp};
use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, Row};

use super::devices::{device, moment, readable};
use super::newest::{Newest, RowLimits};
use super::statement::{pieces, statement, value_rows};
use crate::adoption::SeenKind;
use crate::{
    AddressEvidence, Adopted, Adoption, AdoptionPage, AdoptionQuery, DevicePageToken, Evidence,
    Seen, Sighting,
};

/// Of each network, and of all, that are not of a device that has called in.
pub(super) const LIMITS: RowLimits = RowLimits {
    each: 1024,
    all: 524_288,
};

/// Rows of one transaction.
pub(super) const MAX_ROWS: usize = 2048;

const NEWEST: Newest = Newest {
    table: "adoption",
    key: "device",
    at: "seen_at",
    may_go: "NOT EXISTS (SELECT 1 FROM devices WHERE devices.device = adoption.device) \
             AND NOT EXISTS (SELECT 1 FROM devices WHERE devices.address = adoption.address \
             AND adoption.device >= 'addr-')",
};

/// What is added to one row.
pub(super) struct DeviceSightings {
    device: String,
    /// The newest last.
    pub(super) sightings: Vec<Sighting>,
}

/// By name, so that no two hosts wait for each other.
pub(super) fn rows(mut sightings: Vec<Sighting>) -> Vec<DeviceSightings> {
    sightings.sort_by_key(|it| it.at);
    let mut rows: BTreeMap<String, Vec<Sighting>> = BTreeMap::new();
    for sighting in sightings {
        rows.entry(sighting.who.to_string())
            .or_default()
            .push(sighting);
    }
    rows.into_iter()
        .map(|(device, sightings)| DeviceSightings { device, sightings })
        .collect()
}

impl DeviceSightings {
    fn newest(&self) -> &Sighting {
        // `rows` makes none without.
        &self.sightings[self.sightings.len() - 1]
    }

    fn site(&self) -> Option<(&String, i64)> {
        let mut newest_first = self.sightings.iter().rev();
        newest_first.find_map(|it| Some((it.site.as_ref()?, it.at.as_microsecond())))
    }

    fn newest_of(&self, kind: SeenKind) -> Option<&Sighting> {
        let mut newest_first = self.sightings.iter().rev();
        newest_first.find(|it| it.seen.kind() == kind)
    }

    /// The columns of one kind.
    fn columns(&self, kind: SeenKind) -> (Option<String>, Option<i64>) {
        let newest = self.newest_of(kind);
        newest
            .map(|it| (it.seen.fingerprint().to_string(), it.at.as_microsecond()))
            .unzip()
    }

    /// How the last handshake ended that failed.
    fn failure(&self) -> Option<&'static str> {
        match self.newest_of(SeenKind::Failed)?.seen {
            Seen::Failed { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// In the order of [`COLUMNS`].
    fn bind<'q>(
        &self,
        query: Query<'q, Any, AnyArguments>,
        now: i64,
    ) -> Query<'q, Any, AnyArguments> {
        let (newest, (site, site_at)) = (self.newest(), self.site().unzip());
        let (told, told_at) = self.columns(SeenKind::Told);
        let (fetched, fetched_at) = self.columns(SeenKind::Fetched);
        let (verified, verified_at) = self.columns(SeenKind::Verified);
        let (failed, failed_at) = self.columns(SeenKind::Failed);
        query
            .bind(self.device.clone())
            .bind(newest.peer.to_canonical().to_string())
            .bind(CallerNetwork::from(newest.peer).to_string())
            .bind(newest.at.as_microsecond())
            .bind(site.cloned())
            .bind(site_at)
            .bind(told)
            .bind(told_at)
            .bind(fetched)
            .bind(fetched_at)
            .bind(verified)
            .bind(verified_at)
            .bind(failed)
            .bind(failed_at)
            .bind(self.failure())
            .bind(now)
    }
}

/// Adds what was seen to what stands there: of each kind the newest stays.
pub(super) async fn save(
    connection: &mut AnyConnection,
    limits: &RowLimits,
    rows: &[DeviceSightings],
    now: i64,
) -> Result<(), sqlx::Error> {
    for rows in pieces(rows, COLUMNS.len()) {
        let (columns, values) = (COLUMNS.join(","), value_rows(rows.len(), COLUMNS.len()));
        let mut query = statement(format!(
            "INSERT INTO adoption ({columns}) VALUES {values} \
             ON CONFLICT (device) DO UPDATE SET {}",
            *NEWER
        ));
        for row in rows {
            query = row.bind(query, now);
        }
        query.execute(&mut *connection).await?;
    }
    let added = rows.iter().map(|row| row.newest().peer);
    NEWEST.remove_surplus(connection, limits, added).await
}

const COLUMNS: [&str; 16] = [
    "device",
    "address",
    "network",
    "seen_at",
    "site",
    "site_at",
    "told",
    "told_at",
    "fetched",
    "fetched_at",
    "verified",
    "verified_at",
    "failed",
    "failed_at",
    "failure",
    "stored_at",
];

/// What becomes of a row that is there: columns of one kind go together.
static NEWER: LazyLock<String> = LazyLock::new(|| {
    let kinds: [(&str, &[&str]); 6] = [
        ("seen_at", &["seen_at", "address", "network"]),
        ("site_at", &["site_at", "site"]),
        ("told_at", &["told_at", "told"]),
        ("fetched_at", &["fetched_at", "fetched"]),
        ("verified_at", &["verified_at", "verified"]),
        ("failed_at", &["failed_at", "failed", "failure"]),
    ];
    let columns = kinds.iter().flat_map(|(at, columns)| {
        columns.iter().map(move |column| {
            format!(
                "{column} = CASE WHEN excluded.{at} >= coalesce(adoption.{at}, excluded.{at}) \
                 THEN excluded.{column} ELSE adoption.{column} END"
            )
        })
    });
    let columns: Vec<_> = columns
        .chain(["stored_at = excluded.stored_at".to_owned()])
        .collect();
    columns.join(", ")
});

/// Of addresses, the newest first. Along the index of `stored_at`, and not of all names: this is asked every
/// few seconds.
pub(super) async fn evidence_since(
    connection: &mut AnyConnection,
    since: Timestamp,
) -> Result<Vec<AddressEvidence>, sqlx::Error> {
    let rows = statement(format!(
        "SELECT device, address, stored_at, told, told_at, fetched, fetched_at, verified, \
         verified_at, failed, failed_at, failure, \
         (SELECT count(*) FROM adoption AS other WHERE other.address = adoption.address \
         AND other.device < 'addr-' AND other.seen_at >= $1) AS devices \
         FROM adoption WHERE device || '' >= 'addr-' AND stored_at >= $2 \
         ORDER BY stored_at DESC LIMIT {MAX_EVIDENCE}"
    ))
    .bind(neighbours_since(Timestamp::now()))
    .bind(since.as_microsecond())
    .fetch_all(connection)
    .await?;
    // Whoever wrote something else there has spoilt that row only.
    readable(&rows, &mut Vec::new(), |row| {
        let adopted = adopted(row, "")?;
        Ok(AddressEvidence {
            address: address(row)?.unwrap_or(IpAddr::from([0; 4])),
            told: adopted.told,
            fetched: adopted.fetched,
            verified: adopted.verified,
            failed: adopted.failed,
            devices: u32::try_from(row.try_get::<i64, _>("devices")?).unwrap_or(u32::MAX),
            stored_at: moment(row, "stored_at")?.unwrap_or_default(),
        })
    })
}

/// The devices that a query asks for.
pub(super) async fn adoption(
    connection: &mut AnyConnection,
    query: &AdoptionQuery,
) -> Result<AdoptionPage, sqlx::Error> {
    let after = query.after.as_ref();
    let after = after.map_or_else(String::new, |token| token.device.to_string());
    let seen_since = query.seen_since.unwrap_or(Timestamp::UNIX_EPOCH);
    let of_device = query.device.map_or("", |_| "AND devices.device = $3 ");
    let mut rows = statement(format!(
        "{PAGE} {of_device}ORDER BY devices.device LIMIT {}",
        query.limit.rows() + 1
    ));
    rows = rows.bind(seen_since.as_microsecond()).bind(after);
    if let Some(device) = query.device {
        rows = rows.bind(device.to_string());
    }
    let rows = rows.fetch_all(connection).await?;
    let is_last = rows.len() <= query.limit.rows();
    let rows = &rows[..rows.len().min(query.limit.rows())];
    let next = rows.last().filter(|_| !is_last);
    Ok(AdoptionPage {
        devices: readable(rows, &mut Vec::new(), read)?,
        next: next
            .map(|row| Ok::<_, sqlx::Error>(DevicePageToken::by_name(device(row, "device")?)))
            .transpose()?,
    })
}

fn read(row: &AnyRow) -> Result<Adoption, sqlx::Error> {
    let is_shared = row.try_get::<i64, _>("is_shared")? != 0;
    let (mut found, there) = (adopted(row, "")?, adopted(row, "address_")?);
    if !is_shared {
        found.merge(&Adopted {
            fetched: evidence(row, "certificate", "certificate_at")?,
            ..Adopted::default()
        });
    }
    // Anyone may fetch under any serial number: it counts where it came from the device's address.
    found.fetched = found
        .fetched
        .filter(|it| there.fetched.is_some_and(|there| there.at >= it.at));
    if !is_shared {
        found.merge(&there);
    }
    Ok(Adoption {
        device: device(row, "device")?,
        site: row.try_get("site")?,
        address: address(row)?,
        last_seen: moment(row, "last_seen")?.unwrap_or_default(),
        next_call: moment(row, "next_call_at")?,
        is_shared,
        adopted: found,
    })
}

/// Beside what was seen of a device itself, what was seen of the address from which it called in last. Where its serial number
/// was only named, anybody may have been.
const PAGE: &str = "SELECT devices.device, coalesce(own.site, devices.site) AS site, \
    coalesce(devices.address, own.address) AS address, devices.last_seen, devices.next_call_at, \
    devices.certificate, devices.certificate_at, \
    own.told, own.told_at, own.fetched, own.fetched_at, own.verified, own.verified_at, \
    own.failed, own.failed_at, own.failure, \
    at.told AS address_told, at.told_at AS address_told_at, \
    at.fetched AS address_fetched, at.fetched_at AS address_fetched_at, \
    at.verified AS address_verified, at.verified_at AS address_verified_at, \
    at.failed AS address_failed, at.failed_at AS address_failed_at, at.failure AS address_failure, \
    CASE WHEN EXISTS (SELECT 1 FROM adoption AS other \
    WHERE other.address = coalesce(devices.address, own.address) AND other.device < 'addr-' \
    AND other.device <> devices.device AND other.seen_at >= $1) THEN 1 ELSE 0 END AS is_shared \
    FROM devices LEFT JOIN adoption AS own ON own.device = devices.device \
    LEFT JOIN adoption AS at ON at.address = coalesce(devices.address, own.address) \
    AND at.device >= 'addr-' \
    WHERE devices.last_seen >= $1 AND devices.device > $2";

fn adopted(row: &AnyRow, prefix: &str) -> Result<Adopted, sqlx::Error> {
    let of = |kind: &str| {
        evidence(
            row,
            &format!("{prefix}{kind}"),
            &format!("{prefix}{kind}_at"),
        )
    };
    Ok(Adopted {
        told: of("told")?,
        fetched: of("fetched")?,
        verified: of("verified")?,
        failed: of("failed")?,
        failure: row.try_get(&*format!("{prefix}failure"))?,
    })
}

fn evidence(row: &AnyRow, name: &str, at: &str) -> Result<Option<Evidence>, sqlx::Error> {
    let text: Option<String> = row.try_get(name)?;
    let Some((text, at)) = text.zip(moment(row, at)?) else {
        return Ok(None);
    };
    let fingerprint: Fingerprint = text.parse().map_err(|error| sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source: Box::new(error),
    })?;
    Ok(Some(Evidence { fingerprint, at }))
}

fn address(row: &AnyRow) -> Result<Option<IpAddr>, sqlx::Error> {
    let text: Option<String> = row.try_get("address")?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// A serial number that was seen before this moment is not behind its address any more.
fn neighbours_since(now: Timestamp) -> i64 {
    now.checked_sub(NEIGHBOUR)
        .unwrap_or(Timestamp::MIN)
        .as_microsecond()
}

const NEIGHBOUR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Addresses of one answer.
const MAX_EVIDENCE: usize = 131_072;

#[cfg(test)]
mod tests;
