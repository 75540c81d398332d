//! Deliveries to a receiver on the loopback interface that misbehaves as told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use jiff::Timestamp;

use super::cursor::Cursor;
use super::*;
use engage_store::DeviceId;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Take,
    /// Takes the events, and says nothing.
    TakeAndClose,
    Close,
    Stall,
    Answer(u16),
}

/// A request that was read whole.
#[derive(Clone, Debug)]
struct Delivery {
    head: String,
    body: Vec<u8>,
    device: String,
    /// (batch, line) of each event.
    names: Vec<(String, u64)>,
    is_taken: bool,
}

impl Delivery {
    fn read(head: String, body: Vec<u8>) -> Self {
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let name = |event: &serde_json::Value| {
            let batch = event["batch"].as_str().unwrap().to_owned();
            (batch, event["line"].as_u64().unwrap())
        };
        Self {
            device: json["device"].as_str().unwrap().to_owned(),
            names: json["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(name)
                .collect(),
            head,
            body,
            is_taken: false,
        }
    }

    fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then_some(value)
            })
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

#[derive(Default)]
struct Desk {
    /// What is done with the next requests; then all are taken.
    moods: Mutex<VecDeque<Mood>>,
    /// A device whose events are always refused.
    disliked: Mutex<Option<String>>,
    seen: Mutex<Vec<Delivery>>,
    something: Notify,
}

impl Desk {
    fn with(moods: &[Mood]) -> Arc<Self> {
        let desk = Self::default();
        *desk.moods.lock().unwrap() = moods.iter().copied().collect();
        Arc::new(desk)
    }

