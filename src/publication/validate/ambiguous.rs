//! What only one site can have: its name, a host, the place of the default site.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::SiteConfig;
use crate::operator_map::{OperatorMap, operator_map};
use crate::publication::Refusal;

/// What is held against sites, by their number, that claim the name or a host of another: a device
/// there cannot be told whose key it has.
pub(super) fn names_and_hosts(sites: &[Arc<SiteConfig>]) -> OperatorMap<usize, Vec<Refusal>> {
    let mut refusals = OperatorMap::<_, Vec<_>>::default();
    let mut refuse =
        |owner: usize, at: usize, refusal: &dyn Fn(&SiteConfig, &SiteConfig) -> Refusal| {
            for refused in BTreeSet::from([owner, at]) {
                let refusal = refusal(&sites[owner], &sites[at]);
                refusals.entry(refused).or_default().push(refusal);
            }
        };
    let capacity = sites.len();
    let mut names = operator_map(capacity);
    let mut hosts = operator_map(capacity);
    for (at, site) in sites.iter().enumerate() {
        if let Some(owner) = names.insert(&site.name, at) {
            refuse(owner, at, &|one, other| Refusal::AmbiguousName {
                name: one.name.clone(),
                files: [one.file.clone(), other.file.clone()],
            });
        }
        for host in site.hosts.claims() {
            if let Some(owner) = hosts.insert(host, at) {
                refuse(owner, at, &|one, other| Refusal::AmbiguousHost {
                    files: [one.file.clone(), other.file.clone()],
                    host: host.cloned(),
                    one: one.name.clone(),
                    other: other.name.clone(),
                });
            }
        }
    }
    refusals
}
