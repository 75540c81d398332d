//! Why a request is not let in.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use miette::Diagnostic;

use super::role::Role;
use super::token::NoRandomness;
use crate::login_throttle;

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Diagnostic, thiserror::Error)]
pub(crate) enum AccessRefusal {
    #[error("the request has no token")]
    #[diagnostic(
        code("no-token"),
        help(
            "send `Authorization: Bearer TOKEN`; `engage-host admin token NAME --role read` makes one"
        )
    )]
    NoToken,
    #[error("the token is not one of `[admin] token_file`")]
    #[diagnostic(
        code("unknown-token"),
        help(
            "`engage-host admin token NAME --role read` makes one; is the daemon's file the one that you look at?"
        )
    )]
    UnknownToken,
    #[error("too many wrong tokens from this network")]
    #[diagnostic(
        code("too-many-failures"),
        help("try again in a minute; a token that is known is let in at once")
    )]
    TooManyFailures,
    #[error("the token's role is `{found}`; this takes `{needed}`")]
    #[diagnostic(
        code("role-too-low"),
        help("`engage-host admin token NAME --role write` makes a token that may")
    )]
    RoleTooLow { found: Role, needed: Role },
    #[error("the request does not come from a page of this listener")]
    #[diagnostic(
        code("foreign-origin"),
        help("go to the page itself and ask there; programs send `Authorization: Bearer TOKEN`")
    )]
    ForeignOrigin,
    #[error("the request lacks the form token of its session")]
    #[diagnostic(
        code("form-token"),
        help(
            "load the page again and ask once more; a form sends it as field `form_token`, a script as header `X-Form-Token`"
        )
    )]
    FormToken,
    #[error("the form is larger than {allowed} bytes")]
    #[diagnostic(code("form-too-large"), help("forms of the pages are much smaller"))]
    FormTooLarge { allowed: usize },
    #[error("the form did not arrive in time")]
    #[diagnostic(code("form-too-slow"), help("send it again"))]
    FormTooSlow,
    #[error(transparent)]
    #[diagnostic(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl AccessRefusal {
    /// What it is answered with.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::TooManyFailures => StatusCode::TOO_MANY_REQUESTS,
            Self::RoleTooLow { .. } | Self::ForeignOrigin | Self::FormToken => {
                StatusCode::FORBIDDEN
            }
            Self::FormTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::FormTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRandomness(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The heading of a page that says it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::NoToken | Self::UnknownToken => "Not signed in",
            Self::TooManyFailures => "Too many attempts",
            Self::RoleTooLow { .. } => "Your token does not allow this",
            Self::ForeignOrigin | Self::FormToken => "Not asked for on a page of this host",
            Self::FormTooLarge { .. } | Self::FormTooSlow => "The form was not read",
            Self::NoRandomness(_) => "Not now",
        }
    }

    /// How the client can do better (RFC 6750 section 3), and when (RFC 9110 section 10.2.3).
    pub(super) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let challenge = match self {
            Self::NoToken => Some(r#"Bearer realm="engage-host""#),
            Self::UnknownToken => Some(r#"Bearer realm="engage-host", error="invalid_token""#),
            Self::RoleTooLow { .. } => {
                Some(r#"Bearer realm="engage-host", error="insufficient_scope""#)
            }
            _ => None,
        };
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if matches!(self, Self::TooManyFailures) {
            headers.insert(RETRY_AFTER, login_throttle::PERIOD.as_secs().into());
        }
        headers
    }
}
