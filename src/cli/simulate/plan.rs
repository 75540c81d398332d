//! Which devices there are, and whom they visit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use miette::Diagnostic;
use tokio::time::Instant;

use super::{Simulate, announcement_url};
use crate::failure::Failure;
use engage_device::fleet::{DeviceSpec, Fleet, Host, Profile, Settings};
use engage_device::{TlsStack, connect_from, resolve};
use engage_wire::limits::MAX_FILE_BYTES;
use engage_wire::site::SiteKey;
use engage_wire::{HostPort, ReadError, Scheme, read_text};

/// The devices, and the names of their profiles.
pub(super) async fn fleet(simulate: &Simulate) -> Result<(Vec<String>, Fleet), Failure> {
    let site_key = Arc::new(SiteKey::load(&simulate.site_key_file)?);
    let stacks = simulate.profile.iter().map(|name| stack(name));
    let profiles: Vec<_> = stacks
        .map(|stack| Ok(Arc::new(Profile::new(stack?))))
        .collect::<Result<_, ProfileError>>()?;
    let addresses = addresses(simulate)?;
    let settings = settings(simulate, addresses.first().copied().flatten()).await?;
    let device = |((serial, source), profile): (_, &Arc<Profile>)| DeviceSpec {
        serial,
        source,
        site_key: Arc::clone(&site_key),
        profile: Arc::clone(profile),
    };
    let devices = (FIRST_SERIAL..).zip(addresses).zip(profiles.iter().cycle());
    let devices = devices.map(device).collect();
    let names = profiles.iter().map(|it| it.stack().name.clone());
    Ok((
        names.collect(),
        Fleet::new(settings, devices, simulate.seed),
    ))
}

/// Fails where nothing answers at all, or not to the first device's address: that says nothing of a host.
async fn settings(simulate: &Simulate, source: Option<IpAddr>) -> Result<Settings, Failure> {
    let url = announcement_url(&simulate.url)?;
    let https = simulate.https.clone().unwrap_or_else(|| HostPort {
        port: Scheme::Https.port(),
        ..url.address()
    });
    let deadline = Instant::now() + simulate.timeout.0;
    let http = resolve(&url.address(), deadline).await?;
    let https = resolve(&https, deadline).await?;
    for peer in [http, https] {
        let unspecified = match peer.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        connect_from(source.unwrap_or(unspecified), peer, deadline).await?;
    }
    Ok(Settings {
        hosts: vec![Host::new(&url, http, https)],
        timeout: simulate.timeout.0,
        retry_pause: RETRY_PAUSE.min(simulate.window.0),
        at_once: AT_ONCE,
    })
}

fn stack(name: &str) -> Result<TlsStack, ProfileError> {
    if let Some(stack) = TlsStack::built_in(name) {
        return Ok(stack);
    }
    let path = Path::new(name);
    if path.extension().is_none() && !path.exists() {
        let name = name.to_owned();
        return Err(ProfileError::Unknown { name });
    }
    let text = read_text("profile", path, MAX_FILE_BYTES)?;
    let malformed = |source| ProfileError::Malformed {
        path: path.to_owned(),
        source,
    };
    let stack: TlsStack = toml::from_str(&text).map_err(Box::new).map_err(malformed)?;
    Ok(TlsStack {
        name: name.to_owned(),
        ..stack
    })
}

/// One for each device; the first is shared by those behind NAT.
fn addresses(simulate: &Simulate) -> Result<Vec<Option<IpAddr>>, NetworkTooSmall> {
    let count = simulate.devices;
    let Some(network) = simulate.source else {
        return Ok(vec![None; count as usize]);
    };
    let shared = u64::from(simulate.shared_address);
    let mut own = network.hosts();
    let nat = own.next();
    let addresses = (0..u64::from(count)).map(|number| {
        // Spread evenly, so that every profile is behind it.
        let is_shared = (number + 1) * shared / 100 > number * shared / 100;
        if is_shared { nat } else { own.next() }
    });
    let found: Vec<_> = addresses.collect();
    if found.iter().any(Option::is_none) {
        return Err(NetworkTooSmall { network, count });
    }
    Ok(found)
}

/// A network that has fewer addresses than there are devices.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error(
    "the network `{network}` has not enough addresses for {count} devices and one that is shared"
)]
#[diagnostic(
    code("network-too-small"),
    help("name a larger one: `--source 127.1.0.0/16` has 65,534")
)]
struct NetworkTooSmall {
    network: IpNet,
    count: u32,
}

/// Why a TLS stack cannot be simulated.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum ProfileError {
    #[error("profile `{}` is malformed", path.display())]
    #[diagnostic(
        code("malformed-profile"),
        help("docs/SIMULATE.md lists the keys and their values")
    )]
    Malformed {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("profile `{name}` is not known; allowed: {}, or a TOML file", TlsStack::BUILT_IN.join(", "))]
    #[diagnostic(
        code("unknown-profile"),
        help("a file's name has an extension: `mine.toml`")
    )]
    Unknown { name: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ReadError),
}

/// The devices' serial numbers count from here, so that they are found among others.
const FIRST_SERIAL: u64 = 0x51D0_0000_0000_0001;

/// A host that is busy gets a moment.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// More are waited for: descriptors, and the processor that both ends may share.
const AT_ONCE: usize = 1000;
