//! Why nothing was renewed.

use std::io;
use std::path::{Path, PathBuf};

use engage_store::RotationStep;
use jiff::Timestamp;
use miette::Diagnostic;

use crate::publication::Refusals;
use crate::staged_file::FolderBusy;
use engage_wire::diagnostic::io_hint;
use engage_wire::pki::LoadError;
use engage_wire::pki::issue::IssueError;

/// Why nothing was renewed. Whatever it is, what is served stays.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum RenewError {
    #[error("intermediate `{}` is what devices of site `{site}` trust", path.display())]
    #[diagnostic(
        code("intermediate-announced"),
        help(
            "to replace what devices trust is a rotation (docs/ROTATION.md); `engage-host renew` without \
             `--intermediate` needs nothing from any device"
        )
    )]
    Announced { path: PathBuf, site: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Busy(#[from] FolderBusy),
    #[error("this computer's clock says {now}, which cannot be: `{}` is valid since {since}", path.display())]
    #[diagnostic(
        code("clock"),
        help(
            "set the clock first (`timedatectl`): what is dated by it would not be valid. If it is right now, it was ahead when \
             that certificate was issued: replace it (`engage-host renew`, or `engage-host renew --intermediate` for an \
             intermediate), or bring certificate and key back from `{}`",
            old.display()
        )
    )]
    Clock {
        now: Timestamp,
        path: PathBuf,
        since: Timestamp,
        /// Where what it replaced is kept.
        old: PathBuf,
    },
    #[error("failed to {action} `{}`", path.display())]
    #[diagnostic(code("unusable-file"), help("{}", io_hint(source)))]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("failed to issue {what}")]
    #[diagnostic(
        code("not-issued"),
        help(
            "if the issuer has expired, issue another: `engage-host renew --intermediate`, or a rotation (docs/ROTATION.md)"
        )
    )]
    Issue {
        what: &'static str,
        source: IssueError,
    },
    #[error("private key `{}` cannot sign for `{}`", key.display(), certificate.display())]
    #[diagnostic(
        code("key-mismatch"),
        help(
            "bring the right key back; compare `openssl pkey -in {} -pubout` with \
             `openssl x509 -inform der -in {} -noout -pubkey`",
            key.display(),
            certificate.display()
        )
    )]
    IssuerKey {
        key: PathBuf,
        certificate: PathBuf,
        source: IssueError,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Load(#[from] LoadError),
    #[error("a new server certificate would end at {end}, no later than the present one")]
    #[diagnostic(
        code("nothing-gained"),
        help(
            "its issuer ends then, and another takes the root's key: `engage-host renew --intermediate --root-key FILE`; \
             or 32-bit clocks do, and only `engage-host renew --days 4000` goes beyond"
        )
    )]
    NoGain { end: Timestamp },
    #[error("server certificate `{}` names no host", path.display())]
    #[diagnostic(
        code("no-names"),
        help("name them: `engage-host renew --host IP-OR-NAME`")
    )]
    NoNames { path: PathBuf },
    #[error("devices would not accept the new certificate, so the present one stays: {0}")]
    #[diagnostic(
        code("not-proven"),
        help(
            "mend what is named, or name fewer or shorter hosts with `--host`; `engage-host check` says what is wrong without it"
        )
    )]
    Rejected(Box<Refusals>),
    #[error(
        "the root is being changed ({step}), and the new server certificate has its names already"
    )]
    #[diagnostic(
        code("rotation-under-way"),
        help(
            "with other names: `engage-host rotate undo` to the end, then this, then `engage-host rotate prepare`; or this after \
             `engage-host rotate retire`. Without `--host` the present certificate can be renewed"
        )
    )]
    RotationNames { step: RotationStep },
    #[error(
        "the old root is being retired: these files are about to be replaced, or have been in part"
    )]
    #[diagnostic(
        code("rotation-retiring"),
        help(
            "run `engage-host rotate retire` to the end, on each host; then run this again if it is still wanted"
        )
    )]
    RotationRetiring,
    #[error("`{}` holds both certificate and key", path.display())]
    #[diagnostic(
        code("one-file"),
        help("put the key into a file of its own, and name it as `[https] private_key`")
    )]
    OneFile { path: PathBuf },
}

impl RenewError {
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn issuing(what: &'static str) -> impl Fn(IssueError) -> Self {
        move |source| Self::Issue { what, source }
    }
}
