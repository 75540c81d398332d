//! What systemd is told: ready, reloading, stopping, alive.
//!
//! Without systemd (`NOTIFY_SOCKET` unset) all of it does nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

/// Listeners are bound, the publication is proven.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// The drain has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog as long as the daemon answers a request on its own plain listener; where no
/// watchdog is asked for, waits for ever.
///
/// A daemon whose accept loop or runtime is stuck feeds nobody, and systemd restarts it.
pub async fn keep_alive(http: SocketAddr) {
    let Some(deadline) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let pause = deadline / 3;
    loop {
        match timeout(pause, answers(reachable(http))).await {
            Ok(Ok(())) => tell(&[NotifyState::Watchdog]),
            Ok(Err(error)) => error!("the plain listener does not answer its own daemon: {error}"),
            Err(_) => error!("the plain listener has not answered its own daemon for {pause:?}"),
        }
        sleep(pause).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!("systemd cannot be notified: {error}");
    }
}

/// The listener's address, as this computer reaches it.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Any answer is a sign of life: an allow list may leave this computer out.
async fn answers(http: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(http).await?;
    stream
        .write_all(b"HEAD /alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).await?;
    if answer == *b"HTTP/1.1 " {
        Ok(())
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}
