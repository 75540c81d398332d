//! One device: what it has installed, and its visits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::call::{Expected, OK, STORED, ask, database_version};
use super::{FleetReport, Host, Profile, Settings, VisitError, VisitOutcome, VisitStep};
use crate::connect::{connect_from, resolve};
use crate::socket::{DeviceSocket, Power};
use crate::{ReceivedAnnouncement, Request, Response, TlsClient, TlsConnection};
use engage_wire::pki::device_profile::{DeviceProfile, Violation, check_anchor_size};
use engage_wire::pki::{Certificate, Role};
use engage_wire::site::SiteKey;
use engage_wire::{clock, excerpt, paths};

/// What a device is from the day on which it was made and mounted.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    /// Its serial number, of 8 bytes.
    pub serial: u64,
    /// From where it connects; without one, as the operating system chooses.
    pub source: Option<IpAddr>,
    /// The key of its site.
    pub site_key: Arc<SiteKey>,
    /// Its TLS stack.
    pub profile: Arc<Profile>,
}

/// A device, simulated: it trusts exactly one certificate, and remembers what a device remembers.
#[derive(Debug)]
pub struct Device {
    spec: DeviceSpec,
    /// Trusts what was installed last.
    client: Option<Arc<TlsClient>>,
    database_version: String,
    /// Stored until they are acknowledged.
    events: Vec<PendingEvent>,
    last_event: u32,
    failed_in_a_row: u32,
    random: Rng,
}

#[derive(Debug)]
struct PendingEvent {
    number: u32,
    time: String,
}

/// A step that failed.
struct FailedStep {
    step: VisitStep,
    error: VisitError,
}

