//! The `engage-host` command: see `engage-host --help`.

use std::process::ExitCode;

/// An idle TLS connection takes a quarter less than with the system's allocator
/// (docs/PERFORMANCE.md).
#[cfg(all(feature = "jemalloc", target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    engage_host::run()
}
