//! Who may make the calls of the call-in, when `[devices] credentials_file` is set.
//!
//! **How real devices authenticate in this mode is not public** (PROTOCOL.md section 4: "Device
//! (210 Mode) and MT20W Authentication"). This module is the whole of our guess: HTTP Basic, the
//! serial number as user name, a password for each device. Whoever learns better changes it here.
//!
//! # The file
//!
//! ```text
//! # the serial number in hexadecimal, any case, and the Argon2id hash of the device's password
//! 0123456789ABCDEF $argon2id$v=19$m=19456,t=2,p=1$c2FsdA..$aGFzaA..
//! ```
//!
//! One device a line, as `engage-host devices credential SERIAL` prints it. `#` starts a comment. A
//! line that cannot be used is told, and concerns its device only.
//!
//! # What it costs
//!
//! New hashes take 19 MiB, two passes and one lane, which is OWASP's least for Argon2id: some
//! 20 ms of a core, on purpose, each time that a password is tried. Four calls a night of 100,000
//! devices would be hours of it, so a password that was right is known for eight hours by its
//! HMAC-SHA256 under a key that this process made up: only the first call of a night pays.
//! Wrong passwords and unknown devices always pay, and the same, so the time says nothing about
//! which of them it was, as long as all hashes of the file cost the same. One entry for each
//! device of the file at most is remembered, and reading the file anew forgets them all.

mod error;
mod hash;

use std::collections::hash_map::{Entry, HashMap};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use engage_wire::{Text, read_regular_file};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::{Mutex, MutexGuard};
use sha2::Sha256;
use tracing::warn;
use zeroize::Zeroizing;

use super::SerialNumber;
use hash::StoredHash;

pub use error::{CredentialsError, LineProblem};

/// The devices that may call, with the hashes of their passwords. Printed as their number.
pub struct Credentials {
    hashes: HashMap<SerialNumber, StoredHash>,
    /// What the password of an unknown device is compared with.
    nobody: StoredHash,
    /// Made up by this process, and never written anywhere.
    key: Zeroizing<[u8; 32]>,
    /// Who was right lately, since when, and with what. Only devices of the file.
    verified: Mutex<HashMap<SerialNumber, (Instant, Tag)>>,
    problems: Vec<CredentialsError>,
}

