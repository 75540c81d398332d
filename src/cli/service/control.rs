//! Start, stop, and how the service is.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceExitCode, ServiceState, ServiceStatus,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::error::{ServiceError, os_error};
use super::report::{RUNNING, StateReport};
use crate::platform::service_manager::SERVICE_NAME;

/// Starts the service, if it does not run, and waits until it serves.
pub(super) fn start() -> Result<StateReport, ServiceError> {
    let access = ServiceAccess::START | ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
    let service = open("start the service", access)?;
    // Windows would say that it runs already.
    wait_while(&service, ServiceState::StopPending)?;
    request_start(&service)?;
    let status = wait_while(&service, ServiceState::StartPending)?;
    if status.current_state == ServiceState::Stopped {
        let exit_code = exit_code(&status);
        return Err(ServiceError::NotStarted { exit_code });
    }
    report(&service, &status)
}

/// Asks again while Windows starts other services, as after a boot.
fn request_start(service: &Service) -> Result<(), ServiceError> {
    let deadline = Instant::now() + PENDING_TIMEOUT;
    loop {
        let Err(source) = service.start::<&str>(&[]).map_err(os_error) else {
            return Ok(());
        };
        match source.raw_os_error() {
            Some(ERROR_SERVICE_ALREADY_RUNNING) => return Ok(()),
            Some(ERROR_SERVICE_DATABASE_LOCKED) if Instant::now() < deadline => sleep(QUERY_PERIOD),
            _ => {
                let action = "start the service";
                return Err(ServiceError::Windows { action, source });
            }
        }
    }
}

/// Stops the service, if it runs, and waits until it has drained.
pub(super) fn stop() -> Result<StateReport, ServiceError> {
    let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
    let service = open("stop the service", access)?;
    let status = stop_and_wait(&service)?;
    report(&service, &status)
}

/// How the service is; who is no administrator may ask too.
pub(super) fn state() -> Result<StateReport, ServiceError> {
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG;
    let service = match open("look at the service", access) {
        Err(ServiceError::NotInstalled) => return Ok(StateReport::NOT_INSTALLED),
        opened => opened?,
    };
    let status = query(&service)?;
    report(&service, &status)
}

/// What a service that is installed serves.
pub(super) fn installed_config() -> Result<Option<PathBuf>, ServiceError> {
    Ok(state()?.config())
}

pub(super) fn stop_and_wait(service: &Service) -> Result<ServiceStatus, ServiceError> {
    // While it starts it takes no control.
    wait_while(service, ServiceState::StartPending)?;
    match service.stop().map_err(os_error) {
        Err(error) if error.raw_os_error() == Some(ERROR_SERVICE_NOT_ACTIVE) => {}
        Err(source) => {
            let action = "stop the service";
            return Err(ServiceError::Windows { action, source });
        }
        Ok(_) => {}
    }
    // It is still called running until the daemon has taken the control up.
    wait_until(service, ServiceState::Stopped)
}

pub(super) fn is_running(service: &Service) -> Result<bool, ServiceError> {
    Ok(query(service)?.current_state != ServiceState::Stopped)
}

fn open(action: &'static str, access: ServiceAccess) -> Result<Service, ServiceError> {
    ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
        .and_then(|manager| manager.open_service(SERVICE_NAME, access))
        .map_err(ServiceError::new(action))
}

fn query(service: &Service) -> Result<ServiceStatus, ServiceError> {
    let status = service.query_status();
    status.map_err(ServiceError::new("look at the service"))
}

fn wait_while(service: &Service, state: ServiceState) -> Result<ServiceStatus, ServiceError> {
    wait(service, |status| status.current_state != state)
}

fn wait_until(service: &Service, state: ServiceState) -> Result<ServiceStatus, ServiceError> {
    wait(service, |status| status.current_state == state)
}

/// Windows tells nobody who is not its own: it has to be asked.
fn wait(
    service: &Service,
    is_done: impl Fn(&ServiceStatus) -> bool,
) -> Result<ServiceStatus, ServiceError> {
    let deadline = Instant::now() + PENDING_TIMEOUT;
    loop {
        let status = query(service)?;
        if is_done(&status) {
            return Ok(status);
        }
        if Instant::now() > deadline {
            return Err(ServiceError::StillPending {
                state: name(status.current_state),
                seconds: PENDING_TIMEOUT.as_secs(),
            });
        }
        sleep(QUERY_PERIOD);
    }
}

fn report(service: &Service, status: &ServiceStatus) -> Result<StateReport, ServiceError> {
    let config = service.query_config();
    let config = config.map_err(ServiceError::new("look at the service"))?;
    let account = config.account_name;
    let is_stopped = status.current_state == ServiceState::Stopped;
    Ok(StateReport {
        installed: true,
        state: Some(name(status.current_state)),
        process_id: status.process_id,
        exit_code: is_stopped.then(|| exit_code(status)),
        command: Some(config.executable_path.display().to_string()),
        account: account.map(|it| it.to_string_lossy().into_owned()),
    })
}

fn exit_code(status: &ServiceStatus) -> u32 {
    match status.exit_code {
        ServiceExitCode::Win32(code) | ServiceExitCode::ServiceSpecific(code) => code,
    }
}

fn name(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::StartPending => "start pending",
        ServiceState::StopPending => "stop pending",
        ServiceState::Running => RUNNING,
        ServiceState::ContinuePending => "continue pending",
        ServiceState::PausePending => "pause pending",
        ServiceState::Paused => "paused",
    }
}

const QUERY_PERIOD: Duration = Duration::from_millis(100);
/// Longer than a drain that is configured, as a rule, and than the start with ten thousand sites.
const PENDING_TIMEOUT: Duration = Duration::from_secs(120);

/// Of Windows' `winerror.h`.
const ERROR_SERVICE_DATABASE_LOCKED: i32 = 1055;
const ERROR_SERVICE_ALREADY_RUNNING: i32 = 1056;
const ERROR_SERVICE_NOT_ACTIVE: i32 = 1062;
