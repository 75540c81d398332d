//! The databases that devices are to have.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engage_store::{
    DatabaseChange, DatabaseFile, DatabaseSource, DbContents, DbError, DbVersion, DeviceId,
    MAX_DB_BYTES, StoredDatabase, redact,
};
use engage_wire::clock;
use http::header::ETAG;
use http::{HeaderMap, StatusCode};
use miette::Diagnostic;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::conditional::{IfMatch, etag};
use super::devices::{DevicePath, store};
use super::extract::{Path, RawJson};
use super::problem::Refused;
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::admin::changes::record;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(show, put, remove))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_DB_BYTES))
}

/// The database that a device is to have.
#[derive(Serialize, ToSchema)]
struct DeviceDatabase {
    /// Its stamp: what the device is answered, and without quotes the `ETag`.
    version: String,
    /// Where it came from.
    source: &'static str,
    /// When it was taken.
    #[schema(format = DateTime)]
    taken_at: String,
    /// What of it is sent.
    contents: DatabaseContents,
    /// Something to look at, although it is sent.
    warnings: Vec<String>,
    /// The database, with credentials and other secrets masked; not in the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    database: Option<Box<RawValue>>,
}

/// What a database would do to a device.
#[derive(Serialize, ToSchema)]
struct DatabaseContents {
    /// What is sent.
    size_bytes: usize,
    /// Whether the device forgets all users first.
    deletes_all_users: bool,
    /// Users that it forgets.
    users_deleted: usize,
    /// Users that it changes.
    users_updated: usize,
    /// Users that it adds.
    users_added: usize,
    /// Schedules.
    schedules: usize,
    /// Holidays; absent: the device keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    holidays: Option<usize>,
    /// Automatic unlocks; absent: the device keeps its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_unlocks: Option<usize>,
    /// Whether it has a configuration for the device.
    has_config: bool,
}

impl From<DbContents> for DatabaseContents {
    fn from(contents: DbContents) -> Self {
        Self {
            size_bytes: contents.size_bytes,
            deletes_all_users: contents.deletes_all_users,
            users_deleted: contents.users_deleted,
            users_updated: contents.users_updated,
            users_added: contents.users_added,
            schedules: contents.schedules,
            holidays: contents.holidays,
            auto_unlocks: contents.auto_unlocks,
            has_config: contents.has_config,
        }
    }
}

/// Show the database that a device is to have
///
/// With credentials and other secrets masked.
#[utoipa::path(
    get,
    path = "/devices/{device}/database",
    operation_id = "getDatabase",
    tag = "databases",
    params(DevicePath),
    responses((status = 200, description = "The database", body = DeviceDatabase, headers(
        ("ETag" = String, description = "Its version, for `If-Match`")
    )))
)]
async fn show(
    State(admin): State<Arc<Admin>>,
    Path(DevicePath { device }): Path<DevicePath>,
) -> Result<Response, Refused> {
    let found = store(&admin)?.stored_database(device, clock::now()).await?;
    let (stored, file) = found.ok_or(DatabaseError::None { device })?;
    let masked = RawValue::from_string(redact(&file)).ok();
    let file = DatabaseFile::parse(file);
    let file = file.map_err(|source| DatabaseError::Stored { device, source })?;
    Ok(answer(StatusCode::OK, &file, &stored, masked))
}

/// Set the database that a device is to have
///
/// Checked as when it is sent. The device gets it at its next call, and need not have called yet.
/// `If-Match` takes the `ETag` of the one in force, or `"0x0000000000000000"` if there is none: 412 if it is another
/// meanwhile.
#[utoipa::path(
    put,
    path = "/devices/{device}/database",
    operation_id = "setDatabase",
    tag = "databases",
    params(DevicePath, IfMatch),
    request_body(
        content = Object,
        content_type = "application/json",
        description = "The `db.json`: `{\"db\":{..},\"config\":{..}}`"
    ),
    responses((status = 200, description = "Set", body = DeviceDatabase, headers(
        ("ETag" = String, description = "Its version")
    )))
)]
async fn put(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(DevicePath { device }): Path<DevicePath>,
    headers: HeaderMap,
    RawJson(body): RawJson,
) -> Result<Response, Refused> {
    let if_match = version(&headers)?;
    let file = DatabaseFile::parse(Zeroizing::new(body.to_vec()))
        .map_err(|source| DatabaseError::Malformed { device, source })?;
    let now = clock::now();
    let change = store(&admin)?
        .set_database(device, file.clone(), if_match, now)
        .await?;
    require_changed(device, change)?;
    let version = file.database().version();
    let detail = format!("version {version}");
    record(&admin, &principal, "database.set", device, Some(&detail)).await;
    let stored = StoredDatabase {
        version,
        source: DatabaseSource::Command,
        taken_at: now,
        file_version: None,
    };
    Ok(answer(StatusCode::OK, &file, &stored, None))
}

