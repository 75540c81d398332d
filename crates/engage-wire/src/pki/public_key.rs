//! The kind and size of a certificate's public key.

use std::fmt;

use x509_parser::prelude::SubjectPublicKeyInfo;
use x509_parser::public_key::PublicKey as ParsedKey;

/// A public key's algorithm and size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicKey {
    /// Elliptic curve (ECDSA) with its field size in bits.
    Ec {
        /// Field size in bits: 256, 384, 521.
        bits: usize,
    },
    /// Anything else, named by its object identifier.
    Other {
        /// Dotted object identifier of the algorithm.
        oid: String,
    },
    /// RSA with its modulus size in bits.
    Rsa {
        /// Modulus size in bits.
        bits: usize,
    },
}

impl PublicKey {
    pub(super) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Self {
        match spki.parsed() {
            Ok(ParsedKey::RSA(rsa)) => Self::Rsa {
                bits: significant_bits(rsa.modulus),
            },
            Ok(ParsedKey::EC(point)) => Self::Ec {
                // The parser counts whole bytes: P-521 has 66 of them.
                bits: point.key_size().min(521),
            },
            _ => Self::Other {
                oid: spki.algorithm.algorithm.to_id_string(),
            },
        }
    }

    /// Size in bits, where the algorithm has one.
    pub fn bits(&self) -> Option<usize> {
        match self {
            Self::Ec { bits } | Self::Rsa { bits } => Some(*bits),
            Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ec { bits } => write!(f, "ECDSA {bits}"),
            Self::Other { oid } if oid == "1.3.101.112" => f.write_str("Ed25519"),
            Self::Other { oid } => write!(f, "algorithm {oid}"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
        }
    }
}

/// Bits of a big-endian unsigned integer: `key_size` of the parser counts whole bytes, so a
/// 2047-bit modulus would pass for 2048.
fn significant_bits(modulus: &[u8]) -> usize {
    let digits = modulus
        .iter()
        .position(|byte| *byte != 0)
        .map_or(&[][..], |at| &modulus[at..]);
    match digits {
        [] => 0,
        [first, rest @ ..] => rest.len() * 8 + (8 - first.leading_zeros() as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_byte_and_a_short_top_byte_are_not_counted_as_key_bits() {
        assert_eq!(significant_bits(&[0, 0x80, 0]), 16);
        assert_eq!(significant_bits(&[0x7f, 0]), 15);
        assert_eq!(significant_bits(&[0, 0]), 0);
    }
}
