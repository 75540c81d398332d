//! The passwords with which devices call.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use engage_store::{DeviceId, SerialNumber};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::devices::DevicePath;
use super::extract::{Json, Path};
use super::problem::Refused;
use super::secret_text::SecretText;
use super::work::blocking;
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::admin::changes::record;
use crate::credentials_file::{remove_credential, set_credential};
use crate::failure::ErrorEntry;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(set, remove))
}

/// A password of a device.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    /// With which the device calls; its Argon2id hash is kept
    #[schema(value_type = String, min_length = 1, max_length = 1024)]
    password: SecretText,
}

/// What became of a change of credentials.
#[derive(Serialize, ToSchema)]
struct CredentialReport {
    /// Whether the daemon has taken it up.
    ok: bool,
    /// What is wrong with what the daemon read.
    refusals: Vec<ErrorEntry>,
}

/// Set the password of a device
///
/// Its line in `[devices] credentials_file` gets a new hash, or is added. The daemon then reads the file.
#[utoipa::path(
    put,
    path = "/devices/{device}/credential",
    operation_id = "setCredential",
    tag = "credentials",
    params(DevicePath),
    request_body = NewCredential,
    responses((status = 200, description = "Set", body = CredentialReport))
)]
async fn set(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(DevicePath { device }): Path<DevicePath>,
    Json(NewCredential { password }): Json<NewCredential>,
) -> Result<axum::Json<CredentialReport>, Refused> {
    let (serial, path) = (serial(device)?, file(&admin)?);
    let password = password.into_bytes();
    if !(1..=MAX_PASSWORD_BYTES).contains(&password.len()) {
        return Err(CredentialError::Password.into());
    }
    blocking(move || set_credential(&path, serial, &password)).await?;
    let report = changed(&admin, &principal, "credential.set", serial).await;
    Ok(axum::Json(report))
}

/// Remove the password of a device
///
/// From then on it may not call. Refused for the only one.
#[utoipa::path(
    delete,
    path = "/devices/{device}/credential",
    operation_id = "removeCredential",
    tag = "credentials",
    params(DevicePath),
    responses((status = 200, description = "Removed", body = CredentialReport))
)]
async fn remove(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(DevicePath { device }): Path<DevicePath>,
) -> Result<axum::Json<CredentialReport>, Refused> {
    let (serial, path) = (serial(device)?, file(&admin)?);
    blocking(move || remove_credential(&path, serial)).await?;
    let report = changed(&admin, &principal, "credential.remove", serial).await;
    Ok(axum::Json(report))
}

/// Records what has become of the file, and has the daemon read it.
async fn changed(
    admin: &Admin,
    principal: &Principal,
    action: &'static str,
    device: SerialNumber,
) -> CredentialReport {
    record(admin, principal, action, device, None).await;
    let outcome = admin.control.reload().await;
    let refusals = ErrorEntry::all(outcome.refusals.iter());
    CredentialReport {
        ok: refusals.is_empty(),
        refusals,
    }
}

fn serial(device: DeviceId) -> Result<SerialNumber, CredentialError> {
    let address = device.to_string();
    device.serial().ok_or(CredentialError::Address { address })
}

fn file(admin: &Admin) -> Result<PathBuf, CredentialError> {
    let config = admin.control.config();
    let file = config.devices.credentials_file.clone();
    file.ok_or_else(|| CredentialError::NoFile {
        config: config.path.clone(),
    })
}

#[derive(Debug, Diagnostic, thiserror::Error)]
enum CredentialError {
    #[error("`{address}` is an address; allowed: a serial number of 16 or 32 hexadecimal digits")]
    #[diagnostic(
        code("not-a-serial-number"),
        help("a device that sends a password sends its serial number as user name")
    )]
    Address { address: String },
    #[error("configuration file `{}` names no credentials file", config.display())]
    #[diagnostic(
        code("no-credentials-file"),
        help(
            "add `credentials_file = \"credentials\"` below `[devices]` and restart the daemon: then only devices of that file may call"
        )
    )]
    NoFile { config: PathBuf },
    #[error("the password is empty or too long; allowed: 1 to {MAX_PASSWORD_BYTES} bytes")]
    #[diagnostic(code("unusable-password"), help("choose another one"))]
    Password,
}

const MAX_PASSWORD_BYTES: usize = 1024;
