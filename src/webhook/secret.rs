//! The secret that deliveries are signed with.

use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use miette::Diagnostic;
use sha2::Sha256;
use zeroize::Zeroizing;

use engage_wire::{ReadError, Text, TextEncoding, read_regular_file};

/// What receiver and sender share. Cannot be printed; wiped when dropped.
pub(super) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Shorter ones can be guessed from one recorded delivery.
    const MIN_BYTES: usize = 16;

    /// Longer is another file.
    const MAX_BYTES: usize = 4096;

    /// Reads a secret file; white space around its contents does not count, nor does a byte order mark
    /// before text. Any other bytes are the secret as they are, also those that begin as UTF-16 does.
    pub(super) fn load(path: &Path) -> Result<Self, SecretError> {
        let contents = read_regular_file("webhook secret_file", path, Self::MAX_BYTES)?;
        let text = Text::decode(&contents).ok().filter(is_surely_text);
        let secret = text.as_deref().unwrap_or(&contents).trim_ascii();
        if secret.len() < Self::MIN_BYTES {
            return Err(SecretError::Length {
                path: path.to_owned(),
                found: secret.len(),
            });
        }
        Ok(Self(Zeroizing::new(secret.to_vec())))
    }

    /// The value of `X-Engage-Signature`: the time is signed too, so that a recorded delivery is
    /// of no use later.
    pub(super) fn signature(&self, unix_seconds: i64, body: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length (RFC 2104 section 2)");
        };
        mac.update(format!("{unix_seconds}.").as_bytes());
        mac.update(body);
        let code = HEXLOWER.encode(&mac.finalize().into_bytes());
        format!("t={unix_seconds},v1={code}")
    }
}

/// Why a secret cannot be used.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum SecretError {
    /// It is too short, or the file holds something else.
    #[error(
        "webhook secret_file `{}` holds {found} bytes; allowed: {} to {}",
        path.display(),
        Secret::MIN_BYTES,
        Secret::MAX_BYTES
    )]
    #[diagnostic(
        code("webhook-secret-length"),
        help("make one with `openssl rand -hex 32`, and give it to the receiver too")
    )]
    Length {
        /// The path that `[webhook] secret_file` names.
        path: PathBuf,
        /// Its length in bytes without white space around it.
        found: usize,
    },
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreadable(#[from] ReadError),
}

/// Random bytes in place of UTF-16 would have to be ASCII by chance.
fn is_surely_text(text: &Text<'_>) -> bool {
    match text.encoding() {
        TextEncoding::Utf8 | TextEncoding::Utf8WithMark => text.to_str().is_ok(),
        TextEncoding::Utf16Le | TextEncoding::Utf16Be => text.is_ascii(),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(contents: &[u8]) -> Result<Secret, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs_err::write(&path, contents).unwrap();
        Secret::load(&path)
    }

    #[test]
    fn white_space_around_a_secret_does_not_count() {
        let bare = loaded(b"0123456789abcdef").unwrap();
        let spaced = loaded(b" 0123456789abcdef\r\n").unwrap();
        assert_eq!(bare.signature(1, b"x"), spaced.signature(1, b"x"));
        assert_ne!(bare.signature(1, b"x"), bare.signature(2, b"x"));
        assert!(!format!("{bare:?}").contains("0123"));
    }

    #[test]
    fn a_secret_is_the_same_in_every_encoding_and_raw_bytes_are_as_they_are() {
        let bare = loaded(b"0123456789abcdef").unwrap();
        for encoding in TextEncoding::ALL {
            let file = encoding.encode(b"0123456789abcdef\r\n");
            let secret = loaded(&file).unwrap();
            assert_eq!(
                secret.signature(1, b"x"),
                bare.signature(1, b"x"),
                "{encoding:?}"
            );
        }
        for mark in [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbf"] {
            let raw = [mark, &[0xd8; 16]].concat();
            assert_eq!(*loaded(&raw).unwrap().0, raw);
            let raw = [mark, &[0x4e; 14], &[0xe9; 2]].concat();
            assert_eq!(*loaded(&raw).unwrap().0, raw);
        }
    }

    #[test]
    fn a_short_secret_and_a_whole_file_of_something_else_are_refused() {
        for contents in [&b""[..], b"0123456789abcde\n"] {
            let refused = loaded(contents).unwrap_err();
            assert!(matches!(refused, SecretError::Length { .. }));
        }
        let refused = loaded(&[b'a'; 5000]).unwrap_err();
        assert!(matches!(
            refused,
            SecretError::Unreadable(ReadError::TooLarge { .. })
        ));
    }
}
