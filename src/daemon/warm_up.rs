//! The first handshakes, in memory, before any device's.

use std::future::ready;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::duplex;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use tracing::debug;

use crate::publication::Publication;
use crate::tls::{self, TlsIdentity};
use engage_device::{CachedTlsClient, TlsClient, TlsVersions};
use engage_wire::HostName;

/// Has a simulated device shake hands with what is published, so that the first real one waits
/// for nothing that is only done once: the crypto library gathers entropy at first use, for 20 to
/// 70 ms on a processor without anything better than jitter, and code is paged in.
///
/// Devices that come earlier are answered all the same.
pub(super) async fn warm_up(publication: &Publication) {
    let Some(anchor) = publication.any_anchor() else {
        return;
    };
    let Ok(identity) = publication.identity().cloned() else {
        return;
    };
    let warm = identity.clone();
    // Not on a worker: plain connections would have to wait for the entropy.
    let _ = spawn_blocking(move || warm.warm_up()).await;
    let devices = [TlsVersions::Device, TlsVersions::Any]
        .map(|versions| TlsClient::new(anchor.clone(), versions).cached());
    // Random state belongs to a thread, and so do the allocator's pages. As many at once as there
    // are workers find their way to all of them, or nearly: nothing depends on it.
    let mut handshakes_in_memory = JoinSet::new();
    for _ in 0..Handle::current().metrics().num_workers() {
        handshakes_in_memory.spawn(handshakes(devices.clone(), identity.clone()));
    }
    handshakes_in_memory.join_all().await;
}

async fn handshakes(devices: [CachedTlsClient; 2], identity: TlsIdentity) {
    for device in devices {
        let (near, far) = duplex(DUPLEX_BYTES);
        let name = HostName::Ip(Ipv4Addr::LOCALHOST.into());
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let peer = (Ipv4Addr::LOCALHOST, 0).into();
        let (device, server) = tokio::join!(
            device.handshake(far, peer, &name, deadline),
            tls::accept(near, ready(()), ready(()), |_| Some(identity.clone())),
        );
        if let (Err(error), _) | (Ok(_), Err((error, _))) =
            (device.map_err(std::io::Error::other), server)
        {
            debug!("a handshake of the warm-up failed: {error}");
        }
    }
}

/// In bytes. A longer flight of handshake messages goes in turns.
const DUPLEX_BYTES: usize = 4096;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
