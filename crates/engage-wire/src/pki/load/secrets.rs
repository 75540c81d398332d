//! Private keys where none should be, in every form in which tools write them.

use std::fs::File;
use std::io::{Read, Take};
use std::path::Path;

use rustls::pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::sections::contains;

/// What kind of private key `bytes` hold, if they hold one: PEM, also in UTF-16 and encrypted,
/// DER of PKCS#1, PKCS#8, SEC1 and PKCS#12, or a key of `PuTTY`.
pub fn private_key_kind(bytes: &[u8]) -> Option<&'static str> {
    if has_marker(bytes) || PrivateKeyDer::try_from(bytes).is_ok() {
        Some("private key")
    } else if is_encrypted_pkcs8(bytes) {
        Some("encrypted private key")
    } else if is_pkcs12(bytes) {
        Some("PKCS#12 file with a private key")
    } else {
        None
    }
}

/// The same of a regular file, of which the first 16 MiB are searched.
pub fn private_key_kind_of_file(path: &Path) -> Option<&'static str> {
    let mut file = File::open(path).ok()?.take(MAX_SEARCHED_BYTES);
    let mut window = Zeroizing::new(Vec::with_capacity(WINDOW_BYTES + 1));
    read_more(&mut file, &mut window)?;
    if window.len() < WINDOW_BYTES {
        return private_key_kind(&window);
    }
    // Too large for DER: only text can hold a key somewhere in it.
    loop {
        if has_marker(&window) {
            return Some("file with a private key");
        }
        let kept = window.len() - OVERLAP_BYTES;
        window.drain(..kept);
        let before = window.len();
        read_more(&mut file, &mut window)?;
        if window.len() == before {
            return None;
        }
    }
}

/// Fills the window; `None` if the file cannot be read.
fn read_more(file: &mut Take<File>, window: &mut Vec<u8>) -> Option<()> {
    let room = WINDOW_BYTES - window.len();
    file.by_ref().take(room as u64).read_to_end(window).ok()?;
    Some(())
}

fn has_marker(bytes: &[u8]) -> bool {
    MARKERS.iter().any(|marker| {
        let utf16: Vec<u8> = marker.bytes().flat_map(|byte| [byte, 0]).collect();
        // Without its last zero, the marker is found in either order of the bytes.
        contains(bytes, marker.as_bytes()) || contains(bytes, &utf16[..utf16.len() - 1])
    })
}

/// RFC 5958 section 3: a sequence whose first member is an encryption scheme of PKCS#5 or PKCS#12.
fn is_encrypted_pkcs8(bytes: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 2] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x05",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01",
    ];
    let start = &bytes[..bytes.len().min(32)];
    let is_sequence = start.first() == Some(&0x30);
    is_sequence && SCHEMES.iter().any(|scheme| contains(start, scheme))
}

/// RFC 7292 section 4: a sequence that starts with version 3, and data of PKCS#7.
fn is_pkcs12(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(40)];
    start.first() == Some(&0x30)
        && contains(start, b"\x02\x01\x03\x30")
        && contains(start, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
}

const MARKERS: [&str; 2] = ["PRIVATE KEY-----", "PuTTY-User-Key-File"];

/// Longest file that is searched to its end, in bytes: a dump of a disk takes too long.
const MAX_SEARCHED_BYTES: u64 = 16 * 1024 * 1024;

/// Larger than any key.
const WINDOW_BYTES: usize = 64 * 1024;

/// Longer than a marker in UTF-16.
const OVERLAP_BYTES: usize = 64;
