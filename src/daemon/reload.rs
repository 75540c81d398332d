//! New configuration and certificates without a lost connection.
//!
//! Everything new is read and proven first; only then is it swapped in, as one value. Anything
//! wrong leaves the old state in force and says why (DESIGN.md, promise 4).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::expiry::ExpiryWatch;
use super::watch::{Seen, watch};
use crate::config::Config;
use crate::platform::{forward_reload_signals, service_manager};
use crate::publication::{Proof, Published, prove};
use crate::routes::CallIn;
use crate::telemetry::Metrics;
use engage_store::Credentials;
use engage_wire::diagnostic::{Explain, one_line};
use engage_wire::pki::Timestamp;

/// Replaces the publication when its sources change.
pub(super) struct Reloader {
    /// As the file said at start, without overrides from the command line.
    pub(super) config: Config,
    /// Where the plain listener is bound: the base URL may depend on it.
    pub(super) http: SocketAddr,
    pub(super) published: Published,
    pub(super) call_in: Option<Arc<CallIn>>,
    pub(super) metrics: Arc<Metrics>,
}

/// What asks for a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trigger {
    /// A file was written, renamed or replaced.
    FilesChanged,
    /// SIGHUP.
    Signal,
}

impl Reloader {
    /// A future that serves triggers until the daemon stops, and looks for expiring certificates
    /// in between. Signals are caught from the call of this function on.
    pub(super) fn run(
        self,
        seen: Seen,
        mut expiry: ExpiryWatch,
    ) -> io::Result<impl Future<Output = ()>> {
        let (triggers, mut triggered) = mpsc::channel(1);
        let on_signal = triggers.clone();
        let signals = forward_reload_signals(move || {
            // A reload that is already waiting will read what this one would.
            let _ = on_signal.try_send(Trigger::Signal);
        })?;
        let mut sources = seen.sources.clone();
        let mut _watching = watch(seen, triggers.clone());
        Ok(async move {
            tokio::spawn(signals);
            let mut expiry_timer = tokio::time::interval(EXPIRY_LOOK);
            loop {
                tokio::select! {
                    Some(trigger) = triggered.recv() => {
                        // Of a refused configuration too: its files may be what is mended next.
                        let seen = self.reload(trigger).await;
                        if let Some(seen) = seen.filter(|seen| seen.sources != sources) {
                            sources = seen.sources.clone();
                            _watching = watch(seen, triggers.clone());
                        }
                    }
                    _ = expiry_timer.tick() => {}
                }
                expiry.look(&self.published.current(), Timestamp::now());
            }
        })
    }

    /// What was read, if a configuration was.
    async fn reload(&self, trigger: Trigger) -> Option<Seen> {
        let started = Instant::now();
        info!(
            "reloading: {}",
            match trigger {
                Trigger::FilesChanged => "files changed",
                Trigger::Signal => "SIGHUP",
            }
        );
        service_manager::reloading();
        let new = self.read().await;
        let seen = new.as_ref().map(|new| new.seen.clone());
        let succeeded = new.is_some_and(|new| self.swap_in(new));
        let now = Timestamp::now().unix();
        self.metrics.reloaded(succeeded, started.elapsed(), now);
        service_manager::ready();
        seen
    }

    /// Reads and proves everything on a thread that may block, but not for ever: a file server
    /// that does not answer must not take SIGHUP and the expiry watch with it.
    async fn read(&self) -> Option<New> {
        let (config, http) = (self.config.clone(), self.http);
        let reading = tokio::task::spawn_blocking(move || read_and_prove(&config, http));
        match timeout(MOST_READING, reading).await {
            Ok(Ok(Ok(new))) => return Some(new),
            Ok(Ok(Err(refusal))) => refused(refusal.as_ref()),
            Ok(Err(panic)) => error!("reload failed, the previous state stays in force: {panic}"),
            Err(_) => error!(
                "reload refused, the previous state stays in force: the files could not be read within {} s",
                MOST_READING.as_secs()
            ),
        }
        None
    }

    /// Whether the new publication is in force now.
    fn swap_in(&self, new: New) -> bool {
        let New {
            config,
            seen: _,
            proof,
            credentials,
        } = new;
        let Proof {
            warnings,
            verdict,
            inventory: _,
        } = proof;
        let publication = match verdict {
            Ok(publication) => publication,
            Err(refusals) => {
                refusals.iter().for_each(|refusal| refused(refusal));
                return false;
            }
        };
        for warning in warnings {
            warn!(
                code = warning.code,
                "{}; hint: {}", warning.message, warning.hint
            );
        }
        self.report_what_needs_a_restart(&config);
        self.metrics.published(&publication);
        self.published.replace(publication);
        if let (Some(call_in), Some(credentials)) = (&self.call_in, credentials) {
            call_in.admittance.replace_credentials(credentials);
        }
        info!("reloaded: new connections get the new state");
        true
    }

    fn report_what_needs_a_restart(&self, new: &Config) {
        let old = &self.config;
        for (changed, key) in [
            (old.http.listen != new.http.listen, "[http] listen"),
            (old.https.listen != new.https.listen, "[https] listen"),
            (old.admin != new.admin, "[admin] listen"),
            (old.limits != new.limits, "[limits]"),
            (old.access != new.access, "[access]"),
            (old.log != new.log, "[log]"),
            (old.devices != new.devices, "[devices]"),
            (old.webhook != new.webhook, "[webhook]"),
        ] {
            if changed {
                warn!(key, "`{key}` has changed; restart the daemon to use it");
            }
        }
    }
}

fn refused(refusal: &dyn Explain) {
    error!(
        code = &*refusal.code(),
        "reload refused, the previous state stays in force: {}",
        one_line(refusal)
    );
}

/// Everything that a reload reads.
struct New {
    config: Config,
    seen: Seen,
    proof: Proof,
    credentials: Option<Credentials>,
}

/// `old` is the configuration at start: it says where the credentials are until a restart.
fn read_and_prove(old: &Config, http: SocketAddr) -> Result<New, Box<dyn Explain + Send>> {
    let config = Config::load(&old.path).map_err(boxed)?;
    let seen = Seen::now(&config);
    let proof = prove(&config, &config.base_url_at(http), Timestamp::now());
    let credentials = old
        .devices
        .credentials_file
        .as_deref()
        .map(Credentials::load);
    Ok(New {
        credentials: credentials.transpose().map_err(boxed)?,
        proof,
        seen,
        config,
    })
}

/// Whatever it is, it is only logged.
fn boxed<E: Explain + Send + 'static>(error: E) -> Box<dyn Explain + Send> {
    Box::new(error)
}

/// Far longer than any disk takes.
const MOST_READING: Duration = Duration::from_mins(1);

/// How often certificates are looked at: often enough for a warning on the day it is due.
const EXPIRY_LOOK: Duration = Duration::from_hours(1);
