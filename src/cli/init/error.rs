//! Why nothing was created.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use crate::new_files::NewFileError;
use engage_wire::limits::MAX_CHAIN_BYTES;
use engage_wire::pki::ChainError;
use engage_wire::pki::issue::IssueError;
use jiff::Timestamp;

/// Why nothing was created. Whatever it is, nothing was changed.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(in crate::cli) enum InitError {
    #[error(
        "announced certificate `{}` is missing, but `{}`, which was issued under it, exists",
        anchor.display(),
        below.display()
    )]
    #[diagnostic(
        code("anchor-lost"),
        help(
            "bring it back from a backup, or from a running host with `curl`; to begin anew, with another root \
             on every device, move away `{}` and every other key and certificate beside it",
            below.display()
        )
    )]
    AnchorLost { anchor: PathBuf, below: PathBuf },
    #[error("this computer's clock says {now}, which cannot be: {reason}")]
    #[diagnostic(
        code("clock"),
        help(
            "set the clock first (`timedatectl`): certificates that are dated by it would not be valid"
        )
    )]
    Clock { now: Timestamp, reason: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] NewFileError),
    #[error("`{}` exists, but `{}` does not: they are a pair", exists.display(), missing.display())]
    #[diagnostic(
        code("half-pair"),
        help(
            "bring the other half back, or move `{}` away so that both are made anew",
            exists.display()
        )
    )]
    HalfPair { exists: PathBuf, missing: PathBuf },
    #[error("failed to issue {what}")]
    #[diagnostic(code("not-issued"), help("{}", issue_hint(source)))]
    Issue {
        what: &'static str,
        source: IssueError,
    },
    #[error("a new `{}` would not be accepted by every device", server.display())]
    #[diagnostic(forward(source))]
    NotOneChain {
        server: PathBuf,
        source: Box<ChainError>,
    },
    #[error("`{argument}` is not what `{}` says: {found}", path.display())]
    #[diagnostic(
        code("contradicted"),
        help("what exists is never changed: {hint}, or leave the argument away")
    )]
    Contradicted {
        argument: String,
        path: PathBuf,
        found: String,
        hint: &'static str,
    },
    #[error(
        "site key `{}` exists and is another key than the given `{}`",
        existing.display(),
        provided.display()
    )]
    #[diagnostic(
        code("other-site-key"),
        help(
            "a site key can never be changed once the ENGAGE site exists: find out which is the site's, \
             and move the other away"
        )
    )]
    OtherSiteKey {
        provided: PathBuf,
        existing: PathBuf,
    },
    #[error(
        "a new intermediate must be issued by `{}`, but its private key `{}` is not there",
        root.display(),
        key.display()
    )]
    #[diagnostic(
        code("root-key-away"),
        help(
            "bring `{}` back for this one command, or name its folder with `--root-key-out DIR`, then take it offline again",
            key.display()
        )
    )]
    RootKeyAway { root: PathBuf, key: PathBuf },
    #[error(
        "server certificate, intermediate and root would have {found} bytes; allowed: {MAX_CHAIN_BYTES}"
    )]
    #[diagnostic(
        code("chain-too-large"),
        help("name fewer or shorter hosts: each `--host` replaces what would be found by itself")
    )]
    TooLarge { found: usize },
    #[error(
        "`--init` creates nothing where engage-host has been used: {} missing, but {}",
        are(missing),
        traces.join(", ")
    )]
    #[diagnostic(
        code("used-before"),
        help(
            "bring back what is missing (a backup? a volume that is not mounted?): devices accept no other site key \
             and no other root; to create it on purpose, run `engage-host init --dir {}`",
            folder.display()
        )
    )]
    UsedBefore {
        folder: PathBuf,
        missing: Vec<PathBuf>,
        traces: Vec<String>,
    },
    #[error(
        "`--site-key-file {}` gives one key, but the configuration names {key_files} key files",
        provided.display()
    )]
    #[diagnostic(
        code("which-site"),
        help("copy the key to the file of the site that it belongs to")
    )]
    WhichSite { provided: PathBuf, key_files: usize },
}

impl InitError {
    pub(super) fn anchor_lost(anchor: &Path, below: &Path) -> Self {
        Self::AnchorLost {
            anchor: anchor.to_owned(),
            below: below.to_owned(),
        }
    }

    pub(in crate::cli) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| NewFileError::new(action, path)(source).into()
    }

    pub(in crate::cli) fn issuing(what: &'static str) -> impl Fn(IssueError) -> Self {
        move |source| Self::Issue { what, source }
    }
}

fn issue_hint(source: &IssueError) -> &'static str {
    match source {
        IssueError::IssuerExpired { .. } => {
            "move the expired authority's key and certificate away; a new root has to be installed on every device"
        }
        _ => "try again; if it stays, this is a fault of engage-host",
    }
}

fn are(missing: &[PathBuf]) -> String {
    let names: Vec<_> = missing
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}
