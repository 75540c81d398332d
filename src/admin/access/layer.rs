//! The layers around the pages and the API. They alone let a request in, so no handler can forget it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::api::problem;
use super::cookie::session_ids;
use super::forms::{check_form, check_header, check_origin};
use super::refusal::AccessRefusal;
use super::role::Role;
use super::sign_in_page::SIGN_IN;
use super::token::Token;
use super::{AdminAccess, Principal};
use crate::admin::pages::error_page;
use crate::connection::AdminPeer;
use engage_wire::diagnostic::hint;

/// Lets in whoever shows a token, or has a session, whose role is enough for the method; answers others
/// with a problem. What a session changes, a script of ours asks for: header `X-Form-Token`.
pub(in crate::admin) async fn require_api(
    State(access): State<Arc<AdminAccess>>,
    request: Request,
    next: Next,
) -> Response {
    let needed = Role::for_method(request.method());
    match admit(&access, request, needed, Shows::Header).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => {
            let problem = problem(refusal.status(), &refusal);
            (refusal.headers(), problem).into_response()
        }
    }
}

/// The same for people: whoever shows nothing is asked to sign in. What a session changes, a form of
/// ours asks for: field `form_token`. A handler takes the form as `axum::Form`.
pub(in crate::admin) async fn require_page(
    State(access): State<Arc<AdminAccess>>,
    request: Request,
    next: Next,
) -> Response {
    let needed = Role::for_method(request.method());
    let uri = request.uri().clone();
    match admit(&access, request, needed, Shows::Field).await {
        Ok(request) => next.run(request).await,
        Err(AccessRefusal::NoToken) => to_sign_in(&uri),
        Err(refusal) => page_refusal(refusal),
    }
}

/// The same where every role will do: to sign out.
pub(super) async fn require_session(
    State(access): State<Arc<AdminAccess>>,
    request: Request,
    next: Next,
) -> Response {
    match admit(&access, request, Role::Read, Shows::Field).await {
        Ok(request) => next.run(request).await,
        Err(AccessRefusal::NoToken) => Redirect::to(SIGN_IN).into_response(),
        Err(refusal) => page_refusal(refusal),
    }
}

/// A refusal for people.
pub(super) fn page_refusal(refusal: AccessRefusal) -> Response {
    let page = error_page(refusal.title(), &refusal.to_string(), &hint(&refusal));
    let page = Html(page.into_string());
    (refusal.status(), refusal.headers(), page).into_response()
}

/// Where a change by a session shows that it was asked for on a page of ours.
#[derive(Clone, Copy, Debug)]
enum Shows {
    Header,
    Field,
}

/// The request with its [`Principal`], if it is let in.
async fn admit(
    access: &AdminAccess,
    mut request: Request,
    needed: Role,
    shows: Shows,
) -> Result<Request, AccessRefusal> {
    let peer = request.extensions().get::<AdminPeer>().copied();
    let peer = peer.ok_or(AccessRefusal::NoToken)?;
    let headers = request.headers();
    let principal = if headers.contains_key(AUTHORIZATION) {
        access.holder_of(bearer(headers).as_ref(), &peer)?
    } else {
        let mut sessions = session_ids(headers).filter_map(|id| access.session(&id, &peer));
        sessions.next().ok_or(AccessRefusal::NoToken)?
    };
    let found = principal.role;
    if found < needed {
        return Err(AccessRefusal::RoleTooLow { found, needed });
    }
    if let (Some(token), false) = (&principal.form_token, request.method().is_safe()) {
        check_origin(&request)?;
        match shows {
            Shows::Header => check_header(request.headers(), token)?,
            Shows::Field => request = check_form(request, token).await?,
        }
    }
    request.extensions_mut().insert::<Principal>(principal);
    Ok(request)
}

/// The token of the Authorization header (RFC 6750 section 2.1); none if that is anything else.
fn bearer(headers: &HeaderMap) -> Option<Token> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, other) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let is_bearer = other.is_none() && scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Token::parse(token.trim_ascii()))?
}

/// To the form, and from there back to where somebody wanted to go.
fn to_sign_in(uri: &Uri) -> Response {
    let target = uri.path_and_query().map_or("/", |it| it.as_str());
    let next = utf8_percent_encode(target, NON_ALPHANUMERIC);
    Redirect::to(&format!("{SIGN_IN}?next={next}")).into_response()
}
