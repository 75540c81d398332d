//! The framing of requests: the same however their bytes arrive, and none is changed without a fault.
#![no_main]

use engage_wire::RequestFraming;
use libfuzzer_sys::fuzz_target;

/// What becomes of a connection that is read in pieces of at most `piece` bytes.
fn follow(bytes: &[u8], piece: usize) -> (Vec<u8>, bool, u64, bool) {
    let (mut framing, mut bytes, mut faults) = (RequestFraming::default(), bytes.to_vec(), 0);
    for piece in bytes.chunks_mut(piece) {
        faults += u32::from(framing.follow(piece, |_| ()).is_err());
    }
    assert!(faults <= 1);
    (bytes, faults == 1, framing.request(), framing.is_between_requests())
}

fuzz_target!(|bytes: &[u8]| {
    let whole = follow(bytes, usize::MAX);
    for piece in [1, 2, 3, 7, 64, 255] {
        assert_eq!(follow(bytes, piece), whole);
    }
    assert!(whole.1 || whole.0 == bytes);
});
