//! An access-control system that is down at times, and refuses what strangers deliver.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::fleet::Acknowledged;
use super::strangers::INVENTED;
use crate::trouble::Outcome;

pub(super) struct WebhookReceiver {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_down: AtomicBool,
    events: Mutex<Events>,
}

/// By device: the code of each event by its name, which is a batch and a line.
type Events = HashMap<String, HashMap<(String, u64), String>>;

impl WebhookReceiver {
    pub(super) async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, state) = (listener.local_addr()?, Arc::<State>::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it hangs up on whoever connects.
    pub(super) fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::Relaxed);
    }

    /// Waits until all of them have arrived, within reason, and says how often each did. What comes twice
    /// under one name is one.
    pub(super) async fn wait_for(&self, acknowledged: &Acknowledged) -> Acknowledged {
        self.set_down(false);
        let deadline = Instant::now() + Duration::from_mins(6);
        loop {
            let arrived = self.arrived(acknowledged);
            if arrived == *acknowledged || Instant::now() > deadline {
                return arrived;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn arrived(&self, acknowledged: &Acknowledged) -> Acknowledged {
        let events = self.state.events();
        let devices = acknowledged.keys().map(|device| {
            let mut codes = BTreeMap::new();
            for code in events.get(device).into_iter().flat_map(HashMap::values) {
                *codes.entry(code.clone()).or_default() += 1;
            }
            (device.clone(), codes)
        });
        devices.collect()
    }
}

impl State {
    fn events(&self) -> std::sync::MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status that it is answered with.
    fn take(&self, delivery: &Value) -> Option<u16> {
        let device = delivery["device"].as_str()?;
        if device.starts_with(INVENTED) {
            return Some(400);
        }
        let mut names = HashSet::new();
        let mut events = self.events();
        let known = events.entry(device.to_owned()).or_default();
        for event in delivery["events"].as_array()? {
            let name = (event["batch"].as_str()?.to_owned(), event["line"].as_u64()?);
            names.insert(name.clone());
            known.insert(name, event["code"].as_str()?.to_owned());
        }
        Some(200)
    }
}

/// Until either end has had enough.
async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut stream = BufReader::new(stream);
    while !state.is_down.load(Ordering::Relaxed) {
        let Some(delivery) = read(&mut stream).await else {
            return;
        };
        let status = state.take(&delivery).unwrap_or(500);
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}
