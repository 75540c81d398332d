//! `[admin] token_file`: whose tokens are known.
//!
//! ```text
//! # name, role, SHA-256 of the token in Base64url; `engage-host admin token NAME --role read` adds one
//! night-shift read AEQ0Kh2..
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::role::{Role, UnknownRole};
use super::token::{NotAHash, NotAName, TokenHash, TokenName};
use crate::platform::AccessOfOthers;
use engage_wire::{ReadError, Text, read_regular_file};

/// The tokens of a file. Empty is allowed: then nobody is let in.
#[derive(Debug, Default)]
pub(crate) struct TokenFile {
    by_hash: HashMap<TokenHash, Holder>,
}

/// Whose token it is, and what it allows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Holder {
    pub(super) name: TokenName,
    pub(super) role: Role,
}

impl TokenFile {
    /// Reads a file that only its owner, and perhaps its group, can read.
    pub(crate) fn load(path: &Path) -> Result<Self, TokenFileError> {
        let contents = read_regular_file(WHAT, path, MAX_BYTES);
        let contents = contents.map_err(|error| {
            if error.is_not_found() {
                let path = path.to_owned();
                return TokenFileError::Missing { path };
            }
            error.into()
        })?;
        if let Some(access) = AccessOfOthers::to_use(path) {
            return Err(TokenFileError::Open {
                path: path.to_owned(),
                access,
            });
        }
        Self::parse(path, &contents)
    }

    /// Reads a file's contents; `path` is for messages, which never quote a line.
    pub(crate) fn parse(path: &Path, contents: &[u8]) -> Result<Self, TokenFileError> {
        let contents = Text::of_file(WHAT, path, contents)?;
        let mut by_hash = HashMap::new();
        let mut lines: HashMap<TokenName, usize> = HashMap::new();
        for (line, text) in (1..).zip(contents.split(|it| *it == b'\n')) {
            let at = |problem| TokenFileError::Line {
                path: path.to_owned(),
                line,
                problem,
            };
            let Some((holder, hash)) = parse_line(text).map_err(at)? else {
                continue;
            };
            if let Some(first) = lines.insert(holder.name.clone(), line) {
                return Err(at(LineProblem::RepeatedName { first }));
            }
            match by_hash.entry(hash) {
                Entry::Occupied(_) => return Err(at(LineProblem::RepeatedHash)),
                Entry::Vacant(vacant) => vacant.insert(holder),
            };
        }
        Ok(Self { by_hash })
    }

    pub(super) fn holder(&self, hash: TokenHash) -> Option<&Holder> {
        self.by_hash.get(&hash)
    }

    /// Whether one is called so.
    pub(crate) fn has_name(&self, name: &TokenName) -> bool {
        self.by_hash.values().any(|holder| holder.name == *name)
    }

    /// The line of a token, without its end.
    pub(crate) fn line(name: &TokenName, role: Role, hash: TokenHash) -> String {
        format!("{name} {role} {hash}")
    }
}

/// Why the tokens of a file are not used.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum TokenFileError {
    /// It cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ReadError),
    /// Nobody has made it yet, or it was removed.
    #[error("there is no admin token_file `{}`", path.display())]
    #[diagnostic(
        code("token-file-missing"),
        help(
            "`engage-host admin token NAME --role read` makes it, with a token; an empty one will do"
        )
    )]
    Missing {
        /// The path of the token file, as `[admin] token_file` names it.
        path: PathBuf,
    },
    /// Others could read it, or put a token of theirs into it.
    #[error("admin token_file `{}` has {access}; allowed: {}", path.display(), AccessOfOthers::NONE)]
    #[diagnostic(code("token-file-open"), help("{}", access.remedy(path)))]
    Open {
        /// The path of the token file.
        path: PathBuf,
        /// Who else may read or write it.
        access: AccessOfOthers,
    },
    /// A line is not one of a token.
    #[error("admin token_file `{}`, line {line}: {problem}", path.display())]
    #[diagnostic(
        code("token-file-line"),
        help(
            "a line is a name, `read` or `write`, and the hash; `engage-host admin token NAME --role read` adds one"
        )
    )]
    Line {
        /// The path of the token file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: LineProblem,
    },
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LineProblem {
    #[error("it is not UTF-8")]
    NotText,
    #[error(transparent)]
    Name(#[from] NotAName),
    #[error(transparent)]
    Role(#[from] UnknownRole),
    #[error(transparent)]
    Hash(#[from] NotAHash),
    #[error("it has not three words")]
    Words,
    #[error("the name is that of line {first}")]
    RepeatedName { first: usize },
    #[error("the token is that of a line before")]
    RepeatedHash,
}

/// A line's token; `None` if it holds none.
fn parse_line(line: &[u8]) -> Result<Option<(Holder, TokenHash)>, LineProblem> {
    let text = str::from_utf8(line).map_err(|_| LineProblem::NotText)?;
    let text = text.split('#').next().unwrap_or_default();
    let words: Vec<_> = text.split_whitespace().collect();
    match words[..] {
        [] => Ok(None),
        [name, role, hash] => {
            let (name, role) = (name.parse()?, role.parse()?);
            Ok(Some((Holder { name, role }, hash.parse()?)))
        }
        _ => Err(LineProblem::Words),
    }
}

/// How messages call the file.
pub(super) const WHAT: &str = "admin token_file";

/// Room for two thousand tokens.
pub(super) const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    fn problem(text: &str) -> LineProblem {
        match TokenFile::parse(Path::new("tokens"), text.as_bytes()) {
            Err(TokenFileError::Line { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn comments_and_empty_lines_hold_no_token() {
        let hash = Token::generate().unwrap().hash();
        let text = format!("# tokens\r\n\r\n  ops  write\t{hash} # of the shift\r\n");
        let file = TokenFile::parse(Path::new("tokens"), text.as_bytes()).unwrap();
        let holder = file.holder(hash).unwrap();
        assert_eq!((holder.name.as_str(), holder.role), ("ops", Role::Write));
        assert!(file.holder(Token::generate().unwrap().hash()).is_none());
        let empty = TokenFile::parse(Path::new("tokens"), b"").unwrap();
        assert!(empty.by_hash.is_empty());
    }

    #[test]
    fn any_other_line_is_refused() {
        let hash = Token::generate().unwrap().hash();
        for (text, expected) in [
            (format!("ops {hash}"), LineProblem::Words),
            (format!("ops read {hash} x"), LineProblem::Words),
            (format!("ops Read {hash}"), LineProblem::Role(UnknownRole)),
            (format!("<b> read {hash}"), LineProblem::Name(NotAName)),
            ("ops read abc".into(), LineProblem::Hash(NotAHash)),
            (
                format!("ops read {hash}\nops write {hash}"),
                LineProblem::RepeatedName { first: 1 },
            ),
            (
                format!("ops read {hash}\nshift write {hash}"),
                LineProblem::RepeatedHash,
            ),
        ] {
            assert_eq!(problem(&text), expected, "{text}");
        }
    }
}