impl Device {
    pub(super) fn new(spec: DeviceSpec, seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed ^ spec.serial.rotate_left(32)),
            spec,
            client: None,
            database_version: "0".to_owned(),
            events: Vec::new(),
            last_event: 0,
            failed_in_a_row: 0,
        }
    }

    /// What it is.
    pub fn spec(&self) -> &DeviceSpec {
        &self.spec
    }

    /// Its serial number, as it is displayed.
    pub fn serial(&self) -> String {
        format!("{:016X}", self.spec.serial)
    }

    /// The one certificate that it trusts.
    pub fn anchor(&self) -> Option<&Certificate> {
        self.client.as_deref().map(TlsClient::anchor)
    }

    /// How many of its last call-ins failed; one in which it lost power is none.
    pub fn failed_in_a_row(&self) -> u32 {
        self.failed_in_a_row
    }

    /// The number of its last event; they count from 1, and each is acknowledged in a call-in that succeeds.
    pub fn last_event(&self) -> u32 {
        self.last_event
    }

    pub(super) fn random(&mut self) -> &mut Rng {
        &mut self.random
    }

    /// Asks what to install, and installs it.
    pub(super) async fn commission(&mut self, visit: &mut Visit) -> VisitOutcome {
        let attempts = self.spec.profile.stack().attempts.get();
        for attempt in 1..=attempts {
            match self.install(visit).await {
                Ok(()) => return VisitOutcome::Done(attempt),
                Err(_) if visit.line.power.is_lost() => return VisitOutcome::PowerLost,
                Err(failed) => self.note(visit, &failed, attempt == attempts),
            }
            self.pause(&visit.line).await;
        }
        VisitOutcome::Failed
    }

    /// Parameters, database, events; each attempt on a connection of its own.
    pub(super) async fn call_in(&mut self, visit: &mut Visit) -> VisitOutcome {
        self.experience();
        let attempts = self.spec.profile.stack().attempts.get();
        for attempt in 1..=attempts {
            let failed = match self.try_call_in(visit).await {
                Ok(()) => {
                    self.failed_in_a_row = 0;
                    return VisitOutcome::Done(attempt);
                }
                Err(_) if visit.line.power.is_lost() => return VisitOutcome::PowerLost,
                Err(failed) => failed,
            };
            self.note(visit, &failed, attempt == attempts);
            // PROTOCOL.md section 1: a device that cannot verify a session asks what to install.
            if failed.error.is_chain_refused()
                && let Err(failed) = self.install(visit).await
            {
                if visit.line.power.is_lost() {
                    return VisitOutcome::PowerLost;
                }
                self.note(visit, &failed, false);
            }
            self.pause(&visit.line).await;
        }
        self.failed_in_a_row += 1;
        VisitOutcome::Failed
    }

    fn note(&self, visit: &mut Visit, failed: &FailedStep, is_last: bool) {
        let (serial, FailedStep { step, error }) = (self.serial(), failed);
        visit.report.attempt_failed(&serial, *step, error);
        if is_last {
            visit.report.gave_up(&serial, *step, error);
        }
    }

    async fn pause(&mut self, line: &Line) {
        let pause = line.settings.retry_pause;
        sleep(pause.mul_f64(0.5 + self.random.f64())).await;
    }

    async fn install(&mut self, visit: &mut Visit) -> Result<(), FailedStep> {
        let host = visit.line.host(&mut self.random);
        let Visit { line, report } = visit;
        let asking = self.ask_announcement(line, &host);
        let announced = timed(report, VisitStep::Announcement, asking).await?;
        let downloading = self.download(line, &announced);
        let anchor = timed(report, VisitStep::Certificate, downloading).await?;
        self.client = Some(self.spec.profile.client(anchor));
        Ok(())
    }

    async fn try_call_in(&mut self, visit: &mut Visit) -> Result<(), FailedStep> {
        if self.client.is_none() {
            self.install(visit).await?;
        }
        let host = visit.line.host(&mut self.random);
        let shaking_hands = self.shake_hands(&visit.line, &host);
        let mut session = timed(&mut visit.report, VisitStep::Handshake, shaking_hands).await?;
        let stream = &mut session.stream;
        let url = |path: &str| host.secure_url.with_target(&self.target(path));
        let put = Request::new("PUT", &url(paths::CONFIG[0])).with_json(self.parameters());
        visit
            .call(VisitStep::Config, stream, put.keep_alive(), OK)
            .await?;
        let path = format!("{}{}", paths::DATABASE, self.database_version);
        let get = Request::get(&url(&path)).keep_alive();
        let answer = visit.call(VisitStep::Database, stream, get, OK).await?;
        let version = database_version(answer.body()).map_err(|found| FailedStep {
            step: VisitStep::Database,
            error: VisitError::Database(found),
        })?;
        let (alert, audits) = self.split_events();
        if let Some(alert) = alert {
            let body = json!({ "event": alert.code(), "time": alert.time });
            let post = Request::new("POST", &url(paths::ALERT)).with_json(body.to_string().into());
            visit
                .call(VisitStep::Alert, stream, post.keep_alive(), STORED)
                .await?;
        }
        let events: Vec<_> = audits
            .iter()
            .map(|it| json!({ "event": it.code(), "time": it.time }))
            .collect();
        let body = json!({ "asyncEvents": events, "nxtDbVerTS": version });
        let post = Request::new("POST", &url(paths::AUDIT)).with_json(body.to_string().into());
        visit.call(VisitStep::Audit, stream, post, STORED).await?;
        self.database_version = version;
        self.events.clear();
        Ok(())
    }

    async fn ask_announcement(
        &self,
        line: &Line,
        host: &Host,
    ) -> Result<ReceivedAnnouncement, VisitError> {
        let url = host.url.with_target(&self.target(paths::ANNOUNCEMENT));
        let mut socket = self.connect(line, host.http).await?;
        let deadline = line.deadline();
        let answer = ask(&mut socket, &Request::get(&url), OK, deadline).await?;
        Ok(ReceivedAnnouncement::parse(answer.body())?)
    }

    /// The certificate, if a device would install it.
    async fn download(
        &self,
        line: &Line,
        announced: &ReceivedAnnouncement,
    ) -> Result<Certificate, VisitError> {
        let url = announced.certificate_url()?;
        let deadline = line.deadline();
        let peer = resolve(&url.address(), deadline).await?;
        let mut socket = self.connect(line, peer).await?;
        let answer = ask(&mut socket, &Request::get(&url), OK, deadline).await?;
        let der = answer.body();
        if let Some(refusal) = check_anchor_size(der.len()) {
            return Err(refusal.into());
        }
        if !announced.matches(&self.spec.site_key, der) {
            return Err(VisitError::Hash {
                found: excerpt(announced.hash().as_bytes()),
                expected: self.spec.site_key.announcement_hash(der).to_string(),
            });
        }
        let certificate = Certificate::parse(der.to_vec())?;
        let profile = DeviceProfile::new(clock::now());
        let role = Role::of_issuer(&certificate);
        let mut violations = profile.check_certificate(role, &certificate).into_iter();
        if let Some(refusal) = violations.find(Violation::is_refusal) {
            return Err(refusal.into());
        }
        line.power.outlast()?;
        Ok(certificate)
    }

    async fn shake_hands(
        &self,
        line: &Line,
        host: &Host,
    ) -> Result<TlsConnection<DeviceSocket>, VisitError> {
        let Some(client) = &self.client else {
            unreachable!("`try_call_in` installs a certificate first");
        };
        let socket = self.connect(line, host.https).await?;
        let deadline = line.deadline();
        Ok(client
            .shake_hands(socket, host.https, host.url.host(), deadline)
            .await?)
    }

    async fn connect(&self, line: &Line, peer: SocketAddr) -> Result<DeviceSocket, VisitError> {
        let unspecified = match peer {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let source = self.spec.source.unwrap_or(unspecified);
        let stream = connect_from(source, peer, line.deadline()).await?;
        Ok(DeviceSocket::new(stream, line.power.clone()))
    }

    /// With the serial number, in Base64 as documented.
    fn target(&self, path: &str) -> String {
        let serial = STANDARD.encode(self.spec.serial.to_be_bytes());
        format!("{path}?sn={serial}")
    }

    fn parameters(&self) -> Vec<u8> {
        let serial = self.serial().to_lowercase();
        let stack = &self.spec.profile.stack().name;
        json!({
            "dvcProfile": { "baseType": "nde", "ext": [{ "key": "serialNumber", "value": serial }] },
            "battV": { "main": "6.1", "li": "3.0" },
            "fwVer": { "main": "02.11.03", "wifi": stack },
            "lckPrmtrs": { "nm": "Simulated", "mdl": "NDE80" },
        })
        .to_string()
        .into()
    }

    /// Somebody uses the door.
    fn experience(&mut self) {
        for _ in 0..self.random.u32(1..=3) {
            self.last_event += 1;
            self.events.push(PendingEvent {
                number: self.last_event,
                time: Timestamp::now().strftime("%Y%m%d%H%M%S").to_string(),
            });
        }
    }

    /// Every eighth event is worth an alert, if it comes first.
    fn split_events(&self) -> (Option<&PendingEvent>, &[PendingEvent]) {
        match self.events.split_first() {
            Some((first, rest)) if first.number % 8 == 0 => (Some(first), rest),
            _ => (None, &self.events),
        }
    }
}

