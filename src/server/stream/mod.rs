//! What a connection's bytes pass between the kernel and HTTP or TLS: one wrapper for each concern.

mod corked;
mod downloads;
mod handshake_capture;
mod prefixed;
mod query;
mod read_deadline;
mod refused_heads;
mod request_heads;
mod timeouts;
mod unread;
mod write_deadline;

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::connection::ConnectionState;
use crate::server::shutdown::UnreadToken;

use corked::Corked;
pub(super) use downloads::Downloads;
pub(super) use handshake_capture::{Capture, HandshakeCapture};
use prefixed::Prefixed;
use read_deadline::ReadDeadline;
pub(super) use refused_heads::RefusedHeads;
pub(super) use request_heads::RequestHeads;
pub(super) use timeouts::Timeouts;
use unread::Unread;
pub(super) use write_deadline::WriteDeadline;

/// An admitted connection whose every wait ends.
pub(super) type ClientStream = Unread<ReadDeadline<WriteDeadline<Prefixed<Corked>>>>;

/// Wraps an admitted socket; `prefix` has been read from it and comes first.
pub(super) fn client_stream(
    socket: TcpStream,
    prefix: Bytes,
    unread: UnreadToken,
    state: &Arc<ConnectionState>,
    timeouts: &Arc<Timeouts>,
) -> ClientStream {
    let stream = Corked::new(socket, Arc::clone(state));
    let stream = Prefixed::new(prefix, stream);
    let stream = WriteDeadline::new(stream, Arc::clone(timeouts));
    let stream = ReadDeadline::new(stream, Arc::clone(state), Arc::clone(timeouts));
    Unread::new(stream, unread, Arc::clone(state))
}
