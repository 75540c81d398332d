//! `/sign-in` and `/sign-out`: a person shows a token once, and has a session.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use tracing::info;
use zeroize::Zeroizing;

use super::cookie::{session_cookie, session_ids};
use super::forms::{check_origin, parse, read};
use super::layer::{page_refusal, require_session};
use super::local_path::LocalPath;
use super::refusal::AccessRefusal;
use super::sign_in_page::{SIGN_IN, sign_in_page, sign_out_page};
use super::token::Token;
use super::{AdminAccess, Principal};
use crate::connection::AdminPeer;

/// The two routes. Whoever signs in has shown nothing yet; whoever signs out has a session.
pub(in crate::admin) fn sign_in_routes<S: Clone + Send + Sync + 'static>(
    access: &Arc<AdminAccess>,
) -> Router<S> {
    let sign_out = get(sign_out_form).post(sign_out);
    let sign_out = sign_out.layer(from_fn_with_state(Arc::clone(access), require_session));
    let routes = Router::new()
        .route(SIGN_IN, get(form).post(sign_in))
        .route("/sign-out", sign_out)
        .with_state(Arc::clone(access));
    Router::new().merge(routes)
}

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    next: LocalPath,
}

async fn form(asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let next = asked.map(|Query(it)| it.next).unwrap_or_default();
    sign_in_page(&next, None).into_response()
}

/// What the form sends.
#[derive(Deserialize)]
struct Shown {
    token: String,
    #[serde(default)]
    next: LocalPath,
}

async fn sign_in(State(access): State<Arc<AdminAccess>>, request: Request) -> Response {
    let peer = request.extensions().get::<AdminPeer>().copied();
    let (Some(peer), Ok(())) = (peer, check_origin(&request)) else {
        return page_refusal(AccessRefusal::ForeignOrigin);
    };
    let (parts, form) = match read(request).await {
        Ok(read) => read,
        Err(refusal) => return page_refusal(refusal),
    };
    let Some(Shown { token, next }) = parse(&parts, &form).await else {
        return page_refusal(AccessRefusal::NoToken);
    };
    let token = Token::parse(Zeroizing::new(token).trim());
    match begin(&access, token.as_ref(), &parts.headers, &peer) {
        Ok(cookie) => ([(SET_COOKIE, cookie)], Redirect::to(next.as_str())).into_response(),
        Err(refusal) => {
            let page = sign_in_page(&next, Some(refusal));
            (refusal.status(), refusal.headers(), page).into_response()
        }
    }
}

/// Begins a session, and ends the one that the browser had: an id from before a sign-in, which somebody
/// may have planted, is never one of a session.
fn begin(
    access: &AdminAccess,
    token: Option<&Token>,
    headers: &HeaderMap,
    peer: &AdminPeer,
) -> Result<HeaderValue, AccessRefusal> {
    let principal = access.holder_of(token, peer)?;
    let token = token.ok_or(AccessRefusal::NoToken)?;
    let id = access.sessions.begin(token.hash())?;
    for id in session_ids(headers) {
        access.sessions.end(&id);
    }
    info!(
        actor = principal.name().as_str(),
        peer = %principal.address(),
        "signed in on the admin listener"
    );
    Ok(session_cookie(Some(&id), peer.is_tls))
}

/// For who comes by a link, and to whom the page with the button is not shown.
async fn sign_out_form(principal: Principal) -> Response {
    sign_out_page(&principal).into_response()
}

async fn sign_out(State(access): State<Arc<AdminAccess>>, request: Request) -> Response {
    for id in session_ids(request.headers()) {
        access.sessions.end(&id);
    }
    let is_tls = request.extensions().get::<AdminPeer>();
    let is_tls = is_tls.is_some_and(|peer| peer.is_tls);
    let cookie = session_cookie(None, is_tls);
    ([(SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response()
}
