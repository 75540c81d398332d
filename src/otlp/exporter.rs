//! Batches, attempts, and the end.

use std::pin::pin;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::sync::mpsc::Receiver;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Collector;
use crate::config::OtlpConfig;
use crate::http_client::PostError;
use crate::telemetry::{LogThrottle, Span, SpanMetrics};
use engage_wire::diagnostic::one_line;

/// Takes spans from their queue to the collector.
pub(crate) struct Exporter {
    pub(crate) config: OtlpConfig,
    pub(crate) spans: Receiver<Span>,
    pub(crate) metrics: SpanMetrics,
    /// Cancelled when no more spans are recorded.
    pub(crate) stop: CancellationToken,
}

impl Exporter {
    /// Exports until it is stopped, and then for a moment what is left.
    pub(crate) async fn run(self) {
        let (stop, metrics) = (self.stop.clone(), self.metrics.clone());
        let mut export = Export {
            spans: self.spans,
            metrics: self.metrics,
            stop: self.stop,
            batch: Vec::with_capacity(MAX_BATCH_SPANS),
            is_failing: false,
            log: LogThrottle::default(),
        };
        {
            let mut exporting = pin!(export.run(&self.config));
            tokio::select! {
                () = &mut exporting => {}
                () = stop.cancelled() => {
                    let _ = timeout(STOP_TIMEOUT, exporting).await;
                }
            }
        }
        let left = export.batch.len() + export.spans.len();
        if left > 0 {
            metrics.unanswered(left);
            warn!(
                spans = left,
                "{left} spans are dropped: the collector did not take them in time"
            );
        }
    }
}

struct Export {
    spans: Receiver<Span>,
    metrics: SpanMetrics,
    stop: CancellationToken,
    /// What is under way.
    batch: Vec<Span>,
    is_failing: bool,
    log: LogThrottle,
}

impl Export {
    async fn run(&mut self, config: &OtlpConfig) {
        let Some(collector) = self.load(config).await else {
            return;
        };
        info!("exporting traces to {collector}");
        while self.fill().await {
            self.export(&collector).await;
        }
    }

    /// Tries again until the files can be used; `None` if it is stopped before.
    async fn load(&self, config: &OtlpConfig) -> Option<Collector> {
        let mut logged = String::new();
        loop {
            // A file server may hang, and no device is to wait for that.
            let error = match block_in_place(|| Collector::load(config)) {
                Ok(collector) => return Some(collector),
                Err(error) => one_line(&error),
            };
            if error != logged {
                error!("traces are not exported until this is mended: {error}");
                logged = error;
            }
            self.pause(LOAD_INTERVAL).await.then_some(())?;
        }
    }

    /// Fills the batch; false if there is nothing more and never will be.
    async fn fill(&mut self) -> bool {
        if !self.stop.is_cancelled() {
            tokio::select! {
                _ = self.spans.recv_many(&mut self.batch, MAX_BATCH_SPANS) => {}
                () = self.stop.cancelled() => {}
            }
            // Others of the same moment go along.
            if self.batch.len() < MAX_BATCH_SPANS {
                self.pause(BATCH_DELAY).await;
            }
        }
        while self.batch.len() < MAX_BATCH_SPANS
            && let Ok(span) = self.spans.try_recv()
        {
            self.batch.push(span);
        }
        !self.batch.is_empty()
    }

    /// Has the batch taken, or drops it.
    async fn export(&mut self, collector: &Collector) {
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_times(MAX_ATTEMPTS - 1)
            .with_jitter()
            .build();
        loop {
            let error = match collector.post(&self.batch).await {
                Ok(()) => return self.taken(collector),
                Err(error) => error,
            };
            self.is_failing = true;
            let delay = delays.next().filter(|_| may_be_retried(&error));
            let delay = delay.map(|it| it.max(error.retry_after().unwrap_or_default()));
            self.log_failure(collector, &error);
            let is_retried = match delay {
                Some(delay) => self.pause(delay.min(MAX_DELAY)).await,
                None => false,
            };
            if !is_retried {
                return self.dropped(&error);
            }
        }
    }

    fn taken(&mut self, collector: &Collector) {
        self.metrics.exported(self.batch.len());
        self.batch.clear();
        if std::mem::take(&mut self.is_failing) {
            info!("collector {collector} takes traces again");
        }
    }

    fn dropped(&mut self, error: &PostError) {
        match error {
            PostError::Answered { .. } => self.metrics.refused(self.batch.len()),
            PostError::Unanswered(_) => self.metrics.unanswered(self.batch.len()),
        }
        self.batch.clear();
    }

    fn log_failure(&self, collector: &Collector, error: &PostError) {
        if let Some(others) = self.log.check() {
            let hint = hint(error);
            warn!(
                others = others.count(),
                "collector {collector} does not take traces: {error}; hint: {hint}{others}"
            );
        }
    }

    /// Waits; false if it is stopped meanwhile.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = sleep(time) => true,
            () = self.stop.cancelled() => false,
        }
    }
}

/// By OTLP: other answers would be the same again.
fn may_be_retried(error: &PostError) -> bool {
    match error {
        PostError::Answered { status, .. } => matches!(status.as_u16(), 429 | 502..=504),
        PostError::Unanswered(_) => true,
    }
}

fn hint(error: &PostError) -> &'static str {
    match error {
        PostError::Unanswered(_) => "does the collector run, and can it be reached?",
        PostError::Answered { status, .. } => match status.as_u16() {
            401 | 403 => "does `[otlp] headers_file` hold what it wants to see?",
            404 | 405 => "`[otlp] endpoint` is the whole URL, which mostly ends with /v1/traces",
            415 => "it must take OTLP over HTTP in JSON",
            _ => "the collector's log should say why",
        },
    }
}

/// For name look-up, TCP and TLS.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For the connection and the answer together, as OpenTelemetry's own exporters have it.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Of one request: about half a MiB.
const MAX_BATCH_SPANS: usize = 512;

/// How long a span waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Then its room is for newer ones.
const MAX_ATTEMPTS: usize = 5;

const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Whatever the collector asks for.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// What a collector may delay the end of the daemon by.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Between attempts to read the files.
const LOAD_INTERVAL: Duration = Duration::from_secs(5);
