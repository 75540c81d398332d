//! What shows that a browser's request was made on a page of ours.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::refusal::AccessRefusal;
use super::sessions::FormToken;
use crate::requested_host::requested_host;

/// What a form sends beside its own fields.
#[derive(Deserialize)]
struct Presented {
    #[serde(default)]
    form_token: String,
}

/// Refuses a request that a page of another origin made. Browsers name that origin, or at least say that
/// it is another; programs say nothing.
pub(super) fn check_origin(request: &Request) -> Result<(), AccessRefusal> {
    let headers = request.headers();
    let own = requested_host(request.uri(), headers);
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().ok();
        let host = origin.and_then(|it| it.split_once("://")).map(|it| it.1);
        if !matches!((host, own), (Some(host), Some(own)) if host.eq_ignore_ascii_case(own)) {
            return Err(AccessRefusal::ForeignOrigin);
        }
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if sites.any(|site| site != "same-origin" && site != "none") {
        return Err(AccessRefusal::ForeignOrigin);
    }
    Ok(())
}

/// Refuses a request whose header does not show the form token.
pub(super) fn check_header(headers: &HeaderMap, token: &FormToken) -> Result<(), AccessRefusal> {
    let presented = headers.get("x-form-token").and_then(|it| it.to_str().ok());
    if presented.is_some_and(|it| token.is(it)) {
        return Ok(());
    }
    Err(AccessRefusal::FormToken)
}

/// Refuses a form that does not show the form token; gives back the request as it was.
pub(super) async fn check_form(
    request: Request,
    token: &FormToken,
) -> Result<Request, AccessRefusal> {
    let (parts, body) = read(request).await?;
    let presented = parse::<Presented>(&parts, &body).await;
    if presented.is_some_and(|it| token.is(&it.form_token)) {
        return Ok(Request::from_parts(parts, Body::from(body)));
    }
    Err(AccessRefusal::FormToken)
}

/// Reads a form; fails where it is larger or slower than any of ours.
pub(super) async fn read(request: Request) -> Result<(Parts, Bytes), AccessRefusal> {
    let (parts, body) = request.into_parts();
    let body = timeout(FORM_TIMEOUT, to_bytes(body, MAX_FORM_BYTES)).await;
    let body = body.map_err(|_| AccessRefusal::FormTooSlow)?;
    let allowed = MAX_FORM_BYTES;
    let body = body.map_err(|_| AccessRefusal::FormTooLarge { allowed })?;
    Ok((parts, body))
}

/// The fields of a form; none where it has others, or is no form.
pub(super) async fn parse<T: DeserializeOwned>(parts: &Parts, body: &Bytes) -> Option<T> {
    let mut request = Request::new(Body::from(body.clone()));
    *request.method_mut() = parts.method.clone();
    if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
        request.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    let form = axum::Form::<T>::from_request(request, &()).await;
    form.ok().map(|axum::Form(fields)| fields)
}

/// As a head has.
const FORM_TIMEOUT: Duration = Duration::from_secs(15);

/// Far more than a form of a few fields.
const MAX_FORM_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder()
            .uri("/")
            .header("host", "Host.example:9480");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check_origin(&request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn only_the_own_origin_is_no_other() {
        assert!(check(&[]));
        assert!(check(&[("origin", "http://host.example:9480")]));
        assert!(check(&[
            ("origin", "https://host.example:9480"),
            ("sec-fetch-site", "same-origin")
        ]));
        assert!(check(&[("sec-fetch-site", "none")]));
        for origin in [
            "null",
            "",
            "http://host.example",
            "http://host.example:9481",
            "http://host.example:9480.attacker.example",
            "http://attacker.example",
            "host.example:9480",
        ] {
            assert!(!check(&[("origin", origin)]), "{origin}");
        }
        let own = ("origin", "http://host.example:9480");
        assert!(!check(&[own, ("origin", "http://attacker.example")]));
        for site in ["cross-site", "same-site", ""] {
            assert!(!check(&[own, ("sec-fetch-site", site)]), "{site}");
        }
    }
}
