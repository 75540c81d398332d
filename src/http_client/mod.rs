//! What this program's HTTP clients stand on: connections, and whom they trust.

mod authorities;
mod connect;

pub(crate) use authorities::{AuthoritiesError, CaError, tls_config};
pub(crate) use connect::Connector;
