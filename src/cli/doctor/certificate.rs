//! Steps 6 and 7: what a device checks before it installs a certificate.

use sha1::{Digest, Sha1};

use super::step::StepBuilder;
use engage_device::{ReceivedAnnouncement, TlsClient, TlsVersions};
use engage_wire::clock;
use engage_wire::excerpt;
use engage_wire::pki::device_profile::{DeviceProfile, check_anchor_size};
use engage_wire::pki::{Certificate, LineEnding, Role};
use engage_wire::site::{AnnouncementHash, SiteKey};

pub(super) fn check_hash(
    step: &mut StepBuilder,
    announced: &ReceivedAnnouncement,
    key: &SiteKey,
    der: &[u8],
) {
    let expected = key.announcement_hash(der);
    if announced.matches(key, der) {
        step.note(format!(
            "{expected} is the HMAC over the {} bytes downloaded",
            der.len()
        ));
        return;
    }
    step.fail(
        format!("found {}, expected `{expected}`", excerpt(announced.hash().as_bytes())),
        mistake(announced, key, der).unwrap_or_else(|| {
            "the host hashes another file or has another site key: compare its key file with the one given \
             here, and restart it after a change of the certificate"
                .into()
        }),
    );
}

/// The mistake that makes exactly this hash, if it is a known one.
fn mistake(announced: &ReceivedAnnouncement, key: &SiteKey, der: &[u8]) -> Option<String> {
    let right = key.announcement_hash(der);
    if announced.hash().trim() == right.to_string() {
        return Some("the hash is right but has white space around it: strip the line end".into());
    }
    let Some(found) = announced.decoded_hash() else {
        return Some("it is not Base64 of 20 bytes: `hash` is the MIME Base64 of an HMAC-SHA1, 28 characters that end in `=`".into());
    };
    let texts = key.mistaken_hashes(der);
    if let Some((form, _)) = texts.iter().find(|(_, hash)| *hash == found) {
        return Some(format!(
            "the host keys the HMAC with the text of the key: it must decode the {form} text to 32 bytes first"
        ));
    }
    if AnnouncementHash::from_bytes(Sha1::digest(der).into()) == found {
        return Some(
            "the host sends the plain SHA-1 of the file: it must be an HMAC under the site key"
                .into(),
        );
    }
    let certificate = Certificate::parse(der.to_vec()).ok()?;
    [LineEnding::LF, LineEnding::CRLF]
        .map(|line_ending| certificate.to_pem(line_ending))
        .iter()
        .any(|pem| key.announcement_hash(pem.as_bytes()) == found)
        .then(|| {
            "the host hashes the PEM form of the file: it must hash the DER bytes that it serves"
                .into()
        })
}

/// Checks the certificate; the client that has installed it, if it is one at all.
pub(super) fn check_certificate(step: &mut StepBuilder, der: &[u8]) -> Option<TlsClient> {
    let certificate = match Certificate::parse(der.to_vec()) {
        Ok(certificate) => certificate,
        Err(error) if der.trim_ascii_start().starts_with(b"-----BEGIN") => {
            step.fail(
                format!("the file is PEM; allowed: DER ({error})"),
                "convert it: openssl x509 -in FILE -outform der -out FILE.der",
            );
            return None;
        }
        Err(error) => {
            step.fail(
                format!("the file is {}: {error}", excerpt(&der[..der.len().min(16)])),
                "serve exactly one certificate in DER: openssl x509 -in FILE -outform der -out FILE.der",
            );
            return None;
        }
    };
    step.note(format!(
        "`{}`, {}, {} bytes, valid until {}",
        certificate.subject(),
        certificate.key(),
        certificate.size(),
        certificate.validity().not_after
    ));
    let role = Role::of_issuer(&certificate);
    let violations = DeviceProfile::new(clock::now()).check_certificate(role, &certificate);
    for violation in violations.iter().chain(&check_anchor_size(der.len())) {
        step.add_error(violation);
    }
    Some(TlsClient::new(certificate, TlsVersions::Device))
}