    fn taken(&self) -> Vec<Delivery> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|it| it.is_taken).cloned().collect()
    }

    /// Distinct events of each device, in the order in which they were first taken.
    fn ledger(&self) -> BTreeMap<String, Vec<(String, u64)>> {
        let mut known = BTreeSet::new();
        let mut ledger: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for delivery in self.taken() {
            for name in delivery.names {
                if known.insert((delivery.device.clone(), name.clone())) {
                    ledger
                        .entry(delivery.device.clone())
                        .or_default()
                        .push(name);
                }
            }
        }
        ledger
    }

    async fn until(&self, is_enough: impl Fn(&Self) -> bool) {
        let waited = timeout(Duration::from_secs(30), async {
            loop {
                let something = self.something.notified();
                if is_enough(self) {
                    return;
                }
                something.await;
            }
        });
        waited.await.expect("the receiver got what it waits for");
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(Arc::clone(&self).attend(stream));
        }
    }

    async fn attend(self: Arc<Self>, mut stream: TcpStream) {
        while let Some((head, body)) = read_request(&mut stream).await {
            let next = self.moods.lock().unwrap().pop_front();
            let mut mood = next.unwrap_or(Mood::Take);
            let mut delivery = Delivery::read(head, body);
            if self.disliked.lock().unwrap().as_ref() == Some(&delivery.device) {
                mood = Mood::Answer(400);
            }
            delivery.is_taken = matches!(mood, Mood::Take | Mood::TakeAndClose);
            self.seen.lock().unwrap().push(delivery);
            self.something.notify_one();
            let status = match mood {
                Mood::Take => 204,
                Mood::Answer(status) => status,
                Mood::Close | Mood::TakeAndClose => return,
                Mood::Stall => return std::future::pending().await,
            };
            let length = if status == 204 {
                ""
            } else {
                "Content-Length: 2\r\n"
            };
            let body = if status == 204 { "" } else { "no" };
            let answer = format!(
                "HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:9/\r\n{length}\r\n{body}"
            );
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
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

/// A daemon's deliverer, with pauses of milliseconds.
struct Deliverer {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
    wake: Arc<Wake>,
}

impl Deliverer {
    fn start(root: &Path, port: u16) -> Self {
        let receiver = receiver(port);
        let (stop, stopped) = oneshot::channel::<()>();
        let wake = Arc::new(Wake::default());
        let shutdown = async { drop(stopped.await) };
        let metrics = crate::telemetry::Metrics::new().deliveries();
        let root = root.to_owned();
        let run = run(receiver, root, Arc::clone(&wake), metrics, shutdown);
        let task = tokio::spawn(run);
        Self { stop, task, wake }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = timeout(Duration::from_secs(10), self.task).await;
        ended.expect("it stops in time").unwrap();
    }

    /// As a SIGKILL would: nothing of it runs on.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }
}

fn receiver(port: u16) -> Receiver {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    fs_err::write(&secret_file, format!("{SECRET}\n")).unwrap();
    let mut receiver = Receiver::load(&WebhookConfig {
        url: format!("http://127.0.0.1:{port}/in?x=1").parse().unwrap(),
        secret_file,
        ca_file: None,
    })
    .unwrap();
    receiver.pace = Pace {
        connect: Duration::from_secs(5),
        exchange: Duration::from_millis(300),
        first_back_off: Duration::from_millis(1),
        most_back_off: Duration::from_millis(20),
        scan: Duration::from_mins(1),
    };
    receiver
}

fn device(number: u64) -> DeviceId {
    format!("{number:016X}").parse().unwrap()
}

/// Appends a batch as the store does.
fn append(root: &Path, number: u64, file: &str, at: &str, batch: u64, of: usize) {
    let directory = root.join(device(number).to_string());
    fs_err::create_dir_all(&directory).unwrap();
    let mut options = fs_err::OpenOptions::new();
    let mut file = options
        .append(true)
        .create(true)
        .open(directory.join(file))
        .unwrap();
    for line in 1..=of {
        writeln!(
            file,
            r#"{{"received_at":"{at}","event":"0B040001","time":20261123021259,"batch":"{batch:032x}","line":{line},"of":{of}}}"#
        )
        .unwrap();
    }
}

fn names(batches: &[(u64, usize)]) -> Vec<(String, u64)> {
    batches
        .iter()
        .flat_map(|(batch, of)| (1..=*of as u64).map(move |line| (format!("{batch:032x}"), line)))
        .collect()
}

async fn desk(moods: &[Mood]) -> (Arc<Desk>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let desk = Desk::with(moods);
    tokio::spawn(Arc::clone(&desk).serve(listener));
    (desk, port)
}

const OCTOBER: &str = "audits-2026-10.jsonl";
const NOVEMBER: &str = "audits-2026-11.jsonl";
const ALERTS: &str = "alerts-2026-11.jsonl";

#[tokio::test]
async fn what_is_stored_arrives_in_order_over_months_and_logs() {
    let root = tempfile::tempdir().unwrap();
    append(root.path(), 1, OCTOBER, "2026-10-31T02:00:00Z", 1, 130);
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 2, 3);
    append(root.path(), 1, ALERTS, "2026-11-01T03:00:00Z", 3, 1);
    append(root.path(), 1, NOVEMBER, "2026-11-02T02:00:00Z", 4, 2);
    let (desk, port) = desk(&[]).await;
    let deliverer = Deliverer::start(root.path(), port);
    let expected = names(&[(1, 130), (2, 3), (3, 1), (4, 2)]);
    let id = device(1).to_string();
    desk.until(|desk| {
        desk.ledger()
            .get(&id)
            .is_some_and(|it| it.len() == expected.len())
    })
    .await;
    deliverer.stop().await;
    assert_eq!(desk.ledger()[&id], expected);
    assert!(desk.taken().iter().all(|it| it.names.len() <= 100));
    let stored = fs_err::read_to_string(root.path().join(&id).join(ALERTS)).unwrap();
    let alert = format!(
        r#"{{"device":"{id}","log":"alerts","events":[{}]}}"#,
        stored.trim_end()
    );
    assert!(desk.taken().iter().any(|it| it.body == alert.as_bytes()));
}

#[tokio::test]
async fn a_delivery_is_signed_as_openssl_signs_it() {
    let root = tempfile::tempdir().unwrap();
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 1, 2);
    let (desk, port) = desk(&[]).await;
    let deliverer = Deliverer::start(root.path(), port);
    desk.until(|desk| !desk.taken().is_empty()).await;
    deliverer.stop().await;
    let delivery = desk.taken().remove(0);
    assert!(delivery.head.starts_with("POST /in?x=1 HTTP/1.1\r\n"));
    assert_eq!(delivery.header("content-type"), "application/json");
    assert_eq!(delivery.header("x-engage-delivery").len(), 32);
    let (time, signature) = delivery
        .header("x-engage-signature")
        .strip_prefix("t=")
        .unwrap()
        .split_once(",v1=")
        .unwrap();
    let age = Timestamp::now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..60).contains(&age));
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-macopt"])
        .arg(format!("key:{SECRET}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let signed = [time.as_bytes(), b".", &delivery.body].concat();
    openssl.stdin.take().unwrap().write_all(&signed).unwrap();
    let output = openssl.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.trim().rsplit(' ').next(), Some(signature));
}

