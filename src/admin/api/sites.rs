//! The sites of this host.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, StatusCode};
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::conditional::{IfMatch, etag};
use super::cursor::{PageParams, page_of_names};
use super::extract::{Json, Path, Query};
use super::problem::Refused;
use super::secret_text::SecretText;
use super::work::blocking;
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::admin::changes::record;
use crate::config::{BaseUrl, Config};
use crate::failure::{ErrorEntry, Failure};
use crate::sites::{
    Change, ChangeOutcome, ChangeReport, CheckedSites, FileTag, GivenKey, ListedSite, ShownSite,
    SiteEdit, SitesReport, Wanted, add_site, change_site, find, hosts, once, remove_site, sites,
};
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::site::SiteName;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(check))
}

/// A page of sites.
#[derive(Serialize, ToSchema)]
struct SiteList {
    /// By name.
    sites: Vec<ListedSite>,
    /// `cursor` of the next page, if there is more.
    next: Option<String>,
}

/// List the sites of this host
///
/// As the files say now. Whether devices would accept what a site announces is not looked at.
#[utoipa::path(
    get,
    path = "/sites",
    operation_id = "listSites",
    tag = "sites",
    params(PageParams),
    responses((status = 200, description = "A page of sites", body = SiteList))
)]
async fn list(
    State(admin): State<Arc<Admin>>,
    Query(page): Query<PageParams>,
) -> Result<axum::Json<SiteList>, Refused> {
    let path = admin.control.config().path.clone();
    let config = blocking(move || Ok(Config::load(&path)?)).await?;
    let mut found: Vec<_> = sites(&config).collect();
    found.sort_by(|left, right| left.name().as_str().cmp(right.name().as_str()));
    let (found, next) = page_of_names(found, &page, |site| site.name().as_str())?;
    let sites = found.into_iter().map(ListedSite::new).collect();
    Ok(axum::Json(SiteList { sites, next }))
}

/// A site that is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSite {
    /// Its label
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: SiteName,
    /// Site key of an existing ENGAGE site: Base64 or hexadecimal digits. A new one otherwise
    #[schema(value_type = Option<String>)]
    key: Option<SecretText>,
    /// DER file on the host that its devices install: an absolute path. That of the first site otherwise
    #[schema(value_type = Option<String>)]
    certificate: Option<PathBuf>,
    /// Host header values that select it. Without one it is selected by serial numbers, and without
    /// those it is the default site
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    hosts: Vec<HostName>,
    /// Serial numbers of its devices: 16 or 32 hexadecimal digits
    #[serde(default)]
    serials: Vec<String>,
    /// How its devices reach port 80, if not as those of other sites do
    #[schema(value_type = Option<String>)]
    base_url: Option<BaseUrl>,
}

/// What selects a site, and what its devices install.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Selection {
    /// DER file on the host that its devices install: an absolute path. That of the first site otherwise
    #[schema(value_type = Option<String>)]
    certificate: Option<PathBuf>,
    /// Host header values that select it. Without one it is selected by serial numbers, and without
    /// those it is the default site
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    hosts: Vec<HostName>,
    /// Serial numbers of its devices: 16 or 32 hexadecimal digits
    #[serde(default)]
    serials: Vec<String>,
    /// How its devices reach port 80, if not as those of other sites do
    #[schema(value_type = Option<String>)]
    base_url: Option<BaseUrl>,
}

/// Add a site
///
/// In a file of its own, with its key beside the server's key. Nothing is written unless name, hosts
/// and serial numbers are free. The daemon then reads it; `refusals` says what is wrong with it.
#[utoipa::path(
    post,
    path = "/sites",
    operation_id = "addSite",
    tag = "sites",
    request_body = NewSite,
    responses(
        (status = 201, description = "Added", body = ChangeReport, headers(
            ("Location" = String, description = "Where the site is")
        ))
    )
)]
async fn add(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Json(new): Json<NewSite>,
) -> Result<Response, Refused> {
    let name = new.name.clone();
    let serials = serials(new.serials)?;
    let wanted = Wanted {
        name: new.name,
        key: new
            .key
            .map_or(GivenKey::New, |it| GivenKey::Text(it.into_bytes())),
        certificate: new.certificate.map(absolute).transpose()?,
        hosts: hosts(new.hosts, !serials.is_empty()),
        serials,
        serials_file: None,
        base_url: new.base_url,
    };
    let path = admin.control.config().path.clone();
    let change = blocking(move || add_site(&path, wanted)).await?;
    record(&admin, &principal, "site.add", name.as_str(), None).await;
    let report = reloaded(&admin, change).await;
    let location = [(LOCATION, location(name.as_str()))];
    Ok((StatusCode::CREATED, location, axum::Json(report)).into_response())
}

