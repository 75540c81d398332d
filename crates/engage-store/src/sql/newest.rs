//! Tables of which only the newest rows are kept, because strangers can make them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use engage_wire::CallerNetwork;
use sqlx::{AnyConnection, Row};

use super::statement::statement;

/// How many are kept, the newest.
pub(super) struct RowLimits {
    /// From one network.
    pub(super) each: i64,
    pub(super) all: i64,
}

/// A table with a column `network`.
pub(super) struct Newest {
    pub(super) table: &'static str,
    pub(super) key: &'static str,
    /// The column that says when.
    pub(super) at: &'static str,
    /// Which rows may go.
    pub(super) may_go: &'static str,
}

impl Newest {
    /// Along indexes, and of the networks that added most just now: who floods is among them.
    pub(super) async fn remove_surplus(
        &self,
        connection: &mut AnyConnection,
        limits: &RowLimits,
        added: impl Iterator<Item = IpAddr>,
    ) -> Result<(), sqlx::Error> {
        let Self {
            table,
            key,
            at,
            may_go,
        } = self;
        for network in busiest(added) {
            statement(format!(
                "DELETE FROM {table} WHERE network = $1 AND {may_go} AND {at} < (SELECT {at} FROM \
                 {table} WHERE network = $1 AND {may_go} ORDER BY {at} DESC LIMIT 1 OFFSET $2)",
            ))
            .bind(network)
            .bind(limits.each - 1)
            .execute(&mut *connection)
            .await?;
        }
        let count = statement(format!("SELECT count(*) FROM {table}"));
        let count: i64 = count.fetch_one(&mut *connection).await?.try_get(0)?;
        if count <= limits.all {
            return Ok(());
        }
        statement(format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} WHERE {may_go} ORDER BY {at} LIMIT $1)",
        ))
        .bind(count - limits.all)
        .execute(connection)
        .await
        .map(drop)
    }
}

fn busiest(added: impl Iterator<Item = IpAddr>) -> impl Iterator<Item = String> {
    let mut counts: HashMap<CallerNetwork, usize> = HashMap::new();
    for peer in added {
        *counts.entry(peer.into()).or_default() += 1;
    }
    let mut networks: Vec<_> = counts.into_iter().collect();
    networks.sort_by_key(|(_, count)| Reverse(*count));
    let networks = networks.into_iter().take(MAX_TRIMMED);
    networks.map(|(network, _)| network.to_string())
}

/// Networks of one transaction.
const MAX_TRIMMED: usize = 64;
