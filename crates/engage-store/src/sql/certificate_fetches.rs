//! Fetches of certificates that no call-in has been credited with, of all hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use engage_wire::CallerNetwork;
use sqlx::{AnyConnection, Row};

use super::devices::{DeviceRow, device, moment};
use super::newest::{Newest, RowLimits};
use super::statement::{pieces, statement, value_list, value_rows};
use crate::{CertificateFetch, DeviceId, DeviceObservation, Timestamped};

/// As many as wait in memory at most.
pub(super) const LIMITS: RowLimits = RowLimits {
    each: 1024,
    all: 65_536,
};

/// Stores fetches, one of each fetcher and in the order of their names, so that no two hosts wait for
/// each other.
pub(super) async fn save(
    connection: &mut AnyConnection,
    limits: &RowLimits,
    fetches: &[CertificateFetch],
) -> Result<(), sqlx::Error> {
    for fetches in pieces(fetches, 4) {
        let values = value_rows(fetches.len(), 4);
        let mut query = statement(format!(
            "INSERT INTO certificate_fetches (fetcher, network, certificate, at) VALUES {values} \
             ON CONFLICT (fetcher) DO UPDATE SET network = excluded.network, \
             certificate = excluded.certificate, at = excluded.at"
        ));
        for fetch in fetches {
            query = query
                .bind(fetch.fetcher.to_string())
                .bind(CallerNetwork::from(fetch.peer).to_string())
                .bind(fetch.certificate.to_string())
                .bind(fetch.at.as_microsecond());
        }
        query.execute(&mut *connection).await?;
    }
    let added = fetches.iter().map(|fetch| fetch.peer);
    NEWEST.remove_surplus(connection, limits, added).await
}

const NEWEST: Newest = Newest {
    table: "certificate_fetches",
    key: "fetcher",
    at: "at",
    may_go: "true",
};

/// Credits devices that have called in, each from an address, with what they fetched before, once:
/// with what names the device; without that, with what came from its address and names nobody.
pub(super) async fn credit(
    connection: &mut AnyConnection,
    rows: &mut BTreeMap<DeviceId, DeviceRow>,
    callers: &[(DeviceId, IpAddr)],
) -> Result<(), sqlx::Error> {
    let named = |(device, peer): &(DeviceId, IpAddr)| [*device, anonymous(*peer)];
    let fetchers: BTreeSet<_> = callers.iter().flat_map(named).collect();
    let fetchers: Vec<_> = fetchers.into_iter().collect();
    let mut fetches = find(connection, &fetchers).await?;
    let mut credited = BTreeMap::new();
    for caller in callers {
        let fetch = named(caller)
            .into_iter()
            .find_map(|fetcher| fetches.remove_entry(&fetcher));
        if let (Some((fetcher, fetch)), Some(row)) = (fetch, rows.get_mut(&caller.0)) {
            credited.insert(fetcher.to_string(), fetch.at);
            let fetched = DeviceObservation::CertificateFetched {
                fingerprint: fetch.value,
            };
            row.apply(fetched, fetch.at);
        }
    }
    // One by one in the order of their names, so that no two hosts wait for each other; and none that
    // was fetched meanwhile.
    for (fetcher, at) in credited {
        sqlx::query("DELETE FROM certificate_fetches WHERE fetcher = $1 AND at = $2")
            .bind(fetcher)
            .bind(at.as_microsecond())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn anonymous(peer: IpAddr) -> DeviceId {
    DeviceId::Address(peer.to_canonical())
}

async fn find(
    connection: &mut AnyConnection,
    fetchers: &[DeviceId],
) -> Result<HashMap<DeviceId, Timestamped>, sqlx::Error> {
    let mut found = HashMap::new();
    for fetchers in pieces(fetchers, 1) {
        let list = value_list(fetchers.len());
        let mut query = statement(format!(
            "SELECT fetcher, certificate, at FROM certificate_fetches WHERE fetcher IN ({list})"
        ));
        for fetcher in fetchers {
            query = query.bind(fetcher.to_string());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let fetch = Timestamped {
                at: moment(&row, "at")?.unwrap_or_default(),
                value: row.try_get("certificate")?,
            };
            found.insert(device(&row, "fetcher")?, fetch);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::tests::with_each_engine;
    use super::*;

    const SMALL: RowLimits = RowLimits { each: 3, all: 5 };

    /// A fetch of the second, from a host of a network.
    fn fetch(second: u8, network: u8) -> CertificateFetch {
        let peer = IpAddr::from([0x2001, 0xdb8, 0, network.into(), 0, 0, 0, second.into()]);
        CertificateFetch {
            fetcher: DeviceId::Address(peer),
            peer,
            certificate: "AB".repeat(32).parse().unwrap(),
            at: Timestamp::from_second(second.into()).unwrap(),
        }
    }

    async fn seconds(connection: &mut AnyConnection) -> Vec<i64> {
        let rows = sqlx::query("SELECT at FROM certificate_fetches ORDER BY at");
        let rows = rows.fetch_all(connection).await.unwrap();
        rows.iter()
            .map(|row| row.get::<i64, _>(0) / 1_000_000)
            .collect()
    }

    #[test]
    fn of_each_network_and_of_all_the_newest_stay() {
        with_each_engine(|runtime, pool| {
            runtime.block_on(async {
                let mut connection = pool.acquire().await.unwrap();
                for (second, network, kept) in [
                    (1, 1, &[1][..]),
                    (2, 1, &[1, 2]),
                    (3, 1, &[1, 2, 3]),
                    (4, 1, &[2, 3, 4]),
                    (5, 2, &[2, 3, 4, 5]),
                    (6, 3, &[2, 3, 4, 5, 6]),
                    (7, 4, &[3, 4, 5, 6, 7]),
                ] {
                    let fetches = [fetch(second, network)];
                    save(&mut connection, &SMALL, &fetches).await.unwrap();
                    assert_eq!(seconds(&mut connection).await, kept, "{second}");
                }
            });
        });
    }
}