/// Take away the database that was set for a device
///
/// It is sent none any more, and keeps what it has.
#[utoipa::path(
    delete,
    path = "/devices/{device}/database",
    operation_id = "removeDatabase",
    tag = "databases",
    params(DevicePath, IfMatch),
    responses((status = 204, description = "Taken away"))
)]
async fn remove(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(DevicePath { device }): Path<DevicePath>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    let if_match = version(&headers)?;
    let change = store(&admin)?
        .remove_database(device, if_match, clock::now())
        .await?;
    require_changed(device, change)?;
    record(&admin, &principal, "database.remove", device, None).await;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(
    status: StatusCode,
    file: &DatabaseFile,
    stored: &StoredDatabase,
    masked: Option<Box<RawValue>>,
) -> Response {
    let database = file.database();
    let body = DeviceDatabase {
        version: stored.version.to_string(),
        source: match stored.source {
            DatabaseSource::Command => "command",
            DatabaseSource::File => "file",
        },
        taken_at: stored.taken_at.to_string(),
        contents: database.contents().into(),
        warnings: database
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect(),
        database: masked,
    };
    (status, [(ETAG, etag(&stored.version))], axum::Json(body)).into_response()
}

fn version(headers: &HeaderMap) -> Result<Option<DbVersion>, Refused> {
    let Some(tag) = IfMatch::tag(headers)? else {
        return Ok(None);
    };
    let version = DbVersion::parse(&tag).ok_or_else(|| {
        // A tag that no database ever has is not that of this one.
        Refused::new(
            StatusCode::PRECONDITION_FAILED,
            &DatabaseError::OtherTag { tag },
        )
    })?;
    Ok(Some(version))
}

fn require_changed(device: DeviceId, change: DatabaseChange) -> Result<(), DatabaseError> {
    match change {
        DatabaseChange::Changed => Ok(()),
        DatabaseChange::Mismatch { found } => Err(DatabaseError::Changed { device, found }),
        DatabaseChange::Absent => Err(DatabaseError::None { device }),
        DatabaseChange::Dropped { path } => Err(DatabaseError::Dropped {
            device,
            path: path.display().to_string(),
        }),
    }
}

/// Why a database is not shown or changed.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum DatabaseError {
    #[error("no database is stored for device {device}")]
    #[diagnostic(
        code("no-database"),
        help("`PUT` one, or `engage-host devices db set {device} FILE`")
    )]
    None { device: DeviceId },
    #[error("the database for device {device} would not be sent")]
    #[diagnostic(
        code("malformed-database"),
        help("{}", engage_wire::diagnostic::hint(source))
    )]
    Malformed { device: DeviceId, source: DbError },
    #[error("the database of device {device} in the store would not be sent")]
    #[diagnostic(
        code("malformed-database"),
        help("`PUT` another in its place, or `engage-host devices db set {device} FILE`")
    )]
    Stored { device: DeviceId, source: DbError },
    #[error("the database of device {device} was changed meanwhile: its version is {found} now")]
    #[diagnostic(
        code("changed-meanwhile"),
        help("ask for it again, and change what is there now")
    )]
    Changed { device: DeviceId, found: DbVersion },
    #[error("no database has the version `{tag}`")]
    #[diagnostic(
        code("changed-meanwhile"),
        help("send the `ETag` that came with the database")
    )]
    OtherTag { tag: String },
    #[error("what device {device} is sent stands in `{path}`, which would be taken again")]
    #[diagnostic(code("database-dropped"), help("remove that file"))]
    Dropped { device: DeviceId, path: String },
}
