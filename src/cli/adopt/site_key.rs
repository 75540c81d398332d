//! The site key: asked for, and verified by the hash that the old server announced.

use std::io::{self, IsTerminal};
use std::path::Path;

use zeroize::Zeroizing;

use super::error::AdoptError;
use super::old_server::OldServer;
use crate::cli::output::eprint_note;
use crate::failure::Failure;
use crate::platform;
use engage_wire::pki::Certificate;
use engage_wire::site::SiteKey;

/// The key of the ENGAGE site.
pub(super) struct VerifiedKey {
    pub(super) key: SiteKey,
    /// As it was written.
    pub(super) contents: Zeroizing<Vec<u8>>,
    /// What was wrong with the old hash, if it verifies the key all the same.
    pub(super) note: Option<String>,
}

impl VerifiedKey {
    /// From a file, or from the terminal.
    pub(super) fn new(file: Option<&Path>, server: &OldServer) -> Result<Self, Failure> {
        let (key, contents) = match file {
            Some(path) => SiteKey::load_with_contents(path)?,
            None => typed()?,
        };
        let note = verify(&key, server)?;
        Ok(Self {
            key,
            contents,
            note,
        })
    }
}

/// A hash that was made for another file, or with the text of the key, verifies the key too: only
/// no device can have accepted it.
fn verify(key: &SiteKey, server: &OldServer) -> Result<Option<String>, AdoptError> {
    let hash = &server.announcement.hash;
    let is_hash_of =
        |certificate: &Certificate| key.announcement_hash(certificate.der()).to_string() == *hash;
    if is_hash_of(&server.anchor) {
        return Ok(None);
    }
    let others = server.other_certificates();
    if let Some((path, _)) = others
        .iter()
        .find(|(_, certificate)| is_hash_of(certificate))
    {
        return Ok(Some(format!(
            "the old hash is that of `{}`, but `{}` was announced: no device can have accepted it; the right hash is \
             announced now",
            path.display(),
            server.anchor_path.display()
        )));
    }
    let mistaken = key.mistaken_hashes(server.anchor.der());
    if let Some((form, _)) = mistaken.iter().find(|(_, it)| it.to_string() == *hash) {
        return Ok(Some(format!(
            "the old hash was made with the {form} text of the site key instead of its bytes: no device can have accepted \
             it; the right hash is announced now"
        )));
    }
    Err(AdoptError::OtherSiteKey {
        hash: hash.clone(),
        certificate: server.anchor_path.clone(),
    })
}

fn typed() -> Result<(SiteKey, Zeroizing<Vec<u8>>), Failure> {
    if !io::stdin().is_terminal() {
        return Err(AdoptError::NoSiteKey.into());
    }
    eprint_note(
        "site key",
        "Base64 or hexadecimal; it is not shown as you type",
    );
    let line = platform::read_hidden_line(MAX_LINE_BYTES).map_err(AdoptError::Terminal)?;
    let mut contents = Zeroizing::new(line.trim_ascii().to_vec());
    let key = SiteKey::parse(&contents).map_err(AdoptError::TypedKey)?;
    contents.push(b'\n');
    Ok((key, contents))
}

/// A key has 64 characters at most.
const MAX_LINE_BYTES: usize = 256;
