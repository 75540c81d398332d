//! Argon2id hashes of passwords, as PHC strings.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{CustomizedPasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::error::{CredentialsError, LineProblem};
use super::fill;

/// A password's hash: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. Cannot be printed by mistake.
pub(super) struct StoredHash(Box<str>);

impl StoredHash {
    /// Accepts Argon2id whose costs are bounded: the file decides what every wrong password costs
    /// us.
    pub(super) fn parse(text: &str) -> Result<Self, LineProblem> {
        let hash = PasswordHash::new(text).map_err(|_| LineProblem::Hash)?;
        let is_argon2id = hash.algorithm.as_str() == Algorithm::Argon2id.as_str();
        if !is_argon2id || hash.salt.is_none() || hash.hash.is_none() {
            return Err(LineProblem::Hash);
        }
        let params = Params::try_from(&hash).map_err(|_| LineProblem::Hash)?;
        if params.m_cost() > MAX_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES
        {
            return Err(LineProblem::Expensive);
        }
        Ok(Self(text.into()))
    }

    /// A new hash, with a salt of its own, that costs what `model` does.
    pub(super) fn like(model: Option<&Self>, password: &[u8]) -> Result<Self, CredentialsError> {
        let params = model
            .and_then(|model| Params::try_from(&PasswordHash::new(&model.0).ok()?).ok())
            .unwrap_or(OWASP_MIN_PARAMS);
        let mut salt = [0; 16];
        fill(&mut salt)?;
        Argon2::default()
            .hash_password_customized(
                password,
                &salt,
                Some(Algorithm::Argon2id.as_str()),
                Some(Version::V0x13.into()),
                params,
            )
            .map(|hash| Self(hash.to_string().into()))
            .map_err(|_| CredentialsError::Password)
    }

    /// Whether it is the hash of `password`, compared in constant time.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        // Parsed anew each time: parsed, it is three times as large, and this takes a microsecond.
        PasswordHash::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// 19 MiB, two passes, one lane: the least of OWASP's Password Storage Cheat Sheet.
const OWASP_MIN_PARAMS: Params = Params::DEFAULT;

const MAX_KIB: u32 = 64 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;

const _: () = assert!(
    Params::DEFAULT_M_COST == 19 * 1024
        && Params::DEFAULT_T_COST == 2
        && Params::DEFAULT_P_COST == 1
);
