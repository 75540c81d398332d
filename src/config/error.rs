//! Why a configuration file cannot be used.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::Diagnostic;

use super::admin::AdminExposed;
use super::syntax_hint::{path_hint, syntax_hint};
use super::written_value::WrittenValue;
use engage_wire::diagnostic::{hint, io_hint};
use engage_wire::{ReadError, TextError};

/// Why a configuration file cannot be used.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum ConfigError {
    /// A path that no file has: an escape sequence was meant as a part of it.
    #[error(
        "configuration file `{}` names the path {value:?} as `{key}`, which contains a tab, a line feed or another control character",
        path.display()
    )]
    #[diagnostic(code("config-path"), help("{hint}"))]
    ControlCharacter {
        /// The path of the configuration file.
        path: PathBuf,
        /// What it is the path of: `[[site]] key_file`.
        key: String,
        /// The path in it.
        value: PathBuf,
        /// How it was probably meant.
        hint: String,
    },
    /// A key stands in it, or it is a key file: whatever is wrong, it cannot be quoted.
    #[error(
        "configuration file `{}` contains a key, so nothing of it is shown; allowed: the path of a key's file",
        path.display()
    )]
    #[diagnostic(
        code("key-in-config"),
        help(
            "is this the right file? a key belongs into a file of its own, which `key_file` or `private_key` names"
        )
    )]
    HoldsKey {
        /// The path of the configuration file.
        path: PathBuf,
    },
    /// A database's password stands in it.
    #[error(
        "configuration file `{}` contains a database's URL with a password, so nothing of it is shown; allowed: `postgres://USER@HOST/DATABASE`",
        path.display()
    )]
    #[diagnostic(
        code("password-in-config"),
        help(
            "write the password into a file of its own, and name that with `[devices] database_password_file`"
        )
    )]
    HoldsPassword {
        /// The path of the configuration file.
        path: PathBuf,
    },
    /// No `[[site]]` at all.
    #[error("configuration file `{}` names no site; at least one `[[site]]` is needed", path.display())]
    #[diagnostic(
        code("no-site"),
        help(
            "add `[[site]]` with `name`, `key_file` and `certificate`; docs/config.toml shows a whole file"
        )
    )]
    NoSite {
        /// The path of the configuration file.
        path: PathBuf,
    },
    /// Not one site whose file can be used; this is the first.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NoUsableSite(Arc<ConfigError>),
    /// Two listeners on one port.
    #[error(
        "configuration file `{}` has {one} and {other} listen on one port, {address}; allowed: a port each",
        path.display()
    )]
    #[diagnostic(
        code("same-port"),
        help("choose another port for one of them; devices expect 80 for http and 443 for https")
    )]
    SamePort {
        /// The path of the configuration file.
        path: PathBuf,
        /// A listener.
        one: &'static str,
        /// Another.
        other: &'static str,
        /// Where the latter would listen.
        address: SocketAddr,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error(
        "configuration file `{}` has one of `[admin] certificate` and `private_key`; allowed: both or none",
        path.display()
    )]
    #[diagnostic(
        code("admin-certificate"),
        help("name the other one too; `openssl req -x509` makes a pair")
    )]
    AdminHalfPair {
        /// The path of the configuration file.
        path: PathBuf,
    },
    /// Others could read what the admin listener says.
    #[error(transparent)]
    #[diagnostic(transparent)]
    AdminExposed(#[from] AdminExposed),
    /// In no encoding that is read.
    #[error(
        "configuration file `{}` is not text: {problem}; allowed: {}",
        path.display(),
        TextError::ALLOWED
    )]
    #[diagnostic(code("config-syntax"), help("{}", TextError::HINT))]
    NotText {
        /// The path of the configuration file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: TextError,
    },
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(code("unreadable-file"), help("{}", read_hint(source)))]
    Read {
        /// Why.
        #[from]
        source: ReadError,
    },
    /// A site's file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    SiteFile {
        /// Why.
        source: ReadError,
    },
    /// A link of `sites_dir` to what is no site.
    #[error(
        "site file `{}` is a link to the outside of its folder, and what it leads to is no site: nothing of it is shown",
        path.display()
    )]
    #[diagnostic(
        code("foreign-site-file"),
        help(
            "who may write links may not be allowed to read what they lead to: look at it yourself, and put the site's own file into the folder"
        )
    )]
    ForeignSiteFile {
        /// The link.
        path: PathBuf,
    },
    /// The folder of sites cannot be listed.
    #[error("failed to read the folder of sites `{}`", path.display())]
    #[diagnostic(
        code("unreadable-sites-dir"),
        help(
            "{}; `sites_dir` is the folder with a file for each site: `engage-host sites add` makes it",
            io_hint(source)
        )
    )]
    SitesDir {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// More files than any installation has sites.
    #[error("the folder of sites `{}` has more than {allowed} entries", path.display())]
    #[diagnostic(code("too-many-sites"), help("is `sites_dir` the right folder?"))]
    TooManySites {
        /// The folder.
        path: PathBuf,
        /// How many it may have.
        allowed: usize,
    },
    /// Not TOML, an unknown key, or a value that is not allowed. The source shows line and column.
    #[error("configuration file `{}` cannot be used", path.display())]
    #[diagnostic(code("config-syntax"), help("{hint}"))]
    Syntax {
        /// The path of the configuration file.
        path: PathBuf,
        /// What was probably meant.
        hint: String,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
}

impl ConfigError {
    pub(super) fn not_text(path: &Path, problem: TextError) -> Self {
        Self::NotText {
            path: path.to_owned(),
            problem,
        }
    }

    /// For a path in a configuration of this text.
    pub(super) fn control_character(path: &Path, text: &str, value: &Path) -> Self {
        let written = WrittenValue::find(text, &value.to_string_lossy());
        Self::ControlCharacter {
            path: path.to_owned(),
            key: written.key,
            value: value.to_owned(),
            hint: path_hint(written.text),
        }
    }

    pub(super) fn syntax(path: &Path, text: &str, source: toml::de::Error) -> Self {
        Self::Syntax {
            path: path.to_owned(),
            hint: syntax_hint(text, &source),
            source: Box::new(source),
        }
    }
}

fn read_hint(source: &ReadError) -> String {
    if source.is_not_found() {
        "name the file with `--config FILE`, or make one with `engage-host init`".into()
    } else {
        hint(source)
    }
}
