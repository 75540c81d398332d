//! `Idempotency-Key`: a write that is sent again, because its answer was lost, is done once.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engage_store::{IdempotencyKey, MAX_DB_BYTES, RecordedAnswer, RequestHash, Reservation, Store};
use engage_wire::clock;
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt, Collected};
use miette::Diagnostic;

use super::devices::store;
use super::extract::{header, whole};
use super::problem::Refused;
use super::work::OperationError;
use crate::admin::Admin;
use crate::admin::access::Principal;

/// Does a write once for each key, and answers it the same when it is sent again. Any write goes on when
/// its client has gone away: half of it would be done otherwise.
pub(super) async fn once_for_each_key(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let key = match header(request.headers(), &IDEMPOTENCY_KEY) {
        Ok(key) => key.filter(|_| !is_of_credential(request.uri())),
        Err(refused) => return refused.into_response(),
    };
    let done = tokio::spawn(async move {
        let Some(key) = key else {
            return next.run(request).await;
        };
        let answer = once(&admin, &key, request, next).await;
        answer.unwrap_or_else(IntoResponse::into_response)
    });
    done.await
        .unwrap_or_else(|_| OperationError::Panicked.into_response())
}

/// Of a request with a password not even a hash is kept: it would be a fast one, from which a password can be
/// guessed. Done twice it does the same.
fn is_of_credential(uri: &Uri) -> bool {
    let path = uri.path().trim_end_matches('/');
    path.ends_with("/credential")
}

async fn once(admin: &Admin, key: &str, request: Request, next: Next) -> Result<Response, Refused> {
    let Some(principal) = request.extensions().get::<Principal>() else {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    };
    let key = IdempotencyKey::new(&principal.name().to_string(), key);
    let key = key.map_err(|_| Refused::new(StatusCode::BAD_REQUEST, &KeyError::Malformed))?;
    let (parts, body) = request.into_parts();
    let body = whole(body, MAX_DB_BYTES).await?;
    let store = store(admin)?;
    let request = hash(&parts, &body);
    match store.reserve_answer(&key, request, clock::now()).await? {
        Reservation::Reserved => {}
        Reservation::InProgress => {
            return Err(Refused::new(StatusCode::CONFLICT, &KeyError::InProgress));
        }
        Reservation::Answered(answer) => return Ok(replayed(answer)),
        Reservation::OtherRequest => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Refused::new(status, &KeyError::Reused));
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    recorded(store, &key, next.run(request).await).await
}

/// Of all that says what is to be done.
fn hash(parts: &Parts, body: &[u8]) -> RequestHash {
    let if_match = parts.headers.get(IF_MATCH);
    RequestHash::from_parts(&[
        parts.method.as_str().as_bytes(),
        parts.uri.to_string().as_bytes(),
        if_match.map_or(b"", HeaderValue::as_bytes),
        body,
    ])
}

/// The answer, which is kept. What failed may succeed when it is sent again.
async fn recorded(
    store: &Arc<dyn Store>,
    key: &IdempotencyKey,
    answer: Response,
) -> Result<Response, Refused> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map(Collected::to_bytes);
    let body = body.unwrap_or_default();
    if parts.status.is_server_error() {
        store.release_key(key).await?;
    } else {
        let content_type = parts.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|it| it.to_str().ok());
        let answer = RecordedAnswer {
            status: parts.status.as_u16(),
            content_type: content_type.map(str::to_owned),
            body: body.to_vec(),
        };
        store.record_answer(key, answer).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replayed(answer: RecordedAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = answer.content_type.as_deref().map(HeaderValue::from_str);
    if let Some(Ok(content_type)) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[derive(Debug, Diagnostic, thiserror::Error)]
enum KeyError {
    #[error("the `Idempotency-Key` is none; allowed: 1 to 255 visible ASCII characters")]
    #[diagnostic(
        code("malformed-idempotency-key"),
        help("make up a new random text for each write")
    )]
    Malformed,
    #[error("the request with this `Idempotency-Key` is still under way")]
    #[diagnostic(
        code("idempotency-key-in-progress"),
        help("send it again in some seconds, with the same key")
    )]
    InProgress,
    #[error("another request had this `Idempotency-Key`")]
    #[diagnostic(
        code("idempotency-key-reused"),
        help("make up a new random text for each write")
    )]
    Reused,
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that nothing was done now.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
