//! What the overview shows, and how it is.

use jiff::Timestamp;

use super::super::chart::{Bar, Hour};
use super::super::text::{count, plural};

/// What the overview shows.
pub(super) struct Home {
    pub(super) now: Timestamp,
    /// Why this host is not ready, in plain words.
    pub(super) reasons: Vec<String>,
    /// What else is wrong.
    pub(super) warnings: Vec<String>,
    pub(super) locks: Locks,
    pub(super) chain_bytes: u64,
    pub(super) certificates: Vec<Certificate>,
    pub(super) sites: Sites,
    pub(super) reload: Option<Reload>,
    pub(super) store: StoreState,
    pub(super) webhook: WebhookState,
    pub(super) call_ins: Vec<Hour>,
    pub(super) failures: Vec<Bar>,
    pub(super) batteries: Vec<Bar>,
}

/// How many locks there are, and how many of them called in within 24 hours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Locks {
    /// Call-ins are not answered.
    Off,
    /// The store cannot say.
    Unknown,
    Known {
        all: u64,
        seen: u64,
    },
}

/// One certificate of the chain and above.
pub(super) struct Certificate {
    pub(super) role: String,
    pub(super) subject: String,
    pub(super) not_after: Timestamp,
    pub(super) days_left: i64,
    pub(super) expires_soon: bool,
    pub(super) fingerprint: String,
}

/// The first sites, bad ones before good ones.
pub(super) struct Sites {
    pub(super) bad: Vec<BadSite>,
    pub(super) good: Vec<Site>,
    /// Of all, whether they are shown or not.
    pub(super) all_bad: usize,
    pub(super) all_good: usize,
}

/// A site that is announced as it is configured.
pub(super) struct Site {
    pub(super) name: String,
    pub(super) cert_url: String,
    pub(super) hash: String,
    pub(super) fingerprint: String,
}

/// A site that is not.
pub(super) struct BadSite {
    /// Its name, and what becomes of its devices.
    pub(super) what: String,
    pub(super) refusals: Vec<Reason>,
}

/// What is wrong, and what to do.
pub(super) struct Reason {
    pub(super) message: String,
    pub(super) hint: String,
}

/// The last reload.
pub(super) struct Reload {
    pub(super) at: Timestamp,
    /// Why the new state was refused; none if it is in force.
    pub(super) refusals: Vec<Reason>,
}

/// Where call-ins are recorded.
pub(super) enum StoreState {
    Off,
    Opening,
    Failing(String),
    Writable {
        /// Bytes taken and allowed, where that is bounded.
        size: Option<(u64, u64)>,
    },
}

/// Where events are delivered to.
pub(super) enum WebhookState {
    Off,
    Failing(String),
    /// Devices with undelivered events, and since when the oldest waits.
    Waiting {
        devices: u64,
        since: Timestamp,
    },
    UpToDate,
}

/// How it is, at a glance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Health {
    Well,
    Attention,
    Failing,
}

impl Home {
    pub(super) fn health(&self) -> Health {
        let is_refused = self
            .reload
            .as_ref()
            .is_some_and(|it| !it.refusals.is_empty());
        if !self.reasons.is_empty() {
            Health::Failing
        } else if is_refused
            || !self.warnings.is_empty()
            || self.sites.all_bad > 0
            || self.locks.are_missing()
            || self.server().is_some_and(|it| it.expires_soon)
        {
            Health::Attention
        } else {
            Health::Well
        }
    }

    /// The one that every device is shown.
    pub(super) fn server(&self) -> Option<&Certificate> {
        self.certificates.first()
    }

    /// "412 of 415 locks called in within 24 hours; the server certificate has 71 days left."
    pub(super) fn sentence(&self) -> String {
        let locks = match self.locks {
            Locks::Off => "Call-ins are not answered here".to_owned(),
            Locks::Unknown => "What is known of the locks cannot be read now".to_owned(),
            Locks::Known { all: 0, .. } => "No lock has called in yet".to_owned(),
            Locks::Known { all, seen } => format!(
                "{} of {} called in within 24 hours",
                count(seen),
                plural(all, "lock")
            ),
        };
        let certificate = self.server().map_or_else(String::new, |it| {
            format!("; the server certificate {}", days_sentence(it.days_left))
        });
        format!("{locks}{certificate}.")
    }
}

impl Locks {
    /// Whether more than one in ten did not call in.
    fn are_missing(self) -> bool {
        matches!(self, Self::Known { all, seen } if seen < all - all / 10)
    }
}

impl Health {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Attention => "attention",
            Self::Failing => "failing",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Well => "All well",
            Self::Attention => "Needs attention",
            Self::Failing => "Not ready",
        }
    }
}

pub(super) fn days(left: i64) -> String {
    plural(left.unsigned_abs(), "day")
}

fn days_sentence(left: i64) -> String {
    if left < 0 {
        return format!("ended {} ago", days(left));
    }
    format!("has {} left", days(left))
}
