//! The one judgement of what a device makes of a server's certificates.
//!
//! `serve`, `check`, every reload, `doctor` and the simulated device ask here, so that they cannot
//! disagree. A [`Violation`] with [`Violation::is_refusal`] breaks what is documented of devices
//! (PROTOCOL.md section 2) or what no device can accept; any other is what OpenSSL and stacks as
//! strict refuse, of which nobody knows whether a certain firmware does.

mod certificate;
mod path;
mod violation;

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Certificate, ChainError, DevicePath, Role, ServerChain};
use crate::HostName;
use crate::limits::{MAX_CHAIN_BYTES, TIGHT_CHAIN_BYTES};

pub use violation::{CertificateName, Violation};

/// A device's view at one time.
#[derive(Clone, Copy)]
pub struct DeviceProfile<'a> {
    now: Timestamp,
    file_of: &'a dyn Fn(&Certificate) -> Option<PathBuf>,
}

/// What is held against a chain, and the path that a device builds, if it does.
#[derive(Clone, Debug)]
pub struct Judgement<T> {
    /// What was to be made of the certificates.
    pub accepted: Option<T>,
    /// What is held against them; refusals and warnings.
    pub violations: Vec<Violation>,
}

impl<T> Judgement<T> {
    /// The first violation that makes a device refuse.
    pub fn refusal(&self) -> Option<&Violation> {
        self.violations.iter().find(|it| it.is_refusal())
    }
}

impl DeviceProfile<'static> {
    /// The device's clock shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            file_of: &|_| None,
        }
    }
}

impl<'a> DeviceProfile<'a> {
    /// The same, naming in messages the file that a certificate was read from.
    pub fn with_files(
        now: Timestamp,
        file_of: &'a dyn Fn(&Certificate) -> Option<PathBuf>,
    ) -> Self {
        Self { now, file_of }
    }

    /// Time, key, signature, encoding and extensions of a certificate by itself.
    pub fn check_certificate(&self, role: Role, certificate: &Certificate) -> Vec<Violation> {
        certificate::check(&self.name(role, certificate), certificate, self.now)
    }

    /// The certificates of a handshake, server first, before it is known what a device trusts.
    pub fn check_chain(&self, certificates: Vec<Certificate>) -> Judgement<ServerChain> {
        let mut violations = Vec::new();
        for (at, certificate) in certificates.iter().enumerate() {
            violations.extend(self.check_certificate(Role::at(at, certificate), certificate));
        }
        if let Some(leaf) = certificates.first() {
            let name = self.name(Role::Server, leaf);
            violations.extend(certificate::check_server(&name, leaf));
        }
        let accepted = match ServerChain::parse(certificates) {
            Ok(chain) => {
                let bytes = chain.certificate_message_bytes();
                if bytes > MAX_CHAIN_BYTES {
                    violations.push(Violation::CertificateMessageLarge { bytes });
                }
                Some(chain)
            }
            Err(error) => {
                // What is wrong with the order comes first: the rest may follow from it.
                violations.insert(0, error.into());
                None
            }
        };
        Judgement {
            accepted,
            violations,
        }
    }

    /// What a device makes of `chain` that trusts only `anchor`.
    ///
    /// `root` is the certificate above the topmost one otherwise known; it is only counted.
    pub fn check_anchor(
        &self,
        chain: &ServerChain,
        anchor: &Certificate,
        root: Option<&Certificate>,
    ) -> Judgement<DevicePath> {
        let mut violations = Vec::new();
        if !chain.certificates().contains(anchor) {
            violations.extend(self.check_certificate(Role::of_issuer(anchor), anchor));
        }
        if anchor == chain.leaf() && !anchor.is_self_signed() {
            let certificate = self.name(Role::Server, anchor);
            violations.push(Violation::ServerAnnounced { certificate });
        }
        let accepted = match chain.device_path(anchor, root) {
            Ok(device_path) => {
                violations.extend(check_size(&device_path));
                violations.extend(path::check(self, chain, anchor));
                Some(device_path)
            }
            Err(error) => {
                violations.push(error.into());
                None
            }
        };
        Judgement {
            accepted,
            violations,
        }
    }

    /// All of it: what the simulated device and `doctor` ask of a handshake.
    pub fn check_handshake(
        &self,
        certificates: Vec<Certificate>,
        anchor: &Certificate,
    ) -> Judgement<DevicePath> {
        let Judgement {
            accepted,
            mut violations,
        } = self.check_chain(certificates);
        let path = accepted.and_then(|chain| {
            let anchored = self.check_anchor(&chain, anchor, None);
            violations.extend(anchored.violations);
            anchored.accepted
        });
        Judgement {
            accepted: path,
            violations,
        }
    }

    /// Whether the server certificate names `host`. Only a warning: whether devices compare names is
    /// not documented. `what` says whose host it is: "the host of `base_url`".
    pub fn check_host(
        &self,
        leaf: &Certificate,
        host: &HostName,
        what: &'static str,
    ) -> Option<Violation> {
        let names = leaf.alt_names();
        let certificate = self.name(Role::Server, leaf);
        if !names.iter().any(|name| name.matches(host)) {
            return Some(Violation::NameMissing {
                certificate,
                host: host.clone(),
                what,
                names: leaf.alt_names_text(),
            });
        }
        let has_dns = names
            .iter()
            .any(|name| matches!(name, super::SubjectAltName::Dns(_)));
        (!has_dns).then_some(Violation::OnlyIpNames { certificate })
    }

    fn name(&self, role: Role, certificate: &Certificate) -> CertificateName {
        CertificateName::new(role, certificate, (self.file_of)(certificate))
    }
}

fn check_size(path: &DevicePath) -> Vec<Violation> {
    let mut violations = Vec::new();
    match path.size() {
        found if found > MAX_CHAIN_BYTES => violations.push(Violation::ChainTooLarge {
            found,
            sum: path.sum_text(),
        }),
        found if found > TIGHT_CHAIN_BYTES => violations.push(Violation::ChainTight { found }),
        _ => {}
    }
    if path.lacks_root() {
        violations.push(Violation::RootNotCounted {
            root: path.topmost().issuer().to_owned(),
        });
    }
    violations
}

impl From<ChainError> for Violation {
    fn from(error: ChainError) -> Self {
        Self::Chain(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
