//! A receiver that takes everything, notes what came when, and can let one host wait.

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::webhook::{Delivery, receive, respond};

/// The path of the host that has to wait.
pub(super) const HELD: &str = "/held";

pub(crate) struct OrderingReceiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// Events of a device in one delivery, by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) events: RangeInclusive<u64>,
    pub(super) at: Instant,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    hold_from: usize,
}

#[derive(Default)]
struct State {
    delivered: HashMap<String, Vec<Delivered>>,
    under_way: HashSet<String>,
    faults: Vec<String>,
    /// Deliveries to [`HELD`].
    requests: usize,
    held: usize,
    is_answering_all: bool,
}

impl OrderingReceiver {
    /// Answers at once, but deliveries to [`HELD`] from the `hold_from`th on only when told.
    pub(crate) fn start(hold_from: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            hold_from,
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.answer(&stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    pub(super) fn wait_for_held(&self, count: usize) {
        drop(self.shared.wait_until(|state| state.held >= count));
    }

    pub(super) fn answer_held(&self) {
        self.shared.state.lock().unwrap().is_answering_all = true;
        self.shared.changed.notify_all();
    }

    /// Waits until each of so many devices has had its last event delivered.
    pub(crate) fn wait_for_all(&self, devices: u64, last_event: u64) {
        let has_last = |it: &Vec<Delivered>| it.last().unwrap().events.contains(&last_event);
        drop(self.shared.wait_until(|state| {
            let done = state.delivered.values().filter(|it| has_last(it));
            done.count() as u64 == devices && state.under_way.is_empty()
        }));
    }

    pub(super) fn delivered(&self, device: u64) -> Vec<Delivered> {
        let state = self.shared.state.lock().unwrap();
        state.delivered[&format!("{device:016X}")].clone()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().faults.clone()
    }
}

impl Shared {
    fn answer(&self, stream: &TcpStream) {
        // A host that is killed may leave half a delivery.
        let Ok(delivery) = receive(stream) else {
            return;
        };
        let device = delivery.device.clone();
        if self.note(delivery) {
            drop(self.wait_until(|state| state.is_answering_all));
        }
        // Before the answer: the next delivery may be here before we are.
        self.state.lock().unwrap().under_way.remove(&device);
        let _ = respond(stream, 200);
        self.changed.notify_all();
    }

    /// Whether it is to wait for its answer.
    fn note(&self, delivery: Delivery) -> bool {
        let Delivery {
            head,
            device,
            events,
            ..
        } = delivery;
        let mut state = self.state.lock().unwrap();
        let numbers = events[0]..=*events.last().unwrap();
        if !numbers.clone().eq(events) {
            state.faults.push(format!("{device}: a gap in {numbers:?}"));
        }
        if !state.under_way.insert(device.clone()) {
            state
                .faults
                .push(format!("{device}: two deliveries at once"));
        }
        let delivered = state.delivered.entry(device).or_default();
        delivered.push(Delivered {
            events: numbers,
            at: Instant::now(),
        });
        let is_held = head.starts_with(&format!("POST {HELD} ")) && {
            state.requests += 1;
            state.requests >= self.hold_from && !state.is_answering_all
        };
        state.held += usize::from(is_held);
        drop(state);
        self.changed.notify_all();
        is_held
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.state.lock().unwrap();
        let waited = self
            .changed
            .wait_timeout_while(state, DEADLINE, |state| !is_so(state));
        let (state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "it did not come to that");
        state
    }
}

const DEADLINE: Duration = Duration::from_secs(50);
