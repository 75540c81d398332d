//! The arithmetic that no server can avoid in a full handshake, measured bare.

use std::time::Duration;

use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};

use crate::accounting::own_thread;
use crate::trouble::{Outcome, Trouble};

/// CPU time of `count` RSA-2048 signatures, X25519 key pairs and agreements.
pub(crate) fn bare_handshakes(key: &RsaKeyPair, count: usize) -> Outcome<Duration> {
    let before = own_thread()?;
    for _ in 0..count {
        bare_handshake(key).map_err(|_| Trouble::new("bare crypto failed"))?;
    }
    Ok(own_thread()?.saturating_sub(before))
}

fn bare_handshake(key: &RsaKeyPair) -> Result<(), aws_lc_rs::error::Unspecified> {
    let random = SystemRandom::new();
    let mut signature = [0; 256];
    key.sign(&RSA_PSS_SHA256, &random, &[7; 256], &mut signature)?;
    let own = EphemeralPrivateKey::generate(&X25519, &random)?;
    let peer = UnparsedPublicKey::new(&X25519, own.compute_public_key()?);
    agree_ephemeral(own, peer, aws_lc_rs::error::Unspecified, |_| Ok(()))
}
