//! The export of traces, from the start to the end.

use tokio::task::{JoinHandle, block_in_place};
use tokio_util::sync::CancellationToken;

use super::log_warnings;
use crate::config::Config;
use crate::otlp::{Exporter, OtlpWarning};
use crate::routes::App;
use crate::telemetry::Tracer;

/// A task that exports.
pub(super) struct Export {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Export {
    /// Has `app` record spans, if `config` says where they go. Otherwise there is nothing of it.
    pub(super) fn start(config: &Config, app: &mut App) -> Option<Self> {
        let config = config.otlp.clone()?;
        let metrics = app.metrics.spans();
        let (tracer, spans) = Tracer::new(config.sample_ratio, metrics.clone());
        app.tracer = Some(tracer);
        let stop = CancellationToken::new();
        let exporter = Exporter {
            config,
            spans,
            metrics,
            stop: stop.clone(),
        };
        let task = tokio::spawn(async move {
            // A file server may hang, and no device is to wait for that.
            block_in_place(|| log_warnings(&OtlpWarning::all(&exporter.config)));
            exporter.run().await;
        });
        Some(Self { task, stop })
    }

    /// Exports what was recorded. The exporter ends within a second, whatever the collector does.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // A panic has been logged.
        let _ = self.task.await;
    }
}
