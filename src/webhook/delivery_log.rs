//! What the log says of deliveries: each kind of trouble once a minute.

use std::sync::Arc;

use http::StatusCode;
use tracing::{error, info, warn};

use super::Receiver;
use super::client::is_of_receiver;
use super::job::FailedDelivery;
use crate::http_client::PostError;
use crate::telemetry::{LogThrottle, TraceId};
use engage_store::{DeviceId, StoreError};
use engage_wire::diagnostic::causes;

pub(super) struct DeliveryLog {
    receiver: Arc<Receiver>,
    receiver_fails: LogThrottle,
    refused: LogThrottle,
    set_aside: LogThrottle,
    uncommitted: LogThrottle,
    unreadable: LogThrottle,
}

impl DeliveryLog {
    pub(super) fn new(receiver: Arc<Receiver>) -> Self {
        Self {
            receiver,
            receiver_fails: LogThrottle::default(),
            refused: LogThrottle::default(),
            set_aside: LogThrottle::default(),
            uncommitted: LogThrottle::default(),
            unreadable: LogThrottle::default(),
        }
    }

    pub(super) fn recovered(&self) {
        info!("webhook receiver {} takes deliveries again", self.receiver);
    }

    pub(super) fn failed(&self, device: DeviceId, failed: &FailedDelivery) {
        let receiver = &self.receiver;
        let FailedDelivery {
            error: failure,
            trace,
            ..
        } = failed;
        match failure {
            PostError::Unanswered(reason) => {
                if let Some(others) = self.receiver_fails.check() {
                    warn!(
                        trace.id = %trace, others = others.count(),
                        "webhook receiver {receiver} cannot be reached: {reason}; trying again"
                    );
                }
            }
            PostError::Answered { .. } if is_of_receiver(failure) => {
                if let Some(others) = self.receiver_fails.check() {
                    warn!(%device, trace.id = %trace, others = others.count(), "webhook receiver {receiver} fails: {failure}; trying again");
                }
            }
            PostError::Answered { status, .. } => {
                if let Some(others) = self.refused.check() {
                    let hint = hint(*status);
                    error!(%device, trace.id = %trace, others = others.count(), "webhook receiver {receiver} refuses events: {failure}; trying again; hint: {hint}");
                }
            }
        }
    }

    pub(super) fn set_aside(&self, device: DeviceId, trace: TraceId, failure: &PostError) {
        if let Some(others) = self.set_aside.check() {
            let receiver = &self.receiver;
            error!(%device, trace.id = %trace, others = others.count(), "webhook receiver {receiver} refuses an event again and again: {failure}; going on with the next; hint: `engage-host devices undelivered` lists what was not taken");
        }
    }

    pub(super) fn uncommitted(&self, device: DeviceId, error: &StoreError) {
        if let Some(others) = self.uncommitted.check() {
            warn!(%device, error = %causes(error), others = others.count(), "failed to save how far a device is delivered; a crash now would deliver events again");
        }
    }

    pub(super) fn unreadable(&self, device: DeviceId, error: &StoreError) {
        if let Some(others) = self.unreadable.check() {
            error!(%device, error = %causes(error), others = others.count(), "failed to read events that are to be delivered");
        }
    }
}

fn hint(refusal: StatusCode) -> &'static str {
    match refusal.as_u16() {
        300..=399 => "redirects are not followed: put the final address into `[webhook] url`",
        401 | 403 => "does the receiver have the same secret?",
        404 | 405 | 410 => "is the path of `[webhook] url` right?",
        _ => {
            "the receiver's log should say why; an event that it refuses again and again is set aside"
        }
    }
}
