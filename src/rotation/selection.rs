//! Which chain an address is shown while the root is being changed.
//!
//! No chain is accepted by all devices, so each is to get the one that it can verify. What it trusts
//! is not known before it has shaken hands: only what was seen of its address is.

use jiff::{SignedDuration, Timestamp};

use crate::adoption::{AddressRecord, AnchorSeen};
use crate::publication::{ChainGeneration, PublishedRotation, SelectionReason, announces_new};
use engage_store::{Overlap, Rotation, RotationStep};

/// What an address is shown, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Selection {
    pub(crate) generation: ChainGeneration,
    pub(crate) reason: SelectionReason,
}

/// Chooses for an address of which `record` is known.
pub(crate) fn select(
    rotation: &PublishedRotation,
    record: &AddressRecord,
    now: Timestamp,
) -> Selection {
    let by_step = Selection {
        generation: by_step(rotation),
        reason: SelectionReason::Step,
    };
    let Rotation { step, overlap, .. } = rotation.rotation();
    let is_for_all = matches!(step, RotationStep::Prepared | RotationStep::Retiring);
    if is_for_all || *overlap == Overlap::Cross {
        return by_step;
    }
    let generation = |anchor| rotation.generation(anchor);
    by_chance(*step, generation, record, now)
        .or_else(|| by_evidence(generation, record, now))
        .unwrap_or(by_step)
}

/// Where handshakes fail again and again beside others that do not, the newest evidence is of the
/// others. Any order would keep out who comes in the same one: by chance, each gets through within a
/// few attempts.
///
/// Mostly it is the chain under what was fetched last or is announced: who has that is to be spared,
/// and who is refused under it asks what is announced and has it at the next attempt. Who was refused
/// a moment ago is probably who comes now: under the other chain it is certain, under this one it may
/// be somebody who cannot store what is announced.
fn by_chance(
    step: RotationStep,
    generation: impl Fn(u64) -> Option<ChainGeneration>,
    record: &AddressRecord,
    now: Timestamp,
) -> Option<Selection> {
    let AddressRecord {
        fetched,
        verified,
        failed,
        ..
    } = record;
    if record.refused_in_a_row() <= MAX_REFUSED || !failed.at.is_within(CONTRADICTED_FOR, now) {
        return None;
    }
    let is_fetch_newest = fetched.at > verified.at && fetched.at > failed.at;
    let fetched = generation(fetched.anchor).filter(|_| is_fetch_newest);
    let likely = fetched.unwrap_or_else(|| announced(step));
    let is_retry = failed.at > verified.at && failed.at.is_within(RETRIED_WITHIN, now);
    let is_other = match generation(failed.anchor).filter(|_| is_retry) {
        Some(refused) if refused == likely => fastrand::u8(..RETRY_ONE_IN) == 0,
        Some(_) => false,
        None => fastrand::u8(..OTHER_ONE_IN) == 0,
    };
    Some(Selection {
        generation: if is_other { likely.other() } else { likely },
        reason: SelectionReason::Contradicted,
    })
}

/// Whose trust anchor devices are told to install.
fn announced(step: RotationStep) -> ChainGeneration {
    if announces_new(step) {
        ChainGeneration::New
    } else {
        ChainGeneration::Old
    }
}

/// For addresses of which nothing is known.
fn by_step(rotation: &PublishedRotation) -> ChainGeneration {
    let rotation = rotation.rotation();
    match (rotation.step, rotation.overlap) {
        (RotationStep::Prepared, _)
        | (RotationStep::Published | RotationStep::Undoing, Overlap::Select) => {
            ChainGeneration::Old
        }
        _ => ChainGeneration::New,
    }
}

/// The newest evidence decides. A device that was refused asks for the announcement and fetches what
/// is announced, so a fetch outweighs a failure before it; one of an anchor that the device did not
/// store, for want of power or of the right site key, is followed by a failure.
fn by_evidence(
    generation: impl Fn(u64) -> Option<ChainGeneration>,
    record: &AddressRecord,
    now: Timestamp,
) -> Option<Selection> {
    let is_shared = record.is_shared(now);
    let AddressRecord {
        fetched,
        verified,
        failed,
        ..
    } = record;
    let of = |seen: &AnchorSeen, reason| {
        let generation = generation(seen.anchor)?;
        Some(Selection { generation, reason })
    };
    let other = |selection: Selection| Selection {
        generation: selection.generation.other(),
        ..selection
    };
    // Where several devices are behind one address, one of them has fetched, and is about to shake
    // hands: what became of the others meanwhile says nothing of it.
    let is_fetch_newest = if is_shared {
        fetched.at.is_within(SHARED_FETCH_FOR, now)
    } else {
        fetched.at >= verified.at && fetched.at >= failed.at
    };
    let failed_for = if is_shared {
        SHARED_FAILED_FOR
    } else {
        FAILED_FOR
    };
    let is_failure_newest = failed.at > verified.at && failed.at.is_within(failed_for, now);
    let by_fetch = || of(fetched, SelectionReason::Fetched);
    let by_failure = || of(failed, SelectionReason::Failed).map(other);
    let by_handshake = || of(verified, SelectionReason::Verified);
    is_fetch_newest
        .then(by_fetch)
        .flatten()
        .or_else(|| is_failure_newest.then(by_failure).flatten())
        .or_else(by_handshake)
}

/// Often enough for who comes again and again, seldom enough for who comes once.
const OTHER_ONE_IN: u8 = 8;
const RETRY_ONE_IN: u8 = 4;
/// A device that tries once more does so by then.
const RETRIED_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// A device comes again sooner.
const FAILED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The next from there is probably another.
const SHARED_FAILED_FOR: SignedDuration = SignedDuration::from_mins(1);
/// A device alone is refused once, or more often where it comes several times at once.
const MAX_REFUSED: u8 = 3;
/// Who was refused comes again within it.
const CONTRADICTED_FOR: SignedDuration = SignedDuration::from_mins(1);
/// From the last byte of a certificate to the handshake that it was fetched for.
const SHARED_FETCH_FOR: SignedDuration = SignedDuration::from_secs(20);

#[cfg(test)]
mod tests;
