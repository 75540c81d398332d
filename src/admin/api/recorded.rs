//! Changes are recorded: who, what, from where.

use engage_store::AdminEvent;
use engage_wire::clock;
use engage_wire::diagnostic::one_line;
use tracing::{info, warn};

use super::devices::store;
use crate::admin::Admin;
use crate::admin::access::Principal;

/// Records what somebody has changed, in the log and in the store.
pub(super) async fn record(
    admin: &Admin,
    principal: &Principal,
    action: &'static str,
    target: &str,
    detail: Option<&str>,
) {
    let (actor, address) = (principal.name().to_string(), principal.address());
    info!(actor, %address, action, object = target, detail, "changed by the API");
    let event = AdminEvent {
        at: clock::now(),
        actor,
        source: Some(address),
        action: action.to_owned(),
        target: target.to_owned(),
        detail: detail.map(str::to_owned),
    };
    let Ok(store) = store(admin) else {
        return;
    };
    if let Err(error) = store.record_admin_event(event).await {
        warn!(
            "a change by the API is in this log only: {}",
            one_line(&error)
        );
    }
}
