//! The sockets: accept, admit, TLS, the one HTTP/1 profile, drain.

mod accepting;
mod admin;
mod admission;
mod bound;
mod doorway;
mod drain;
mod held;
mod http;
mod listeners;
mod pacing;
mod plain;
mod service;
mod tls;

pub(crate) use admission::Admission;
pub use bound::{BindError, Bound};
pub(crate) use doorway::Doorway;
pub(crate) use drain::Drain;
pub(crate) use listeners::serve;
pub(crate) use tls::shake_hands;
