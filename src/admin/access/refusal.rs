//! Why a request is not let in.

use http::StatusCode;
use miette::Diagnostic;

use super::role::Role;

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
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
    #[error("the token's role is `{found}`; this takes `{needed}`")]
    #[diagnostic(
        code("role-too-low"),
        help("`engage-host admin token NAME --role write` makes a token that may")
    )]
    RoleTooLow { found: Role, needed: Role },
}

impl AccessRefusal {
    /// What it is answered with.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::RoleTooLow { .. } => StatusCode::FORBIDDEN,
        }
    }

    /// How the client can do better (RFC 6750 section 3).
    pub(super) fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some(r#"Bearer realm="engage-host""#),
            Self::UnknownToken => Some(r#"Bearer realm="engage-host", error="invalid_token""#),
            Self::RoleTooLow { .. } => {
                Some(r#"Bearer realm="engage-host", error="insufficient_scope""#)
            }
        }
    }
}
