//! What a start would say of the files as they are now.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Query;
use super::problem::Refused;
use super::work::blocking;
use crate::admin::{Admin, AdminFiles};
use crate::check::CheckReport;
use crate::config::Config;
use engage_wire::clock;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(check))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CheckParams {
    /// Whether warnings make `ok` false
    #[serde(default)]
    #[param(required = false)]
    strict: bool,
}

/// Try everything that a start does
///
/// As `engage-host check --json`, with the files as they are now: certificates, keys, sites, limits, and where the
/// call-in is recorded. Changes nothing. The ports are not tried: the daemon has them.
#[utoipa::path(
    get,
    path = "/check",
    operation_id = "check",
    tag = "check",
    params(CheckParams),
    responses((status = 200, description = "What stands against a start, and what should be known", body = CheckReport))
)]
async fn check(
    State(admin): State<Arc<Admin>>,
    Query(CheckParams { strict }): Query<CheckParams>,
) -> Result<axum::Json<CheckReport>, Refused> {
    let path = admin.control.config().path.clone();
    let report = blocking(move || {
        Ok(match Config::load(&path) {
            Ok(config) => {
                let admin = AdminFiles::check(&config.admin, clock::now());
                CheckReport::new(&config, admin, strict)
            }
            Err(error) => CheckReport::from_error(&error),
        })
    });
    Ok(axum::Json(report.await?))
}
