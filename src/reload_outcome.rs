//! What a reload came to, for the log, the service manager, and whoever asked for it.

use std::fmt;
use std::fmt::Write as _;

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use crate::publication::{BadSite, Publication};
use engage_wire::diagnostic::{causes, code, hint, one_line};

/// The status line of a daemon that serves `publication`.
pub(crate) fn serving(publication: &Publication) -> String {
    let mut text = match publication.identity() {
        Ok(_) => "serving".to_owned(),
        Err(refusals) => {
            let reasons: Vec<_> = refusals.iter().map(ToString::to_string).collect();
            format!("serving in clear text only: {}", reasons.join("; "))
        }
    };
    if let Some((first, others)) = publication.bad_sites().split_first() {
        let _ = write!(text, "; {first}{}", and_more(others.len()));
    }
    shortened(&text)
}

/// As the daemon tells it to `engage-host reload`: one JSON document.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ReloadOutcome {
    /// None: the new state is in force. Else the previous one stays in force.
    pub(crate) refusals: Vec<ReloadRefusal>,
    /// What is wrong with what is not in the new state, while all else is: sites, and the files of `[admin]`.
    #[serde(default)]
    pub(crate) left_out: Vec<ReloadRefusal>,
}

impl ReloadOutcome {
    /// `replaced` has what is wrong with the files of `[admin]`; `bad_sites` are those of what is in force now.
    pub(crate) fn new(
        replaced: Result<Vec<ReloadRefusal>, Vec<ReloadRefusal>>,
        bad_sites: &[BadSite],
    ) -> Self {
        let others = bad_sites.len().saturating_sub(MAX_BAD_SITES);
        let others = (others > 0).then(|| ReloadRefusal::new(&MoreBadSites(others)));
        let bad_sites = bad_sites.iter().take(MAX_BAD_SITES);
        let bad_sites = bad_sites.flat_map(ReloadRefusal::of_site).chain(others);
        match replaced {
            Ok(left_out) => Self {
                refusals: Vec::new(),
                left_out: left_out.into_iter().chain(bad_sites).collect(),
            },
            Err(refusals) => Self {
                refusals,
                left_out: Vec::new(),
            },
        }
    }

    /// One where nothing was replaced.
    pub(crate) fn refused(refusal: ReloadRefusal) -> Self {
        Self {
            refusals: vec![refusal],
            left_out: Vec::new(),
        }
    }

    /// Whether the new state is in force.
    pub(crate) fn is_ok(&self) -> bool {
        self.refusals.is_empty()
    }

    pub(crate) fn log(&self) {
        for refusal in &self.refusals {
            error!(
                code = refusal.code,
                "reload refused, the previous state stays in force: {}",
                one_line(refusal)
            );
        }
        if self.is_ok() {
            info!("reloaded: new connections get the new state");
        }
    }

    /// One line for people about a daemon that serves `publication` now.
    pub(crate) fn status(&self, publication: &Publication) -> String {
        let Some((first, others)) = self.refusals.split_first() else {
            return serving(publication);
        };
        let reason = shortened(&one_line(first));
        let others = and_more(others.len());
        format!("reload refused, serving the previous state: {reason}{others}")
    }
}

/// One thing that is wrong with what would have been served.
#[derive(Debug, Deserialize, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ReloadRefusal {
    code: String,
    message: String,
    hint: String,
}

/// More than somebody reads.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("the new state is in force, but {0} more sites are bad")]
#[diagnostic(code("more-bad-sites"), help("`engage-host sites check` lists them"))]
struct MoreBadSites(usize);

impl ReloadRefusal {
    pub(crate) fn new(error: &dyn Diagnostic) -> Self {
        Self {
            code: code(error),
            message: causes(error),
            hint: hint(error),
        }
    }

    /// Of a file of `[admin]`.
    pub(crate) fn of_admin_file(error: &dyn Diagnostic) -> Self {
        let message = causes(error);
        Self {
            message: format!(
                "the new state is in force, but the admin listener keeps what it had: {message}"
            ),
            ..Self::new(error)
        }
    }

    fn of_site(site: &BadSite) -> impl Iterator<Item = Self> {
        site.refusals.iter().map(move |refusal| {
            let why = refusal.causes_without_site();
            let message = format!("the new state is in force, but {site}: {why}");
            Self {
                message,
                ..Self::new(refusal)
            }
        })
    }
}

impl Diagnostic for ReloadRefusal {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.hint))
    }
}

fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" (and {count} more, see the log)"),
    }
}

/// systemd takes no datagram above 4 KiB, and a status line is read at a glance.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_STATUS_CHARS).collect()
}

/// As many as somebody reads.
pub(crate) const MAX_BAD_SITES: usize = 100;

const MAX_STATUS_CHARS: usize = 500;
