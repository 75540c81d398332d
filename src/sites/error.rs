//! Why sites are not shown or changed.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;

use crate::new_files::NewFileError;
use crate::publication::Refusal;
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::pki::issue::IssueError;
use engage_wire::site::{KeyFileError, KeyTextError, SiteName};

/// Why sites are not shown or changed. Whatever it is, nothing was changed.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum SitesError {
    #[error("configuration file `{}` names no folder for sites", config.display())]
    #[diagnostic(
        code("no-sites-dir"),
        help("add `sites_dir = \"sites\"` above its first `[section]`")
    )]
    NoSitesDir { config: PathBuf },
    #[error("there is no site `{name}`{}", nearest.as_ref().map_or_else(String::new, |it| format!("; there is `{it}`")))]
    #[diagnostic(
        code("unknown-site-name"),
        help("`engage-host sites list` shows every name")
    )]
    Unknown {
        name: String,
        nearest: Option<SiteName>,
    },
    #[error("site `{name}` stands in the configuration file `{}`, which this command does not change", file.display())]
    #[diagnostic(
        code("site-in-config"),
        help("remove its `[[site]]` there, then `engage-host reload`")
    )]
    InConfiguration { name: SiteName, file: PathBuf },
    #[error("`{name}` is the only site of this host, and a host without a site serves nobody")]
    #[diagnostic(code("only-site"), help("add another site first, or stop the daemon"))]
    OnlySite { name: SiteName },
    #[error("site key `{}` is that of site `{other}` too", key_file.display())]
    #[diagnostic(
        code("key-in-use"),
        help("leave `--delete-key` out: the site is removed, and its key stays")
    )]
    KeyInUse { key_file: PathBuf, other: SiteName },
    #[error("site key `{}` is a file that `{}` names for something else too", key_file.display(), config.display())]
    #[diagnostic(
        code("key-in-use"),
        help("leave `--delete-key` out: the site is removed, and the file stays")
    )]
    KeyNamed { key_file: PathBuf, config: PathBuf },
    #[error("site file `{}` cannot be used, so it is not known whether its key is the one to be deleted", file.display())]
    #[diagnostic(
        code("keys-unknown"),
        help("mend that file first, or leave `--delete-key` out: the key stays then")
    )]
    KeysUnknown { file: PathBuf },
    #[error("site key `{}` is a link; allowed: the key file itself", key_file.display())]
    #[diagnostic(
        code("key-is-link"),
        help("leave `--delete-key` out, and delete by hand what is to go")
    )]
    KeyIsLink { key_file: PathBuf },
    #[error("what the site names as its key file is not deleted")]
    #[diagnostic(
        code("not-a-site-key"),
        help("leave `--delete-key` out: the site is removed, and the file stays")
    )]
    NoKey { source: KeyFileError },
    #[error("site file `{}` was changed meanwhile: its tag is `{found}` now", file.display())]
    #[diagnostic(
        code("changed-meanwhile"),
        help("ask for the site again, and change what is there now")
    )]
    Changed { file: PathBuf, found: String },
    #[error("site `{name}` is not changed: its file `{}` cannot be used", file.display())]
    #[diagnostic(
        code("site-unusable"),
        help("mend that file by hand, or remove the site and add it anew: its key stays")
    )]
    Unusable { name: SiteName, file: PathBuf },
    #[error("failed to remove `{}`", path.display())]
    #[diagnostic(
        code("not-removed"),
        help("run this as the user that owns the folder, or as root")
    )]
    Remove { path: PathBuf, source: io::Error },
    #[error("`{}` does not say which certificate the devices of a new site install", config.display())]
    #[diagnostic(code("no-certificate"), help("name it with `--certificate FILE.der`"))]
    NoCertificate { config: PathBuf },
    #[error(
        "{path:?} cannot be written into a site's file; allowed: a path in UTF-8 without control characters"
    )]
    #[diagnostic(code("unusable-path"), help("rename it"))]
    Path { path: PathBuf },
    #[error("site `{name}` exists already, in `{}`", file.display())]
    #[diagnostic(
        code("site-exists"),
        help("choose another name, or edit that file; `engage-host sites show` shows it")
    )]
    Exists { name: SiteName, file: PathBuf },
    #[error(
        "{} of site `{site}` is that of site `{owner}` already; allowed: one site each",
        host.as_ref().map_or_else(|| "the place of the default site, without hosts,".to_owned(), |host| format!("host `{host}`"))
    )]
    #[diagnostic(
        code("host-taken"),
        help("choose another host, or select the site by serial numbers")
    )]
    HostTaken {
        site: SiteName,
        host: Option<HostName>,
        owner: SiteName,
    },
    #[error(
        "serial number {serial} of site `{site}` is listed for site `{owner}` already; allowed: one site each"
    )]
    #[diagnostic(code("serial-taken"), help("remove it from one of them"))]
    SerialTaken {
        site: SiteName,
        serial: SerialNumber,
        owner: SiteName,
    },
    #[error("the site key of site `{site}` is not a key")]
    #[diagnostic(
        code("malformed-given-key"),
        help("a key is 44 characters of Base64 or 64 hexadecimal digits, as ENGAGE shows it")
    )]
    Key {
        site: SiteName,
        source: KeyTextError,
    },
    #[error("site key `{}` exists and is another key than the given one of site `{site}`", existing.display())]
    #[diagnostic(
        code("other-key"),
        help(
            "a site key can never be changed once the ENGAGE site exists: find out which is the site's, and move the other away"
        )
    )]
    OtherKey { site: SiteName, existing: PathBuf },
    #[error("failed to issue a site key")]
    #[diagnostic(
        code("not-issued"),
        help("try again; if it stays, this is a fault of engage-host")
    )]
    NewKey { source: IssueError },
    #[error("failed to read the site key from standard input")]
    #[diagnostic(
        code("unreadable-input"),
        help("pipe it in: `engage-host sites add NAME --site-key-file - < site.key`")
    )]
    Input { source: io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] NewFileError),
    /// What its devices, or those of other sites, would suffer from.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Refused(#[from] Box<Refusal>),
}