impl PendingEvent {
    fn code(&self) -> String {
        format!("{:08X}", self.number)
    }
}

/// One visit, and what it came to.
pub(super) struct Visit {
    pub(super) line: Line,
    pub(super) report: FleetReport,
}

/// Of which fleet a device is, and how much power it has.
pub(super) struct Line {
    pub(super) settings: Arc<Settings>,
    pub(super) power: Power,
}

impl Line {
    fn host(&self, random: &mut Rng) -> Host {
        self.settings.hosts[random.usize(..self.settings.hosts.len())].clone()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.settings.timeout
    }
}

impl Visit {
    /// One call on an open session.
    async fn call<S>(
        &mut self,
        step: VisitStep,
        stream: &mut S,
        request: Request,
        expected: Expected,
    ) -> Result<Response, FailedStep>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let asking = ask(stream, &request, expected, self.line.deadline());
        timed(&mut self.report, step, asking).await
    }
}

/// What became of `work`, and how long it took if it succeeded.
async fn timed<T>(
    report: &mut FleetReport,
    step: VisitStep,
    work: impl Future<Output = Result<T, VisitError>>,
) -> Result<T, FailedStep> {
    let begun = Instant::now();
    let done = work.await.map_err(|error| FailedStep { step, error })?;
    report.took(step, begun.elapsed());
    Ok(done)
}
