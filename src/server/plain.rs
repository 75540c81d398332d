//! The accept path of the plain listener.

use std::io;
use std::pin::Pin;

use axum_server::accept::Accept;
use tokio::net::TcpStream;

use super::doorway::Doorway;
use super::pacing::Paced;
use super::service::ForConnection;

/// Lets connections in; HTTP follows at once.
#[derive(Clone)]
pub(super) struct PlainAcceptor {
    doorway: Doorway,
}

impl PlainAcceptor {
    pub(super) fn new(doorway: Doorway) -> Self {
        Self { doorway }
    }
}

impl Accept<TcpStream, ForConnection> for PlainAcceptor {
    type Stream = Paced;
    type Service = ForConnection;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Paced, ForConnection)>> + Send>>;

    fn accept(&self, stream: TcpStream, mut service: ForConnection) -> Self::Future {
        let doorway = self.doorway.clone();
        Box::pin(async move {
            let stream = doorway.enter(stream, &mut service.connection).await?;
            Ok((stream, service))
        })
    }
}
