//! Devices that behave: what they were acknowledged, and how long they waited.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engage_device::{CachedTlsClient, Request, TlsClient, TlsVersions, connect_from, exchange};
use engage_wire::pki::load_certificate_der;
use engage_wire::{HostName, HttpUrl};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::host::SoakedHost;
use crate::device::{address, soon};
use crate::load;
use crate::statistics::milliseconds;
use crate::trouble::{Outcome, Trouble, While};

/// Events by device and code, and how often each is there.
pub(super) type Acknowledged = HashMap<String, BTreeMap<String, u32>>;

pub(super) struct Fleet {
    devices: JoinSet<Outcome<(String, BTreeMap<String, u32>)>>,
    waits: Arc<Mutex<Waits>>,
    over: Arc<AtomicBool>,
}

/// Those that have come home.
pub(super) struct Returned {
    pub(super) acknowledged: Acknowledged,
}

/// How long calls took that were answered with what they were for, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) announcements: Vec<f64>,
    pub(super) call_ins: Vec<f64>,
    /// Calls that were not.
    pub(super) failures: u32,
}

impl Fleet {
    pub(super) fn start(host: &SoakedHost) -> Outcome<Self> {
        let anchor = load_certificate_der("certificate", &host.root_certificate())
            .doing("reading the root")?;
        let tls = TlsClient::new(anchor, TlsVersions::Device).cached();
        let (waits, over) = (Arc::default(), Arc::default());
        let mut devices = JoinSet::new();
        for number in 0..DEVICES {
            let device = Device {
                serial: format!("{:016X}", 0x0123_4567_0000_0000 + number),
                source: address(number),
                http: host.server.http,
                https: host.server.https,
                tls: tls.clone(),
                waits: Arc::clone(&waits),
            };
            devices.spawn(device.call_until(Arc::clone(&over)));
        }
        Ok(Self {
            devices,
            waits,
            over,
        })
    }

    /// Since this was asked last.
    pub(super) fn take_waits(&self) -> Waits {
        std::mem::take(&mut lock(&self.waits))
    }

    pub(super) async fn stop(self) -> Outcome<Returned> {
        self.over.store(true, Ordering::Relaxed);
        let acknowledged = load::all(self.devices).await?.into_iter().collect();
        Ok(Returned { acknowledged })
    }
}

struct Device {
    serial: String,
    source: IpAddr,
    http: SocketAddr,
    https: SocketAddr,
    tls: CachedTlsClient,
    waits: Arc<Mutex<Waits>>,
}

impl Device {
    /// Ends when its last event has been acknowledged.
    async fn call_until(self, over: Arc<AtomicBool>) -> Outcome<(String, BTreeMap<String, u32>)> {
        let mut acknowledged = BTreeMap::new();
        let mut number = 0_u32;
        while !over.load(Ordering::Relaxed) {
            number += 1;
            let code = format!("{number:08X}");
            self.fetch().await;
            let give_up = Instant::now() + CALL_TIMEOUT;
            while !self.deliver(&code).await {
                if Instant::now() > give_up {
                    let serial = &self.serial;
                    return Err(Trouble::new(format!(
                        "{serial} is not acknowledged any more"
                    )));
                }
                sleep(RETRY_INTERVAL).await;
            }
            acknowledged.insert(code, 1);
            sleep(CALL_INTERVAL).await;
        }
        Ok((self.serial, acknowledged))
    }

    async fn fetch(&self) {
        let started = Instant::now();
        let fetched = async {
            let url = url(self.http, "/swordfish/lock/certificates/current")?;
            let mut stream = connect_from(self.source, self.http, soon())
                .await
                .doing("connecting")?;
            let received = exchange(&mut stream, &Request::get(&url), soon()).await;
            let received = received.doing("asking")?;
            Ok(received.response().doing("reading an answer")?.status() == 200)
        };
        let is_good = fetched.await.unwrap_or_else(|trouble: Trouble| {
            eprintln!("{}: {trouble}", self.serial);
            false
        });
        self.note(is_good, started, |waits| &mut waits.announcements);
    }

    /// True once the host says that it has the event.
    async fn deliver(&self, code: &str) -> bool {
        let started = Instant::now();
        let called = async {
            let target = format!("/swordfish/lock/audit?sn={}", self.serial);
            let url = url(self.https, &target)?;
            let stream = connect_from(self.source, self.https, soon())
                .await
                .doing("connecting")?;
            let name = HostName::Ip(Ipv4Addr::LOCALHOST.into());
            let shaken = self.tls.handshake(stream, self.https, &name, soon()).await;
            let mut stream = shaken.doing("shaking hands")?;
            let body =
                format!(r#"{{"asyncEvents":[{{"event":"{code}","time":"20261123021259"}}]}}"#);
            let request = Request::new("POST", &url).with_json(body.into_bytes());
            let received = exchange(&mut stream, &request, soon()).await;
            let received = received.doing("asking")?;
            let status = received.response().doing("reading an answer")?.status();
            Ok([201, 202].contains(&status))
        };
        let is_good = called.await.unwrap_or_else(|trouble: Trouble| {
            eprintln!("{}: {trouble}", self.serial);
            false
        });
        self.note(is_good, started, |waits| &mut waits.call_ins);
        is_good
    }

    fn note(&self, is_good: bool, started: Instant, of: fn(&mut Waits) -> &mut Vec<f64>) {
        let mut waits = lock(&self.waits);
        if is_good {
            of(&mut waits).push(milliseconds(started.elapsed()));
        } else {
            waits.failures += 1;
        }
    }
}

fn url(address: SocketAddr, target: &str) -> Outcome<HttpUrl> {
    format!("http://{address}{target}")
        .parse()
        .doing("making a URL")
}

fn lock(waits: &Mutex<Waits>) -> std::sync::MutexGuard<'_, Waits> {
    waits.lock().unwrap_or_else(PoisonError::into_inner)
}

const DEVICES: usize = 20;
const CALL_INTERVAL: Duration = Duration::from_millis(500);
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Longer than all that is done to the disk.
const CALL_TIMEOUT: Duration = Duration::from_mins(2);
