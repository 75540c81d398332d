//! A change of the root: how far it is, and the steps that a daemon can take.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use tokio::runtime::Handle;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Json, Path};
use super::problem::Refused;
use super::work::blocking;
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::admin::changes::record;
use crate::rotation_steps::{
    Guard, Percent, Session, StatusReport, StepReport, activate, publish, undo,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(take_step))
}

/// Show how far a change of the root is
///
/// As `engage-host rotate status --json`: the devices by site, who is missing, what each host serves, and which
/// command comes next.
#[utoipa::path(
    get,
    path = "/rotation",
    operation_id = "getRotation",
    tag = "rotation",
    responses((status = 200, description = "How far it is", body = StatusReport))
)]
async fn status(State(admin): State<Arc<Admin>>) -> Result<axum::Json<StatusReport>, Refused> {
    let path = admin.control.config().path.clone();
    let report = blocking(move || StatusReport::read(&Session::read(&path)?)).await?;
    Ok(axum::Json(report))
}

/// Steps that change the row of the store alone. `prepare` and `retire` make and move private keys on a
/// host, which a daemon may not write: they are commands.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ApiStep {
    /// Announce the new certificate.
    Publish,
    /// Send the new chain to addresses of which nothing is known, too.
    Activate,
    /// Go back to the old root.
    Undo,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct StepPath {
    /// `publish`, `activate` or `undo`
    #[param(inline)]
    step: ApiStep,
}

/// When a step that could lock devices out is taken all the same.
#[derive(Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct StepRequest {
    /// Share of the devices seen in 30 days that must be ready, in percent
    #[schema(value_type = f64, minimum = 0, maximum = 100, default = 100)]
    threshold: Percent,
    /// Go on although fewer are: those that are not ready are locked out
    force: bool,
}

impl Default for StepRequest {
    fn default() -> Self {
        Self {
            threshold: Percent::ALL,
            force: false,
        }
    }
}

/// Take a step of a change of the root
///
/// As the command of the same name. Refused where devices would be locked out, or where a host does not follow.
/// Answers when every host that runs has followed, or after ten seconds.
#[utoipa::path(
    post,
    path = "/rotation/{step}",
    operation_id = "takeRotationStep",
    tag = "rotation",
    params(StepPath),
    request_body = StepRequest,
    responses((status = 200, description = "Taken", body = StepReport))
)]
async fn take_step(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(StepPath { step }): Path<StepPath>,
    Json(StepRequest { threshold, force }): Json<StepRequest>,
) -> Result<axum::Json<StepReport>, Refused> {
    let path = admin.control.config().path.clone();
    let guard = Guard { threshold, force };
    let (lender, runtime) = (Arc::clone(&admin), Handle::current());
    let reload = move |_| drop(runtime.block_on(lender.control.reload()));
    let report = blocking(move || {
        let session = Session::open(&path, HOSTS_TIMEOUT, reload)?;
        match step {
            ApiStep::Publish => publish(session),
            ApiStep::Activate => activate(session, &guard),
            ApiStep::Undo => undo(session, &guard),
        }
    });
    let report = report.await?;
    let step = match step {
        ApiStep::Publish => "publish",
        ApiStep::Activate => "activate",
        ApiStep::Undo => "undo",
    };
    record(&admin, &principal, "rotation.step", step, None).await;
    Ok(axum::Json(report))
}

/// A client waits no longer for an answer.
const HOSTS_TIMEOUT: Duration = Duration::from_secs(10);
