use super::*;
use ChainGeneration::{New, Old};
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
            at: Timestamp::from_second(second).unwrap().into(),
        })
    };
    let now = Timestamp::from_second(10_000).unwrap();
    let mut record = AddressRecord::default();
    record.fetched = seen(fetched);
    record.verified = seen(verified);
    record.failed = seen(failed);
    if is_shared {
        record.set_shared(now);
    }
    let generation = |anchor| match anchor {
        OLD => Some(Old),
        NEW => Some(New),
        _ => None,
    };
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
