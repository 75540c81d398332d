//! A semaphore whose permits go around among the networks that wait for one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use engage_wire::CallerNetwork;

/// Gives the next permit to another network than the last, so that who has a thousand waiting makes
/// others wait for one of them.
#[derive(Debug)]
pub(super) struct FairSemaphore(Mutex<Waiters>);

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Option<Arc<FairSemaphore>>);

#[derive(Debug)]
struct Waiters {
    /// None while anybody waits.
    free: usize,
    by_network: HashMap<CallerNetwork, VecDeque<oneshot::Sender<Permit>>>,
    /// Networks of which somebody waits, each once.
    turns: VecDeque<CallerNetwork>,
}

impl FairSemaphore {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Waiters {
            free: permits,
            by_network: HashMap::new(),
            turns: VecDeque::new(),
        })))
    }

    /// A permit when it is the turn of the caller's network. Those who wait are as many as there are
    /// connections.
    pub(super) async fn acquire(self: &Arc<Self>, caller: IpAddr) -> Permit {
        let turn = {
            let mut waiting = self.0.lock();
            if waiting.free > 0 {
                waiting.free -= 1;
                return Permit(Some(Arc::clone(self)));
            }
            waiting.enqueue(caller.into())
        };
        // A sender is dropped with the semaphore only, of which `self` is one owner.
        turn.await.unwrap_or(Permit(None))
    }

    /// Whoever has given up meanwhile is passed over.
    fn release(self: Arc<Self>) {
        let mut permit = Permit(Some(self));
        while let Some(semaphore) = permit.0.take() {
            let next = semaphore.0.lock().next();
            let Some(next) = next else {
                return;
            };
            permit.0 = Some(semaphore);
            match next.send(permit) {
                Ok(()) => return,
                Err(unsent) => permit = unsent,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(semaphore) = self.0.take() {
            semaphore.release();
        }
    }
}

impl Waiters {
    fn enqueue(&mut self, network: CallerNetwork) -> oneshot::Receiver<Permit> {
        let (sender, turn) = oneshot::channel();
        let queue = self.by_network.entry(network).or_default();
        if queue.is_empty() {
            self.turns.push_back(network);
        }
        queue.push_back(sender);
        turn
    }

    /// Who waits longest of the network whose turn it is; if nobody waits, the permit is free.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let Some(network) = self.turns.pop_front() else {
            self.free += 1;
            return None;
        };
        let queue = self.by_network.get_mut(&network)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.by_network.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Acquiring = std::pin::Pin<Box<dyn Future<Output = Permit>>>;

    fn acquire(semaphore: &Arc<FairSemaphore>, caller: [u8; 4]) -> Acquiring {
        let semaphore = Arc::clone(semaphore);
        let mut acquiring: Acquiring =
            Box::pin(async move { semaphore.acquire(caller.into()).await });
        assert!(poll(&mut acquiring).is_none());
        acquiring
    }

    fn poll(acquiring: &mut Acquiring) -> Option<Permit> {
        match acquiring
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    fn now(semaphore: &Arc<FairSemaphore>, caller: [u8; 4]) -> Permit {
        let mut acquiring: Acquiring = {
            let semaphore = Arc::clone(semaphore);
            Box::pin(async move { semaphore.acquire(caller.into()).await })
        };
        poll(&mut acquiring).unwrap()
    }

    #[test]
    fn who_has_many_waiting_makes_others_wait_for_one_of_them() {
        let semaphore = FairSemaphore::new(1);
        let held = now(&semaphore, [10, 0, 0, 1]);
        let mut many: Vec<_> = (0..1000)
            .map(|_| acquire(&semaphore, [10, 0, 0, 1]))
            .collect();
        let mut honest = acquire(&semaphore, [10, 0, 0, 2]);
        drop(held);
        let first = poll(&mut many[0]).unwrap();
        assert!(poll(&mut honest).is_none());
        drop(first);
        let second = poll(&mut honest).unwrap();
        assert!(poll(&mut many[1]).is_none());
        drop(second);
        assert!(poll(&mut many[1]).is_some());
    }

    #[test]
    fn who_gives_up_takes_no_permit_with_it() {
        let semaphore = FairSemaphore::new(2);
        let held = [
            now(&semaphore, [10, 0, 0, 1]),
            now(&semaphore, [10, 0, 0, 1]),
        ];
        let many: Vec<_> = (0..1000)
            .map(|_| acquire(&semaphore, [10, 0, 0, 1]))
            .collect();
        let mut last = acquire(&semaphore, [10, 0, 0, 3]);
        // Some before they are given a permit, one with the permit that it was given.
        drop(held);
        drop(many);
        drop(poll(&mut last).unwrap());
        let waiting = semaphore.0.lock();
        assert_eq!((waiting.free, waiting.turns.len()), (2, 0));
        assert!(waiting.by_network.is_empty());
    }
}
