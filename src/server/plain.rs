//! Connections of the plain listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::accepting::Reception;
use super::doorway::Doorway;
use super::pacing::Paced;
use super::service::Answers;
use crate::connection::ListenerKind;
use crate::routes::App;

/// Lets connections in; HTTP follows at once.
pub(super) struct PlainReception {
    pub(super) doorway: Doorway,
    pub(super) app: Arc<App>,
}

impl Reception for PlainReception {
    type Stream = Paced;
    type Service = Answers;

    async fn receive(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<(Paced, Answers)> {
        let (stream, connection) = self.doorway.enter(socket, ListenerKind::Http, peer).await?;
        Some((stream, Answers::new(Arc::clone(&self.app), connection)))
    }

    fn accept_failed(&self, error: &io::Error) {
        self.doorway.accept_failed(ListenerKind::Http, error);
    }
}
