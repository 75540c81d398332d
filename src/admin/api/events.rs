//! What devices delivered: page by page, and as it comes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{self, KeepAlive};
use engage_store::{
    DeviceEvent, DeviceId, EventCode, EventFilter, EventKind, EventOrder, EventPageToken,
    EventQuery, Store, StoreError, redact,
};
use http::HeaderMap;
use jiff::Timestamp;
use miette::Diagnostic;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cursor::{cursor, page_limit};
use super::devices::store;
use super::extract::{Query, header, parsed};
use super::problem::Refused;
use crate::admin::Admin;
use crate::admin::access::Principal;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(follow))
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventParams {
    /// Only of this device: serial number or IP address
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Only audits or alerts
    #[param(value_type = Option<String>, pattern = "^(audits|alerts)$")]
    kind: Option<EventKind>,
    /// Only events of this code: 8 hexadecimal digits
    #[serde(default, deserialize_with = "event_code")]
    #[param(value_type = Option<String>, pattern = "^[0-9A-Fa-f]{8}$")]
    code: Option<EventCode>,
    /// Only events that were received at this moment or later
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only events that were received before this moment
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Which come first: `oldest`, whose cursor misses nothing and gives nothing twice, or `newest`
    #[serde(default)]
    #[param(inline)]
    order: Option<Order>,
    /// Behind this place: `next` of the page before
    cursor: Option<String>,
    /// How many on one page
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// Seconds to wait for an event where there is none yet; with `oldest` only
    #[param(minimum = 0, maximum = 30, default = 0)]
    wait: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Oldest,
    Newest,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
struct EventList {
    /// In the order that was asked for.
    events: Vec<EventEntry>,
    /// `cursor` of what follows. With `oldest` there always is one: later events come behind it.
    next: Option<String>,
    /// What is wrong with rows among them that are left out: somebody changed them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

/// An event, and whose it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventEntry {
    /// Serial number, or `addr-` and an IP address.
    device: String,
    /// Its number among the device's events, from 1.
    seq: i64,
    /// `audits` or `alerts`.
    kind: Option<&'static str>,
    /// As it is stored: `received_at`, `code` and `name` in words where they are known, `event` and `time` as
    /// they arrived, and `batch` and `line`, which together name it for ever. Secrets are masked.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
}

impl EventEntry {
    /// `None` for what somebody has made no event in the database.
    fn new(event: &DeviceEvent) -> Option<Self> {
        event.parse().ok()?;
        Some(Self {
            device: event.device.to_string(),
            seq: event.seq,
            kind: event.kind.map(EventKind::as_str),
            event: RawValue::from_string(redact(&event.text)).ok()?,
        })
    }
}

impl EventParams {
    fn query(&self) -> Result<EventQuery, Refused> {
        Ok(EventQuery {
            filter: EventFilter {
                device: self.device,
                kind: self.kind,
                since: self.since,
                until: self.until,
                code: self.code,
            },
            order: match self.order {
                Some(Order::Newest) => EventOrder::NewestFirst,
                Some(Order::Oldest) | None => EventOrder::OldestFirst,
            },
            after: cursor::<EventPageToken>(self.cursor.as_deref())?,
            limit: page_limit(self.limit)?,
        })
    }
}

/// List what devices delivered
///
/// Oldest first, unless asked otherwise: whoever keeps `next` and asks again gets what came since, misses nothing and
/// gets nothing twice. With `wait` the answer comes with the first event, or empty when the time is over.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "listEvents",
    tag = "events",
    params(EventParams),
    responses((status = 200, description = "A page of events", body = EventList))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    Query(params): Query<EventParams>,
) -> Result<axum::Json<EventList>, Refused> {
    let wait = match params.wait.unwrap_or(0) {
        0 => None,
        seconds @ 1..=MAX_WAIT_SECONDS => Some((Duration::from_secs(seconds), waiter()?)),
        found => return Err(EventError::Wait { found }.into()),
    };
    let mut query = params.query()?;
    let store = store(&admin)?;
    let deadline = wait.as_ref().map(|(wait, _)| Instant::now() + *wait);
    let mut left_out = Vec::new();
    loop {
        let (mut page, has_more) = next_page(store, &mut query).await?;
        // Of pages that hold nothing else, too.
        left_out.append(&mut page.left_out);
        page.left_out.clone_from(&left_out);
        let is_following = query.order == EventOrder::OldestFirst;
        if !page.events.is_empty() || !is_following {
            return Ok(axum::Json(page));
        }
        if has_more {
            // So many were looked at, of which the filter let none through.
            continue;
        }
        if deadline.is_none_or(|it| it <= Instant::now()) {
            return Ok(axum::Json(page));
        }
        tokio::select! {
            () = sleep(POLL_INTERVAL) => {}
            () = admin.control.stopping() => return Ok(axum::Json(page)),
        }
    }
}

