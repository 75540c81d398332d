//! `rotate prepare`: the new root and chain, of which devices see nothing yet.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use engage_store::{Overlap, Rotation, RotationId, RotationStep};
use jiff::Timestamp;

use super::new_files::{GivenFiles, NewChain, Present};
use super::{StepArgs, print_step};
use crate::cli::output::SystemError;
use crate::config::Config;
use crate::failure::Failure;
use crate::new_files::{lock_folder_of, remove_folder, write_folder};
use crate::rotation_steps::{RotateError, Session, StepReport};

/// Make, or take, the new root and chain; devices see nothing of it.
///
/// They are checked as a lock would for every site, and lie in `next/` beside the server certificate until `retire`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host rotate prepare --config /etc/engage-host/config.toml\n  \
                  engage-host rotate prepare --root new_root.pem --chain new_server.pem --key new_server.key"
)]
pub(super) struct Prepare {
    /// New root, PEM or DER. Default: all of it is made here
    #[arg(long, value_name = "FILE", requires_all = ["chain", "key"])]
    root: Option<PathBuf>,
    /// New server certificate and intermediates, PEM
    #[arg(long, value_name = "FILE", requires = "root")]
    chain: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "root")]
    key: Option<PathBuf>,
    /// How devices of both roots are served meanwhile. Default: as `[pki] overlap` says
    #[arg(long, value_enum)]
    overlap: Option<OverlapArg>,
    /// Private key of the present root, for `--overlap cross`. Default: beside the server's key
    #[arg(long, value_name = "FILE")]
    old_root_key: Option<PathBuf>,
    /// Folder for the new root's private key, to be taken offline. Default: with the other new files
    #[arg(long, value_name = "DIR", conflicts_with = "root")]
    root_key_out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) step: StepArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OverlapArg {
    /// Each address gets the chain that it can verify
    Select,
    /// All get the new chain, with the new root cross-signed by the old
    Cross,
}

impl From<OverlapArg> for Overlap {
    fn from(overlap: OverlapArg) -> Self {
        match overlap {
            OverlapArg::Select => Self::Select,
            OverlapArg::Cross => Self::Cross,
        }
    }
}

impl Prepare {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut session = self.step.open()?;
        let done = match &session.stored.rotation {
            Some(rotation) if rotation.step == RotationStep::Prepared => self.again(&session)?,
            Some(rotation) => {
                return Err(RotateError::WrongStep {
                    command: "prepare",
                    found: rotation.step,
                    allowed: "the end of a rotation, `retire` or `undo`: one at a time",
                }
                .into());
            }
            None => self.prepare(&mut session)?,
        };
        let hosts = session.wait_for_hosts(|_| true)?;
        print_step(&StepReport::new(&session, done, &hosts), self.step.json)
    }

    /// The files are what the row was written for.
    fn again(&self, session: &Session) -> Result<Vec<String>, Failure> {
        let rotation = session.rotation()?;
        let refusals = session.check(rotation, RotationStep::Published);
        if !refusals.is_empty() {
            return Err(Failure::from_errors(refusals));
        }
        self.refuse_given(session, &NewChain::load(&session.files)?)?;
        let folder = session.files.folder().display().to_string();
        Ok(vec![format!(
            "prepared before: the new files are in `{folder}`"
        )])
    }

    fn prepare(&self, session: &mut Session) -> Result<Vec<String>, Failure> {
        let _lock = lock_folder_of(&session.config.path)?;
        let present = Present::read(&session.config)?;
        let folder = session.files.folder().to_owned();
        let is_there = folder.symlink_metadata().is_ok();
        let mut found = is_there.then(|| NewChain::load(&session.files));
        if matches!(&found, Some(Ok(chain)) if present.has_leaf(chain.leaf())) {
            // What `retire` had still to remove: copies of files that are in use.
            remove_folder(&folder)?;
            found = None;
        }
        let is_new = found.is_none();
        let chain = match found {
            Some(chain) => {
                let chain = chain.map_err(|source| RotateError::broken_next(&folder, &source))?;
                self.refuse_given(session, &chain)?;
                chain
            }
            None => self.write(session, &present)?,
        };
        let now = Timestamp::now();
        let rotation = Rotation {
            id: RotationId::random().map_err(SystemError::new("name the rotation"))?,
            step: RotationStep::Prepared,
            overlap: chain.overlap(),
            leaf: chain.leaf(),
            anchors: present.changes(&chain)?,
            began_at: now,
            step_at: now,
        };
        let refusals = session.check(&rotation, RotationStep::Published);
        if !refusals.is_empty() {
            if is_new {
                remove_folder(&folder)?;
            }
            return Err(Failure::from_errors(refusals));
        }
        session.replace(Some(rotation))?;
        let folder = folder.display();
        Ok(vec![if is_new {
            let root_key = self.root_key_out.as_ref();
            let elsewhere = root_key.map(|it| format!(", the root's in `{}`", it.display()));
            let elsewhere = elsewhere.unwrap_or_default();
            format!("the new files are in `{folder}`{elsewhere}: keep a copy of the keys")
        } else {
            format!("took up the new files that were in `{folder}` already")
        }])
    }

    fn write(&self, session: &Session, present: &Present<'_>) -> Result<NewChain, Failure> {
        let files = &session.files;
        let overlap = match self.overlap(&session.config) {
            Overlap::Select => None,
            Overlap::Cross => Some(present.old_root(self.old_root_key.as_deref())?),
        };
        let overlap = overlap.as_ref();
        let given = self
            .root
            .as_ref()
            .zip(self.chain.as_ref())
            .zip(self.key.as_ref());
        let (chain, new_files) = if let Some(((root, chain), key)) = given {
            present.take(files, &GivenFiles { root, chain, key }, overlap)?
        } else {
            let root_key_out = self.root_key_out.as_ref().map(std::path::absolute);
            let root_key_out = root_key_out.transpose();
            let root_key_out = root_key_out.map_err(SystemError::new("find the current folder"))?;
            present.make(files, overlap, root_key_out.as_deref())?
        };
        write_folder(files.folder(), &new_files)?;
        Ok(chain)
    }

    /// What is asked for, and is not how the files that lie there were made.
    fn refuse_given(&self, session: &Session, chain: &NewChain) -> Result<(), RotateError> {
        let next = session.files.folder().to_owned();
        if self.root.is_some() {
            return Err(RotateError::NextExists { next });
        }
        let found = chain.overlap();
        if let Some(asked) = self.overlap.map(Overlap::from).filter(|it| *it != found) {
            return Err(RotateError::OtherOverlap { next, asked, found });
        }
        match &self.root_key_out {
            Some(folder) if !chain.root_key_in(folder).exists() => {
                let (key, folder) = (session.files.root_key(), folder.clone());
                let found = key.exists().then_some(key);
                Err(RotateError::OtherRootKey { folder, found })
            }
            _ => Ok(()),
        }
    }

    fn overlap(&self, config: &Config) -> Overlap {
        self.overlap.map_or(config.pki.overlap, Overlap::from)
    }
}
