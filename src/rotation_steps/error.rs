//! Why a step is not taken.

use std::path::{Path, PathBuf};

use super::percent::Percent;
use engage_store::{Overlap, RotationStep, StoredRotation};
use engage_wire::pki::{Fingerprint, LoadError};
use miette::Diagnostic;

/// Why a step is not taken. Whatever it is, the row is as it was.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum RotateError {
    #[error("no rotation is under way{}", unused(*has_next, next))]
    #[diagnostic(code("no-rotation"), help("`engage-host rotate prepare` begins one{}", takes_up(*has_next)))]
    NoneUnderWay { next: PathBuf, has_next: bool },
    #[error("the rotation is {found}; `{command}` follows {allowed}")]
    #[diagnostic(
        code("wrong-step"),
        help("`engage-host rotate status` says what comes next")
    )]
    WrongStep {
        command: &'static str,
        found: RotationStep,
        allowed: &'static str,
    },
    #[error("somebody else has changed the rotation meanwhile: it is {now}")]
    #[diagnostic(
        code("rotation-changed"),
        help(
            "`engage-host rotate status` says what is in force; then run this again if it is still right"
        )
    )]
    Changed { now: String },
    #[error("`{}` holds new files already", next.display())]
    #[diagnostic(
        code("next-exists"),
        help(
            "run this without `--root`, `--chain` and `--key` to take them up, or move the folder away"
        )
    )]
    NextExists { next: PathBuf },
    #[error("`{}` is there, and is not a whole set of new files: {cause}", next.display())]
    #[diagnostic(
        code("broken-next"),
        help(
            "move it away, then run this again; or put back the whole folder from a backup, if devices have seen its certificate"
        )
    )]
    BrokenNext { next: PathBuf, cause: String },
    #[error("the new files in `{}` were made for overlap `{found}`, not `{asked}`", next.display())]
    #[diagnostic(
        code("other-overlap"),
        help(
            "leave `--overlap` out to take them; for another overlap, `engage-host rotate undo` if it is prepared, move the folder away, and prepare anew"
        )
    )]
    OtherOverlap {
        next: PathBuf,
        asked: Overlap,
        found: Overlap,
    },
    #[error("the new root was made before, and its key is not in `{}`{}", folder.display(), found_key(found.as_deref()))]
    #[diagnostic(
        code("other-root-key"),
        help("leave `--root-key-out` out, and move the key there yourself")
    )]
    OtherRootKey {
        folder: PathBuf,
        found: Option<PathBuf>,
    },
    #[error(
        "{behind} of {devices} devices that were seen in 30 days would be locked out: {ready:.1} % are ready; allowed: {threshold} % and more. They are {names}"
    )]
    #[diagnostic(
        code("devices-not-ready"),
        help(
            "`engage-host rotate status` says when they are expected; `--threshold` takes a lower share, `--force` any"
        )
    )]
    DevicesNotReady {
        behind: usize,
        devices: u64,
        ready: f64,
        threshold: Percent,
        names: String,
    },
    #[error("no device was seen in 30 days: nothing is known of who would be locked out")]
    #[diagnostic(
        code("no-devices"),
        help(
            "if devices call in, wait for a night, and look at `engage-host rotate status`; `--force` goes on all the same"
        )
    )]
    NoDevices,
    #[error("not every host has followed yet:\n{table}")]
    #[diagnostic(
        code("hosts-behind"),
        help(
            "run this again in some seconds, or let it wait longer with `--wait`; a host that has said nothing for longer hangs: restart it, or stop it, and the others no longer wait for it"
        )
    )]
    HostsBehind { table: String },
    #[error("not every host has the new files:\n{table}")]
    #[diagnostic(
        code("hosts-not-ready"),
        help(
            "copy `{}` from the host where it was prepared to those, with the same owners and modes, then run this again",
            next.display()
        )
    )]
    HostsNotReady { next: PathBuf, table: String },
    #[error("the old chain is not served any more: `undo` comes too late")]
    #[diagnostic(
        code("too-late"),
        help(
            "run `engage-host rotate retire` to the end; then the way back is another rotation: `engage-host rotate prepare` with `--root`, `--chain` and `--key` naming the old files in `{}`",
            retired.display()
        )
    )]
    TooLate { retired: PathBuf },
    #[error("site `{site}` announces the intermediate `{anchor}`, and the new chain has none")]
    #[diagnostic(
        code("no-intermediate"),
        help("give a chain with an intermediate: server certificate first, then its issuer")
    )]
    NoIntermediate { site: String, anchor: String },
    #[error("overlap `cross` needs the old root with its key, and `{}` is not there", path.display())]
    #[diagnostic(
        code("root-key-away"),
        help("name the key with `--old-root-key FILE`, or use `--overlap select`")
    )]
    RootKeyAway { path: PathBuf },
    #[error("no announced certificate can be read: there is nothing to change from")]
    #[diagnostic(
        code("no-anchor"),
        help("`engage-host check` says what is wrong with each site")
    )]
    NoAnchor,
    #[error("no file in `{}` holds the certificate {anchor} that is to be announced", folder.display())]
    #[diagnostic(
        code("missing-anchor"),
        help("copy the folder from the host where it was prepared, or from a backup")
    )]
    MissingAnchor {
        folder: PathBuf,
        anchor: Fingerprint,
    },
}

impl RotateError {
    /// What lies there cannot be read.
    pub(crate) fn broken_next(next: &Path, source: &LoadError) -> Self {
        let cause = if next.exists() {
            source.to_string()
        } else {
            "it is a link that leads nowhere".to_owned()
        };
        Self::BrokenNext {
            next: next.to_owned(),
            cause,
        }
    }

    pub(crate) fn changed(stored: &StoredRotation) -> Self {
        let step = stored.rotation.as_ref().map(|it| it.step.to_string());
        Self::Changed {
            now: step.unwrap_or_else(|| "over".to_owned()),
        }
    }
}

fn found_key(found: Option<&Path>) -> String {
    found.map_or_else(
        || ": it is wherever it was taken".to_owned(),
        |key| format!(": it is `{}`", key.display()),
    )
}

fn takes_up(has_next: bool) -> &'static str {
    if has_next {
        ", and takes up what lies in that folder"
    } else {
        ""
    }
}

fn unused(has_next: bool, next: &Path) -> String {
    if has_next {
        let next = next.display();
        format!(", although `{next}` holds new files, of which devices see nothing")
    } else {
        String::new()
    }
}
