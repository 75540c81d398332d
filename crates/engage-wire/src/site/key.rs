//! The site key: 32 secret bytes that every device of a site knows.

use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::AnnouncementHash;
use crate::limits::MAX_FILE_BYTES;
use crate::pki::is_utf16;
use crate::{ReadError, Text, TextError, read_regular_file};

/// The 32 bytes that key a site's announcement hash. Cannot be printed; wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SiteKey([u8; SiteKey::BYTES]);

impl SiteKey {
    /// Length of every site key (PROTOCOL.md section 1).
    pub const BYTES: usize = 32;

    /// Wraps bytes that are the key itself.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads Base64 (44 characters), hex (64 digits) or the raw 32 bytes.
    ///
    /// A text may be in any encoding of [`Text`], with white space around it: editors add it. 32 bytes
    /// are always raw, because no text of a key has as few. The *text* of a key is never used as the
    /// key, which is the classic mistake.
    pub fn parse(contents: &[u8]) -> Result<Self, KeyTextError> {
        if let Ok(raw) = contents.try_into() {
            return Ok(Self(raw));
        }
        let text =
            Text::decode(contents).map_err(|error| KeyTextError::no_text(contents, error))?;
        if is_utf16(&text) {
            return Err(KeyTextError::Utf16);
        }
        let text = text.trim_ascii();
        let mut key = Zeroizing::new([0; Self::BYTES]);
        match text.len() {
            HEX_DIGITS => decode(&HEXLOWER_PERMISSIVE, text, &mut key)
                .map_err(|at| KeyTextError::Hex(at + 1))?,
            BASE64_CHARACTERS => {
                decode(&BASE64, text, &mut key).map_err(|_| KeyTextError::Base64)?;
            }
            _ => return Err(KeyTextError::from_text(contents, text)),
        }
        Ok(Self(*key))
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Self::load_with_contents(path).map(|(key, _)| key)
    }

    /// Reads a key file that is to be copied as it is written.
    pub fn load_with_contents(path: &Path) -> Result<(Self, Zeroizing<Vec<u8>>), KeyFileError> {
        let contents = read_regular_file("site key", path, MAX_FILE_BYTES)?;
        match Self::parse(&contents) {
            Ok(key) => Ok((key, contents)),
            Err(source) => Err(KeyFileError::Malformed {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Whether `text` contains what looks like the Base64 or hexadecimal form of a key, perhaps
    /// with spaces in it, so that it must not be quoted.
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
    pub fn looks_like_text(&self) -> bool {
        self.0
            .trim_ascii_end()
            .iter()
            .all(|byte| (b' '..=b'~').contains(byte))
    }

    /// What makes the key plainly a placeholder, if it is one: bytes that count in equal steps
    /// (all zero too), or the same half twice, as in the vendor's published examples
    /// (PROTOCOL.md section 1). A random key is neither.
    pub fn placeholder(&self) -> Option<&'static str> {
        let step = self.0[1].wrapping_sub(self.0[0]);
        let is_even = |pair: &[u8]| pair[1].wrapping_sub(pair[0]) == step;
        let (first, second) = self.0.split_at(Self::BYTES / 2);
        if self.0.windows(2).all(is_even) {
            Some(match step {
                0 => "all of its bytes are the same",
                _ => "its bytes count in equal steps",
            })
        } else if first == second {
            Some("its two halves are the same")
        } else {
            None
        }
    }

    /// HMAC-SHA1 over the exact bytes that are served (RFC 2104; PROTOCOL.md section 1).
    pub fn announcement_hash(&self, der: &[u8]) -> AnnouncementHash {
        hmac_sha1(&self.0, der)
    }

    /// The hash as the classic mistake makes it: keyed with the *text* of the key.
    ///
    /// Only for telling an operator that a foreign host makes this mistake.
    pub fn mistaken_hashes(&self, der: &[u8]) -> Vec<(&'static str, AnnouncementHash)> {
        let base64 = Zeroizing::new(BASE64.encode(&self.0));
        let hex = Zeroizing::new(HEXLOWER.encode(&self.0));
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
    /// Half as many digits as a key has.
    #[error(
        "it has 32 hexadecimal digits, which are 16 bytes; allowed: 64 digits, which are 32 bytes"
    )]
    HalfHex,
    /// 64 characters, of which the one at this position, from 1, is not hexadecimal.
    #[error("it has the 64 characters of hexadecimal digits, but character {0} is none")]
    Hex(usize),
    /// A key's text with white space inside it, after so many characters.
    #[error(
        "it has a space or the end of a line inside, after {0} characters; allowed: one line without spaces"
    )]
    InnerWhitespace(usize),
    /// Another length, in bytes, than that of any form.
    #[error(
        "it has {0} bytes; allowed: 44 characters (Base64), 64 digits (hexadecimal) or exactly 32 bytes (raw)"
    )]
    Length(usize),
    /// Base64 without the `=` at its end.
    #[error("it has 43 characters; allowed: the 44 of Base64, of which the last is `=`")]
    NoPadding,
    /// UTF-16 that was cut.
    #[error("it is not text: {0}")]
    NotText(TextError),
    /// A private key or a certificate.
    #[error("it is PEM text, such as a private key or a certificate")]
    Pem,
    /// The raw bytes, and the line end that an editor or `echo` adds.
    #[error("it has 32 raw bytes and a line end after them; allowed: exactly 32 raw bytes")]
    RawWithLineEnd,
    /// Text in two bytes a character, without the mark that says in which order.
    #[error("it is text in UTF-16 without a byte order mark; allowed: ASCII, or UTF-16 with one")]
    Utf16,
}

