//! A new token, written into the file of tokens.

use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use miette::Diagnostic;

use super::role::Role;
use super::token::{NoRandomness, Token, TokenName};
use super::token_file::{MAX_BYTES, TokenFile, TokenFileError, WHAT};
use crate::platform::{self, FileAccess};
use crate::staged_file::{folder, staged_path, sync_folder_of};
use engage_wire::diagnostic::io_hint;
use engage_wire::{Text, replace_file};

/// Makes a token and adds its line to the file, which is created if it is missing and keeps its encoding.
/// The new file takes the place of the old one whole: a daemon that reads meanwhile finds one of the two.
pub(crate) fn add_token(path: &Path, name: &TokenName, role: Role) -> Result<Token, NewTokenError> {
    // What a link leads to is replaced, and not the link.
    let path = &fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = lock(path)?;
    let failed = |source| NewTokenError::Write {
        path: path.to_owned(),
        source,
    };
    let before = match TokenFile::load(path) {
        Ok(known) if known.has_name(name) => {
            return Err(NewTokenError::NameTaken {
                path: path.to_owned(),
                name: name.clone(),
            });
        }
        Ok(_) => Text::read(WHAT, path, MAX_BYTES).map_err(TokenFileError::from)?,
        Err(TokenFileError::Missing { .. }) => Text::from(HEADING),
        // A token that is added to it would open nothing.
        Err(error) => return Err(error.into()),
    };
    let token = Token::generate()?;
    let line = TokenFile::line(name, role, token.hash());
    replace(path, &before.with_line(line.as_bytes())).map_err(failed)?;
    Ok(token)
}

/// Writes the file beside its place, and puts it there with the owner and the mode of the old one.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let staged = staged_path(path);
    // Left behind by one that was killed: the lock says that nobody writes it now.
    let _ = fs_err::remove_file(&staged);
    let mut file = platform::create_private_file(&staged)?;
    file.write_all(contents)?;
    match FileAccess::from_path(path) {
        Ok(access) => access.apply(&staged)?,
        Err(_) => platform::inherit_access(&staged, 0o040)?,
    }
    file.sync_all()?;
    replace_file(&staged, path)?;
    sync_folder_of(path);
    Ok(())
}

/// Two that add a token at the same time would lose one. Where folders cannot be locked, there is no
/// lock.
fn lock(path: &Path) -> Result<Option<File>, NewTokenError> {
    let Ok(handle) = File::open(folder(path)) else {
        return Ok(None);
    };
    match handle.file().try_lock() {
        Ok(()) => Ok(Some(handle)),
        Err(TryLockError::WouldBlock) => Err(NewTokenError::Busy {
            folder: folder(path).to_owned(),
        }),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Why there is no new token.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum NewTokenError {
    /// The present file is not one of tokens.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] TokenFileError),
    /// The operating system has no random bytes.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Two of one name could not be told apart in the record of changes.
    #[error("admin token_file `{}` has a token of the name `{name}`", path.display())]
    #[diagnostic(
        code("token-name-taken"),
        help("take another name, or remove its line first: whoever uses it is then refused")
    )]
    NameTaken {
        /// The path of the token file.
        path: PathBuf,
        /// The name that is taken.
        name: TokenName,
    },
    /// Another command works there.
    #[error("another command works in `{}`", folder.display())]
    #[diagnostic(code("busy"), help("wait until it has ended"))]
    Busy {
        /// The folder of the token file, which is locked.
        folder: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to write admin token_file `{}`", path.display())]
    #[diagnostic(code("cannot-write"), help("{}", io_hint(source)))]
    Write {
        /// The path of the token file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

/// How a new file begins.
pub(crate) const HEADING: &str = "# Who may use the pages and the API of the admin listener: name, role (read or write), hash of the token.\n# `engage-host admin token NAME --role read` makes a token, shows it once and adds its line.\n# Whoever's line is removed is refused from then on.\n";
