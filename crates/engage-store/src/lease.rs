//! Which host passes on a device's events: one at a time.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::{DeviceId, Subscriber};

/// That this host alone passes a device's events on to a subscriber, until the lease is given back
/// or [expires](Self::expired). Made by [`EventLog::acquire`](crate::EventLog::acquire).
///
/// A clone is the same lease.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(crate) subscriber: Subscriber,
    pub(crate) device: DeviceId,
    /// `None` where there is no other host.
    pub(crate) term: Option<Term>,
}

impl Lease {
    /// Completes when another host may have the lease: what is under way then is to be broken off.
    /// Never where there is no other host.
    pub async fn expired(&self) {
        let Some(term) = &self.term else {
            return pending().await;
        };
        let mut ended = pin!(term.ended());
        // Who was suspended is polled before the timers of the time in between are looked at.
        poll_fn(|context| {
            if term.has_ended() {
                return Poll::Ready(());
            }
            ended.as_mut().poll(context)
        })
        .await;
    }

    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.subscriber.as_str(), self.device)
    }
}

/// A time in which other hosts know that this one lives, under an id that no other term has. It is
/// prolonged again and again; once it has ended it stays so.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    host: Arc<str>,
    valid_until: watch::Receiver<Instant>,
}

/// What prolongs a [`Term`]; dropping it ends the term.
pub(crate) type Prolong = watch::Sender<Instant>;

impl Term {
    pub(crate) fn new(host: &str, valid_until: Instant) -> (Self, Prolong) {
        let (prolong, valid_until) = watch::channel(valid_until);
        let host = host.into();
        (Self { host, valid_until }, prolong)
    }

    /// Its id.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn has_ended(&self) -> bool {
        let is_dropped = self.valid_until.has_changed().is_err();
        is_dropped || *self.valid_until.borrow() <= Instant::now()
    }

    pub(crate) async fn ended(&self) {
        let mut valid_until = self.valid_until.clone();
        loop {
            let until = *valid_until.borrow_and_update();
            if !matches!(timeout_at(until, valid_until.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_term_lasts_as_long_as_it_is_prolonged() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let (term, prolong) = Term::new("host", start + second);
        let prolonging = async {
            tokio::time::sleep(second / 2).await;
            prolong.send_replace(start + 3 * second);
            assert!(!term.has_ended());
        };
        tokio::join!(term.ended(), prolonging);
        assert_eq!(start.elapsed(), 3 * second);
        assert!(term.has_ended());
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_that_nobody_prolongs_any_more_has_ended() {
        let start = Instant::now();
        let (term, prolong) = Term::new("host", start + Duration::from_secs(9));
        drop(prolong);
        term.ended().await;
        assert!(term.has_ended() && start.elapsed() < Duration::from_secs(1));
    }
}
