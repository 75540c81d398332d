//! A store that is opened while the daemon already answers.

mod forwarded;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::adoption::UnstoredSightings;
use crate::certificate_fetch::UnstoredFetches;
use crate::{AppendedDevices, DeviceId, DeviceObservation, Store, StoreError, Subscriber};

/// Stands for a store from the start on. Until it is there, calls wait for it for some seconds, and
/// are then refused with [`StoreError::Opening`].
///
/// A clone is the same store.
#[derive(Clone, Default)]
pub struct StoreHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: RwLock<State>,
    opened: Notify,
}

#[derive(Default)]
struct State {
    store: Option<Arc<dyn Store>>,
    /// Why it is not there, where that is known.
    failure: Option<String>,
    /// Subscribers that came before the store.
    subscribed: Vec<(Subscriber, AppendedDevices)>,
    /// Observations that were made before it.
    observed: Vec<(DeviceId, DeviceObservation, Timestamp)>,
    /// Certificates that were fetched before it.
    fetches: UnstoredFetches,
    /// What was seen before it.
    sightings: UnstoredSightings,
}

impl StoreHandle {
    /// Puts the store behind the handle: from now on call-ins are stored.
    pub fn set(&self, store: Arc<dyn Store>) {
        let mut state = self.0.state.write();
        for (subscriber, appended) in state.subscribed.drain(..) {
            store.subscribe(subscriber, appended);
        }
        for (device, observation, at) in state.observed.drain(..) {
            store.observe(device, observation, at);
        }
        for fetch in state.fetches.take() {
            store.fetched(fetch);
        }
        for sighting in state.sightings.take() {
            store.sighted(sighting);
        }
        state.failure = None;
        state.store = Some(store);
        self.0.opened.notify_waiters();
    }

    /// Says why the store is not there: health shows it until [`set`](Self::set).
    pub fn set_failure(&self, reason: String) {
        self.0.state.write().failure = Some(reason);
    }

    /// Completes when the store is there.
    pub async fn opened(&self) {
        let mut opened = pin!(self.0.opened.notified());
        // Before it looks, so that an opening in between is not missed.
        opened.as_mut().enable();
        if self.0.state.read().store.is_none() {
            opened.await;
        }
    }

    async fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        // Nearly always it is there.
        if let Some(store) = self.current() {
            return Ok(store);
        }
        if self.0.state.read().failure.is_none() {
            let _ = timeout(OPENING_TIMEOUT, self.opened()).await;
        }
        self.current().ok_or(StoreError::Opening)
    }

    fn current(&self) -> Option<Arc<dyn Store>> {
        self.0.state.read().store.clone()
    }
}

/// Shorter than any device waits for an answer.
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);
