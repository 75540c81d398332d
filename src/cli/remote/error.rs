//! Why another host does not do what is asked.

use std::fmt::Display;
use std::path::PathBuf;

use http::StatusCode;
use miette::Diagnostic;
use serde::Deserialize;

use crate::failure::{ErrorEntry, Failure};
use crate::http_client::{AuthoritiesError, CaError};
use engage_wire::ReadError;

/// Why another host does not do what is asked.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(in crate::cli) enum RemoteError {
    #[error("`--server {server}` is given without `--token-file`")]
    #[diagnostic(
        code("no-token"),
        help(
            "put a token into a file, which `engage-host admin token NAME --role read` makes on that host"
        )
    )]
    NoTokenFile { server: String },
    #[error("`--token-file` or `--ca-file` is given without `--server`")]
    #[diagnostic(
        code("no-server"),
        help("name the host's admin listener too, such as `--server https://10.44.0.5:9480`")
    )]
    NoServer,
    #[error("this command works on the files of a host itself, and `--server {server}` is given")]
    #[diagnostic(
        code("only-on-host"),
        help(
            "run it on that host, without `--server`; `devices` and `sites` can ask another host"
        )
    )]
    OnlyHere { server: String },
    #[error("token file `{}` does not hold a token", file.display())]
    #[diagnostic(
        code("no-token"),
        help(
            "it is one line, `engage_` and 43 characters, as `engage-host admin token` printed it; a host's own `[admin] token_file` has hashes only"
        )
    )]
    NoToken { file: PathBuf },
    #[error("ca_file `{}` cannot be used", path.display())]
    #[diagnostic(
        code("ca-file-malformed"),
        help("it is one PEM file with the certificates that may sign the host's")
    )]
    CaMalformed { path: PathBuf, source: CaError },
    #[error("no trusted certificate authority is known, and `--server` is https")]
    #[diagnostic(
        code("no-authority"),
        help("install the system's CA certificates, or name the host's with `--ca-file`")
    )]
    NoAuthority,
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(ReadError),
    #[error("host `{server}` does not answer: {reason}")]
    #[diagnostic(
        code("server-unanswered"),
        help(
            "is it the address of `[admin] listen`, by `https` where that has a certificate, and does the daemon run? a certificate that this system does not trust is named with `--ca-file`; a change may have been made all the same: look before you ask for it again"
        )
    )]
    Unanswered { server: String, reason: String },
    #[error("host `{server}` answered {status}, and not as the management API does: {said}")]
    #[diagnostic(
        code("server-unexpected"),
        help(
            "is it the admin listener of an engage-host of this version, with `[admin] token_file`, asked by one of its `hosts`?"
        )
    )]
    Unexpected {
        server: String,
        status: StatusCode,
        said: String,
    },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] RefusedThere),
}

impl From<AuthoritiesError> for RemoteError {
    fn from(error: AuthoritiesError) -> Self {
        match error {
            AuthoritiesError::Unreadable(error) => Self::Unreadable(error),
            AuthoritiesError::Malformed { path, source } => Self::CaMalformed { path, source },
            AuthoritiesError::None => Self::NoAuthority,
        }
    }
}

/// What the other host said, with its code.
#[derive(Debug, thiserror::Error)]
#[error("host `{server}`: {}", entry.message)]
pub(in crate::cli) struct RefusedThere {
    server: String,
    entry: ErrorEntry,
}

impl Diagnostic for RefusedThere {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(&self.entry.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        // Where that host tells a program which request to send.
        Some(Box::new(match self.entry.code.as_str() {
            "unknown-device" => "`engage-host devices` lists those that have",
            "no-database" => "`engage-host devices db set SERIAL FILE` stores one",
            _ => self.entry.hint.as_str(),
        }))
    }
}

/// Why a question came to nothing: one error, or all that the other host has told.
#[derive(Debug)]
pub(in crate::cli) struct AskError(Vec<RemoteError>);

impl AskError {
    /// Whether the host refused with this code.
    pub(in crate::cli) fn is(&self, code: &str) -> bool {
        let refused = |error: &RemoteError| match error {
            RemoteError::Refused(refused) => refused.entry.code == code,
            _ => false,
        };
        self.0.iter().any(refused)
    }
}

impl From<RemoteError> for AskError {
    fn from(error: RemoteError) -> Self {
        Self(vec![error])
    }
}

impl From<AskError> for Failure {
    fn from(AskError(errors): AskError) -> Self {
        Self::from_errors(errors)
    }
}

/// Problem details (RFC 9457), as far as the command line says them too.
#[derive(Deserialize)]
pub(super) struct Problem {
    detail: String,
    code: String,
    hint: String,
    #[serde(default)]
    errors: Vec<ErrorEntry>,
}

impl Problem {
    pub(super) fn into_error(self, server: &str) -> AskError {
        let Self {
            detail: message,
            code,
            hint,
            mut errors,
        } = self;
        if errors.is_empty() {
            errors.push(ErrorEntry {
                code,
                message,
                hint,
            });
        }
        let refused = errors.into_iter().map(|entry| {
            RemoteError::Refused(RefusedThere {
                server: server.to_owned(),
                entry,
            })
        });
        AskError(refused.collect())
    }
}
