//! The one check of a server's certificates as a device does it.
//!
//! `serve`, `check`, every reload, `doctor` and the simulated device ask here, so that they cannot
//! disagree. A [`Violation`] with [`Violation::is_refusal`] breaks what is documented of devices
//! (PROTOCOL.md section 2) or what no device can accept; any other is what OpenSSL and stacks as
//! strict refuse, of which nobody knows whether a certain firmware does.

mod certificate;
mod defect;
mod path;
mod violation;

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Certificate, DevicePath, Role, ServerChain, SubjectAltName};
use crate::HostName;
use crate::limits::{MAX_CHAIN_BYTES, TIGHT_CHAIN_BYTES};

pub use defect::Defect;
pub use violation::{CertificateName, Violation};

/// A device's view at one time.
#[derive(Clone, Copy)]
pub struct DeviceProfile<'a> {
    now: Timestamp,
    file_of: &'a dyn Fn(&Certificate) -> Option<PathBuf>,
}

/// What is held against a chain, and the path that a device builds, if it does.
#[derive(Clone, Debug)]
pub struct ProfileCheck<T> {
    /// What was to be made of the certificates.
    pub accepted: Option<T>,
    /// What is held against them; refusals and warnings.
    pub violations: Vec<Violation>,
}

impl<T> ProfileCheck<T> {
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
        let defects = certificate::defects(role, certificate, self.now);
        let violation = |defect| Violation::Certificate(self.name(role, certificate), defect);
        defects.map(violation).collect()
    }

    /// The certificates of a handshake, server first, before it is known what a device trusts.
    pub fn check_chain(&self, certificates: Vec<Certificate>) -> ProfileCheck<ServerChain> {
        let mut violations = Vec::new();
        for (at, certificate) in certificates.iter().enumerate() {
            violations.extend(self.check_certificate(Role::at(at, certificate), certificate));
        }
        if let Some(leaf) = certificates.first() {
            let defects = certificate::server_defects(leaf);
            violations.extend(defects.map(|it| self.server_violation(leaf, it)));
        }
        let accepted = match ServerChain::parse(certificates) {
            Ok(chain) => {
                let bytes = chain.certificate_message_bytes();
                if bytes > MAX_CHAIN_BYTES {
                    violations.push(Violation::CertificateMessageLarge(bytes));
                }
                Some(chain)
            }
            Err(error) => {
                // What is wrong with the order comes first: the rest may follow from it.
                violations.insert(0, Box::new(error).into());
                None
            }
        };
        ProfileCheck {
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
    ) -> ProfileCheck<DevicePath> {
        let mut violations = Vec::new();
        if !chain.certificates().contains(anchor) {
            violations.extend(self.check_certificate(Role::of_issuer(anchor), anchor));
        }
        if anchor == chain.leaf() && !anchor.is_self_signed() {
            violations.push(self.server_violation(anchor, Defect::ServerAnnounced));
        }
        let accepted = match chain.device_path(anchor, root) {
            Ok(device_path) => {
                violations.extend(check_size(&device_path));
                violations.extend(path::check(self, chain, anchor));
                Some(device_path)
            }
            Err(error) => {
                violations.push(Box::new(error).into());
                None
            }
        };
        ProfileCheck {
            accepted,
            violations,
        }
    }

    /// All of it: what the simulated device and `doctor` ask of a handshake.
    pub fn check_handshake(
        &self,
        certificates: Vec<Certificate>,
        anchor: &Certificate,
    ) -> ProfileCheck<DevicePath> {
        let ProfileCheck {
            accepted,
            mut violations,
        } = self.check_chain(certificates);
        let path = accepted.and_then(|chain| {
            let anchored = self.check_anchor(&chain, anchor, None);
            violations.extend(anchored.violations);
            anchored.accepted
        });
        ProfileCheck {
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
        let is_dns = |name: &SubjectAltName| matches!(name, SubjectAltName::Dns(_));
        let defect = if !names.iter().any(|name| name.matches(host)) {
            Defect::NameMissing {
                host: host.clone(),
                what,
                names: leaf.alt_names_text(),
            }
        } else if names.iter().any(is_dns) {
            return None;
        } else {
            Defect::OnlyIpNames
        };
        Some(self.server_violation(leaf, defect))
    }

    fn server_violation(&self, leaf: &Certificate, defect: Defect) -> Violation {
        Violation::Certificate(self.name(Role::Server, leaf), defect)
    }

    fn name(&self, role: Role, certificate: &Certificate) -> CertificateName {
        CertificateName {
            role,
            subject: certificate.subject().to_owned(),
            file: (self.file_of)(certificate),
        }
    }
}

/// What a device that is to install so many bytes finds wrong with their number: they count into every
/// chain that leads to them.
pub fn check_anchor_size(bytes: usize) -> Option<Violation> {
    (bytes > MAX_CHAIN_BYTES).then(|| Violation::ChainTooLarge {
        found: bytes,
        sum: format!("announced {bytes}"),
    })
}

fn check_size(path: &DevicePath) -> Vec<Violation> {
    let mut violations = Vec::new();
    match path.size() {
        found if found > MAX_CHAIN_BYTES => violations.push(Violation::ChainTooLarge {
            found,
            sum: path.sum_text(),
        }),
        found if found > TIGHT_CHAIN_BYTES => violations.push(Violation::ChainTight(found)),
        _ => {}
    }
    if path.lacks_root() {
        let root = path.topmost().issuer().to_owned();
        violations.push(Violation::RootNotCounted(root));
    }
    violations
}

#[cfg(test)]
mod tests;
