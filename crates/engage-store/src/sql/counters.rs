//! Numbers that are given out in the order of the commits.

use sqlx::{AnyConnection, Row};

/// Which numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    AdminEvents,
    Appended,
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::AdminEvents => "admin_events",
            Self::Appended => "appended",
        }
    }

    /// The last of so many numbers that are new. Whoever takes the next ones waits until this
    /// transaction has ended: who sees a number sees all before it.
    ///
    /// The last thing for which a transaction waits, so that none waits for the other.
    pub(super) async fn advance(
        self,
        connection: &mut AnyConnection,
        by: i64,
    ) -> Result<i64, sqlx::Error> {
        let row = sqlx::query(
            "INSERT INTO counters (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value \
             RETURNING value",
        )
        .bind(self.name())
        .bind(by)
        .fetch_one(connection)
        .await?;
        row.try_get(0)
    }
}
