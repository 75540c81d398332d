//! What differs by operating system, and nothing else.
//!
//! Unix is what is tested. Elsewhere the daemon runs without file modes and stops on Ctrl-C.

mod port_holder;
#[cfg(unix)]
mod reload_socket;
#[cfg(unix)]
mod run_as;
#[cfg(unix)]
pub(crate) mod service_manager;
#[cfg(unix)]
mod unix;
pub(crate) use port_holder::PortHolder;
#[cfg(unix)]
pub(crate) use reload_socket::{
    ReloadListener, default_reload_socket_path, reload_socket_path, request_reload,
};
#[cfg(unix)]
pub(crate) use run_as::{ServiceDir, create_service_dir, run_as};
#[cfg(unix)]
pub(crate) use unix::{
    FileAccess, ReloadSignals, accept_ipv4_too, accepts_ipv4, changed_at, create_dir,
    create_private_file, file_number, file_system_bytes, file_version, ignore_new_connections,
    inherit_access, is_listening, is_writable_dir, mode_open_to_others, mode_readable_by_others,
    raise_descriptor_limit, read_hidden_line, rename_new, send_more, shutdown_requested,
    survive_file_size_limit,
};

#[cfg(not(unix))]
mod portable;
#[cfg(not(unix))]
pub use portable::service_manager;
#[cfg(not(unix))]
pub use portable::{
    FileAccess, ReloadListener, ReloadSignals, ServiceDir, accept_ipv4_too, accepts_ipv4,
    changed_at, create_dir, create_private_file, create_service_dir, default_reload_socket_path,
    file_number, file_system_bytes, file_version, ignore_new_connections, inherit_access,
    is_listening, is_writable_dir, mode_open_to_others, mode_readable_by_others,
    raise_descriptor_limit, read_hidden_line, reload_socket_path, rename_new, request_reload,
    run_as, send_more, shutdown_requested, survive_file_size_limit,
};
