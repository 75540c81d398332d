//! What a connection's bytes pass between the kernel and HTTP or TLS: one wrapper for each concern.

mod downloads;
mod evictable;
mod handshake_capture;
mod intercept;
mod last_answer;
mod prefix;
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

pub(super) use downloads::Downloads;
pub(super) use evictable::Evictable;
pub(super) use handshake_capture::{Capture, HandshakeCapture};
pub(super) use intercept::Intercepted;
use last_answer::LastAnswer;
use prefix::Prefix;
use read_deadline::ReadDeadline;
pub(super) use refused_heads::RefusedHeads;
pub(super) use request_heads::RequestHeads;
pub(super) use timeouts::Timeouts;
use unread::Unread;
pub(super) use write_deadline::WriteDeadline;

/// An admitted connection whose every wait ends.
pub(super) type ClientStream = Intercepted<
    Intercepted<Intercepted<Intercepted<LastAnswer, Prefix>, WriteDeadline>, ReadDeadline>,
    Unread,
>;

/// Wraps an admitted socket; `prefix` has been read from it and comes first.
pub(super) fn client_stream(
    socket: TcpStream,
    prefix: Bytes,
    unread: UnreadToken,
    state: &Arc<ConnectionState>,
    timeouts: &Arc<Timeouts>,
) -> ClientStream {
    let stream = LastAnswer::new(socket, Arc::clone(state));
    let stream = Intercepted::new(stream, Prefix(prefix));
    let stream = Intercepted::new(stream, WriteDeadline::new(Arc::clone(timeouts)));
    let read_deadline = ReadDeadline::new(Arc::clone(state), Arc::clone(timeouts));
    let stream = Intercepted::new(stream, read_deadline);
    Intercepted::new(stream, Unread::new(unread, Arc::clone(state)))
}
