//! Whatever comes in whatever order: what was acknowledged is there once, and in order.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use super::engine::TestEngine;
use super::*;
use crate::EventKind;

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    /// A device delivers what it has not heard to be acknowledged, and so many events more.
    Deliver {
        device: u64,
        new_events: usize,
        is_heard: bool,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u64, 0..4_usize, any::<bool>()).prop_map(|(device, new_events, is_heard)| {
            Step::Deliver { device, new_events, is_heard }
        }),
        1 => Just(Step::Restart),
    ]
}

/// A lock: what happened to it since the last acknowledgement that it heard.
#[derive(Clone, Default)]
struct Lock {
    happened: Vec<String>,
    unheard: usize,
    /// Events that the store has acknowledged, heard or not.
    acknowledged: usize,
}

impl Lock {
    fn body(&self) -> AuditBatch {
        let events: Vec<_> = self.happened[self.unheard..]
            .iter()
            .map(|code| format!(r#"{{"event":"{code}","time":"20261123021259"}}"#))
            .collect();
        AuditBatch::parse(format!("[{}]", events.join(",")).as_bytes()).unwrap()
    }
}

pub(super) async fn every_acknowledged_event_is_there_exactly_once_and_in_order(
    engine: &TestEngine,
) {
    let runtime = Handle::current();
    // A thread of its own may wait for the store.
    let cases = || {
        let devices = Cell::new(0);
        let mut runner = TestRunner::new(Config::with_cases(24));
        let steps = prop::collection::vec(step(), 1..20);
        runner.run(&steps, |steps| {
            // Devices of one case are new to the next: a database for each would take too long.
            devices.set(devices.get() + 3);
            case(engine, &runtime, devices.get(), steps)
        })
    };
    std::thread::scope(|scope| scope.spawn(cases).join().unwrap()).unwrap();
}

fn case(
    engine: &TestEngine,
    runtime: &Handle,
    first_device: u64,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let mut locks = vec![Lock::default(); 3];
    let mut store = Some(engine.open());
    for step in steps {
        let Step::Deliver {
            device,
            new_events,
            is_heard,
        } = step
        else {
            store = None;
            continue;
        };
        let lock = &mut locks[usize::try_from(device).unwrap()];
        for _ in 0..new_events {
            lock.happened.push(format!("{:08X}", lock.happened.len()));
        }
        if lock.unheard == lock.happened.len() {
            continue;
        }
        let caller = Call {
            is_authenticated: true,
            ..call(first_device + device, NOVEMBER)
        };
        let store = store.get_or_insert_with(|| engine.open());
        let stored = runtime.block_on(store.append_audits(&caller, lock.body()));
        stored.unwrap();
        lock.acknowledged = lock.happened.len();
        if is_heard {
            lock.unheard = lock.happened.len();
        }
    }
    drop(store);
    for (lock, number) in locks.iter().zip(first_device..) {
        let found = engine.codes(EventKind::Audits, device(number));
        prop_assert_eq!(&found, &lock.happened[..lock.acknowledged]);
    }
    Ok(())
}
