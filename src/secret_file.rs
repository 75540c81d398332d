//! Files with a secret in them.

use std::path::{Path, PathBuf};

use miette::Diagnostic;

use crate::platform::AccessOfOthers;

/// One that more can read than its owner and the daemon.
#[derive(Clone, Debug, Diagnostic, Eq, PartialEq, thiserror::Error)]
#[error("{what} `{}` has {access}: other users can read it", path.display())]
#[diagnostic(code("key-readable-by-others"), help("{}", access.remedy(path)))]
pub struct ReadableByOthers {
    /// What it is, for people.
    what: &'static str,
    path: PathBuf,
    access: AccessOfOthers,
}

impl ReadableByOthers {
    /// `None` if others cannot read `path`, or nobody can tell.
    pub(crate) fn find(what: &'static str, path: &Path) -> Option<Self> {
        let access = AccessOfOthers::to_read(path)?;
        let path = path.to_owned();
        Some(Self { what, path, access })
    }
}
