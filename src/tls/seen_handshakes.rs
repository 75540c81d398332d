//! What was seen of the handshakes of each address, for whoever looks at a device.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use engage_wire::ShardedLru;
use jiff::Timestamp;

use super::FailureReason;
use super::hello::ClientHello;

/// Of each address the last hello and the last failure, as long as there is room. Locks of one make say
/// the same hello: it is kept once, and no address keeps one of its own.
#[derive(Debug)]
pub(crate) struct SeenHandshakes {
    addresses: ShardedLru<IpAddr, InternedHandshake>,
    hellos: ShardedLru<u64, Arc<ClientHello>>,
    hasher: RandomState,
}

/// What was seen of an address.
#[derive(Clone, Debug)]
pub(crate) struct SeenHandshake {
    /// Its last hello that could be read, without the name that it asked for; `None` once too many
    /// others have been seen.
    pub(crate) hello: Option<Arc<ClientHello>>,
    /// When its last handshake failed that did, and why.
    pub(crate) failure: Option<(Timestamp, FailureReason)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct InternedHandshake {
    hello: Option<u64>,
    failure: Option<(Timestamp, FailureReason)>,
}

impl SeenHandshakes {
    /// What was seen of an address since the start, if anything is remembered.
    pub(crate) fn get(&self, address: IpAddr) -> Option<SeenHandshake> {
        let seen = *self.addresses.shard(address).get(&address.to_canonical())?;
        let hello = seen.hello;
        let hello = hello.and_then(|key| self.hellos.shard_of(&key).get(&key).cloned());
        Some(SeenHandshake {
            hello,
            failure: seen.failure,
        })
    }

    /// A handshake was completed.
    pub(crate) fn completed(&self, address: IpAddr, hello: ClientHello) {
        let hello = self.intern(hello);
        self.update(address, |seen| seen.hello = Some(hello));
    }

    /// A handshake failed; the hello is missing where it could not be read.
    pub(crate) fn failed(
        &self,
        address: IpAddr,
        hello: Option<ClientHello>,
        at: Timestamp,
        reason: FailureReason,
    ) {
        let hello = hello.map(|hello| self.intern(hello));
        self.update(address, |seen| {
            seen.hello = hello.or(seen.hello);
            seen.failure = Some((at, reason));
        });
    }

    fn update(&self, address: IpAddr, change: impl FnOnce(&mut InternedHandshake)) {
        let mut shard = self.addresses.shard(address);
        let address = address.to_canonical();
        // `entry` would make room only for the one after it.
        let mut seen = shard.remove(&address).unwrap_or_default();
        change(&mut seen);
        shard.insert(address, seen);
    }

    /// By what it says of the client's abilities, and nothing of the connection.
    fn intern(&self, hello: ClientHello) -> u64 {
        let hello = ClientHello {
            server_name: None,
            resumes: false,
            ..hello
        };
        let key = self.hasher.hash_one(abilities(&hello));
        let mut hellos = self.hellos.shard_of(&key);
        if hellos.get(&key).is_none() {
            hellos.insert(key, Arc::new(hello));
        }
        drop(hellos);
        key
    }
}

impl Default for SeenHandshakes {
    fn default() -> Self {
        Self {
            addresses: ShardedLru::with_capacity(MAX_SEEN_ADDRESSES),
            hellos: ShardedLru::with_capacity(MAX_SEEN_HELLOS),
            hasher: RandomState::new(),
        }
    }
}

/// Its code points, list by list.
fn abilities(hello: &ClientHello) -> (u16, [Vec<u16>; 4], &[String], Option<u16>, bool) {
    let lists = [
        hello.supported_versions.iter().map(u16::from).collect(),
        hello.cipher_suites.iter().map(u16::from).collect(),
        hello.named_groups.iter().map(u16::from).collect(),
        hello.signature_schemes.iter().map(u16::from).collect(),
    ];
    let ClientHello {
        legacy_version,
        alpn,
        max_fragment_length,
        takes_tickets,
        ..
    } = hello;
    (
        u16::from(*legacy_version),
        lists,
        alpn,
        *max_fragment_length,
        *takes_tickets,
    )
}

/// An address takes about 100 bytes.
const MAX_SEEN_ADDRESSES: usize = 32_768;
/// A hello takes at most 8 KiB.
const MAX_SEEN_HELLOS: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::hello::captured;
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4((0x0A00_0000 + n).into())
    }

    #[test]
    fn locks_of_one_make_share_what_they_say() {
        let seen = SeenHandshakes::default();
        let hello = || ClientHello::parse(&captured::bytes(captured::RSA_KEY_EXCHANGE)).unwrap();
        for n in 0..2 {
            seen.completed(address(n), hello());
        }
        seen.failed(
            address(1),
            None,
            Timestamp::UNIX_EPOCH,
            FailureReason::UnknownCa,
        );
        let [one, other] = [0, 1].map(|n| seen.get(address(n)).unwrap());
        assert!(Arc::ptr_eq(&one.hello.unwrap(), &other.hello.unwrap()));
        assert_eq!(one.failure, None);
        assert_eq!(other.failure.unwrap().1, FailureReason::UnknownCa);
        assert!(seen.get(address(2)).is_none());
    }

    #[test]
    fn who_invents_addresses_and_hellos_takes_no_more_than_there_is_room() {
        let seen = SeenHandshakes::default();
        let hello = ClientHello::parse(&captured::bytes(captured::RSA_KEY_EXCHANGE)).unwrap();
        for n in 0..100_000_u32 {
            let invented = ClientHello {
                alpn: vec![n.to_string()],
                ..hello.clone()
            };
            seen.completed(address(n), invented);
        }
        let known = (0..100_000).filter(|n| seen.get(address(*n)).is_some());
        let known = known.count();
        assert!((1..=MAX_SEEN_ADDRESSES).contains(&known), "{known}");
        let hellos = seen.hellos.take_all().len();
        assert!((1..=MAX_SEEN_HELLOS).contains(&hellos), "{hellos}");
    }
}
