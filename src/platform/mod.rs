//! What differs by operating system, and nothing else: Unix and Windows, each with the same items.

mod port_holder;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use port_holder::PortHolder;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub(crate) use system::service_manager;
pub(crate) use system::{
    AccessOfOthers, DAEMON_LOG, FileAccess, LIST_LISTENERS, NO_DAEMON_HINT, RELOAD_PERMISSION_HINT,
    RELOAD_SIGNAL, ReloadListener, ReloadSignals, SERVICE_FOLDER_HINT, SYSTEM_DEVICES_DIRECTORY,
    SYSTEM_LOG_FOLDER, ServiceDir, accept_ipv4_too, accepts_ipv4, changed_at, create_dir,
    create_private_file, create_service_dir, default_reload_socket_path, file_number,
    file_system_bytes, file_version, ignore_new_connections, inherit_access, is_listening,
    is_writable_dir, raise_descriptor_limit, read_hidden_line, reload_socket_path, rename_new,
    request_reload, run_as, send_more, shutdown_requested, survive_file_size_limit, system_folder,
};
