//! Why a credentials file cannot be used.

use std::path::{Path, PathBuf};

use engage_wire::ReadError;
use miette::Diagnostic;

/// Why a credentials file cannot be used, or a credential not be made. Never quotes a line: it
/// holds a hash, or by mistake a password.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum CredentialsError {
    /// A file without a line that names a device.
    #[error("credentials file `{}` names no device; allowed: one device a line", .0.display())]
    #[diagnostic(
        code("no-credentials"),
        help(
            "if it was cut, copy it again; `engage-host devices credential SERIAL` makes lines; without `credentials_file` every device may call"
        )
    )]
    Empty(PathBuf),
    /// A line that is not a credential. The others are used, if there are any.
    #[error("credentials file `{}`: line {line} {problem}", path.display())]
    #[diagnostic(code("malformed-credentials"), help("{}", problem.hint()))]
    Line {
        /// The path of the credentials file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    #[diagnostic(code("no-randomness"), help("try again; at boot it can be too early"))]
    NoRandomness,
    /// Argon2 takes no such password.
    #[error("the password cannot be hashed")]
    #[diagnostic(code("unusable-password"), help("choose one of at most 1,024 bytes"))]
    Password,
    /// There is no such file.
    #[error(transparent)]
    #[diagnostic(
        code("unreadable-file"),
        help("make it with `engage-host devices credential SERIAL`, or remove `credentials_file`")
    )]
    Missing(ReadError),
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(ReadError),
}

/// What is wrong with a line of a credentials file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LineProblem {
    /// Each wrong password would cost too much.
    #[error("has a hash that is too dear to verify; allowed: m=65536,t=10,p=4")]
    Expensive,
    /// Not an Argon2id PHC string.
    #[error("has no Argon2id hash; allowed: `$argon2id$v=19$m=..,t=..,p=..$salt$hash`")]
    Hash,
    /// Something after the hash.
    #[error("goes on after the hash; allowed: a serial number and a hash, and a `#` comment")]
    More,
    /// A serial number alone.
    #[error("has no hash after the serial number")]
    NoHash,
    /// Not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// A device's second credential.
    #[error("has the serial number of line {first} again; allowed: one credential a device")]
    Repeated {
        /// Its first.
        first: usize,
    },
    /// Not a serial number.
    #[error(
        "does not start with a serial number and a space; allowed: 16 or 32 hexadecimal digits, then the hash"
    )]
    Serial,
}

impl CredentialsError {
    pub(super) fn line(path: &Path, line: usize, problem: LineProblem) -> Self {
        Self::Line {
            path: path.to_owned(),
            line,
            problem,
        }
    }
}

impl From<ReadError> for CredentialsError {
    fn from(error: ReadError) -> Self {
        if error.is_not_found() {
            Self::Missing(error)
        } else {
            Self::Read(error)
        }
    }
}

impl LineProblem {
    fn hint(self) -> &'static str {
        match self {
            Self::Repeated { .. } => "remove the line that is out of date; the first one is used",
            _ => "make lines with `engage-host devices credential SERIAL`",
        }
    }
}
