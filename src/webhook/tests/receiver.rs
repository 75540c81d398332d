//! The receiver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Behaviour {
    Take,
    /// Takes the events, and says nothing.
    TakeAndClose,
    Close,
    Stall,
    Answer(u16),
}

/// A request that was read whole.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    pub(super) device: String,
    pub(super) events: Vec<u32>,
    is_taken: bool,
}

impl Delivery {
    fn read(head: String, body: Vec<u8>) -> Self {
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let number = |event: &serde_json::Value| {
            u32::from_str_radix(event["code"].as_str().unwrap(), 16).unwrap()
        };
        let events = json["events"].as_array().unwrap();
        Self {
            device: json["device"].as_str().unwrap().to_owned(),
            events: events.iter().map(number).collect(),
            head,
            body,
            is_taken: false,
        }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then_some(value)
            })
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// The status code with which a delivery is refused, if it is.
type Refuses = Box<dyn Fn(&Delivery) -> Option<u16> + Send + Sync>;

#[derive(Default)]
pub(super) struct TestReceiver {
    /// What is done with the next requests; then all are taken.
    pub(super) behaviour: Mutex<VecDeque<Behaviour>>,
    refuses: Mutex<Option<Refuses>>,
    seen: Mutex<Vec<Delivery>>,
    changed: Notify,
}

impl TestReceiver {
    /// On a port of its own.
    pub(super) async fn start(behaviour: &[Behaviour]) -> (Arc<Self>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self::new(behaviour);
        tokio::spawn(Arc::clone(&receiver).serve(listener));
        (receiver, port)
    }

    pub(super) fn new(behaviour: &[Behaviour]) -> Arc<Self> {
        let receiver = Self::default();
        receiver.behaviour.lock().extend(behaviour);
        Arc::new(receiver)
    }

    /// Refuses from now on what `refuses` has a status code for.
    pub(super) fn refuse(
        &self,
        refuses: impl Fn(&Delivery) -> Option<u16> + Send + Sync + 'static,
    ) {
        *self.refuses.lock() = Some(Box::new(refuses));
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.lock().len()
    }

    pub(super) fn taken(&self) -> Vec<Delivery> {
        let seen = self.seen.lock();
        seen.iter().filter(|it| it.is_taken).cloned().collect()
    }

    /// Distinct events of each device, in the order in which they were first taken.
    pub(super) fn ledger(&self) -> BTreeMap<String, Vec<u32>> {
        let mut known = BTreeSet::new();
        let mut ledger: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for delivery in self.taken() {
            for event in delivery.events {
                if known.insert((delivery.device.clone(), event)) {
                    ledger
                        .entry(delivery.device.clone())
                        .or_default()
                        .push(event);
                }
            }
        }
        ledger
    }

    /// The number of distinct events that were taken.
    pub(super) fn count(&self) -> usize {
        self.ledger().values().map(Vec::len).sum()
    }

    pub(super) async fn until(&self, is_enough: impl Fn(&Self) -> bool) {
        let waited = timeout(Duration::from_mins(1), async {
            loop {
                let changed = self.changed.notified();
                if is_enough(self) {
                    return;
                }
                changed.await;
            }
        });
        waited
            .await
            .expect("the receiver gets what the test waits for");
    }

    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(Arc::clone(&self).answer_all(stream));
        }
    }

    pub(super) async fn answer_all(
        self: Arc<Self>,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) {
        while let Some((head, body)) = read_request(&mut stream).await {
            let status = match self.decide(Delivery::read(head, body)) {
                Behaviour::Take => 204,
                Behaviour::Answer(status) => status,
                Behaviour::Close | Behaviour::TakeAndClose => return,
                Behaviour::Stall => return std::future::pending().await,
            };
            let (length, body) = if status == 204 {
                ("", "")
            } else {
                ("Content-Length: 2\r\n", "no")
            };
            let answer = format!(
                "HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:9/\r\n{length}\r\n{body}"
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn decide(&self, mut delivery: Delivery) -> Behaviour {
        let refused = self.refuses.lock().as_ref().and_then(|it| it(&delivery));
        let behaviour = match refused {
            Some(status) => Behaviour::Answer(status),
            None => self.behaviour.lock().pop_front().unwrap_or(Behaviour::Take),
        };
        delivery.is_taken = matches!(behaviour, Behaviour::Take | Behaviour::TakeAndClose);
        self.seen.lock().push(delivery);
        self.changed.notify_one();
        behaviour
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut text = Vec::new();
    loop {
        if let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(text[..at].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>().unwrap())
            })?;
            let body = &text[at + 4..];
            if body.len() == length {
                return Some((head, body.to_vec()));
            }
        }
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
}
