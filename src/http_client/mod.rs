//! What this program's HTTP clients stand on: connections, and whom they trust.

mod any_certificate;
mod authorities;
mod connect;
mod post;

pub(crate) use any_certificate::any_certificate;
pub(crate) use authorities::{AuthoritiesError, CaError};
pub(crate) use connect::Connector;
pub(crate) use post::{PostClient, PostError};

/// What servers are told of who asks.
pub(crate) const AGENT: &str = concat!("engage-host/", env!("CARGO_PKG_VERSION"));
