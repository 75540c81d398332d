use super::*;
use ChainGeneration::{New, Old};
use RotationStep::{Published, Undoing};
use SelectionReason::{Failed, Fetched, Verified};

const OLD: u64 = 1;
const NEW: u64 = 2;
const OTHER: u64 = 3;

/// What is chosen at second 10,000 for an address of which this was seen, at these seconds.
fn chosen(
    fetched: Option<(u64, i64)>,
    verified: Option<(u64, i64)>,
    failed: Option<(u64, i64)>,
    is_shared: bool,
) -> Option<(ChainGeneration, SelectionReason)> {
    let seen = |seen: Option<(u64, i64)>| {
        seen.map_or_else(AnchorSeen::default, |(anchor, second)| AnchorSeen {
            anchor,
            at: at(second).into(),
        })
    };
    let now = at(10_000);
    let mut record = AddressRecord::default();
    record.fetched = seen(fetched);
    record.verified = seen(verified);
    record.failed = seen(failed);
    if is_shared {
        record.set_shared(now);
    }
    let selection = by_evidence(generation, &record, now)?;
    Some((selection.generation, selection.reason))
}

#[test]
fn the_newest_evidence_of_an_address_decides() {
    for (fetched, verified, failed, expected) in [
        (None, None, None, None),
        (Some((OTHER, 9999)), None, None, None),
        (None, Some((OLD, 1)), None, Some((Old, Verified))),
        (None, Some((NEW, 1)), None, Some((New, Verified))),
        // It has fetched since.
        (Some((NEW, 2)), Some((OLD, 1)), None, Some((New, Fetched))),
        (Some((OLD, 2)), Some((NEW, 1)), None, Some((Old, Fetched))),
        // It did not store what it fetched.
        (
            Some((NEW, 9000)),
            Some((OLD, 1)),
            Some((NEW, 9001)),
            Some((Old, Failed)),
        ),
        (
            Some((NEW, 9000)),
            Some((OLD, 9002)),
            Some((NEW, 9001)),
            Some((Old, Verified)),
        ),
        // It was refused, and fetched then.
        (
            Some((NEW, 9002)),
            Some((NEW, 1)),
            Some((NEW, 9001)),
            Some((New, Fetched)),
        ),
        (None, None, Some((OLD, 9999)), Some((New, Failed))),
        (None, None, Some((NEW, 9999)), Some((Old, Failed))),
        // More than an hour ago.
        (None, None, Some((NEW, 6399)), None),
        (
            None,
            Some((NEW, 6398)),
            Some((NEW, 6399)),
            Some((New, Verified)),
        ),
    ] {
        let case = format!("{fetched:?} {verified:?} {failed:?}");
        assert_eq!(chosen(fetched, verified, failed, false), expected, "{case}");
    }
}

#[test]
fn behind_a_shared_address_a_fetch_counts_for_the_next_handshakes_only() {
    for (fetched, verified, failed, expected) in [
        // Whatever others did meanwhile.
        (
            Some((NEW, 9990)),
            Some((OLD, 9999)),
            Some((NEW, 9998)),
            Some((New, Fetched)),
        ),
        (
            Some((NEW, 9979)),
            Some((OLD, 9978)),
            None,
            Some((Old, Verified)),
        ),
        (
            None,
            Some((OLD, 9998)),
            Some((OLD, 9999)),
            Some((New, Failed)),
        ),
        (
            None,
            Some((OLD, 9938)),
            Some((OLD, 9939)),
            Some((Old, Verified)),
        ),
    ] {
        let case = format!("{fetched:?} {verified:?} {failed:?}");
        assert_eq!(chosen(fetched, verified, failed, true), expected, "{case}");
    }
}

#[test]
fn who_is_refused_beside_others_is_shown_either_chain_by_chance_for_a_minute() {
    let seen = |anchor, second| AnchorSeen {
        anchor,
        at: at(second).into(),
    };
    let mut record = AddressRecord::default();
    let by_chance = |step, record: &AddressRecord, now| by_chance(step, generation, record, now);
    for _ in 0..MAX_REFUSED {
        record.note_failed(seen(NEW, 9990));
        record.note_verified(seen(NEW, 9991));
        assert_eq!(by_chance(Published, &record, at(10_000)), None);
    }
    record.note_failed(seen(NEW, 9992));
    for (step, fetched, now, likely, range) in [
        // What is announced.
        (Published, (NEW, 9991), 10_010, New, 50..250),
        (Undoing, (NEW, 9991), 10_010, Old, 50..250),
        // Beside somebody who fetches again and again.
        (Published, (NEW, 9999), 10_010, New, 50..250),
        (Undoing, (OLD, 9999), 10_010, Old, 50..250),
        // Before the step was followed.
        (Undoing, (NEW, 9999), 10_010, New, 50..250),
        // Whoever was refused comes again: perhaps it could not store what it has fetched.
        (Published, (NEW, 9999), 10_000, New, 150..350),
        // And here it is certain.
        (Undoing, (OLD, 9999), 10_000, Old, 0..1),
    ] {
        record.fetched = seen(fetched.0, fetched.1);
        let chosen = (0..1000).filter_map(|_| by_chance(step, &record, at(now)));
        let chosen: Vec<_> = chosen.map(|it| it.generation).collect();
        let of_the_other = chosen.iter().filter(|it| **it != likely).count();
        assert!(range.contains(&of_the_other), "{step:?}: {of_the_other}");
        assert_eq!(chosen.len(), 1000);
    }
    assert_eq!(by_chance(Published, &record, at(9992 + 61)), None);
    record.note_verified(seen(OLD, 9993));
    assert_eq!(by_chance(Published, &record, at(10_000)), None);
}

#[test]
fn who_is_refused_once_fetches_and_is_content_contradicts_nobody() {
    let seen = |anchor, second| AnchorSeen {
        anchor,
        at: at(second).into(),
    };
    let mut record = AddressRecord::default();
    for second in 0..20 {
        record.note_failed(seen(NEW, 9900 + 3 * second));
        record.fetched = seen(NEW, 9901 + 3 * second);
        record.note_verified(seen(NEW, 9902 + 3 * second));
        // Others beside it.
        record.note_verified(seen(NEW, 9902 + 3 * second));
    }
    assert_eq!(by_chance(Published, generation, &record, at(9963)), None);
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn generation(anchor: u64) -> Option<ChainGeneration> {
    match anchor {
        OLD => Some(Old),
        NEW => Some(New),
        _ => None,
    }
}
