//! The daemon reads its files again.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Refused;
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::admin::changes::record;
use crate::failure::ErrorEntry;
use crate::reload_outcome::ReloadOutcome;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(reload, last))
}

/// What became of a reload.
#[derive(Serialize, ToSchema)]
struct ReloadReport {
    /// Whether all that the files say is in force.
    ok: bool,
    /// When it was; absent: no file was read again since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Why the state before stays in force; none: the new one is.
    refusals: Vec<ErrorEntry>,
    /// What is wrong with what is not in the new state, while all else is: sites, and the files of `[admin]`.
    left_out: Vec<ErrorEntry>,
}

impl ReloadReport {
    fn new(outcome: &ReloadOutcome, at: Option<jiff::Timestamp>) -> Self {
        let refusals = ErrorEntry::all(&outcome.refusals);
        let left_out = ErrorEntry::all(&outcome.left_out);
        Self {
            ok: refusals.is_empty() && left_out.is_empty(),
            at: at.map(|at| at.to_string()),
            refusals,
            left_out,
        }
    }
}

/// Have the daemon read its files again
///
/// And wait for the outcome. What devices are told changes only if all holds; `refusals` says why not.
#[utoipa::path(
    post,
    path = "/reload",
    operation_id = "reload",
    tag = "reload",
    responses((status = 200, description = "What became of it", body = ReloadReport))
)]
async fn reload(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
) -> Result<axum::Json<ReloadReport>, Refused> {
    let outcome = admin.control.reload().await;
    record(&admin, &principal, "reload", "", None).await;
    let at = engage_wire::clock::now();
    Ok(axum::Json(ReloadReport::new(&outcome, Some(at))))
}

/// Show what became of the last reload
#[utoipa::path(
    get,
    path = "/reload",
    operation_id = "getReload",
    tag = "reload",
    responses((status = 200, description = "What became of it", body = ReloadReport))
)]
async fn last(State(admin): State<Arc<Admin>>) -> axum::Json<ReloadReport> {
    let report = match admin.control.last_reload() {
        Some((at, outcome)) => ReloadReport::new(&outcome, Some(at)),
        None => ReloadReport {
            ok: true,
            at: None,
            refusals: Vec::new(),
            left_out: Vec::new(),
        },
    };
    axum::Json(report)
}
