use super::super::tests::with_each_engine;
use super::*;
use crate::DeviceId;

const SMALL: RowLimits = RowLimits { each: 3, all: 5 };

/// Seen in that second, from a host of a network.
fn seen(second: u8, network: u8) -> Sighting {
    let peer = IpAddr::from([0x2001, 0xdb8, 0, network.into(), 0, 0, 0, second.into()]);
    let anchor = "AB".repeat(32).parse().unwrap();
    Sighting {
        who: DeviceId::Address(peer),
        peer,
        site: None,
        seen: Seen::Verified { anchor },
        at: Timestamp::from_second(second.into()).unwrap(),
    }
}

async fn seconds(connection: &mut AnyConnection) -> Vec<i64> {
    let rows = sqlx::query("SELECT seen_at FROM adoption ORDER BY seen_at");
    let rows = rows.fetch_all(connection).await.unwrap();
    rows.iter()
        .map(|row| row.get::<i64, _>(0) / 1_000_000)
        .collect()
}

/// A device has called in from the address of second 1.
#[test]
fn of_each_network_and_of_all_the_newest_stay_and_those_of_devices() {
    with_each_engine(|runtime, pool| {
        runtime.block_on(async {
            let mut connection = pool.acquire().await.unwrap();
            sqlx::query(
                "INSERT INTO devices (device, revision, last_seq, filed_at, first_seen, \
                 last_seen, address) VALUES ('0000000000000001', 1, 0, 0, 0, 0, $1)",
            )
            .bind(seen(1, 1).peer.to_string())
            .execute(&mut *connection)
            .await
            .unwrap();
            for (second, network, kept) in [
                (1, 1, &[1][..]),
                (2, 1, &[1, 2]),
                (3, 1, &[1, 2, 3]),
                (4, 1, &[1, 2, 3, 4]),
                (5, 1, &[1, 3, 4, 5]),
                (6, 2, &[1, 3, 4, 5, 6]),
                (7, 3, &[1, 4, 5, 6, 7]),
            ] {
                let rows = rows(vec![seen(second, network)]);
                save(&mut connection, &SMALL, &rows, 0).await.unwrap();
                assert_eq!(seconds(&mut connection).await, kept, "{second}");
            }
        });
    });
}