impl KeyTextError {
    /// Raw bytes may begin as UTF-16 does.
    fn no_text(contents: &[u8], error: TextError) -> Self {
        if is_raw_with_line_end(contents) {
            return Self::RawWithLineEnd;
        }
        Self::NotText(error)
    }

    /// Says what is wrong with a text of no key's length.
    fn from_text(contents: &[u8], text: &[u8]) -> Self {
        let is_text = text
            .iter()
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        let inner = text.iter().position(u8::is_ascii_whitespace);
        let spaceless = text
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .count();
        match (text.len(), inner) {
            (0, _) => Self::Empty,
            _ if text.starts_with(b"-----BEGIN ") => Self::Pem,
            _ if !is_text && is_raw_with_line_end(contents) => Self::RawWithLineEnd,
            (_, Some(position)) if [HEX_DIGITS, BASE64_CHARACTERS].contains(&spaceless) => {
                Self::InnerWhitespace(position)
            }
            (SiteKey::BYTES, _) if text.iter().all(u8::is_ascii_hexdigit) => Self::HalfHex,
            (43, _) if is_text => Self::NoPadding,
            (found, _) => Self::Length(found),
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::RawWithLineEnd => "remove the line end: `head -c 32 FILE > site.key`",
            Self::Utf16 => {
                "convert it: `iconv -f UTF-16LE -t ASCII FILE > site.key`, or write it in PowerShell with `Out-File -Encoding ascii`"
            }
            Self::NotText(_) => TextError::HINT,
            Self::InnerWhitespace(_) => {
                "put the key on one line: `tr -d '[:space:]' < FILE > site.key`"
            }
            _ => {
                "the site key is what the ENGAGE site was created with, as its API shows it: 44 characters ending in `=`, \
                 or 64 hexadecimal digits"
            }
        }
    }
}

/// Why a site key file cannot be used.
#[derive(Debug, miette::Diagnostic, thiserror::Error)]
pub enum KeyFileError {
    /// Its contents are not a key.
    #[error("site key `{}` is not a key", path.display())]
    #[diagnostic(code("malformed-site-key"), help("{}", source.hint()))]
    Malformed {
        /// The path of the site key.
        path: PathBuf,
        /// What is wrong.
        source: KeyTextError,
    },
    /// There is no such file.
    #[error(transparent)]
    #[diagnostic(
        code("unreadable-file"),
        help(
            "write the key of the ENGAGE site into this file; for a site that does not exist yet, `engage-host init` \
             makes one"
        )
    )]
    Missing(ReadError),
    /// The file cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(ReadError),
}

impl From<ReadError> for KeyFileError {
    fn from(error: ReadError) -> Self {
        if error.is_not_found() {
            Self::Missing(error)
        } else {
            Self::Read(error)
        }
    }
}

/// Whether as many bytes as a key has stand before a line end. The last of them may be a `\r` too.
fn is_raw_with_line_end(contents: &[u8]) -> bool {
    let line_ends = [&b"\n"[..], b"\r\n"];
    let mut raw = line_ends
        .iter()
        .filter_map(|end| contents.strip_suffix(*end));
    raw.any(|raw| raw.len() == SiteKey::BYTES)
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> AnnouncementHash {
    let Ok(mut hmac) = Hmac::<Sha1>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    hmac.update(message);
    AnnouncementHash::from_bytes(hmac.finalize().into_bytes().into())
}

/// Decodes a text of a key's length; `Err` is the position of the first wrong character, from 0.
fn decode(encoding: &Encoding, text: &[u8], key: &mut [u8; SiteKey::BYTES]) -> Result<(), usize> {
    let decoded = encoding.decode(text).map_err(|error| error.position)?;
    let decoded = Zeroizing::new(decoded);
    *key = decoded.as_slice().try_into().map_err(|_| text.len())?;
    Ok(())
}

const BASE64_CHARACTERS: usize = 44;
const HEX_DIGITS: usize = 64;

#[cfg(test)]
mod tests;
