//! Changes by pages and API are recorded: who, what, from where.

use std::fmt::Display;

use engage_store::AdminEvent;
use engage_wire::clock;
use engage_wire::diagnostic::one_line;
use tracing::{info, warn};

use super::Admin;
use super::access::Principal;

/// Records what somebody has changed, in the log and in the store. It has happened: that it cannot be
/// stored undoes nothing.
pub(super) async fn record(
    admin: &Admin,
    principal: &Principal,
    action: &'static str,
    target: impl Display,
    detail: Option<&str>,
) {
    let (actor, address) = (principal.name().to_string(), principal.address());
    let target = target.to_string();
    info!(actor, %address, action, object = target, detail, "changed through the admin listener");
    let event = AdminEvent {
        at: clock::now(),
        actor,
        source: Some(address),
        action: action.to_owned(),
        target,
        detail: detail.map(str::to_owned),
    };
    let Some(call_in) = &admin.app.call_in else {
        return;
    };
    if let Err(error) = call_in.store.record_admin_event(event).await {
        warn!("a change is in this log only: {}", one_line(&error));
    }
}
