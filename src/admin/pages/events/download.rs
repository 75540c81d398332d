//! Events as a file, written page by page as the client takes it: however many there are, one page of
//! them is in memory.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engage_store::{DeviceEvent, EventFilter, EventOrder, EventQuery, PageLimit, Store};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body_util::channel::{Channel, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::error::PageError;
use super::super::{PageState, store};
use super::query::EventsQuery;
use crate::event_text::{CsvPrinter, json_line};

/// How many may be under way.
#[derive(Debug)]
pub(in crate::admin) struct Downloads(Arc<Semaphore>);

impl Default for Downloads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_DOWNLOADS)))
    }
}

impl Downloads {
    fn begin(&self) -> Result<OwnedSemaphorePermit, PageError> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map_err(|_| PageError::TooManyDownloads(MAX_DOWNLOADS))
    }
}

/// `/events.csv`
pub(in crate::admin::pages) async fn csv(
    state: PageState,
    query: Query<EventsQuery>,
) -> Result<Response, PageError> {
    download(state, &query, Format::Csv)
}

/// `/events.jsonl`
pub(in crate::admin::pages) async fn json_lines(
    state: PageState,
    query: Query<EventsQuery>,
) -> Result<Response, PageError> {
    download(state, &query, Format::JsonLines)
}

/// How events are written.
#[derive(Clone, Copy, Debug)]
enum Format {
    Csv,
    JsonLines,
}

fn download(
    State(admin): PageState,
    query: &EventsQuery,
    format: Format,
) -> Result<Response, PageError> {
    let filter = query.filter()?;
    let store = Arc::clone(store(&admin.app)?);
    let permit = admin.downloads.begin()?;
    let (sender, body) = Channel::new(1);
    tokio::spawn(send(store, filter, format, sender, permit));
    let (media_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "events.csv"),
        Format::JsonLines => ("application/jsonl", "events.jsonl"),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::new(body)).into_response())
}

/// Ends with the last event, when the client has gone, or when the store fails: then the body breaks off,
/// so that nobody takes a part for the whole.
async fn send(
    store: Arc<dyn Store>,
    filter: EventFilter,
    format: Format,
    mut sender: Sender<Bytes, io::Error>,
    _permit: OwnedSemaphorePermit,
) {
    let mut query = EventQuery {
        filter,
        order: EventOrder::NewestFirst,
        limit: PageLimit::MAX,
        ..EventQuery::default()
    };
    let mut is_first = true;
    loop {
        let page = match store.events(&query).await {
            Ok(page) => page,
            Err(error) => return sender.abort(io::Error::other(error)),
        };
        let bytes = match format.write(&page.events, is_first) {
            Ok(bytes) => bytes,
            Err(error) => return sender.abort(error),
        };
        if sender.send_data(bytes.into()).await.is_err() {
            return;
        }
        is_first = false;
        query.after = page.next;
        if query.after.is_none() {
            return;
        }
    }
}

impl Format {
    /// What somebody has changed in the database is left out, as on the page.
    fn write(self, events: &[DeviceEvent], with_heading: bool) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Csv => {
                let mut csv = CsvPrinter::new(&mut bytes);
                if with_heading {
                    csv.print_heading()?;
                }
                for event in events {
                    if let Ok(stored) = event.parse() {
                        csv.print(event.device, &stored)?;
                    }
                }
                csv.flush()?;
            }
            Self::JsonLines => {
                for event in events {
                    bytes.extend_from_slice(json_line(event).as_bytes());
                    bytes.push(b'\n');
                }
            }
        }
        Ok(bytes)
    }
}

const MAX_DOWNLOADS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_downloads_than_there_may_be_are_refused() {
        let downloads = Downloads::default();
        let mut begun: Vec<_> = (0..MAX_DOWNLOADS)
            .map(|_| downloads.begin().unwrap())
            .collect();
        assert!(matches!(
            downloads.begin(),
            Err(PageError::TooManyDownloads(MAX_DOWNLOADS))
        ));
        begun.pop();
        assert!(downloads.begin().is_ok());
    }
}