#[tokio::test]
async fn whatever_the_receiver_does_nothing_is_lost_or_overtaken() {
    let root = tempfile::tempdir().unwrap();
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 1, 250);
    let moods = [
        Mood::Answer(500),
        Mood::Answer(301),
        Mood::Answer(429),
        Mood::Answer(410),
        Mood::Close,
        Mood::Stall,
        Mood::TakeAndClose,
        Mood::Take,
        Mood::Answer(503),
    ];
    let (desk, port) = desk(&moods).await;
    let deliverer = Deliverer::start(root.path(), port);
    let id = device(1).to_string();
    desk.until(|desk| desk.ledger().get(&id).is_some_and(|it| it.len() == 250))
        .await;
    deliverer.stop().await;
    assert_eq!(desk.ledger()[&id], names(&[(1, 250)]));
    assert!(desk.moods.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_when_it_comes_back() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..20 {
        append(
            root.path(),
            number,
            NOVEMBER,
            "2026-11-01T02:00:00Z",
            number,
            3,
        );
    }
    // Bound and not listening: nobody else takes the port, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let deliverer = Deliverer::start(root.path(), port);
    append(root.path(), 20, NOVEMBER, "2026-11-01T02:00:00Z", 20, 3);
    deliverer.wake.appended(device(20));
    tokio::task::yield_now().await;
    let desk = Desk::with(&[]);
    tokio::spawn(Arc::clone(&desk).serve(socket.listen(64).unwrap()));
    desk.until(|desk| desk.ledger().len() == 21).await;
    deliverer.stop().await;
    for (number, events) in (0..).zip(desk.ledger().into_values()) {
        assert_eq!(events, names(&[(number, 3)]));
    }
}

#[tokio::test]
async fn a_refused_device_does_not_delay_others() {
    let root = tempfile::tempdir().unwrap();
    for number in 1..=12 {
        append(
            root.path(),
            number,
            NOVEMBER,
            "2026-11-01T02:00:00Z",
            number,
            120,
        );
    }
    let (desk, port) = desk(&[]).await;
    *desk.disliked.lock().unwrap() = Some(device(1).to_string());
    let deliverer = Deliverer::start(root.path(), port);
    let count = |desk: &Desk| desk.ledger().values().map(Vec::len).sum::<usize>();
    desk.until(|desk| count(desk) == 11 * 120).await;
    *desk.disliked.lock().unwrap() = None;
    desk.until(|desk| count(desk) == 12 * 120).await;
    deliverer.stop().await;
}

#[tokio::test]
async fn after_a_stop_only_what_is_new_is_delivered() {
    let root = tempfile::tempdir().unwrap();
    append(root.path(), 1, OCTOBER, "2026-10-01T02:00:00Z", 1, 5);
    let (first, port) = desk(&[]).await;
    let deliverer = Deliverer::start(root.path(), port);
    first.until(|desk| !desk.taken().is_empty()).await;
    deliverer.stop().await;
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 2, 5);
    let (second, port) = desk(&[]).await;
    let deliverer = Deliverer::start(root.path(), port);
    second.until(|desk| !desk.taken().is_empty()).await;
    // The wake-up alone, not the scan.
    append(root.path(), 1, NOVEMBER, "2026-11-02T02:00:00Z", 3, 1);
    deliverer.wake.appended(device(1));
    second.until(|desk| desk.taken().len() == 2).await;
    deliverer.stop().await;
    assert_eq!(
        second.ledger()[&device(1).to_string()],
        names(&[(2, 5), (3, 1)])
    );
}

