//! New authorities beside those that devices trust still.

use jiff::Timestamp;

use super::{CertifiedIssuer, INTERMEDIATE_NAME, IssueError, ROOT_NAME, ValidityPolicy};
use crate::HostName;
use crate::pki::Certificate;

/// A root, an intermediate of it, and a server certificate of that.
#[derive(Debug)]
pub struct NewAuthorities {
    /// The new root.
    pub root: CertifiedIssuer,
    /// Its intermediate.
    pub intermediate: CertifiedIssuer,
    /// The server certificate of the intermediate.
    pub server: CertifiedIssuer,
}

impl NewAuthorities {
    /// Makes all three, in memory. No authority has the name of one that is `known`: embedded stacks look
    /// an issuer up by its name, take the first that has it, and do not go back.
    pub fn issue(
        known: &[Certificate],
        hosts: &[HostName],
        validity_policy: &ValidityPolicy,
    ) -> Result<Self, IssueError> {
        let name = |base| free_name(base, known, validity_policy.now());
        let root = CertifiedIssuer::root_named(&name(ROOT_NAME), validity_policy)?;
        let intermediate =
            root.issue_intermediate_named(&name(INTERMEDIATE_NAME), validity_policy)?;
        let server = intermediate.issue_server(hosts, validity_policy)?;
        Ok(Self {
            root,
            intermediate,
            server,
        })
    }
}

impl CertifiedIssuer {
    /// Issues an intermediate whose name none of `known` has.
    pub fn issue_intermediate_beside(
        &self,
        known: &[Certificate],
        validity_policy: &ValidityPolicy,
    ) -> Result<Self, IssueError> {
        let name = free_name(INTERMEDIATE_NAME, known, validity_policy.now());
        self.issue_intermediate_named(&name, validity_policy)
    }
}

/// `partner_CA 2026-11`, or with the day, or with a number behind it.
fn free_name(base: &str, known: &[Certificate], now: Timestamp) -> String {
    let is_free = |name: &String| !known.iter().any(|it| it.common_name() == Some(name));
    let by_date = ["%Y-%m", "%Y-%m-%d"].map(|format| format!("{base} {}", now.strftime(format)));
    let day = by_date[1].clone();
    let numbered = (2..).map(|number: u32| format!("{day} {number}"));
    let mut names = by_date.into_iter().chain(numbered);
    names.find(is_free).unwrap_or(day)
}
