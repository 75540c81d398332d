//! A collector of traces on loopback: it keeps what is posted, and answers as told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::harness::standard;

pub(super) struct Collector {
    pub(super) address: SocketAddr,
    posts: Receiver<Post>,
    spans: Vec<Value>,
}

/// One request, as it came.
pub(super) struct Post {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// The status code of the next answer; `None` never answers.
type Decide = dyn Fn() -> Option<u16> + Send + Sync;

impl Collector {
    pub(super) fn start() -> Self {
        Self::start_deciding(|| Some(200))
    }

    pub(super) fn start_deciding(decide: impl Fn() -> Option<u16> + Send + Sync + 'static) -> Self {
        Self::serve(decide, answer)
    }

    /// Under TLS, with the certificate of the standard chain's server.
    pub(super) fn start_tls() -> Self {
        let chain = CertificateDer::pem_slice_iter(standard().pem().as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(standard().server.key.pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(engage_wire::crypto_provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        Self::serve(
            || Some(200),
            move |stream, posts, decide| {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(StreamOwned::new(session, stream), posts, decide);
            },
        )
    }

    fn serve(
        decide: impl Fn() -> Option<u16> + Send + Sync + 'static,
        answer: impl Fn(TcpStream, &Sender<Post>, &Decide) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posts) = channel();
        let served = Arc::new((answer, decide));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (sender, served) = (sender.clone(), Arc::clone(&served));
                thread::spawn(move || (served.0)(stream, &sender, &served.1));
            }
        });
        Self {
            address,
            posts,
            spans: Vec::new(),
        }
    }

    /// The line of `[otlp]` that names it.
    pub(super) fn endpoint(&self) -> String {
        format!("endpoint = \"http://{}/v1/traces\"", self.address)
    }

    pub(super) fn next(&self) -> Post {
        self.posts.recv_timeout(DEADLINE).unwrap()
    }

    /// Waits for a span of which `is_it` holds; one seen before counts.
    pub(super) fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = self.spans.iter().find(|span| is_it(span)) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(post) = self.posts.recv_timeout(left) else {
                panic!("it did not get that span: {:#?}", self.spans);
            };
            self.spans.extend(post.spans());
        }
    }

    /// Everything that has been waited for and what lies there now.
    pub(super) fn spans(&mut self) -> &[Value] {
        while let Ok(post) = self.posts.try_recv() {
            self.spans.extend(post.spans());
        }
        &self.spans
    }
}

impl Post {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn spans(&self) -> Vec<Value> {
        let spans = &self.json()["resourceSpans"][0]["scopeSpans"][0]["spans"];
        spans.as_array().unwrap().clone()
    }
}

/// The value of an attribute, as text.
pub(super) fn attribute(span: &Value, key: &str) -> Option<String> {
    let mut attributes = span["attributes"].as_array().unwrap().iter();
    let found = attributes.find(|it| it["key"] == key)?;
    let (_, value) = found["value"].as_object().unwrap().iter().next().unwrap();
    Some(value.as_str().unwrap().to_owned())
}

fn answer(mut stream: impl Read + Write, posts: &Sender<Post>, decide: &Decide) {
    while let Some(post) = receive(&mut stream) {
        let status = decide();
        if posts.send(post).is_err() {
            return;
        }
        let Some(status) = status else {
            // Held open until the daemon gives up.
            let _ = stream.read(&mut [0]);
            return;
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn receive(stream: &mut (impl Read + Write)) -> Option<Post> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Post { head, body })
}

const DEADLINE: Duration = Duration::from_secs(30);
