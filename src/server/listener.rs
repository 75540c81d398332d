//! A listening socket as axum-server accepts from it.

use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum_server::{AddrListener, Address};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::shutdown::{Shutdown, UnreadToken};
use super::sockets::{BACKLOG, ListeningSocket};
use crate::platform::ignore_new_connections;

/// Accepts until the daemon stops, and then what the kernel has accepted by that time: those
/// clients may have sent their requests already, and closing the socket would reset them.
pub(super) struct Listener {
    socket: Mutex<Socket>,
    local_address: SocketAddr,
    is_passed: bool,
    /// When the socket is closed.
    closes_at: OnceLock<Instant>,
    shutdown: Shutdown,
    /// A permit for each accepted socket: others wait in the kernel, where they take no descriptor.
    permits: Arc<Semaphore>,
}

enum Socket {
    Open {
        listener: TcpListener,
        unread: UnreadToken,
    },
    /// Read to the end without the runtime, whose notifications may lag behind the kernel.
    Draining {
        listener: net::TcpListener,
        /// How many more are taken: clients that never stop to connect must not prevent the end.
        remaining: u32,
        _unread: UnreadToken,
    },
    Closed,
}

/// An accepted connection.
pub(super) struct Accepted {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    /// Held until its first request has had the chance to be read (see [`Shutdown::drain`]).
    pub(super) unread: UnreadToken,
    /// Held as long as the connection.
    pub(super) open: TaskTrackerToken,
    /// Held as long as the socket; none during a stop, which waits for no permit.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What axum-server calls an address, which says what is accepted: here a socket together with its
/// peer, which would otherwise cost a system call each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp;

impl Listener {
    /// Takes a bound socket, and accepts while there is one of `permits`. Must be called inside the
    /// runtime.
    pub(super) fn new(
        ListeningSocket { socket, is_passed }: ListeningSocket,
        permits: &Arc<Semaphore>,
        shutdown: &Shutdown,
    ) -> io::Result<Self> {
        // One that systemd passes may not be.
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        Ok(Self {
            local_address: socket.local_addr()?,
            socket: Mutex::new(Socket::Open {
                listener: socket,
                unread: shutdown.unread_token(),
            }),
            is_passed,
            closes_at: OnceLock::new(),
            shutdown: shutdown.clone(),
            permits: Arc::clone(permits),
        })
    }

    /// A permit for one more socket, once there is one.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    pub(super) fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let mut socket = self.socket.lock();
        match &mut *socket {
            Socket::Open { listener, .. } => listener.poll_accept(context),
            Socket::Draining {
                listener,
                remaining: remaining @ 1..,
                ..
            } => {
                *remaining -= 1;
                if let Ok((stream, peer)) = listener.accept() {
                    return Poll::Ready(registered(stream).map(|stream| (stream, peer)));
                }
                // The queue is empty, or nothing more can be had from it.
                *socket = Socket::Closed;
                Poll::Pending
            }
            Socket::Draining { .. } | Socket::Closed => {
                *socket = Socket::Closed;
                Poll::Pending
            }
        }
    }

    /// Completes when a stop was asked for and handshakes that had begun have had time to end, where
    /// the system can be told to begin no others: closing the socket resets what it has not accepted.
    async fn stopped(&self) {
        self.shutdown.stopping().cancelled().await;
        let closes_at = *self.closes_at.get_or_init(|| match &*self.socket.lock() {
            // Who accepts next from a socket that was passed is the next daemon.
            Socket::Open { listener, .. }
                if !self.is_passed && ignore_new_connections(listener).is_ok() =>
            {
                Instant::now() + LAST_HANDSHAKES_TIMEOUT
            }
            _ => Instant::now(),
        });
        sleep_until(closes_at).await;
    }

    fn start_draining(&self) {
        let mut socket = self.socket.lock();
        *socket = match std::mem::replace(&mut *socket, Socket::Closed) {
            Socket::Open { listener, unread } => match listener.into_std() {
                Ok(listener) => Socket::Draining {
                    listener,
                    remaining: BACKLOG,
                    _unread: unread,
                },
                Err(_) => Socket::Closed,
            },
            other => other,
        };
    }
}

impl Address for Tcp {
    type Stream = Accepted;
    type Listener = Listener;
}

impl AddrListener<Accepted, Tcp> for Listener {
    async fn bind_to(_: Tcp) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Accepted, Tcp)> {
        let stopping: &CancellationToken = self.shutdown.stopping();
        let permit = tokio::select! {
            biased;
            permit = self.permit() => permit,
            () = stopping.cancelled() => None,
        };
        let accepted = tokio::select! {
            biased;
            accepted = poll_fn(|context| self.poll_accept(context)) => accepted,
            () = self.stopped() => {
                self.start_draining();
                poll_fn(|context| self.poll_accept(context)).await
            }
        };
        let (socket, peer) = accepted?;
        let accepted = Accepted {
            socket,
            peer,
            unread: self.shutdown.unread_token(),
            open: self.shutdown.open_token(),
            permit,
        };
        Ok((accepted, Tcp))
    }

    fn get_local_addr(&self) -> io::Result<Tcp> {
        Ok(Tcp)
    }
}

fn registered(stream: net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// For the last segment of a handshake over bad Wi-Fi.
const LAST_HANDSHAKES_TIMEOUT: Duration = Duration::from_millis(200);
