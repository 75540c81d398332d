//! What systemd is told: ready, reloading, stopping, alive.
//!
//! Without systemd (`NOTIFY_SOCKET` unset) all of it does nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use sd_notify::NotifyState;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

use engage_wire::reached_from_here;

/// Listeners are bound, a publication is in force. `status` is for people: `systemctl status` shows
/// it.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// The drain has begun.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog as long as the daemon's own plain listener takes a connection and ends it;
/// where no watchdog is asked for, waits for ever.
///
/// A daemon whose accept loop or runtime is stuck feeds nobody, and systemd restarts it. No limit
/// and no list applies to these connections, or a flood would have a healthy daemon restarted.
pub(crate) async fn keep_alive(http: SocketAddr, probe: WatchdogProbe) {
    let Some(deadline) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let pause = deadline / 3;
    loop {
        match timeout(pause, is_taken(reached_from_here(http), &probe)).await {
            Ok(Ok(())) => tell(&[NotifyState::Watchdog]),
            Ok(Err(error)) => {
                error!("the plain listener does not take its own daemon's connection: {error}");
            }
            Err(_) => {
                error!(
                    "the plain listener has not taken its own daemon's connection for {pause:?}"
                );
            }
        }
        sleep(pause).await;
    }
}

/// The address from which the daemon is calling itself, shared with its listener.
///
/// Nobody else can call from it: while the call lasts, the port belongs to the daemon's own socket.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchdogProbe(Arc<Mutex<Option<SocketAddr>>>);

impl WatchdogProbe {
    /// Whether a connection from `peer` is the daemon's own.
    pub(crate) fn is_from(&self, peer: SocketAddr) -> bool {
        *self.0.lock() == Some(peer)
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!("systemd cannot be notified: {error}");
    }
}

/// Calls the listener, which hangs up on its own daemon at once.
async fn is_taken(http: SocketAddr, probe: &WatchdogProbe) -> std::io::Result<()> {
    let socket = if http.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.bind((http.ip(), 0).into())?;
    *probe.0.lock() = Some(socket.local_addr()?);
    let mut stream = socket.connect(http).await?;
    match stream.read(&mut [0]).await? {
        0 => Ok(()),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}
