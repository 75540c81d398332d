//! Events of another host, page by page.

use std::num::NonZeroU64;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::remote::{MAX_PAGE, Remote, query};
use crate::failure::Failure;
use engage_store::{DeviceEvent, DeviceId, EventFilter, EventKind};

/// Which events of another host come next.
pub(super) struct EventPages<'a> {
    remote: &'a Remote,
    filter: String,
    /// How many more are wanted, the newest first; all, the oldest first, if there is no limit.
    left: Option<u64>,
    follow: bool,
    cursor: Option<String>,
    is_at_end: bool,
}

/// Some of them.
pub(super) struct EventPage {
    pub(super) events: Vec<DeviceEvent>,
    /// What is wrong with rows that are left out.
    pub(super) left_out: Vec<String>,
}

impl<'a> EventPages<'a> {
    pub(super) fn new(
        remote: &'a Remote,
        filter: &EventFilter,
        limit: Option<NonZeroU64>,
        follow: bool,
    ) -> Self {
        let EventFilter {
            device,
            kind,
            since,
            until,
            code,
        } = filter;
        Self {
            remote,
            filter: query([
                ("device", device.map(|it| it.to_string())),
                ("kind", kind.map(|it| it.as_str().to_owned())),
                ("since", since.map(|it| it.to_string())),
                ("until", until.map(|it| it.to_string())),
                ("code", code.map(|it| it.to_string())),
                ("order", limit.map(|_| "newest".to_owned())),
            ]),
            left: limit.map(NonZeroU64::get),
            follow,
            cursor: None,
            is_at_end: false,
        }
    }

    /// The next page; `None` behind the last one. Where new ones are followed there is none, and a page may be
    /// empty: none came for a while.
    pub(super) fn next(&mut self) -> Result<Option<EventPage>, Failure> {
        if self.is_at_end {
            return Ok(None);
        }
        // What is there already is not waited for.
        let wait = self.follow && self.cursor.is_some();
        let page = query([
            (
                "limit",
                Some(self.left.unwrap_or(MAX_PAGE).min(MAX_PAGE).to_string()),
            ),
            ("cursor", self.cursor.clone()),
            ("wait", wait.then(|| WAIT_SECONDS.to_string())),
        ]);
        let path = format!("/events?{page}&{}", self.filter);
        let answer: Answered = self.remote.get(&path)?.read()?;
        let events: Vec<_> = answer.events.into_iter().map(DeviceEvent::from).collect();
        self.left = self.left.map(|it| it.saturating_sub(events.len() as u64));
        // The oldest first, a cursor is there behind the last event too: it is for what is to come.
        let is_last = match self.left {
            Some(left) => left == 0 || answer.next.is_none(),
            None => !self.follow && events.is_empty(),
        };
        self.is_at_end = is_last;
        self.cursor = answer.next.or(self.cursor.take());
        Ok(Some(EventPage {
            events,
            left_out: answer.left_out,
        }))
    }
}

#[derive(Deserialize)]
struct Answered {
    events: Vec<AnsweredEvent>,
    next: Option<String>,
    #[serde(default)]
    left_out: Vec<String>,
}

#[derive(Deserialize)]
struct AnsweredEvent {
    device: DeviceId,
    seq: i64,
    kind: Option<EventKind>,
    event: Box<RawValue>,
}

impl From<AnsweredEvent> for DeviceEvent {
    fn from(answered: AnsweredEvent) -> Self {
        Self {
            device: answered.device,
            seq: answered.seq,
            kind: answered.kind,
            text: answered.event.get().to_owned(),
        }
    }
}

/// As long as a host lets a client wait.
const WAIT_SECONDS: u64 = 30;
