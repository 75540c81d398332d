//! Who makes a request.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use super::role::Role;
use super::sessions::FormToken;
use super::token::{TokenHash, TokenName};

/// Who makes a request, as the layers around the pages and the API have found. A handler that takes
/// it as an argument cannot be reached without: only those layers can make one.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(super) name: TokenName,
    pub(super) role: Role,
    pub(super) address: IpAddr,
    /// Of the token, to find out whether it is one still.
    pub(super) token: TokenHash,
    /// Of a session.
    pub(super) form_token: Option<FormToken>,
}

impl Principal {
    /// The name of the token.
    pub(crate) fn name(&self) -> &TokenName {
        &self.name
    }

    /// Whether changes are allowed.
    pub(crate) fn may_write(&self) -> bool {
        self.role >= Role::Write
    }

    /// What forms on its pages send as field `form_token`; none where there is no session.
    pub(crate) fn form_token(&self) -> Option<&FormToken> {
        self.form_token.as_ref()
    }

    /// From where the request comes.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = StatusCode;

    /// Fails where a route lies outside of those layers, which is a mistake of whoever put it there.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
