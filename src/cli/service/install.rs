//! Installs the service, and removes it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceDependency,
    ServiceErrorControl, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo,
    ServiceSidType, ServiceStartType, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::super::init::system;
use super::control::{is_running, stop_and_wait};
use super::error::ServiceError;
use super::firewall::FirewallRule;
use super::report::{InstallReport, UninstallReport};
use super::run::log_folder;
use crate::config::Config;
use crate::failure::Failure;
use crate::platform::ServiceDir;
use crate::platform::service_manager::SERVICE_NAME;
use crate::platform::system_folder;
use crate::telemetry::{register_event_source, remove_event_source};

/// Installs the service for the configuration `config_path`, or gives it to one that is installed.
pub(super) fn install(config_path: &Path, firewall: bool) -> Result<InstallReport, Failure> {
    let path = std::path::absolute(config_path).unwrap_or_else(|_| config_path.to_owned());
    if !path.exists() {
        return Err(ServiceError::NoConfig { path }.into());
    }
    let folder = path.parent().unwrap_or(&path);
    if is_system_folder(folder) {
        // First: whoever had made it could change the configuration while it is read.
        system::prepare(folder, ServiceDir::Readable)?;
    }
    let config = Config::load(&path)?;
    let program = program()?;
    let (service, is_update) = create_or_change(&service_info(&program, &path))?;
    let mut warnings = configure(&service, &config)?;
    prepare_folders(&path, &config, &mut warnings)?;
    warn_unless(register_event_source(), "the event source", &mut warnings);
    let opened_ports = firewall
        .then(|| open_ports(&FirewallRule::for_devices(&config), &program, &mut warnings))
        .flatten();
    Ok(InstallReport {
        has_firewall_failed: firewall && opened_ports.is_none(),
        is_update,
        is_running: is_running(&service)?,
        logs: log_folder(&path),
        program,
        config: path,
        account: ACCOUNT,
        opened_ports,
        warnings,
    })
}

/// Stops the service and removes it, its firewall rule and its event source.
pub(super) fn uninstall() -> Result<UninstallReport, Failure> {
    let action = "remove the service";
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = manager(ServiceManagerAccess::CONNECT, action)?
        .open_service(SERVICE_NAME, access)
        .map_err(ServiceError::new(action))?;
    stop_and_wait(&service)?;
    service.delete().map_err(ServiceError::new(action))?;
    let mut warnings = Vec::new();
    warn_unless(remove_event_source(), "the event source", &mut warnings);
    // It fails where there is no rule, too.
    let _ = netsh(&FirewallRule::to_remove());
    Ok(UninstallReport {
        removed: true,
        warnings,
    })
}

/// However it is spelled.
fn is_system_folder(folder: &Path) -> bool {
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    canonical(folder).is_some_and(|it| Some(it) == canonical(&system_folder()))
}

fn program() -> Result<PathBuf, ServiceError> {
    std::env::current_exe().map_err(|source| {
        let action = "find this program";
        ServiceError::Windows { action, source }
    })
}

fn service_info(program: &Path, config: &Path) -> ServiceInfo {
    let arguments = ["service", "run", "--config"].map(OsString::from);
    let arguments = arguments.into_iter().chain([config.as_os_str().to_owned()]);
    ServiceInfo {
        name: SERVICE_NAME.into(),
        display_name: "engage-host: certificates for ENGAGE locks".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program.to_owned(),
        launch_arguments: arguments.collect(),
        dependencies: vec![ServiceDependency::Service("Tcpip".into())],
        account_name: Some(ACCOUNT.into()),
        account_password: None,
    }
}

/// The service, and whether it was there.
fn create_or_change(info: &ServiceInfo) -> Result<(Service, bool), ServiceError> {
    let action = "install the service";
    let access = ServiceAccess::QUERY_STATUS
        | ServiceAccess::QUERY_CONFIG
        | ServiceAccess::CHANGE_CONFIG
        // For the action that starts it again.
        | ServiceAccess::START;
    let rights = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = manager(rights, action)?;
    match manager
        .open_service(SERVICE_NAME, access)
        .map_err(ServiceError::new(action))
    {
        Ok(service) => {
            let changed = service.change_config(info);
            changed.map_err(ServiceError::new(action))?;
            Ok((service, true))
        }
        Err(ServiceError::NotInstalled) => {
            let created = manager.create_service(info, access);
            Ok((created.map_err(ServiceError::new(action))?, false))
        }
        Err(error) => Err(error),
    }
}

