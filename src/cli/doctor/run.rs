//! The order of the steps, and what each hands to the next.

use std::time::Duration;

use tokio::net::TcpStream;

use super::announcement::{
    check_cert_url, check_form, read_announcement, read_certificate, same_announcement,
};
use super::certificate::{check_certificate, check_hash};
use super::key_probe::KeyProbe;
use super::session::{check_chain, open_session};
use super::step::{Step, StepBuilder};
use super::target::Target;
use super::time_limit::TimeLimit;
use crate::cli::output::print;
use engage_device::{ReceivedAnnouncement, Request, TlsClient, connect, exchange};
use engage_wire::Scheme;

/// A run of all steps against one host: what each has found so far.
pub(super) struct DoctorRun {
    target: Target,
    limit: TimeLimit,
    /// Print each step as it ends: a person waits.
    is_live: bool,
    steps: Vec<Step>,
}

impl DoctorRun {
    /// `total` bounds all steps together.
    pub(super) fn new(target: Target, total: Duration, is_live: bool) -> Self {
        Self {
            target,
            limit: TimeLimit::new(total),
            is_live,
            steps: Vec::new(),
        }
    }

    /// All steps, in a device's order.
    pub(super) async fn run(mut self) -> Vec<Step> {
        let stream = self.connect().await;
        let is_reachable = stream.is_some();
        let body = match stream {
            Some(stream) => self.announcement(stream).await,
            None => self.skip("announcement", NO_CONNECTION),
        };
        let announced = match &body {
            Some(body) => self.record("announcement-form", |step, _| check_form(step, body)),
            None => self.skip("announcement-form", NO_ANNOUNCEMENT),
        };
        let der = self.fetch(announced.as_ref()).await;
        let client = self.check_download(announced.as_ref(), der.as_deref());
        self.speak_tls(client.as_ref(), body.as_deref()).await;
        let mut step = StepBuilder::skipped(NO_CONNECTION);
        if is_reachable {
            let probe = KeyProbe {
                target: &self.target,
                limit: self.limit,
                der: der.as_deref(),
            };
            step = probe.run(announced.as_ref(), client.as_ref()).await;
        }
        self.end_step("private-key", step);
        self.steps
    }

    async fn connect(&mut self) -> Option<TcpStream> {
        let mut step = StepBuilder::new();
        let address = self.target.url.address();
        let stream = step.accept(connect(&address, self.limit.deadline()).await);
        if let Some(stream) = &stream {
            let peer = stream
                .peer_addr()
                .map_or_else(|_| address.to_string(), |peer| peer.to_string());
            step.note(format!("{peer} accepts connections"));
        }
        self.end_step("connect", step);
        stream
    }

    async fn announcement(&mut self, mut stream: TcpStream) -> Option<Vec<u8>> {
        let mut step = StepBuilder::new();
        let request = Request::get(&self.target.url);
        let exchanged = exchange(&mut stream, &request, self.limit.deadline()).await;
        let body = read_announcement(&mut step, exchanged);
        self.end_step("announcement", step);
        body
    }

    /// Steps 4 and 5: the DER file.
    async fn fetch(&mut self, announced: Option<&ReceivedAnnouncement>) -> Option<Vec<u8>> {
        let url = match announced {
            Some(announced) => self.record("cert-url", |step, target| {
                check_cert_url(step, announced, &target.url)
            }),
            None => self.skip("cert-url", NO_ANNOUNCEMENT),
        };
        let Some(url) = url else {
            return self.skip(
                "certificate-download",
                "no cert_url that a device can fetch",
            );
        };
        let mut step = StepBuilder::new();
        let fetched = step.accept(self.limit.get(&url).await);
        let der = fetched.and_then(|received| read_certificate(&mut step, &received));
        self.end_step("certificate-download", step);
        der
    }

    /// Steps 6 and 7: what a device does before it installs the file.
    fn check_download(
        &mut self,
        announced: Option<&ReceivedAnnouncement>,
        der: Option<&[u8]>,
    ) -> Option<TlsClient> {
        let (Some(announced), Some(der)) = (announced, der) else {
            self.skip::<()>("hash", NO_CERTIFICATE);
            return self.skip("certificate", NO_CERTIFICATE);
        };
        self.record("hash", |step, target| {
            check_hash(step, announced, &target.key, der);
        });
        self.record("certificate", |step, _| check_certificate(step, der))
    }

    /// Steps 8 to 10: under TLS, trusting only what was announced.
    async fn speak_tls(&mut self, client: Option<&TlsClient>, body: Option<&[u8]>) {
        let Some(client) = client else {
            for name in ["tls", "chain", "announcement-over-tls"] {
                self.skip::<()>(name, "no certificate to trust");
            }
            return;
        };
        let mut step = StepBuilder::new();
        let (session, served) =
            open_session(&self.target.https, self.limit, &mut step, client).await;
        self.end_step("tls", step);
        match &served {
            Some(served) => {
                self.record("chain", |step, target| {
                    check_chain(step, served, client.anchor(), &target.https.host);
                });
            }
            None => {
                self.skip::<()>("chain", NO_SESSION);
            }
        }
        let Some(mut session) = session else {
            self.skip::<()>("announcement-over-tls", NO_SESSION);
            return;
        };
        let mut step = StepBuilder::new();
        let url = self
            .target
            .url
            .with_scheme(Scheme::Https, self.target.https.port);
        let exchanged = exchange(
            &mut session.stream,
            &Request::get(&url),
            self.limit.deadline(),
        )
        .await;
        if let (Some(secure), Some(body)) = (read_announcement(&mut step, exchanged), body) {
            same_announcement(&mut step, body, &secure);
        }
        self.end_step("announcement-over-tls", step);
    }

    fn record<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&mut StepBuilder, &Target) -> T,
    ) -> T {
        let mut step = StepBuilder::new();
        let value = check(&mut step, &self.target);
        self.end_step(name, step);
        value
    }

    fn skip<T>(&mut self, name: &'static str, because: &str) -> Option<T> {
        self.end_step(name, StepBuilder::skipped(because));
        None
    }

    fn end_step(&mut self, name: &'static str, step: StepBuilder) {
        let step = step.into_step(self.steps.len() + 1, name);
        if self.is_live {
            // The summary follows, and fails in the same way.
            let _ = print(step.text());
        }
        self.steps.push(step);
    }
}

const NO_ANNOUNCEMENT: &str = "no announcement to read";
const NO_CERTIFICATE: &str = "no certificate was downloaded";
const NO_CONNECTION: &str = "no connection";
const NO_SESSION: &str = "no TLS session";
