//! The store as who records and reads changes sees it.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::conditions::Conditions;
use super::counters::Counter;
use super::devices::moment;
use super::store::SqlStore;
use crate::{
    AdminEvent, AdminEventId, AdminEventPage, AdminEventQuery, AdminLog, RecordedAdminEvent,
    StoreError,
};

#[async_trait]
impl AdminLog for SqlStore {
    async fn record_admin_event(&self, event: AdminEvent) -> Result<(), StoreError> {
        self.writing(move |connection| Box::pin(async move { record(connection, &event).await }))
            .await
    }

    async fn admin_events(&self, query: AdminEventQuery) -> Result<AdminEventPage, StoreError> {
        self.reading(move |connection| Box::pin(page(connection, query)))
            .await
    }
}

async fn record(connection: &mut AnyConnection, event: &AdminEvent) -> Result<(), sqlx::Error> {
    let id = Counter::AdminEvents.advance(connection, 1).await?;
    sqlx::query(
        "INSERT INTO admin_events (id, at, actor, source, action, target, detail) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(event.at.as_microsecond())
    .bind(text(&event.actor))
    .bind(event.source.map(|source| source.to_string()))
    .bind(text(&event.action))
    .bind(text(&event.target))
    .bind(event.detail.as_deref().map(text))
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM admin_events WHERE id <= $1")
        .bind(id - MAX_EVENTS)
        .execute(connection)
        .await
        .map(drop)
}

async fn page(
    connection: &mut AnyConnection,
    query: AdminEventQuery,
) -> Result<AdminEventPage, sqlx::Error> {
    let limit = query.limit.rows();
    let mut conditions = Conditions::default();
    if let Some(AdminEventId(before)) = query.before {
        conditions.add("id < $", [before.into()]);
    }
    let columns = format_args!("id, at, actor, source, action, target, detail FROM admin_events");
    // One more tells whether there is a next page.
    let rows = conditions.select(columns, "id DESC", limit + 1);
    let rows = rows.fetch_all(connection).await?;
    let events = rows.iter().take(limit).map(read);
    let events = events.collect::<Result<Vec<_>, sqlx::Error>>()?;
    let last = events.last().filter(|_| rows.len() > limit);
    Ok(AdminEventPage {
        next: last.map(|it| it.id),
        events,
    })
}

fn read(row: &AnyRow) -> Result<RecordedAdminEvent, sqlx::Error> {
    let source: Option<String> = row.try_get("source")?;
    Ok(RecordedAdminEvent {
        id: AdminEventId(row.try_get("id")?),
        event: AdminEvent {
            at: moment(row, "at")?.unwrap_or(Timestamp::UNIX_EPOCH),
            actor: row.try_get("actor")?,
            source: source.and_then(|source| source.parse().ok()),
            action: row.try_get("action")?,
            target: row.try_get("target")?,
            detail: row.try_get("detail")?,
        },
    })
}

/// PostgreSQL takes every character but one.
fn text(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    text[..end].replace('\0', "\u{fffd}")
}

const MAX_EVENTS: i64 = 100_000;

const MAX_TEXT_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use sqlx::Executor;

    use super::super::tests::with_each_engine;
    use super::*;
    use crate::PageLimit;

    #[test]
    fn the_newest_changes_stay() {
        with_each_engine(|runtime, pool| {
            runtime.block_on(async {
                let mut connection = pool.acquire().await.unwrap();
                let change = AdminEvent {
                    at: Timestamp::UNIX_EPOCH,
                    actor: "gate".into(),
                    source: None,
                    action: "reload".into(),
                    target: String::new(),
                    detail: None,
                };
                for _ in 0..3 {
                    record(&mut connection, &change).await.unwrap();
                }
                let others = "UPDATE counters SET value = 100001 WHERE name = 'admin_events'";
                connection.execute(others).await.unwrap();
                record(&mut connection, &change).await.unwrap();
                let query = AdminEventQuery {
                    before: None,
                    limit: PageLimit::MAX,
                };
                let found = page(&mut connection, query).await.unwrap();
                let ids: Vec<_> = found.events.iter().map(|it| it.id.0).collect();
                assert_eq!(ids, [100_002, 3]);
            });
        });
    }
}