/// What is no part of the service's creation. Returns what Windows does not know how to do: without it
/// the service serves all the same.
fn configure(service: &Service, config: &Config) -> Result<Vec<String>, ServiceError> {
    let description = "Tells Schlage ENGAGE Wi-Fi locks which certificate to install (port 80), and speaks TLS with them under it (port 443).";
    let preshutdown = config.limits.drain + STOP_MARGIN;
    let settings = [
        ("description", service.set_description(description)),
        ("delayed start", service.set_delayed_auto_start(true)),
        (
            "restart on failure",
            service
                .update_failure_actions(failure_actions())
                .and_then(|()| service.set_failure_actions_on_non_crash_failures(true)),
        ),
        (
            "service SID",
            service.set_config_service_sid_info(ServiceSidType::Unrestricted),
        ),
        (
            "time to drain at shutdown",
            service.set_preshutdown_timeout(preshutdown),
        ),
    ];
    let mut warnings = Vec::new();
    for (what, set) in settings {
        match set.map_err(ServiceError::new("configure the service")) {
            Err(ServiceError::Windows { source, .. }) => {
                warnings.push(format!("not set: {what}: {source}"));
            }
            set => set?,
        }
    }
    Ok(warnings)
}

fn failure_actions() -> ServiceFailureActions {
    let restart = |seconds| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay: Duration::from_secs(seconds),
    };
    ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(DAY),
        reboot_msg: None,
        command: None,
        // The last is repeated.
        actions: Some([5, 30, 60].map(restart).to_vec()),
    }
}

/// The service may write where it has to. A folder of a configuration elsewhere may be for others too:
/// its access list is left alone.
fn prepare_folders(
    config_path: &Path,
    config: &Config,
    warnings: &mut Vec<String>,
) -> Result<(), Failure> {
    let folder = config_path.parent().unwrap_or(config_path);
    if !is_system_folder(folder) {
        warnings.push(format!(
            "the service has to read `{0}`: `icacls \"{0}\" /grant \"{ACCOUNT}:(OI)(CI)RX\"` lets it",
            folder.display()
        ));
    }
    system::prepare(&log_folder(config_path), ServiceDir::Writable)?;
    if let Some(devices) = config.devices.directory.path() {
        system::prepare(devices, ServiceDir::Writable)?;
    }
    Ok(())
}

/// Those that are open now. Where another vendor's firewall has taken the place of Windows' own, none
/// can be opened here.
fn open_ports(rule: &FirewallRule, program: &Path, warnings: &mut Vec<String>) -> Option<Vec<u16>> {
    // What an earlier installation opened.
    let _ = netsh(&FirewallRule::to_remove());
    if !rule.ports().is_empty()
        && let Err(output) = netsh(&rule.to_add(program))
    {
        let ports: Vec<_> = rule.ports().iter().map(u16::to_string).collect();
        warnings.push(format!(
            "failed to open TCP {} in the firewall of Windows: {output}; open them for inbound TCP in \
             `wf.msc`, or in the firewall that has taken its place",
            ports.join(", ")
        ));
        return None;
    }
    Some(rule.ports().to_vec())
}

/// Fails with what it printed.
fn netsh(arguments: &[String]) -> Result<(), String> {
    let output = Command::new("netsh")
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn manager(
    access: ServiceManagerAccess,
    action: &'static str,
) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&str>, access).map_err(ServiceError::new(action))
}

fn warn_unless(done: io::Result<()>, what: &str, warnings: &mut Vec<String>) {
    if let Err(error) = done {
        warnings.push(format!("not set: {what}: {error}"));
    }
}

/// A virtual account: Windows makes it with the service, and it has no password.
const ACCOUNT: &str = r"NT SERVICE\engage-host";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// For what comes after the drain.
const STOP_MARGIN: Duration = Duration::from_secs(5);
