//! Steps 6 and 7: what a device checks before it installs a certificate.

use sha1::{Digest, Sha1};

use super::step::Findings;
use engage_device::{ReceivedAnnouncement, TlsClient, TlsVersions};
use engage_wire::clock;
use engage_wire::excerpt;
use engage_wire::limits::{EXPIRY_WARNING_DAYS, MAX_CHAIN_BYTES, MAX_KEY_BITS, MIN_RSA_BITS};
use engage_wire::pki::{Certificate, LineEnding, PublicKey};
use engage_wire::site::{AnnouncementHash, SiteKey};
use jiff::Timestamp;

pub(super) fn check_hash(
    findings: &mut Findings,
    announced: &ReceivedAnnouncement,
    key: &SiteKey,
    der: &[u8],
) {
    let expected = key.announcement_hash(der);
    if announced.matches(key, der) {
        findings.note(format!(
            "{expected} is the HMAC over the {} bytes downloaded",
            der.len()
        ));
        return;
    }
    findings.fail(
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

/// Judges the certificate; the client that has installed it, if it is one at all.
pub(super) fn check_certificate(findings: &mut Findings, der: &[u8]) -> Option<TlsClient> {
    let certificate = match Certificate::parse(der.to_vec()) {
        Ok(certificate) => certificate,
        Err(error) if der.trim_ascii_start().starts_with(b"-----BEGIN") => {
            findings.fail(
                format!("the file is PEM; allowed: DER ({error})"),
                "convert it: openssl x509 -in FILE -outform der -out FILE.der",
            );
            return None;
        }
        Err(error) => {
            findings.fail(
                format!("the file is {}: {error}", excerpt(&der[..der.len().min(16)])),
                "serve exactly one certificate in DER: openssl x509 -in FILE -outform der -out FILE.der",
            );
            return None;
        }
    };
    findings.note(format!(
        "`{}`, {}, {} bytes, valid until {}",
        certificate.subject(),
        certificate.key(),
        certificate.size(),
        certificate.validity().not_after
    ));
    check_limits(findings, &certificate);
    check_validity(findings, &certificate, clock::now());
    Some(TlsClient::new(certificate, TlsVersions::Device))
}

fn check_limits(findings: &mut Findings, certificate: &Certificate) {
    let key = certificate.key();
    match key {
        PublicKey::Rsa { bits } if *bits < MIN_RSA_BITS => findings.warn(
            format!("its key has {bits} bits; common: {MIN_RSA_BITS}"),
            "current TLS libraries refuse shorter keys: issue it again with RSA of 2048 bits",
        ),
        _ if key.bits().is_some_and(|bits| bits > MAX_KEY_BITS) => findings.fail(
            format!("its key is {key}; allowed: {MAX_KEY_BITS} bits"),
            "issue it again with an RSA key of 2048 bits",
        ),
        PublicKey::Rsa { .. } => {}
        _ => findings.warn(
            format!("its key is {key}; documented: RSA"),
            "whether devices take it is not documented: issue it again with RSA of 2048 bits",
        ),
    }
    if certificate.size() > MAX_CHAIN_BYTES {
        findings.fail(
            format!(
                "it has {} bytes; allowed: {MAX_CHAIN_BYTES} for the whole chain",
                certificate.size()
            ),
            "shorten its names and extensions",
        );
    }
}

fn check_validity(findings: &mut Findings, certificate: &Certificate, now: Timestamp) {
    let validity = certificate.validity();
    if validity.is_early(now) {
        findings.fail(
            format!(
                "it is valid from {} only; now is {now}",
                validity.not_before
            ),
            "set this computer's clock, or wait",
        );
    } else if validity.is_over(now) {
        findings.fail(
            format!("it has expired; now is {now}"),
            "renew it and announce the new one",
        );
    } else if validity.days_left(now) < EXPIRY_WARNING_DAYS {
        findings.warn(
            format!("it expires in {} days", validity.days_left(now)),
            "renew it: a device that finds it expired has to be visited",
        );
    }
}
