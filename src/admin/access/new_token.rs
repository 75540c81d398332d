//! A new token, written into the file of tokens.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use zeroize::Zeroizing;

use super::role::Role;
use super::token::{NoRandomness, Token, TokenName};
use super::token_file::{MAX_BYTES, TokenFile, TokenFileError, WHAT};
use crate::new_files::{NewFile, Readers, replace};
use crate::platform::FileAccess;
use crate::staged_file::{FolderBusy, folder, lock_folder};
use engage_wire::Text;
use engage_wire::diagnostic::io_hint;

/// Makes a token and adds its line to the file, which is created if it is missing and keeps its encoding.
/// The new file takes the place of the old one whole: a daemon that reads meanwhile finds one of the two.
pub(crate) fn add_token(path: &Path, name: &TokenName, role: Role) -> Result<Token, NewTokenError> {
    // What a link leads to is replaced, and not the link.
    let path = &fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = lock_folder(folder(path))?;
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
    write(path, before.with_line(line.as_bytes()))?;
    Ok(token)
}

/// With the owner and the mode of the old one. In a folder that is there: a wrong path is no reason to
/// make one.
fn write(path: &Path, contents: Zeroizing<Vec<u8>>) -> Result<(), NewTokenError> {
    fs_err::metadata(folder(path)).map_err(|source| NewTokenError::Write {
        path: path.to_owned(),
        source,
    })?;
    let readers = Readers::Daemon(FileAccess::from_path(path).ok());
    let file = NewFile::new(path.to_owned(), contents, WHAT, readers);
    replace(&file).map_err(|error| NewTokenError::Write {
        path: path.to_owned(),
        source: error.into_source(),
    })
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
    #[error(transparent)]
    #[diagnostic(transparent)]
    Busy(#[from] FolderBusy),
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
