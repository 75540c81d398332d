//! Who makes a request.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use super::role::Role;
use super::token::TokenName;

/// Who makes a request, as the layers around the pages and the API have found. A handler that takes
/// it as an argument cannot be reached without: only those layers can make one.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(super) name: TokenName,
    pub(super) role: Role,
    pub(super) source: Source,
    pub(super) address: IpAddr,
}

/// How a request shows who makes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// `Authorization: Bearer`, which no page of another origin can send.
    Bearer,
    /// The cookie of a session, which a browser sends unasked.
    Session,
}

impl Principal {
    /// The name of the token.
    pub(crate) fn name(&self) -> &TokenName {
        &self.name
    }

    /// What it allows.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether changes are allowed.
    pub(crate) fn may_write(&self) -> bool {
        self.role >= Role::Write
    }

    /// How the request shows it.
    pub(crate) fn source(&self) -> Source {
        self.source
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
