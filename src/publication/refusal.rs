//! What a device would reject, so that it is not published.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use miette::Diagnostic;

use super::serials::SerialsError;
use crate::config::ConfigError;
use crate::tls::KeyMismatch;
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::diagnostic::{causes, explained, io_hint};
use engage_wire::pki::device_profile::Violation;
use engage_wire::pki::{Fingerprint, LoadError};
use engage_wire::site::{CertUrlError, KeyFileError, SiteName};
use jiff::Timestamp;

/// Why something cannot be published.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub enum Refusal {
    /// A Host header value would select two sites.
    #[error(
        "{} {} to two sites, `{one}` and `{other}`; allowed: one site each",
        giving(files),
        host.as_ref().map_or_else(|| "no `hosts`".to_owned(), |host| format!("host `{host}`"))
    )]
    #[diagnostic(code("ambiguous-host"), help("{}", ambiguous_host_hint(host.as_ref())))]
    AmbiguousHost {
        /// Where the sites stand, in the same order.
        files: [PathBuf; 2],
        /// The host; `None` when both sites have no `hosts`.
        host: Option<HostName>,
        /// The site named first.
        one: SiteName,
        /// The site named later.
        other: SiteName,
    },
    /// Two sites of one name.
    #[error(
        "two sites are named `{name}`, in `{}` and in `{}`; allowed: one of each name",
        files[0].display(),
        files[1].display()
    )]
    #[diagnostic(
        code("ambiguous-site"),
        help("rename one of them; `engage-host sites list` shows every name")
    )]
    AmbiguousName {
        /// The name.
        name: SiteName,
        /// Where they stand.
        files: [PathBuf; 2],
    },
    /// A device would be of two sites.
    #[error(
        "serial number {serial} is listed for two sites, for {one}, and for {other}; allowed: one site each"
    )]
    #[diagnostic(code("ambiguous-serial"), help("remove it from one of them"))]
    AmbiguousSerial {
        /// The first that is listed twice.
        serial: SerialNumber,
        /// Where first.
        one: Listing,
        /// Where again.
        other: Listing,
    },
    /// The URL of a site's certificate is too long.
    #[error("site `{site}`")]
    #[diagnostic(
        code("cert-url-too-long"),
        help("shorten `base_url` or the certificate's file name")
    )]
    CertUrl {
        /// The name of the site whose certificate has the URL.
        site: SiteName,
        /// Found and allowed.
        source: CertUrlError,
    },
    /// A certificate that a device would reject.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Certificate(Violation),
    /// A chain that a device would reject.
    #[error("chain `{}`{}", path.display(), for_site(site.as_ref()))]
    #[diagnostic(forward(source))]
    Chain {
        /// The server's PEM file.
        path: PathBuf,
        /// The site whose announcement does not fit, if it is about one.
        site: Option<SiteName>,
        /// What is wrong.
        source: Violation,
    },
    /// The files beside the present ones are those of another rotation.
    #[error(
        "server certificate `{}` has the fingerprint {found}; expected by the rotation that is under way: {expected}",
        path.display()
    )]
    #[diagnostic(
        code("foreign-next"),
        help("copy the folder `next` from the host on which the rotation was prepared")
    )]
    ForeignNext {
        /// The new chain of this host.
        path: PathBuf,
        /// Of its server certificate.
        found: Fingerprint,
        /// As the store says.
        expected: Fingerprint,
    },
    /// The private key does not fit.
    #[error("private key `{}` cannot be used", path.display())]
    #[diagnostic(forward(source))]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: KeyMismatch,
    },
    /// A file cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Load(#[from] LoadError),
    /// A file name that has no URL.
    #[error("site `{site}` announces `{}`, whose name does not end in `.der`", path.display())]
    #[diagnostic(
        code("not-der-name"),
        help("rename the file: devices fetch `NAME.der`")
    )]
    NotDerName {
        /// The name of the site that announces the file.
        site: SiteName,
        /// The path of the announced certificate.
        path: PathBuf,
    },
    /// Two different certificates would have the same URL.
    #[error("`{}` and `{}` differ but would both be served as `{name}`", one.display(), other.display())]
    #[diagnostic(
        code("same-name"),
        help("rename one of them, or remove the outdated copy")
    )]
    SameName {
        /// The file name.
        name: String,
        /// One file.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// The devices of a site cannot be read.
    #[error("site `{site}`")]
    #[diagnostic(forward(source))]
    Serials {
        /// The name of the site whose serials file it is.
        site: SiteName,
        /// Why.
        source: SerialsError,
    },
    /// A site's own file cannot be used.
    #[error("site `{site}`")]
    #[diagnostic(forward(source))]
    SiteFile {
        /// The site, as far as its name is known.
        site: SiteName,
        /// Why.
        source: Arc<ConfigError>,
    },
    /// A site key cannot be used.
    #[error("site `{site}`")]
    #[diagnostic(forward(source))]
    SiteKey {
        /// The name of the site whose key it is.
        site: SiteName,
        /// Why.
        source: KeyFileError,
    },
    /// The static directory cannot be listed.
    #[error("failed to read static directory `{}`", path.display())]
    #[diagnostic(
        code("unreadable-static-dir"),
        help(
            "{}; `static_dir` is the folder that contains `Device_Certificates`",
            io_hint(source)
        )
    )]
    StaticDir {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Where a site lists a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing {
    pub(super) site: SiteName,
    /// The serials file, or the file in which the site stands.
    pub(super) path: PathBuf,
    /// Of a serials file, counted from 1.
    pub(super) line: Option<usize>,
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, path, line } = self;
        let path = path.display();
        match line {
            Some(line) => write!(f, "`{site}` in line {line} of `{path}`"),
            None => write!(f, "`{site}` under `serials` in `{path}`"),
        }
    }
}

