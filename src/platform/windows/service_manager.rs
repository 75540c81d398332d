//! What the service control manager is told: starting, running, stopping, stopped. What it asks for:
//! a stop, a reload.
//!
//! Where it did not start this process (`engage-host serve` in a console), all of it does nothing.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;
use tracing::debug;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};

/// Under which Windows knows the service, its virtual account and its events.
pub(crate) const SERVICE_NAME: &str = "engage-host";

/// Makes this process the service, which is starting. The future completes when it is to stop, with
/// the name of the control; whatever stops it, [`stopped`] is the last thing that it says.
pub(crate) fn register() -> windows_service::Result<impl Future<Output = &'static str>> {
    let (stop, stopping) = oneshot::channel();
    let mut stop = Some(stop);
    let handle = service_control_handler::register(SERVICE_NAME, move |control| {
        let reason = match control {
            ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
            ServiceControl::ParamChange => {
                RELOAD.notify_one();
                return ServiceControlHandlerResult::NoError;
            }
            ServiceControl::Stop => "SERVICE_CONTROL_STOP",
            ServiceControl::Preshutdown => "SERVICE_CONTROL_PRESHUTDOWN",
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        if let Some(stop) = stop.take() {
            let _ = stop.send(reason);
        }
        ServiceControlHandlerResult::NoError
    })?;
    let state = Mutex::new(status(ServiceState::Stopped));
    let _ = SERVICE.set(Service { handle, state });
    tell(|state| *state = status(ServiceState::StartPending));
    Ok(async move {
        match stopping.await {
            Ok(reason) => reason,
            Err(_) => std::future::pending().await,
        }
    })
}

/// Listeners are bound, a publication is in force. There is no place for a text.
pub(crate) fn ready(_status: &str) {
    tell(|state| {
        // A reload that ends during the drain changes nothing.
        if state.current_state == ServiceState::StartPending {
            *state = status(ServiceState::Running);
        }
    });
}

/// A reload has begun: Windows has no word for it.
pub(crate) fn reloading() {}

/// The drain has begun.
pub(crate) fn stopping() {
    tell(|state| *state = status(ServiceState::StopPending));
}

/// Nothing runs any more; the service control manager starts it again where it failed.
pub(crate) fn stopped(is_failure: bool) {
    tell(|state| {
        *state = status(ServiceState::Stopped);
        if is_failure {
            state.exit_code = ServiceExitCode::ServiceSpecific(1);
        }
    });
}

/// Says every second that a start or a stop goes on, as long as the runtime runs.
pub(crate) async fn report_progress() {
    loop {
        sleep(PROGRESS_PERIOD).await;
        tell(|state| {
            let is_pending = !state.wait_hint.is_zero();
            state.checkpoint += u32::from(is_pending);
        });
    }
}

/// Completes when the service is to read its files again (`sc control engage-host paramchange`).
/// Cancel safe.
pub(crate) async fn reload_requested() {
    RELOAD.notified().await;
}

/// Waits for ever: there is no watchdog.
pub(crate) async fn keep_alive(_http: SocketAddr, _probe: WatchdogProbe) {
    std::future::pending().await
}

/// The daemon never calls itself here.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchdogProbe;

impl WatchdogProbe {
    /// Never.
    pub(crate) fn is_from(&self, _peer: SocketAddr) -> bool {
        false
    }
}

#[derive(Debug)]
struct Service {
    handle: ServiceStatusHandle,
    state: Mutex<ServiceStatus>,
}

/// Tells what `change` makes of the last state.
fn tell(change: impl FnOnce(&mut ServiceStatus)) {
    let Some(service) = SERVICE.get() else {
        return;
    };
    let mut state = service.state.lock();
    let before = state.clone();
    change(&mut state);
    if *state == before {
        return;
    }
    if let Err(error) = service.handle.set_service_status(state.clone()) {
        debug!("the service control manager cannot be told: {error}");
    }
}

fn status(current_state: ServiceState) -> ServiceStatus {
    let (wait_hint, checkpoint) = match current_state {
        ServiceState::StartPending => (START_HINT, 1),
        ServiceState::StopPending => (STOP_HINT, 1),
        _ => (Duration::ZERO, 0),
    };
    let controls_accepted = match current_state {
        ServiceState::Running => {
            ServiceControlAccept::STOP
                | ServiceControlAccept::PRESHUTDOWN
                | ServiceControlAccept::PARAM_CHANGE
        }
        _ => ServiceControlAccept::empty(),
    };
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state,
        controls_accepted,
        exit_code: ServiceExitCode::NO_ERROR,
        checkpoint,
        wait_hint,
        process_id: None,
    }
}

static SERVICE: OnceLock<Service> = OnceLock::new();
static RELOAD: Notify = Notify::const_new();

const PROGRESS_PERIOD: Duration = Duration::from_secs(1);
/// How long the service may say nothing before it counts as hung. The first state of ten thousand
/// sites is read and proven in one piece.
const START_HINT: Duration = Duration::from_secs(60);
const STOP_HINT: Duration = Duration::from_secs(15);
