//! What a program or a person presents to be let in.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A secret of 256 random bits. Cannot be printed, but once by whoever made it; wiped when dropped.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// So that people and scanners for leaked secrets see what it is.
    const PREFIX: &str = "engage_";

    /// Base64url of 32 bytes, without padding.
    const RANDOM_CHARS: usize = 43;

    /// A new one; fails where the operating system has no random bytes.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let random = random_text()?;
        Ok(Self(Zeroizing::new(format!("{}{}", Self::PREFIX, *random))))
    }

    /// What a request presents; `None` if it cannot be a token, whatever the file holds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(Self::PREFIX)?;
        let is_base64url = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        let is_token = random.len() == Self::RANDOM_CHARS && random.bytes().all(is_base64url);
        is_token.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// What the token file keeps of it.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The one time that it is shown.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// SHA-256 of a token's text.
///
/// A fast hash is right here: slow ones such as Argon2 protect what people choose, and a token is
/// 256 random bits, which nobody can try out. It also makes the look-up safe: what a stranger
/// presents is hashed before it is compared, so that the time says nothing about the stored hash.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct TokenHash([u8; 32]);

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl FromStr for TokenHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| NotAHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAHash)
    }
}

/// Not Base64url of 32 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a hash is Base64url of 32 bytes, 43 characters")]
pub(crate) struct NotAHash;

/// Who a token is for: 1 to 64 of `A-Z a-z 0-9 . _ - @`. Stands in the log and in the record of changes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(crate) struct TokenName(String);

impl TokenName {
    const MAX_CHARS: usize = 64;

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TokenName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |it: u8| it.is_ascii_alphanumeric() || b"._-@".contains(&it);
        let is_name = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(is_allowed);
        is_name.then(|| Self(text.to_owned())).ok_or(NotAName)
    }
}

/// Not a name of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a name is 1 to 64 of the characters A-Z a-z 0-9 . _ - @")]
pub(crate) struct NotAName;

/// The operating system has no random bytes.
#[derive(Clone, Copy, Debug, miette::Diagnostic, thiserror::Error)]
#[error("the operating system gives no random bytes")]
#[diagnostic(code("no-randomness"), help("try again"))]
pub(crate) struct NoRandomness;

/// 256 random bits as Base64url.
pub(super) fn random_text() -> Result<Zeroizing<String>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut()).map_err(|_| NoRandomness)?;
    Ok(Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_parsed_as_it_was_shown_and_never_printed() {
        let token = Token::generate().unwrap();
        let parsed = Token::parse(token.reveal()).unwrap();
        assert_eq!(parsed.hash(), token.hash());
        assert_ne!(Token::generate().unwrap().hash(), token.hash());
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        let hash = token.hash().to_string();
        assert_eq!(hash.parse(), Ok(token.hash()));
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        let text = Token::generate().unwrap().reveal().to_owned();
        let spaced = format!("{text} ");
        let longer = format!("{text}A");
        for other in ["", "engage_", &text[1..], &text[..49], &spaced, &longer] {
            assert!(Token::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_name_has_no_room_for_anything_that_a_log_or_a_page_could_take_for_more() {
        let longest = "a".repeat(64);
        for name in ["a", "night-shift", "ops.2@example.com", &longest] {
            assert_eq!(name.parse::<TokenName>().unwrap().as_str(), name);
        }
        let longer = "a".repeat(65);
        for other in ["", "a b", "<b>", "a\n", "ü", "#a", &longer] {
            assert_eq!(other.parse::<TokenName>(), Err(NotAName), "{other}");
        }
    }
}
