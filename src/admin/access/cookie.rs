//! The cookie of a session.

use http::HeaderMap;
use http::HeaderValue;
use http::header::COOKIE;

use super::sessions::{MAX_AGE, SessionId};

/// Sets the cookie to a session, or takes it away. On TLS it never travels in clear text, not even to
/// another port of this host.
pub(super) fn session_cookie(id: Option<&SessionId>, is_tls: bool) -> HeaderValue {
    let (value, max_age) = id.map_or(("", 0), |id| (id.reveal(), MAX_AGE.as_secs()));
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie =
        format!("{NAME}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    let Ok(mut cookie) = HeaderValue::from_str(&cookie) else {
        unreachable!("Base64url and a number are visible ASCII");
    };
    cookie.set_sensitive(true);
    cookie
}

/// The ids in the cookies of a request. Another page of this host, on another port, may have set one
/// of the same name, so there may be several (RFC 6265 section 8.5); most requests have one or none.
pub(super) fn session_ids(headers: &HeaderMap) -> impl Iterator<Item = SessionId> {
    let cookies = headers.get_all(COOKIE).into_iter();
    cookies
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(';'))
        .filter_map(|it| it.trim().strip_prefix(NAME)?.strip_prefix('='))
        .take(MAX_IDS)
        .map(SessionId::from_cookie)
}

const NAME: &str = "engage_session";

/// More than any browser has.
const MAX_IDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        for value in [
            "a=b; engage_session=one;engage_session_2=x",
            "engage_session",
            "xengage_session=x; engage_session=two",
        ] {
            headers.append(COOKIE, HeaderValue::from_static(value));
        }
        let ids: Vec<_> = session_ids(&headers)
            .map(|it| it.reveal().to_owned())
            .collect();
        assert_eq!(ids, ["one", "two"]);
    }
}
