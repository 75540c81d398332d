//! The site key: 32 secret bytes that every device of a site knows.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::AnnouncementHash;
use crate::diagnostic::Explain;

/// The 32 bytes that key a site's announcement hash. Cannot be printed; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SiteKey([u8; SiteKey::BYTES]);

impl SiteKey {
    /// Length of every site key (PROTOCOL.md section 1).
    pub const BYTES: usize = 32;

    /// Wraps bytes that are the key itself.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads Base64 (44 characters), hex (64 digits) or the raw 32 bytes.
    ///
    /// White space around a text and a byte order mark are ignored: editors add them. The *text*
    /// of a key is never used as the key, which is the classic mistake.
    pub fn parse(contents: &[u8]) -> Result<Self, KeyTextError> {
        if let Ok(raw) = contents.try_into() {
            return Ok(Self(raw));
        }
        let text = contents
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(contents)
            .trim_ascii();
        let mut key = Zeroizing::new([0; Self::BYTES]);
        match text.len() {
            0 => return Err(KeyTextError::Empty),
            HEX_DIGITS => decode_hex(text, &mut key)?,
            BASE64_CHARACTERS => decode_base64(text, &mut key)?,
            _ => return Err(KeyTextError::Length { found: text.len() }),
        }
        Ok(Self(*key))
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let unreadable = |source: io::Error| KeyFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        // `fs_err` would name the path again, which our message has said.
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("not a regular file")));
        }
        let mut contents = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE_BYTES));
        File::open(path)
            .and_then(|file| {
                file.take(MAX_KEY_FILE_BYTES as u64)
                    .read_to_end(&mut contents)
            })
            .map_err(unreadable)?;
        Self::parse(&contents).map_err(|source| KeyFileError::Malformed {
            path: path.to_owned(),
            source,
        })
    }

    /// Whether `text` contains what looks like the Base64 or hexadecimal form of a key, perhaps
    /// with spaces in it, so that it must not be quoted.
    #[must_use]
    pub fn is_written_in(text: &str) -> bool {
        let spaceless: String = text.chars().filter(|it| *it != ' ').collect();
        [text, &spaceless].into_iter().any(|text| {
            let is_hex = |word: &str| {
                word.len() == HEX_DIGITS && word.bytes().all(|it| it.is_ascii_hexdigit())
            };
            let is_base64 = |it: char| it.is_ascii_alphanumeric() || it == '+' || it == '/';
            // Base64 of 32 bytes ends in `=`, which tells it from a long path.
            text.split(|it: char| !it.is_ascii_alphanumeric())
                .any(is_hex)
                || text.split_inclusive('=').any(|piece| {
                    piece.strip_suffix('=').is_some_and(|before| {
                        let word = before.rsplit(|it| !is_base64(it)).next();
                        word.is_some_and(|word| word.len() >= BASE64_CHARACTERS - 1)
                    })
                })
        })
    }

    /// Whether the bytes are all printable text: 32 random bytes never are, so the file probably
    /// holds half of a hexadecimal key or a pass phrase.
    #[must_use]
    pub fn looks_like_text(&self) -> bool {
        self.0
            .trim_ascii_end()
            .iter()
            .all(|byte| (b' '..=b'~').contains(byte))
    }

    /// HMAC-SHA1 over the exact bytes that are served (RFC 2104; PROTOCOL.md section 1).
    #[must_use]
    pub fn announcement_hash(&self, der: &[u8]) -> AnnouncementHash {
        hmac_sha1(&self.0, der)
    }

    /// The hash as the classic mistake makes it: keyed with the *text* of the key.
    ///
    /// Only for telling an operator that a foreign host makes this mistake.
    #[must_use]
    pub fn mistaken_hashes(&self, der: &[u8]) -> Vec<(&'static str, AnnouncementHash)> {
        let base64 = Zeroizing::new(STANDARD.encode(self.0));
        let hex = Zeroizing::new(self.0.iter().fold(
            String::with_capacity(HEX_DIGITS),
            |mut text, byte| {
                for digit in [byte >> 4, byte & 0xf] {
                    text.extend(char::from_digit(digit.into(), 16));
                }
                text
            },
        ));
        let upper_hex = Zeroizing::new(hex.to_uppercase());
        let texts = [
            ("Base64", base64),
            ("hexadecimal", hex),
            ("hexadecimal", upper_hex),
        ];
        let line_ends = ["", "\n", "\r\n"];
        texts
            .iter()
            .flat_map(|(form, text)| {
                line_ends.map(|end| (*form, Zeroizing::new(text.to_string() + end)))
            })
            .map(|(form, text)| (form, hmac_sha1(text.as_bytes(), der)))
            .collect()
    }
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteKey(redacted)")
    }
}

