//! The layers around the pages and the API. They alone let a request in, so no handler can forget it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::utf8_percent_encode;

use super::super::api::problem;
use super::refusal::AccessRefusal;
use super::role::Role;
use super::token::Token;
use super::{Access, Principal, Source};
use crate::connection::AdminPeer;

/// Lets in whoever has a token whose role is enough for the method; answers others with a problem.
pub(in crate::admin) async fn require_api(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&access, &request) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(refusal) => problem_of(refusal),
    }
}

/// The same for people: whoever shows no token is asked to sign in.
pub(in crate::admin) async fn require_page(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&access, &request) {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(AccessRefusal::NoToken) => to_sign_in(request.uri()),
        Err(refusal) => (refusal.status(), format!("{refusal}\n")).into_response(),
    }
}

fn admit(access: &Access, request: &Request) -> Result<Principal, AccessRefusal> {
    let peer = request.extensions().get::<AdminPeer>();
    let peer = peer.ok_or(AccessRefusal::NoToken)?;
    let token = bearer(request.headers())?.ok_or(AccessRefusal::NoToken)?;
    let principal = access.principal(token.hash(), Source::Bearer, peer);
    let principal = principal.ok_or(AccessRefusal::UnknownToken)?;
    let (found, needed) = (principal.role, Role::for_method(request.method()));
    if found < needed {
        return Err(AccessRefusal::RoleTooLow { found, needed });
    }
    Ok(principal)
}

/// The token of the Authorization header (RFC 6750 section 2.1); none if there is no such header.
fn bearer(headers: &HeaderMap) -> Result<Option<Token>, AccessRefusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, other) = (values.next(), values.next());
    let Some(value) = value else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .filter(|_| other.is_none())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| Token::parse(token.trim_ascii()));
    token.map(Some).ok_or(AccessRefusal::UnknownToken)
}

fn problem_of(refusal: AccessRefusal) -> Response {
    let mut answer = problem(refusal.status(), &refusal);
    if let Some(challenge) = refusal.challenge() {
        let challenge = HeaderValue::from_static(challenge);
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// To the form, and from there back to where somebody wanted to go.
fn to_sign_in(uri: &Uri) -> Response {
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let next = utf8_percent_encode(target, percent_encoding::NON_ALPHANUMERIC);
    Redirect::to(&format!("/sign-in?next={next}")).into_response()
}
