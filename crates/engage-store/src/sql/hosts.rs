//! The hosts that share a server: which of them live, and what each has leased.
//!
//! A host has a row that says until when it lives, by the server's clock: those of the hosts
//! differ. It renews the row, and counts itself dead [`ALIVE_MARGIN`] before the others do, by a clock
//! that nobody sets; then it begins a new term under another id. So a lease is valid as long as the
//! row of its host is, and moves when that is not: nothing has to be told to a host that hangs.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use sqlx::{AnyConnection, AnyPool, Row};
use tokio::time::{Instant, timeout};
use tracing::info;

use super::engine::now;
use super::transaction::WriteTransaction;
use crate::lease::{Prolong, Term};

/// This host's term, and what is known of the others.
#[derive(Default)]
pub(super) struct Hosts {
    current: tokio::sync::Mutex<Option<(Term, Prolong)>>,
    others: Mutex<HashSet<String>>,
}

impl Hosts {
    /// The term that runs; one begins if none does.
    pub(super) async fn term(&self, pool: &AnyPool) -> Result<Term, sqlx::Error> {
        let mut current = self.current.lock().await;
        match &*current {
            Some((term, _)) if !term.has_ended() => Ok(term.clone()),
            _ => {
                let begun = limited(begin(pool)).await?;
                Ok(current.insert(begun).0.clone())
            }
        }
    }

    /// To be called every [`RENEW_INTERVAL`]. Says whether another host is gone since the last call.
    pub(super) async fn renew(&self, pool: &AnyPool) -> Result<bool, sqlx::Error> {
        let term = self.term(pool).await?;
        let asked_at = Instant::now();
        let is_renewed = limited(renew(pool, &term)).await?;
        let mut current = self.current.lock().await;
        match &*current {
            Some((term, prolong)) if is_renewed && !term.has_ended() => {
                prolong.send_replace(asked_at + TERM_VALIDITY);
            }
            _ => *current = None,
        }
        drop(current);
        let alive = limited(alive(pool, &term)).await?;
        let others = std::mem::replace(&mut *self.others.lock(), alive.clone());
        let mut is_gone = false;
        for host in others.difference(&alive) {
            info!(
                host,
                "host {host} has stopped or cannot be reached; others take over what it delivered"
            );
            is_gone = true;
        }
        Ok(is_gone)
    }

    /// Gives everything back, so that others do not have to wait.
    pub(super) async fn leave(&self, pool: &AnyPool) -> Result<(), sqlx::Error> {
        match self.current.lock().await.take() {
            Some((term, _)) => limited(remove(pool, &[term.host().to_owned()])).await,
            None => Ok(()),
        }
    }
}

/// Whether the term has the lease now. It may have had it before.
pub(super) async fn acquire(
    connection: &mut AnyConnection,
    lease: &str,
    term: &Term,
) -> Result<bool, sqlx::Error> {
    let acquired = concat!(
        "INSERT INTO leases (lease, host) VALUES ($1, $2) \
         ON CONFLICT (lease) DO UPDATE SET host = excluded.host \
         WHERE leases.host = excluded.host OR NOT EXISTS \
         (SELECT 1 FROM hosts WHERE hosts.host = leases.host AND alive_until > ",
        now!(),
        ")"
    );
    affects(connection, acquired, lease, term).await
}

/// Whether the term has the lease. Until the transaction ends nobody else can get it.
pub(super) async fn lock(
    connection: &mut AnyConnection,
    lease: &str,
    term: &Term,
) -> Result<bool, sqlx::Error> {
    let locked = "UPDATE leases SET host = host WHERE lease = $1 AND host = $2";
    affects(connection, locked, lease, term).await
}

/// Whether the term had the lease until now.
pub(super) async fn release(
    connection: &mut AnyConnection,
    lease: &str,
    term: &Term,
) -> Result<bool, sqlx::Error> {
    let released = "DELETE FROM leases WHERE lease = $1 AND host = $2";
    affects(connection, released, lease, term).await
}

async fn affects(
    connection: &mut AnyConnection,
    sql: &'static str,
    lease: &str,
    term: &Term,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(sql).bind(lease).bind(term.host());
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

async fn begin(pool: &AnyPool) -> Result<(Term, Prolong), sqlx::Error> {
    let mut id = [0; 16];
    rand::fill(&mut id).map_err(|_| io::Error::other("no random numbers"))?;
    let host = HEXLOWER.encode(&id);
    let asked_at = Instant::now();
    sqlx::query(concat!(
        "INSERT INTO hosts (host, alive_until) VALUES ($1, $2 + ",
        now!(),
        ")"
    ))
    .bind(&host)
    .bind(alive_micros())
    .execute(pool)
    .await?;
    Ok(Term::new(&host, asked_at + TERM_VALIDITY))
}

async fn renew(pool: &AnyPool, term: &Term) -> Result<bool, sqlx::Error> {
    let renewed = sqlx::query(concat!(
        "UPDATE hosts SET alive_until = $2 + ",
        now!(),
        " WHERE host = $1"
    ));
    let renewed = renewed.bind(term.host()).bind(alive_micros());
    Ok(renewed.execute(pool).await?.rows_affected() == 1)
}

/// The other hosts that live. Removes those that do not.
async fn alive(pool: &AnyPool, term: &Term) -> Result<HashSet<String>, sqlx::Error> {
    let hosts = sqlx::query(concat!(
        "SELECT host, alive_until > ",
        now!(),
        " FROM hosts WHERE host <> $1"
    ));
    let (mut alive, mut dead) = (HashSet::new(), Vec::new());
    for row in hosts.bind(term.host()).fetch_all(pool).await? {
        let host: String = row.try_get(0)?;
        if row.try_get(1)? {
            alive.insert(host);
        } else {
            dead.push(host);
        }
    }
    if !dead.is_empty() {
        remove(pool, &dead).await?;
    }
    Ok(alive)
}

fn alive_micros() -> i64 {
    i64::try_from(ALIVE_TIMEOUT.as_micros()).unwrap_or(i64::MAX)
}

async fn remove(pool: &AnyPool, hosts: &[String]) -> Result<(), sqlx::Error> {
    let mut transaction = WriteTransaction::begin(pool).await?;
    for host in hosts {
        for sql in [
            "DELETE FROM leases WHERE host = $1",
            "DELETE FROM rotation_reports WHERE host = $1",
            "DELETE FROM hosts WHERE host = $1",
        ] {
            sqlx::query(sql)
                .bind(host)
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await
}

async fn limited<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let done = timeout(RENEW_TIMEOUT, work).await;
    done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// For the others a host lives for so long after it has said so.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a host that is late has sent arrives within it.
const ALIVE_MARGIN: Duration = Duration::from_secs(2);

const TERM_VALIDITY: Duration = ALIVE_TIMEOUT.saturating_sub(ALIVE_MARGIN);

/// So often that one may fail.
pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(5);

const RENEW_TIMEOUT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests;
