//! The store as who answers a request once sees it.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::store::SqlStore;
use crate::idempotency::MAX_ANSWER_BYTES;
use crate::{
    IdempotencyKey, IdempotencyStore, RecordedAnswer, RequestHash, Reservation, StoreError,
};

#[async_trait]
impl IdempotencyStore for SqlStore {
    async fn reserve_answer(
        &self,
        key: &IdempotencyKey,
        request: RequestHash,
        now: Timestamp,
    ) -> Result<Reservation, StoreError> {
        let key = key.clone();
        self.writing(move |connection| {
            Box::pin(async move { reserve(connection, &key, request, now).await })
        })
        .await
    }

    async fn record_answer(
        &self,
        key: &IdempotencyKey,
        answer: RecordedAnswer,
    ) -> Result<(), StoreError> {
        if answer.body.len() > MAX_ANSWER_BYTES {
            return self.release_key(key).await;
        }
        let key = key.clone();
        self.writing(move |connection| {
            Box::pin(async move { record(connection, &key, answer).await })
        })
        .await
    }

    async fn release_key(&self, key: &IdempotencyKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.writing(move |connection| Box::pin(async move { release(connection, &key).await }))
            .await
    }
}

async fn reserve(
    connection: &mut AnyConnection,
    key: &IdempotencyKey,
    request: RequestHash,
    now: Timestamp,
) -> Result<Reservation, sqlx::Error> {
    remove_old(connection, now).await?;
    let reserved = sqlx::query(
        "INSERT INTO idempotency (actor, request_key, at, request) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (actor, request_key) DO NOTHING",
    )
    .bind(key.actor())
    .bind(key.key())
    .bind(now.as_microsecond())
    .bind(request.to_text())
    .execute(&mut *connection)
    .await?;
    if reserved.rows_affected() == 1 {
        return Ok(Reservation::Reserved);
    }
    let row = sqlx::query(
        "SELECT request, status, content_type, body FROM idempotency \
         WHERE actor = $1 AND request_key = $2",
    )
    .bind(key.actor())
    .bind(key.key())
    .fetch_one(connection)
    .await?;
    read(&row, request)
}

fn read(row: &AnyRow, request: RequestHash) -> Result<Reservation, sqlx::Error> {
    if row.try_get::<String, _>("request")? != request.to_text() {
        return Ok(Reservation::OtherRequest);
    }
    let Some(status) = row.try_get::<Option<i64>, _>("status")? else {
        return Ok(Reservation::InProgress);
    };
    let status = u16::try_from(status).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Reservation::Answered(RecordedAnswer {
        status,
        content_type: row.try_get("content_type")?,
        body: row.try_get("body")?,
    }))
}

async fn record(
    connection: &mut AnyConnection,
    key: &IdempotencyKey,
    answer: RecordedAnswer,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE idempotency SET status = $3, content_type = $4, body = $5 \
         WHERE actor = $1 AND request_key = $2",
    )
    .bind(key.actor())
    .bind(key.key())
    .bind(i64::from(answer.status))
    .bind(answer.content_type)
    .bind(answer.body)
    .execute(connection)
    .await
    .map(drop)
}

/// What was answered stays.
async fn release(connection: &mut AnyConnection, key: &IdempotencyKey) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM idempotency WHERE actor = $1 AND request_key = $2 AND status IS NULL")
        .bind(key.actor())
        .bind(key.key())
        .execute(connection)
        .await
        .map(drop)
}

async fn remove_old(connection: &mut AnyConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let before = |age| {
        let at: Timestamp = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        at.as_microsecond()
    };
    sqlx::query("DELETE FROM idempotency WHERE at < $1 OR at < $2 AND status IS NULL")
        .bind(before(KEPT))
        .bind(before(RESERVED))
        .execute(&mut *connection)
        .await?;
    // Those that came with the last that is kept go too.
    sqlx::query(
        "DELETE FROM idempotency WHERE at <= \
         (SELECT at FROM idempotency ORDER BY at DESC LIMIT 1 OFFSET $1)",
    )
    .bind(MAX_ANSWERS - 1)
    .execute(connection)
    .await
    .map(drop)
}

const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Longer than anything takes that is asked for.
const RESERVED: SignedDuration = SignedDuration::from_mins(2);

const MAX_ANSWERS: i64 = 10_000;

#[cfg(test)]
mod tests {
    use sqlx::Executor;

    use super::super::tests::with_each_engine;
    use super::*;

    #[test]
    fn the_newest_answers_stay() {
        with_each_engine(|runtime, pool| {
            runtime.block_on(async {
                let mut connection = pool.acquire().await.unwrap();
                let many = "WITH RECURSIVE numbers (number) AS (SELECT CAST(1 AS BIGINT) \
                    UNION ALL SELECT number + 1 FROM numbers WHERE number < 12000) \
                    INSERT INTO idempotency (actor, request_key, at, request, status, body) \
                    SELECT 'gate', CAST(number AS TEXT), number, '', 204, '' FROM numbers";
                connection.execute(many).await.unwrap();
                let key = IdempotencyKey::new("gate", "new").unwrap();
                let now = Timestamp::from_microsecond(20_000).unwrap();
                let request = RequestHash::from_parts(&[b"x"]);
                let reserved = reserve(&mut connection, &key, request, now).await;
                assert_eq!(reserved.unwrap(), Reservation::Reserved);
                let left = "SELECT count(*), min(at) FROM idempotency";
                let left = connection.fetch_one(left).await.unwrap();
                let left: (i64, i64) = (left.get(0), left.get(1));
                assert_eq!(left, (MAX_ANSWERS, 2002));
            });
        });
    }
}