/// Show one site
///
/// Its files, what selects it, what its devices are told, and what is wrong with it. Never its key.
#[utoipa::path(
    get,
    path = "/sites/{name}",
    operation_id = "getSite",
    tag = "sites",
    params(("name" = String, Path, description = "Its label")),
    responses(
        (status = 200, description = "The site", body = ShownSite, headers(
            ("ETag" = String, description = "What stands in its file, for `If-Match`")
        ))
    )
)]
async fn show(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let path = admin.control.config().path.clone();
    let (tag, shown) = blocking(move || {
        let config = Config::load(&path)?;
        let found = find(&config, &name)?;
        let tag = FileTag::from_file(found.file())?;
        Ok((tag, ShownSite::new(found, CheckedSites::new(&config))))
    })
    .await?;
    Ok(([(ETAG, etag(&tag))], axum::Json(shown)).into_response())
}

/// Change a site
///
/// What selects it and what its devices install become as the body says; what is left out becomes as
/// for a new site. Only of a site that has a file of its own. Its key is never changed. `If-Match` takes the tag of
/// `GET`: 412 if somebody else has changed it since.
#[utoipa::path(
    put,
    path = "/sites/{name}",
    operation_id = "changeSite",
    tag = "sites",
    params(("name" = String, Path, description = "Its label"), IfMatch),
    request_body = Selection,
    responses((status = 200, description = "Changed", body = ChangeReport))
)]
async fn change(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(selection): Json<Selection>,
) -> Result<axum::Json<ChangeReport>, Refused> {
    let if_match = IfMatch::tag(&headers)?;
    let serials = serials(selection.serials)?;
    let edit = SiteEdit {
        certificate: selection.certificate.map(absolute).transpose()?,
        hosts: hosts(selection.hosts, !serials.is_empty()),
        serials,
        base_url: selection.base_url,
    };
    let path = admin.control.config().path.clone();
    let site = name.clone();
    let change = blocking(move || change_site(&path, &site, if_match.as_deref(), edit)).await?;
    record(&admin, &principal, "site.change", &name, None).await;
    Ok(axum::Json(reloaded(&admin, change).await))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RemoveParams {
    /// Delete its key file too, for ever. Refused unless it is a site key that nothing else uses
    #[serde(default)]
    #[param(required = false)]
    delete_key: bool,
}

/// Remove a site
///
/// Only one that has a file of its own. Its devices are answered as those of no site from then on. Its key
/// stays where it is, unless `delete_key` says otherwise.
#[utoipa::path(
    delete,
    path = "/sites/{name}",
    operation_id = "removeSite",
    tag = "sites",
    params(("name" = String, Path, description = "Its label"), RemoveParams, IfMatch),
    responses((status = 200, description = "Removed", body = ChangeReport))
)]
async fn remove(
    State(admin): State<Arc<Admin>>,
    principal: Principal,
    Path(name): Path<String>,
    Query(RemoveParams { delete_key }): Query<RemoveParams>,
    headers: HeaderMap,
) -> Result<axum::Json<ChangeReport>, Refused> {
    let if_match = IfMatch::tag(&headers)?;
    let path = admin.control.config().path.clone();
    let site = name.clone();
    let change =
        blocking(move || remove_site(&path, &site, delete_key, if_match.as_deref())).await?;
    let detail = delete_key.then_some("with its key");
    record(&admin, &principal, "site.remove", &name, detail).await;
    Ok(axum::Json(reloaded(&admin, change).await))
}

/// Check every site
///
/// As its devices would, and as the files say now. `ok` is whether all are accepted.
#[utoipa::path(
    get,
    path = "/check/sites",
    operation_id = "checkSites",
    tag = "check",
    responses((status = 200, description = "What is wrong with which site", body = SitesReport))
)]
async fn check(State(admin): State<Arc<Admin>>) -> Result<axum::Json<SitesReport>, Refused> {
    let path = admin.control.config().path.clone();
    let report = blocking(move || Ok(SitesReport::new(&Config::load(&path)?))).await?;
    Ok(axum::Json(report))
}

/// Has the daemon read what was written.
async fn reloaded(admin: &Admin, change: Change) -> ChangeReport {
    let outcome = admin.control.reload().await;
    let refusals = outcome.refusals.iter().chain(&outcome.left_out);
    ChangeReport::new(change, ChangeOutcome::Reloaded, ErrorEntry::all(refusals))
}

fn serials(texts: Vec<String>) -> Result<Vec<SerialNumber>, Failure> {
    let parse = |text: String| {
        SerialNumber::from_hex(text.as_bytes()).ok_or(MalformedValue::Serial { text })
    };
    let serials: Result<Vec<_>, _> = texts.into_iter().map(parse).collect();
    Ok(once(serials?))
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(MalformedValue::RelativePath { path }.into())
}

fn location(name: &str) -> String {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("/api/v1/sites/{name}")
}

#[derive(Debug, Diagnostic, thiserror::Error)]
enum MalformedValue {
    #[error("`{text}` is no serial number; allowed: 16 or 32 hexadecimal digits")]
    #[diagnostic(code("malformed-serial"), help("write it as on the device's label"))]
    Serial { text: String },
    #[error("`{}` is not an absolute path", path.display())]
    #[diagnostic(
        code("relative-path"),
        help("name the file as the host sees it, from `/` on")
    )]
    RelativePath { path: PathBuf },
}
