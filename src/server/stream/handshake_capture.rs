//! What went over a connection before its handshake was done, to explain a failure.

use std::io;
use std::task::{Context, Poll};

use super::intercept::Intercept;
use crate::tls::hello::HELLO_BYTES;

/// Keeps the first bytes received and counts those sent, until [`Self::finish`].
#[derive(Debug)]
pub(in crate::server) struct HandshakeCapture(Option<Box<Capture>>);

/// The beginning of a connection.
#[derive(Debug, Default)]
pub(in crate::server) struct Capture {
    /// The first bytes received, at most [`HELLO_BYTES`].
    pub(in crate::server) received: Vec<u8>,
    /// How many bytes were sent.
    pub(in crate::server) sent: usize,
}

impl HandshakeCapture {
    pub(in crate::server) fn start() -> Self {
        Self(Some(Box::default()))
    }

    /// Ends the capture and hands it over.
    pub(in crate::server) fn finish(&mut self) -> Capture {
        self.0.take().map(|capture| *capture).unwrap_or_default()
    }
}

impl Capture {
    fn receive(&mut self, bytes: &[u8]) {
        let room = HELLO_BYTES - self.received.len();
        self.received
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Intercept for HandshakeCapture {
    fn read(
        &mut self,
        read: Poll<io::Result<()>>,
        received: &mut [u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(capture) = &mut self.0 {
            capture.receive(received);
        }
        read
    }

    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        _: &[u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let (Some(capture), Poll::Ready(Ok(sent))) = (&mut self.0, &written) {
            capture.sent += sent;
        }
        written
    }
}
