//! The `OpenAPI` document, and who serves it.

use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, Paths, Ref, RefOr, Required, Response,
    ResponseBuilder, SecurityRequirement, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{PROBLEM_JSON, Problem};
use super::viewer;
use crate::admin::Admin;
use crate::failure::ErrorEntry;

/// The document as it is served.
pub(super) struct Document {
    json: Bytes,
    html: Bytes,
}

impl Document {
    /// Of what the operations say of themselves, with what is the same for all.
    pub(super) fn new(described: OpenApi) -> Self {
        let document = completed(described);
        let json = document.to_pretty_json().unwrap_or_default();
        Self {
            html: viewer::html(&document).into(),
            json: json.into(),
        }
    }

    pub(super) fn routes(self) -> Router<Arc<Admin>> {
        let Self { json, html } = self;
        Router::new()
            .route(
                "/openapi.json",
                get(|| async move { ([(CONTENT_TYPE, "application/json")], json) }),
            )
            .route("/docs", get(|| async move { Html(html) }))
    }
}

fn completed(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("engage-host")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let components = document.components.get_or_insert_default();
    let schemas = [
        (Problem::name(), Problem::schema()),
        (ErrorEntry::name(), ErrorEntry::schema()),
    ];
    for (name, schema) in schemas {
        components.schemas.insert(name.into(), schema);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let cookie = ApiKey::Cookie(ApiKeyValue::new("engage_session"));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    document.security = Some(
        ["token", "session"]
            .map(|name| SecurityRequirement::new(name, [""; 0]))
            .into(),
    );
    let paths = std::mem::replace(&mut document.paths, Paths::new());
    let mut completed = Paths::new();
    for (path, mut item) in paths.paths {
        for operation in [&mut item.get, &mut item.head].into_iter().flatten() {
            answer(operation, &ALL);
        }
        let writes = [&mut item.post, &mut item.put, &mut item.delete];
        for operation in writes.into_iter().flatten() {
            answer(operation, &ALL);
            answer(operation, &WRITES);
            let key = ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(IDEMPOTENCY_KEY))
                .schema(Some(
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .min_length(Some(1))
                        .max_length(Some(255)),
                ))
                .build();
            let parameters = operation.parameters.get_or_insert_default();
            parameters.push(RefOr::T(key));
        }
        completed.paths.insert(format!("/api{path}"), item);
    }
    document.paths = completed;
    document
}

/// Adds answers that an operation does not describe itself.
fn answer(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, description) in answers {
        let responses = &mut operation.responses.responses;
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    }
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content)
        .build()
}

const DESCRIPTION: &str = "Sites, devices, databases, credentials, events and the proof of certificates of one \
                           engage-host. Every refusal is a problem (RFC 9457) with the code and the hint of the \
                           command line.";

const IDEMPOTENCY_KEY: &str = "Of the client's choice: the same request with the same key is done once, and \
                               answered the same for 24 hours";

/// What any operation may be answered.
const ALL: [(&str, &str); 9] = [
    ("400", "The request cannot be read"),
    ("401", "No token, or an unknown one"),
    ("403", "The token's role does not allow it"),
    ("404", "There is no such thing"),
    ("409", "It does not fit to what there is"),
    ("422", "What is asked for is not allowed"),
    ("429", "Too many failed attempts from this network"),
    ("500", "The host could not do it"),
    ("503", "Not now; ask again"),
];

/// What operations that change something may be answered too.
const WRITES: [(&str, &str); 3] = [
    ("412", "It was changed meanwhile"),
    ("413", "The body is too long"),
    ("415", "The body is not declared as JSON"),
];