#[test]
fn what_was_cut_off_and_written_anew_is_not_taken_for_delivered() {
    let root = tempfile::tempdir().unwrap();
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 1, 1);
    let directory = root.path().join(device(1).to_string());
    let path = directory.join(NOVEMBER);
    let length = fs_err::metadata(&path).unwrap().len();
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 2, 1);
    let mut cursor = Cursor::default();
    let batch = tail::next(&directory, &cursor).unwrap().unwrap();
    cursor.advance(batch.log, batch.events[1].position.clone());
    assert!(tail::next(&directory, &cursor).unwrap().is_none());
    let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length).unwrap();
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 3, 1);
    let batch = tail::next(&directory, &cursor).unwrap().unwrap();
    assert_eq!(batch.events[1].position.batch, format!("{:032x}", 3));
}

#[test]
fn half_a_line_half_a_batch_and_garbage_are_not_delivered() {
    let root = tempfile::tempdir().unwrap();
    append(root.path(), 1, NOVEMBER, "2026-11-01T02:00:00Z", 1, 2);
    let directory = root.path().join(device(1).to_string());
    let path = directory.join(NOVEMBER);
    let whole = fs_err::read_to_string(&path).unwrap();
    let first = whole.lines().next().unwrap();
    let next = || tail::next(&directory, &Cursor::default()).unwrap();
    for text in [&whole[..whole.len() - 1], &format!("{first}\n"), "", "\n"] {
        fs_err::write(&path, text).unwrap();
        assert!(next().is_none(), "{text:?}");
    }
    fs_err::write(&path, format!("x\n{whole}")).unwrap();
    assert_eq!(next().unwrap().events.len(), 2);
    fs_err::write(directory.join(".webhook.json"), "{").unwrap();
    assert_eq!(Cursor::load(&directory).unwrap(), Cursor::default());
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Take),
        1 => Just(Mood::TakeAndClose),
        1 => Just(Mood::Close),
        1 => prop::sample::select(vec![301, 400, 404, 429, 500, 503]).prop_map(Mood::Answer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_event_arrives_in_order_through_failures_and_kills(
        sizes in prop::collection::vec(prop::collection::vec(1_usize..130, 1..3), 1..6),
        moods in prop::collection::vec(mood(), 0..30),
        kills in prop::collection::vec(1_usize..8, 0..4),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (found, expected) = runtime.block_on(delivered(&sizes, &moods, &kills));
        prop_assert_eq!(found, expected);
    }
}

type Ledger = BTreeMap<String, Vec<(String, u64)>>;

/// What arrives and what should, with the deliverer killed after so many requests each time.
async fn delivered(sizes: &[Vec<usize>], moods: &[Mood], kills: &[usize]) -> (Ledger, Ledger) {
    let root = tempfile::tempdir().unwrap();
    let mut expected = Ledger::new();
    for (number, sizes) in (1..).zip(sizes) {
        let batches: Vec<_> = (1..).zip(sizes.iter().copied()).collect();
        for (batch, of) in &batches {
            append(
                root.path(),
                number,
                NOVEMBER,
                "2026-11-01T02:00:00Z",
                *batch,
                *of,
            );
        }
        expected.insert(device(number).to_string(), names(&batches));
    }
    let (desk, port) = desk(moods).await;
    let total: usize = sizes.iter().flatten().sum();
    let is_done = |desk: &Desk| desk.ledger().values().map(Vec::len).sum::<usize>() == total;
    for requests in kills {
        let deliverer = Deliverer::start(root.path(), port);
        let before = desk.seen.lock().unwrap().len();
        desk.until(|desk| is_done(desk) || desk.seen.lock().unwrap().len() >= before + requests)
            .await;
        deliverer.kill().await;
    }
    let deliverer = Deliverer::start(root.path(), port);
    desk.until(is_done).await;
    deliverer.stop().await;
    (desk.ledger(), expected)
}
