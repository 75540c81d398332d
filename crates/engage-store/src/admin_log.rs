//! Who changed what by API or page.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use crate::{PageLimit, StoreError};

/// Changes that people and programs made, kept as long as events are, and of them the last 100,000.
#[async_trait]
pub trait AdminLog: Send + Sync {
    /// Records a change, durably. Texts longer than 4 KiB are cut.
    async fn record_admin_event(&self, event: AdminEvent) -> Result<(), StoreError>;

    /// Those that a query asks for, the newest first.
    async fn admin_events(&self, query: AdminEventQuery) -> Result<AdminEventPage, StoreError>;
}

/// A change that somebody made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AdminEvent {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// Who: the name of a token.
    pub actor: String,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// What was done: "set-database".
    pub action: String,
    /// To what: a serial number, or the name of a site.
    pub target: String,
    /// What else there is to say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A change as it is recorded.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RecordedAdminEvent {
    /// Its number: the later one has the greater.
    pub id: AdminEventId,
    /// What it was.
    #[serde(flatten)]
    pub event: AdminEvent,
}

/// The number of a recorded change.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct AdminEventId(pub i64);

/// Which changes are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdminEventQuery {
    /// Older than this one; the newest otherwise.
    pub before: Option<AdminEventId>,
    /// How many on one page.
    pub limit: PageLimit,
}

/// Some changes, the newest first.
#[derive(Clone, Debug)]
pub struct AdminEventPage {
    /// Those of the page.
    pub events: Vec<RecordedAdminEvent>,
    /// For the next page, if there is more.
    pub next: Option<AdminEventId>,
}
