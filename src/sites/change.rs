//! What was changed of sites.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::new_site::NewSite;
use crate::failure::ErrorEntry;
use crate::new_files::CreatedEntry;

/// What was changed.
#[derive(Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct Change {
    /// New sites, by name.
    pub(crate) added: Vec<String>,
    /// Those of a dry run, which are not.
    pub(crate) would_add: Vec<String>,
    /// Sites whose file says something else now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) changed: Vec<String>,
    /// Sites that are no more.
    pub(crate) removed: Vec<String>,
    /// Those of a table that are here already, just so.
    pub(crate) unchanged: usize,
    /// New files.
    pub(crate) created: Vec<CreatedEntry>,
    /// Files that are no more.
    pub(crate) deleted: Vec<String>,
    /// Key files that were there, and are.
    pub(crate) kept: Vec<String>,
    /// What the operator does next.
    pub(crate) next: Vec<String>,
}

impl Change {
    /// Without the files.
    pub(crate) fn adding<'a>(sites: impl IntoIterator<Item = &'a NewSite>) -> Self {
        let mut change = Self::default();
        for site in sites {
            change.added.push(site.name.to_string());
            if site.is_kept_key() {
                change.kept.push(site.key_file.display().to_string());
            }
            if site.has_new_key() && change.next.is_empty() {
                change.next.push(NEW_KEY.to_owned());
            }
            if site.has_earlier_key() && change.next.is_empty() {
                change.next.push(EARLIER_KEY.to_owned());
            }
        }
        change
    }
}

/// The `--json` of the commands that change sites.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct ChangeReport {
    /// Whether all of it is served, if a daemon was told.
    pub(crate) ok: bool,
    #[serde(flatten)]
    pub(crate) change: Change,
    pub(crate) outcome: ChangeOutcome,
    /// What is wrong with what the daemon read.
    pub(crate) refusals: Vec<ErrorEntry>,
}

/// How far a change went.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Outcome)]
pub(crate) enum ChangeOutcome {
    /// Nothing was written: it was only tried.
    Unwritten,
    /// Written; a daemon that runs notices it by itself.
    Untold,
    /// The daemon has read it.
    Reloaded,
}

impl ChangeReport {
    pub(crate) fn new(change: Change, outcome: ChangeOutcome, refusals: Vec<ErrorEntry>) -> Self {
        Self {
            ok: refusals.is_empty(),
            change,
            outcome,
            refusals,
        }
    }
}

const NEW_KEY: &str = "create the ENGAGE site with the key in its new file; one that exists already has its own, which \
                       belongs into that file before the first device is commissioned";

const EARLIER_KEY: &str = "this is the key of an earlier site of the same file name: right if it is that ENGAGE site again; else remove the \
                           site with `--delete-key`, or without and move the key away, and add it anew";
