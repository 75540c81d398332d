//! The server's side of a handshake.

use std::io;

use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::TlsIdentity;

/// A whole handshake, or why there was none and the stream that it failed on. `select` chooses the
/// identity for a client once its hello has been read and what it goes by has `settled`; without one
/// there is no handshake. The signature is made under a permit.
pub(crate) async fn accept<S, P>(
    stream: S,
    settled: impl Future<Output = ()>,
    permit: impl Future<Output = P>,
    select: impl FnOnce(&ClientHello<'_>) -> Option<TlsIdentity>,
) -> Result<TlsStream<S>, (io::Error, Option<S>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let start = match (&mut acceptor).await {
        Ok(start) => start,
        Err(error) => return Err((error, acceptor.take_io())),
    };
    settled.await;
    let hello = start.client_hello();
    let Some(identity) = select(&hello) else {
        return Err((io::ErrorKind::NotFound.into(), None));
    };
    let config = identity.server_config(&hello);
    let permit = permit.await;
    // Signs: all of the answer to the hello is made here.
    let handshake = start.into_stream(config).into_fallible();
    drop(permit);
    handshake
        .await
        .map_err(|(error, stream)| (error, Some(stream)))
}