impl Refusal {
    /// Whether it may go away by itself, and may have come by itself.
    pub(super) fn is_about_time(&self) -> bool {
        matches!(self, Self::Certificate(violation) if violation.is_about_time())
    }

    /// Whether it is about time, and the clock that shows `now` says otherwise.
    fn is_over_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Certificate(Violation::Certificate(_, defect)) => defect.is_over_at(now),
            _ => false,
        }
    }

    /// Message and causes, for whoever has named the site already.
    pub(crate) fn causes_without_site(&self) -> String {
        match self {
            Self::CertUrl { source, .. } => causes(source),
            Self::Chain { path, source, .. } => {
                format!("chain `{}`: {}", path.display(), causes(source))
            }
            Self::NotDerName { path, .. } => {
                format!("the name of `{}` does not end in `.der`", path.display())
            }
            Self::Serials { source, .. } => causes(source),
            Self::SiteFile { source, .. } => causes(&**source),
            Self::SiteKey { source, .. } => causes(source),
            other => causes(other),
        }
    }

    /// What tells it from others, whichever site it was found for.
    fn text(&self) -> String {
        match self {
            Self::Chain { path, source, .. } => format!("{}{}", path.display(), causes(source)),
            other => causes(other),
        }
    }
}

/// What is refused, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Each refusal.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }

    /// Whether nothing but the clock stood against what is refused, and now does no longer.
    pub fn are_over_at(&self, now: Timestamp) -> bool {
        self.iter().all(|refusal| refusal.is_over_at(now))
    }
}

/// What several sites share is said once.
impl FromIterator<Refusal> for Refusals {
    fn from_iter<I: IntoIterator<Item = Refusal>>(refusals: I) -> Self {
        let mut said = HashSet::new();
        let refusals = refusals.into_iter();
        Self(
            refusals
                .filter(|refusal| said.insert(refusal.text()))
                .collect(),
        )
    }
}

impl IntoIterator for Refusals {
    type Item = Refusal;
    type IntoIter = std::vec::IntoIter<Refusal>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.iter().map(|refusal| explained(refusal)).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for Refusals {}

fn giving([one, other]: &[PathBuf; 2]) -> String {
    let (one_file, other_file) = (one.display(), other.display());
    if one == other {
        format!("configuration file `{one_file}` gives")
    } else {
        format!("configuration files `{one_file}` and `{other_file}` give")
    }
}

fn ambiguous_host_hint(host: Option<&HostName>) -> &'static str {
    match host {
        None => {
            "the one site without `hosts` is the default; give the other its Host header values"
        }
        Some(_) => "remove the host from one of them",
    }
}

fn for_site(site: Option<&SiteName>) -> String {
    site.map_or_else(String::new, |site| format!(" for site `{site}`"))
}