impl Credentials {
    /// Reads a file of at most 64 MiB, and logs which lines of it cannot be used. Errors name the
    /// line and never quote it.
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        let contents = read_regular_file(WHAT, path, MAX_BYTES)?;
        let credentials = Self::parse(path, &contents)?;
        for problem in &credentials.problems {
            warn!("{problem}; the other devices may call");
        }
        Ok(credentials)
    }

    /// Reads a file's contents; `path` is for messages.
    ///
    /// A line that cannot be used concerns its device only. Where there is no other line, or none
    /// at all as after a copy that broke off, it is not a credentials file.
    pub fn parse(path: &Path, contents: &[u8]) -> Result<Self, CredentialsError> {
        let contents = Text::of_file(WHAT, path, contents)?;
        let mut hashes = HashMap::new();
        let mut lines = HashMap::new();
        let mut problems = Vec::new();
        for (line, text) in (1..).zip(contents.split(|byte| *byte == b'\n')) {
            let problem = match credential(text) {
                Ok(None) => continue,
                Ok(Some((serial, hash))) => match lines.entry(serial) {
                    Entry::Occupied(first) => LineProblem::Repeated {
                        first: *first.get(),
                    },
                    Entry::Vacant(vacant) => {
                        vacant.insert(line);
                        hashes.insert(serial, hash);
                        continue;
                    }
                },
                Err(problem) => problem,
            };
            if problems.len() < MAX_PROBLEMS {
                problems.push(CredentialsError::line(path, line, problem));
            }
        }
        if hashes.is_empty() {
            let first = problems.into_iter().next();
            return Err(first.unwrap_or_else(|| CredentialsError::Empty(path.to_owned())));
        }
        Self::new(hashes, problems)
    }

    fn new(
        hashes: HashMap<SerialNumber, StoredHash>,
        problems: Vec<CredentialsError>,
    ) -> Result<Self, CredentialsError> {
        let mut password = Zeroizing::new([0; 32]);
        let mut key = Zeroizing::new([0; 32]);
        fill(password.as_mut())?;
        fill(key.as_mut())?;
        let nobody = StoredHash::like(hashes.values().next(), password.as_ref())?;
        Ok(Self {
            hashes,
            nobody,
            key,
            verified: Mutex::default(),
            problems,
        })
    }

    /// Lines that cannot be used, at most 20 of them.
    pub fn problems(&self) -> &[CredentialsError] {
        &self.problems
    }

    /// Whether this is the device's password.
    ///
    /// Takes the same time for a wrong password as for an unknown device, and a core and 19 MiB
    /// while it lasts: call it where blocking harms nobody, and only a few at a time.
    pub fn verify(&self, serial: SerialNumber, password: &[u8]) -> bool {
        self.verify_at(serial, password, Instant::now())
    }

    /// Whether [`verify`](Self::verify) would say yes at once, because it has lately.
    pub fn is_remembered(&self, serial: SerialNumber, password: &[u8]) -> bool {
        self.remembers(serial, password, Instant::now())
    }

    fn verify_at(&self, serial: SerialNumber, password: &[u8], now: Instant) -> bool {
        if self.remembers(serial, password, now) {
            return true;
        }
        let hash = self.hashes.get(&serial);
        let is_equal = hash.unwrap_or(&self.nobody).is_of(password);
        let is_right = is_equal && hash.is_some();
        if is_right {
            let tag = self.tag(serial, password).finalize().into_bytes().into();
            self.verified().insert(serial, (now, tag));
        }
        is_right
    }

    fn remembers(&self, serial: SerialNumber, password: &[u8], now: Instant) -> bool {
        let Some((since, tag)) = self.verified().get(&serial).copied() else {
            return false;
        };
        // `verify_slice` compares in constant time.
        now.saturating_duration_since(since) < REMEMBERED_FOR
            && self.tag(serial, password).verify_slice(&tag).is_ok()
    }

    fn tag(&self, serial: SerialNumber, password: &[u8]) -> Hmac<Sha256> {
        let Ok(mut tag) = Hmac::<Sha256>::new_from_slice(self.key.as_ref()) else {
            unreachable!("HMAC takes keys of any length");
        };
        tag.update(serial.to_string().as_bytes());
        tag.update(b":");
        tag.update(password);
        tag
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<SerialNumber, (Instant, Tag)>> {
        self.verified.lock()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} devices)", self.hashes.len())
    }
}

/// The line of a credentials file for a device: its serial number and a new hash of `password`.
pub fn credential_line(serial: SerialNumber, password: &[u8]) -> Result<String, CredentialsError> {
    let hash = StoredHash::like(None, password)?;
    Ok(format!("{serial} {}", hash.as_str()))
}

/// A line's credential; `None` if it holds none.
fn credential(line: &[u8]) -> Result<Option<(SerialNumber, StoredHash)>, LineProblem> {
    let text = std::str::from_utf8(line).map_err(|_| LineProblem::NotText)?;
    // Neither a serial number nor a hash has a `#`.
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_whitespace();
    let Some(serial) = words.next() else {
        return Ok(None);
    };
    let serial = SerialNumber::from_hex(serial.as_bytes()).ok_or(LineProblem::Serial)?;
    let hash = StoredHash::parse(words.next().ok_or(LineProblem::NoHash)?)?;
    match words.next() {
        Some(_) => Err(LineProblem::More),
        None => Ok(Some((serial, hash))),
    }
}

fn fill(bytes: &mut [u8]) -> Result<(), CredentialsError> {
    rand::fill(bytes).map_err(|_| CredentialsError::NoRandomness)
}

type Tag = [u8; 32];

/// A night, whatever its call-in window.
const REMEMBERED_FOR: Duration = Duration::from_hours(8);

/// How messages call the file.
const WHAT: &str = "credentials file";

/// Three times what 250,000 devices need.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A wrong file altogether needs no more examples.
const MAX_PROBLEMS: usize = 20;

#[cfg(test)]
mod tests;
