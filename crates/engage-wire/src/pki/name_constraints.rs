//! Which names an issuer may certify (RFC 5280 section 4.2.1.10).

use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints as ParsedConstraints};

use super::{Certificate, DistinguishedName, SubjectAltName};
use crate::HostName;

/// The constraints of one issuer.
#[derive(Clone, Debug)]
pub struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

#[derive(Clone, Debug)]
enum Subtree {
    Directory(DistinguishedName),
    Dns(String),
    /// Address and mask, of 4 or 16 bytes each.
    Ip(Vec<u8>, Vec<u8>),
    Other(&'static str),
}

impl NameConstraints {
    pub(super) fn from_x509(constraints: &ParsedConstraints<'_>) -> Self {
        let read = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| {
            let subtrees = subtrees.iter().flatten();
            subtrees.map(|it| Subtree::from_base(&it.base)).collect()
        };
        Self {
            permitted: read(&constraints.permitted_subtrees),
            excluded: read(&constraints.excluded_subtrees),
        }
    }

    /// The first name of a certificate below the issuer that is not allowed.
    pub(super) fn forbidden_name(&self, certificate: &Certificate) -> Option<String> {
        let subject = certificate.subject_name();
        let names = certificate.alt_names().iter().cloned();
        // As OpenSSL has it: without a dNSName, the common name stands for the host.
        let has_dns = names
            .clone()
            .any(|name| matches!(name, SubjectAltName::Dns(_)));
        let common_name = certificate.common_name().filter(|_| !has_dns);
        let host = common_name.and_then(|name| match name.parse() {
            Ok(HostName::Dns(name)) => Some(SubjectAltName::Dns(name)),
            _ => None,
        });
        let directory = (!subject.is_empty()).then(|| SubjectAltName::Directory(subject.clone()));
        names
            .chain(host)
            .chain(directory)
            .find(|name| !self.allows(name))
            .map(|name| name.to_string())
    }

    fn allows(&self, name: &SubjectAltName) -> bool {
        let is_unknown = |subtree: &Subtree| match (subtree, name) {
            (Subtree::Other(kind), SubjectAltName::Other(own)) => kind == own,
            _ => false,
        };
        let mut permitted = self
            .permitted
            .iter()
            .filter_map(|subtree| subtree.contains(name))
            .peekable();
        let is_permitted = permitted.peek().is_none() || permitted.any(|contains| contains);
        let is_excluded = |subtree: &Subtree| subtree.contains(name) == Some(true);
        // What cannot be compared here is not allowed: better said once too often.
        is_permitted
            && !self.excluded.iter().any(is_excluded)
            && !self.permitted.iter().chain(&self.excluded).any(is_unknown)
    }
}

impl Subtree {
    fn from_base(base: &GeneralName<'_>) -> Self {
        match base {
            GeneralName::DNSName(name) => Self::Dns(name.to_ascii_lowercase()),
            GeneralName::DirectoryName(name) => Self::Directory(DistinguishedName::from_x509(name)),
            GeneralName::IPAddress(octets) if matches!(octets.len(), 8 | 32) => {
                let (address, mask) = octets.split_at(octets.len() / 2);
                Self::Ip(address.to_vec(), mask.to_vec())
            }
            other => Self::Other(SubjectAltName::kind_of(other)),
        }
    }

    /// Whether the subtree contains the name; `None` if it is of another kind.
    fn contains(&self, name: &SubjectAltName) -> Option<bool> {
        match (self, name) {
            (Self::Directory(base), SubjectAltName::Directory(name)) => Some(name.is_within(base)),
            (Self::Dns(base), SubjectAltName::Dns(name)) => Some(is_below(name, base)),
            (Self::Ip(base, mask), SubjectAltName::Ip(address)) => {
                let octets = match address {
                    std::net::IpAddr::V4(address) => address.octets().to_vec(),
                    std::net::IpAddr::V6(address) => address.octets().to_vec(),
                };
                (octets.len() == base.len()).then(|| {
                    let pairs = octets.iter().zip(base).zip(mask);
                    pairs
                        .into_iter()
                        .all(|((own, base), mask)| own & mask == base & mask)
                })
            }
            _ => None,
        }
    }
}

/// `host.example.com` is below `example.com` and `.example.com`; an empty base is above all.
fn is_below(name: &str, base: &str) -> bool {
    name.strip_suffix(base).is_some_and(|rest| {
        rest.is_empty() || base.is_empty() || base.starts_with('.') || rest.ends_with('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_below_a_base_only_at_a_dot() {
        for (name, base, below) in [
            ("a.example.com", "example.com", true),
            ("example.com", "example.com", true),
            ("aexample.com", "example.com", false),
            ("a.example.com", ".example.com", true),
            ("anything", "", true),
            ("example.org", "example.com", false),
        ] {
            assert_eq!(is_below(name, base), below, "{name} {base}");
        }
    }
}
