//! How many refused bodies are kept: a bound for each device, and one for all together.

use std::collections::HashMap;

/// Which of the bodies has to go, where there are too many; each with its device and its bytes,
/// oldest first.
pub(crate) fn surplus(bodies: &[(&str, u64)]) -> Option<usize> {
    let mut shares: HashMap<&str, (usize, u64)> = HashMap::new();
    for (device, bytes) in bodies {
        let share = shares.entry(device).or_default();
        *share = (share.0 + 1, share.1 + bytes);
    }
    let greedy = shares.iter().find(|(_, (count, bytes))| {
        *count > 1 && (*count > MAX_BODIES_EACH || *bytes > MAX_BYTES_EACH)
    });
    if let Some((owner, _)) = greedy {
        return bodies.iter().position(|(device, _)| device == owner);
    }
    let bytes: u64 = bodies.iter().map(|(_, bytes)| bytes).sum();
    if bodies.len() <= MAX_BODIES && bytes <= MAX_BYTES || bodies.len() == 1 {
        return None;
    }
    let most = shares.values().map(|(count, _)| *count).max()?;
    // The oldest of those who have most.
    bodies
        .iter()
        .position(|(device, _)| shares.get(device).is_some_and(|(count, _)| *count == most))
}

/// A week of nights in which a device sends one of each kind that cannot be read.
pub(crate) const MAX_BODIES_EACH: usize = 16;

const MAX_BYTES_EACH: u64 = 64 * 1024 * 1024;

pub(crate) const MAX_BODIES: usize = 4096;

const MAX_BYTES: u64 = 512 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_all_goes_from_those_who_have_most() {
        let (quarter, half_each) = (MAX_BYTES / 4, MAX_BYTES_EACH / 2);
        let small = ["A", "B", "B"].map(|device| (device, half_each));
        assert_eq!(surplus(&small), None);
        let large = ["A", "addr-fe80--1", "B", "B"].map(|device| (device, quarter));
        assert_eq!(surplus(&large), Some(2), "B has more than its share");
        let devices: Vec<String> = (0..=16).map(|device: u32| device.to_string()).collect();
        let many: Vec<_> = devices
            .iter()
            .map(|device| (&device[..], half_each))
            .collect();
        assert_eq!(surplus(&many[..9]), None);
        assert_eq!(surplus(&many), Some(0));
    }
}
