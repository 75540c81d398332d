//! Many devices against one host: what `simulate`, the tests and the benchmark drive.

mod call;
mod device;
mod error;
mod report;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::socket::Power;
use super::{TlsClient, TlsStack};
use device::{Line, Visit};
use engage_wire::pki::{Certificate, Fingerprint};
use engage_wire::{HttpUrl, Scheme};

pub use device::{Device, DeviceSpec};
pub use error::{VisitError, VisitStep};
pub use report::{Deviation, FleetReport, Latency, Outcomes, VisitOutcome};

/// Devices, and the hosts that they visit.
#[derive(Debug)]
pub struct Fleet {
    settings: Arc<Settings>,
    devices: Vec<Device>,
    /// So many are under way at a time.
    places: Arc<Semaphore>,
}

/// Whom a fleet visits, and how patiently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// At least one; each attempt goes to one of them, as by a balancer.
    pub hosts: Vec<Host>,
    /// How long a connection, a handshake or an answer may take.
    pub timeout: Duration,
    /// Between two attempts, give or take a half.
    pub retry_pause: Duration,
    /// How many visits are under way at a time; whoever comes then waits.
    pub at_once: usize,
}

/// Where a host listens.
#[derive(Clone, Debug)]
pub struct Host {
    /// Of the plain listener, as devices are told it.
    url: HttpUrl,
    /// The same of the TLS listener.
    secure_url: HttpUrl,
    http: SocketAddr,
    https: SocketAddr,
}

impl Host {
    /// `url` is what devices are told; `http` and `https` is where that leads.
    pub fn new(url: &HttpUrl, http: SocketAddr, https: SocketAddr) -> Self {
        Self {
            url: url.clone(),
            secure_url: url.with_scheme(Scheme::Https, https.port()),
            http,
            https,
        }
    }
}

/// A TLS stack, and its clients by what they trust: devices that trust the same share one.
#[derive(Debug)]
pub struct Profile {
    stack: Arc<TlsStack>,
    clients: Mutex<HashMap<Fingerprint, Arc<TlsClient>>>,
}

impl Profile {
    /// Nobody trusts anything yet.
    pub fn new(stack: TlsStack) -> Self {
        Self {
            stack: Arc::new(stack),
            clients: Mutex::default(),
        }
    }

    /// How the stack behaves.
    pub fn stack(&self) -> &TlsStack {
        &self.stack
    }

    fn client(&self, anchor: Certificate) -> Arc<TlsClient> {
        let mut clients = self.clients.lock();
        let client = clients
            .entry(anchor.fingerprint())
            .or_insert_with(|| Arc::new(TlsClient::with_stack(anchor, Arc::clone(&self.stack))));
        Arc::clone(client)
    }
}

/// What devices do, each once, at a time of its own within a window.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// What they come for.
    pub activity: Activity,
    /// Within what time all come.
    pub window: Duration,
    /// The share of them, from 0 to 1, that lose power in the middle: while they receive, or before they have
    /// written down what they received.
    pub power_loss: f64,
}

/// What a device comes for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activity {
    /// To ask what to install, and install it: a person tells it to, with the mobile app.
    Commission,
    /// To call in.
    CallIn,
}

impl Fleet {
    /// Devices that have installed nothing yet. The same `seed` makes the same decisions.
    pub fn new(settings: Settings, devices: Vec<DeviceSpec>, seed: u64) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.at_once)),
            settings: Arc::new(settings),
            devices: devices
                .into_iter()
                .map(|spec| Device::new(spec, seed))
                .collect(),
        }
    }

    /// From now on the devices visit these: a host may move, or another take its place.
    pub fn set_hosts(&mut self, hosts: Vec<Host>) {
        let settings = Settings::clone(&self.settings);
        self.settings = Arc::new(Settings { hosts, ..settings });
    }

    /// The devices, in the order in which they were given.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Has all devices for which `comes` holds do what the phase says, and waits for the last. `done` counts them.
    pub async fn run(
        &mut self,
        phase: Phase,
        comes: impl Fn(&Device) -> bool,
        done: &Arc<AtomicUsize>,
    ) -> FleetReport {
        let begin = Instant::now();
        let mut visits = JoinSet::new();
        let mut devices: Vec<_> = self.devices.drain(..).map(Some).collect();
        for (at, place) in devices.iter_mut().enumerate() {
            if let Some(mut device) = place.take_if(|it| comes(it)) {
                let start = begin + phase.window.mul_f64(device.random().f64());
                let power = power(&mut device, phase);
                let (settings, places) = (Arc::clone(&self.settings), Arc::clone(&self.places));
                let done = Arc::clone(done);
                visits.spawn(async move {
                    sleep_until(start).await;
                    // Never closed.
                    let _place = places.acquire().await;
                    let line = Line { settings, power };
                    // What waits takes little room.
                    let visited = Box::pin(visit(device, phase.activity, line)).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    (at, visited)
                });
            }
        }
        let mut report = FleetReport::default();
        while let Some(ended) = visits.join_next().await {
            // A panic is a fault of this program: whoever waits for the result is to see it.
            let (at, (device, visited)) =
                ended.unwrap_or_else(|ended| match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(cancelled) => unreachable!("nothing cancels visits: {cancelled}"),
                });
            devices[at] = Some(device);
            report.add(visited);
        }
        self.devices = devices.into_iter().flatten().collect();
        report
    }
}

async fn visit(mut device: Device, activity: Activity, line: Line) -> (Device, FleetReport) {
    let mut visit = Visit {
        line,
        report: FleetReport::default(),
    };
    match activity {
        Activity::Commission => {
            let outcome = device.commission(&mut visit).await;
            visit.report.commissioning.count(outcome);
        }
        Activity::CallIn => {
            let outcome = device.call_in(&mut visit).await;
            visit.report.call_ins.count(outcome);
        }
    }
    (device, visit.report)
}

/// Of those that lose power, most do so while they receive, some when they have received it all.
fn power(device: &mut Device, phase: Phase) -> Power {
    if device.random().f64() >= phase.power_loss {
        return Power::steady();
    }
    let bytes = match phase.activity {
        Activity::Commission => COMMISSION_BYTES,
        Activity::CallIn => CALL_IN_BYTES,
    };
    Power::for_bytes(device.random().usize(1..bytes))
}

/// About a third more than an announcement and a certificate.
const COMMISSION_BYTES: usize = 2000;

/// About what a handshake and four answers have.
const CALL_IN_BYTES: usize = 4000;
