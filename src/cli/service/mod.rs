//! `engage-host service`: the Windows service.
//!
//! What does not ask Windows is compiled for tests on other systems too.

#[cfg(windows)]
mod command;
#[cfg(windows)]
mod control;
#[cfg(windows)]
mod error;
mod firewall;
#[cfg(windows)]
mod install;
mod report;
#[cfg(windows)]
mod run;

#[cfg(windows)]
pub(super) use command::Service;
