//! What this program's HTTP clients stand on: connections, and whom they trust.

mod authorities;
mod connect;
mod post;

pub(crate) use authorities::{AuthoritiesError, CaError, tls_config};
pub(crate) use connect::Connector;
pub(crate) use post::{PostClient, PostError};