/// Why the contents of a key file are not a key. Never quotes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyTextError {
    /// 44 characters, but not Base64 of 32 bytes.
    #[error("it has the 44 characters of Base64, but is not standard Base64 of 32 bytes")]
    Base64,
    /// Nothing, or only white space.
    #[error("it is empty")]
    Empty,
    /// 64 characters, but not all hexadecimal.
    #[error("it has the 64 characters of hexadecimal digits, but character {position} is none")]
    Hex {
        /// Position of the first other character, from 1.
        position: usize,
    },
    /// Another length than that of any form.
    #[error("it has {found} bytes; allowed: 44 (Base64), 64 (hexadecimal) or 32 (raw)")]
    Length {
        /// Bytes found, without surrounding white space.
        found: usize,
    },
}

/// Why a site key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Its contents are not a key.
    #[error("site key `{}` is not a key", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyTextError,
    },
    /// The operating system refused.
    #[error("failed to read site key `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl Explain for KeyFileError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Malformed { .. } => "malformed-site-key".into(),
            Self::Unreadable { .. } => "unreadable-file".into(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Malformed { .. } => "the site key is what the ENGAGE site was created with, as its \
                                       API shows it: 44 characters ending in `=`, or 64 hexadecimal digits"
                .into(),
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "write the ENGAGE site's key into this file, or let `engage-host init` make a new one".into()
            }
            Self::Unreadable { .. } => "the user that runs engage-host needs read permission".into(),
        }
    }
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> AnnouncementHash {
    let Ok(mut hmac) = Hmac::<Sha1>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    hmac.update(message);
    AnnouncementHash::from_bytes(hmac.finalize().into_bytes().into())
}

fn decode_hex(text: &[u8], key: &mut [u8; SiteKey::BYTES]) -> Result<(), KeyTextError> {
    let digit = |at: usize| {
        char::from(text[at])
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or(KeyTextError::Hex { position: at + 1 })
    };
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = digit(2 * at)? << 4 | digit(2 * at + 1)?;
    }
    Ok(())
}

fn decode_base64(text: &[u8], key: &mut [u8; SiteKey::BYTES]) -> Result<(), KeyTextError> {
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyTextError::Base64)?);
    *key = bytes
        .as_slice()
        .try_into()
        .map_err(|_| KeyTextError::Base64)?;
    Ok(())
}

const BASE64_CHARACTERS: usize = 44;
const HEX_DIGITS: usize = 64;

/// Enough for every form with an editor's decorations; the rest of a larger file only makes its
/// length wrong.
const MAX_KEY_FILE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUNTING: [u8; 32] = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
        26, 27, 28, 29, 30, 31, 32,
    ];

    #[test]
    fn the_published_example_key_is_the_bytes_1_to_32_in_every_form() {
        let hex = hex(&COUNTING);
        for form in [
            b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=".as_slice(),
            b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\r\n",
            b"\xef\xbb\xbfAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            hex.as_bytes(),
            hex.to_uppercase().as_bytes(),
            &COUNTING,
        ] {
            assert_eq!(SiteKey::parse(form).unwrap().0, COUNTING);
        }
    }

    #[test]
    fn keys_are_recognised_inside_other_text() {
        for text in [
            "key_file = \"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"",
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            "x=AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
            "private_key = \"pki/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"",
            &format!("[site]\nkey = '{}'", hex(&COUNTING)),
            &format!(
                "name = '{} {}'",
                &hex(&COUNTING)[..32],
                &hex(&COUNTING)[32..]
            ),
        ] {
            assert!(SiteKey::is_written_in(text), "{text}");
        }
        for text in [
            "key_file = \"pki/site.key\"",
            "static_dir = \"/opt/company/accesscontrol/installations/engagehost/static\"",
        ] {
            assert!(!SiteKey::is_written_in(text), "{text}");
        }
    }

    #[test]
    fn other_lengths_and_alphabets_are_refused() {
        let refused = |contents: &[u8]| SiteKey::parse(contents).unwrap_err();
        assert_eq!(refused(b" \n"), KeyTextError::Empty);
        assert_eq!(refused(&[b'a'; 63]), KeyTextError::Length { found: 63 });
        assert_eq!(refused(&[b'g'; 64]), KeyTextError::Hex { position: 1 });
        assert_eq!(
            refused(b"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy-_"),
            KeyTextError::Base64
        );
        // 44 characters of Base64, but of 33 bytes.
        assert_eq!(refused(&[b'A'; 44]), KeyTextError::Base64);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    proptest! {
        #[test]
        fn every_form_of_a_key_gives_the_same_key(bytes: [u8; 32]) {
            let hex = hex(&bytes);
            prop_assert_eq!(SiteKey::parse(hex.as_bytes()).unwrap().0, bytes);
            prop_assert_eq!(SiteKey::parse(STANDARD.encode(bytes).as_bytes()).unwrap().0, bytes);
            prop_assert_eq!(SiteKey::parse(&bytes).unwrap().0, bytes);
        }

        #[test]
        fn no_contents_make_it_panic(contents: Vec<u8>) {
            let _ = SiteKey::parse(&contents);
        }
    }
}