/// The next page, whether more follow it at once, and the query behind it.
async fn next_page(
    store: &Arc<dyn Store>,
    query: &mut EventQuery,
) -> Result<(EventList, bool), StoreError> {
    let page = store.events(query).await?;
    let has_more = page.next.is_some();
    query.after = match query.order {
        EventOrder::OldestFirst => page.end.or_else(|| query.after.take()),
        _ => page.next,
    };
    let (mut events, mut left_out) = (Vec::new(), page.left_out);
    for stored in &page.events {
        match EventEntry::new(stored) {
            Some(event) => events.push(event),
            None => left_out.push(format!(
                "event {} of device {} is not an event",
                stored.seq, stored.device
            )),
        }
    }
    let list = EventList {
        events,
        next: query.after.as_ref().map(ToString::to_string),
        left_out,
    };
    Ok((list, has_more))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FollowParams {
    /// Only of this device: serial number or IP address
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Only audits or alerts
    #[param(value_type = Option<String>, pattern = "^(audits|alerts)$")]
    kind: Option<EventKind>,
    /// Only events of this code: 8 hexadecimal digits
    #[serde(default, deserialize_with = "event_code")]
    #[param(value_type = Option<String>, pattern = "^[0-9A-Fa-f]{8}$")]
    code: Option<EventCode>,
    /// Behind this place: `next` of a page, or the `id` of an event of a stream. From the first event
    /// on otherwise. The header `Last-Event-ID`, which browsers send by themselves, comes before it
    after: Option<String>,
}

/// One server-sent event, by the names of its lines.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `sse::Event` writes")]
struct StreamedEvent {
    /// The cursor behind it
    id: String,
    /// An event as `GET /api/v1/events` lists it, as JSON text
    data: String,
}

/// Follow what devices deliver
///
/// As server-sent events: each has the cursor behind it as `id`, and an event as `data`. A stream ends after
/// an hour at the latest, or when the daemon stops: go on behind the last `id`.
#[utoipa::path(
    get,
    path = "/events/stream",
    operation_id = "followEvents",
    tag = "events",
    params(FollowParams),
    responses((
        status = 200,
        description = "Events as they come",
        body = StreamedEvent,
        content_type = "text/event-stream"
    ))
)]
async fn follow(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Query(params): Query<FollowParams>,
    headers: HeaderMap,
) -> Result<Sse<impl futures_util::Stream<Item = Result<sse::Event, Infallible>>>, Refused> {
    let last = header(&headers, &LAST_EVENT_ID)?;
    let after = last.as_deref().or(params.after.as_deref());
    let query = EventQuery {
        filter: EventFilter {
            device: params.device,
            kind: params.kind,
            code: params.code,
            ..EventFilter::default()
        },
        order: EventOrder::OldestFirst,
        after: cursor::<EventPageToken>(after)?,
        // Each has a cursor of its own, behind which a reader goes on.
        limit: engage_store::PageLimit::clamped(STREAM_PAGE),
    };
    let follower = Follower {
        store: Arc::clone(store(&admin)?),
        admin,
        principal,
        query,
        ends_at: Instant::now() + MAX_STREAM,
        _waiter: waiter()?,
    };
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Reads on where it stopped.
struct Follower {
    admin: Arc<Admin>,
    principal: Principal,
    store: Arc<dyn Store>,
    query: EventQuery,
    ends_at: Instant,
    _waiter: SemaphorePermit<'static>,
}

impl Follower {
    /// `None` ends the stream.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            // Whoever's token is taken away learns nothing more.
            if Instant::now() >= self.ends_at || !self.admin.lets_in_still(&self.principal) {
                return None;
            }
            let (page, has_more) = next_page(&self.store, &mut self.query).await.ok()?;
            if let (Some(event), Some(next)) = (page.events.first(), page.next) {
                let data = sse::Event::default().id(next).json_data(event);
                return data.ok();
            }
            if has_more {
                continue;
            }
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = self.admin.control.stopping() => return None,
            }
        }
    }
}

fn event_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EventCode>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let code = EventCode::parse(&text);
    code.map(Some)
        .ok_or_else(|| D::Error::custom("`code` has 8 hexadecimal digits"))
}

/// A permit to wait for events.
fn waiter() -> Result<SemaphorePermit<'static>, EventError> {
    WAITERS.try_acquire().map_err(|_| EventError::TooMany)
}

#[derive(Debug, Diagnostic, thiserror::Error)]
enum EventError {
    #[error("{found} seconds to wait are asked for; allowed: 0 to {MAX_WAIT_SECONDS}")]
    #[diagnostic(code("malformed-wait"), help("ask again when the answer has come"))]
    Wait { found: u64 },
    #[error("{MAX_WAITERS} requests wait for events already; allowed: {MAX_WAITERS}")]
    #[diagnostic(code("too-many-followers"), help("ask again later, or without `wait`"))]
    TooMany,
}

static WAITERS: Semaphore = Semaphore::const_new(MAX_WAITERS);

/// Half of the connections that the listener serves at a time. Each asks the store once a second.
const MAX_WAITERS: usize = 8;

const MAX_WAIT_SECONDS: u64 = 30;

const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Below the idle timeouts of proxies. Who has gone is found out by the second that cannot be sent: its place
/// is another's by then.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

const MAX_STREAM: Duration = Duration::from_hours(1);

const STREAM_PAGE: u64 = 1;

const LAST_EVENT_ID: http::HeaderName = http::HeaderName::from_static("last-event-id");
