use super::*;

fn new(number: u32, peer: &str, is_authenticated: bool) -> Newcomer {
    Newcomer {
        call: Call {
            device: format!("{number:016X}").parse().unwrap(),
            peer: peer.parse().unwrap(),
            is_authenticated,
            is_listed: false,
            received_at: Timestamp::UNIX_EPOCH,
        },
        is_proven: is_authenticated,
    }
}

fn room(all: usize, unproven: usize, evictable: usize) -> Capacity {
    Capacity {
        count: DeviceCount { all, unproven },
        evictable,
    }
}

#[test]
fn one_network_brings_no_more_new_devices_an_hour_than_allowed_and_hinders_no_other() {
    let (quota, now) = (DeviceQuota::default(), Instant::now());
    let admit =
        |number, peer: &str, at| quota.admit(&new(number, peer, false), &mut room(0, 0, 0), at);
    for number in 0..MAX_NEW_AN_HOUR {
        let peer = format!("2001:db8::{number:x}");
        admit(number, &peer, now).unwrap();
    }
    let refused = admit(900_000, "2001:db8::ffff", now).unwrap_err();
    assert!(
        matches!(refused, StoreError::TooManyNewDevices { .. }),
        "{refused}"
    );
    admit(900_000, "2001:db8:0:1::1", now).unwrap();
    admit(900_000, "10.44.0.7", now).unwrap();
    admit(900_000, "2001:db8::ffff", now + HOUR).unwrap();
    for number in 0..=MAX_NEW_AN_HOUR {
        admit(number, "::ffff:127.0.0.1", now).unwrap();
    }
}

#[test]
fn the_last_places_are_for_registered_devices() {
    let (quota, now) = (DeviceQuota::default(), Instant::now());
    let full = MAX_DEVICES - RESERVED;
    let admit = |known, auth| quota.admit(&new(1, "10.44.0.7", auth), &mut room(known, 0, 0), now);
    admit(full - 1, false).unwrap();
    assert!(matches!(
        admit(full, false),
        Err(StoreError::TooManyDevices { .. })
    ));
    assert!(!admit(full, true).unwrap());
    admit(MAX_DEVICES, true).unwrap_err();
    let warned = |all| {
        quota.set_counted(room(all, 0, 0).count, now);
        quota.warning().is_some()
    };
    assert!(warned(full) && !warned(1000));
}

#[test]
fn unproven_devices_have_places_of_their_own_and_make_room_for_each_other_and_for_proven_ones() {
    let (quota, now) = (DeviceQuota::default(), Instant::now());
    let full = MAX_DEVICES - RESERVED;
    let (stranger, proven) = (new(1, "10.44.0.7", false), new(2, "10.44.0.7", true));
    for (newcomer, mut room, expected) in [
        (stranger, room(MAX_UNPROVEN, MAX_UNPROVEN, 0), None),
        (stranger, room(MAX_UNPROVEN, MAX_UNPROVEN, 1), Some(true)),
        (proven, room(MAX_UNPROVEN, MAX_UNPROVEN, 0), Some(false)),
        (stranger, room(full, 1, 1), Some(true)),
        (proven, room(MAX_DEVICES, 1, 1), Some(true)),
    ] {
        let before = room.count;
        let admitted = quota.admit(&newcomer, &mut room, now).ok();
        assert_eq!(admitted, expected, "{newcomer:?}");
        if admitted == Some(true) {
            assert_eq!((room.count.all, room.evictable), (before.all, 0));
        }
    }
}

#[test]
fn strangers_from_everywhere_keep_no_new_network_out() {
    let (quota, now) = (DeviceQuota::default(), Instant::now());
    let admit = |peer: std::net::Ipv4Addr| {
        let newcomer = new(1, &peer.to_string(), false);
        quota.admit(&newcomer, &mut room(0, 0, 0), now)
    };
    for number in 0..200_000_u32 {
        admit(number.into()).unwrap();
    }
    admit([200, 0, 0, 1].into()).unwrap();
}

#[test]
fn what_is_stored_or_goes_is_counted_without_a_look_at_the_database() {
    let (quota, now) = (Arc::new(DeviceQuota::default()), Instant::now());
    assert_eq!(quota.counted(now), None);
    quota.set_counted(room(10, 5, 0).count, now);
    let newcomers = [new(1, "10.44.0.7", false), new(2, "10.44.0.7", true)];
    let (mut admitted, refused) = Admitted::count(&quota, newcomers.into_iter(), room(10, 5, 0));
    assert!(refused.is_empty());
    for newcomer in newcomers {
        admitted.stored(newcomer.call.device);
    }
    quota.evicted(3);
    assert_eq!(quota.counted(now), Some(room(9, 3, 0).count));
    assert_eq!(quota.counted(now + COUNTED_FOR), None);
}
