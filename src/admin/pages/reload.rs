//! `POST /reload`: the button of the overview. The layer around the pages has seen that whoever presses it
//! may, and that the form is ours.

use axum::extract::State;
use axum::response::Redirect;

use super::PageState;
use crate::admin::access::Principal;
use crate::admin::changes;

/// Has the daemon read its files again. What became of it stands on the overview.
pub(super) async fn reload(State(admin): PageState, principal: Principal) -> Redirect {
    let outcome = admin.control.reload().await;
    let detail = if outcome.is_ok() {
        "in force"
    } else {
        "refused"
    };
    changes::record(&admin, &principal, "reload", "configuration", Some(detail)).await;
    Redirect::to("/")
}
