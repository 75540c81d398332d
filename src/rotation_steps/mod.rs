//! The steps of a change of the root, taken one by one, and how far it is.

mod devices;
mod error;
mod hosts;
mod percent;
mod report;
mod session;
mod status;
mod steps;

pub(crate) use error::RotateError;
pub(crate) use percent::Percent;
pub(crate) use report::StepReport;
pub(crate) use session::{Session, folder_of};
pub(crate) use status::StatusReport;
pub(crate) use steps::{Guard, activate, publish, require_hosts, undo};
