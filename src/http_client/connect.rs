//! Connections to a server: all addresses of its name, and TLS on top.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::authorities::{AuthoritiesError, tls_config};
use engage_wire::{HostName, HostPort, HttpUrl};

/// Connects to one server, whatever the request says.
#[derive(Clone)]
pub(crate) struct Connector {
    address: HostPort,
    /// For `https` only.
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

/// What requests are sent over.
pub(crate) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Connector {
    /// To the server of `url`, whose certificate those of `ca_file` may sign too; messages call that file
    /// `what`. `timeout` is for all of it: name, TCP, TLS.
    pub(crate) fn new(
        url: &HttpUrl,
        what: &'static str,
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, AuthoritiesError> {
        let tls = url.is_https().then(|| tls_config(what, ca_file));
        Ok(Self {
            address: url.address(),
            tls: tls.transpose()?,
            timeout,
        })
    }

    async fn connect(self) -> Result<Stream, ConnectError> {
        let deadline = self.timeout;
        let connecting = async {
            let (tcp, address) = connect_any(self.resolve().await?).await?;
            match &self.tls {
                None => Ok(MaybeHttpsStream::Http(TokioIo::new(tcp))),
                Some(config) => self
                    .handshake(config, tcp)
                    .await
                    .map_err(|source| ConnectError::Tls { address, source }),
            }
        };
        timeout(deadline, connecting)
            .await
            .map_err(|_| ConnectError::TimedOut(deadline))?
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let HostPort { host, port } = &self.address;
        let name = match host {
            HostName::Ip(address) => return Ok(vec![(*address, *port).into()]),
            HostName::Dns(name) => name.as_str(),
        };
        let failed = |source| ConnectError::Name {
            name: name.to_owned(),
            source,
        };
        let found: Vec<_> = lookup_host((name, *port)).await.map_err(failed)?.collect();
        if found.is_empty() {
            return Err(failed(io::Error::other("it has no address")));
        }
        Ok(found)
    }

    async fn handshake(&self, config: &Arc<ClientConfig>, tcp: TcpStream) -> io::Result<Stream> {
        let name = match &self.address.host {
            HostName::Ip(address) => ServerName::IpAddress((*address).into()),
            HostName::Dns(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
        };
        // The outer adapter is rustls's, the inner one hyper's.
        let tcp = TokioIo::new(TokioIo::new(tcp));
        let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        Ok(MaybeHttpsStream::Https(TokioIo::new(tls.await?)))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// Why there is no connection. Names the addresses that were tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("failed to look up `{name}`: {source}")]
    Name { name: String, source: io::Error },
    #[error("no connection: {}", listed(.0))]
    NoAddress(Vec<(SocketAddr, io::Error)>),
    #[error("no TLS with {address}: {source}")]
    Tls {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("no connection within {} s", .0.as_secs())]
    TimedOut(Duration),
}

fn listed(failures: &[(SocketAddr, io::Error)]) -> String {
    let failures = failures
        .iter()
        .map(|(address, error)| format!("{address}: {error}"));
    failures.collect::<Vec<_>>().join("; ")
}

/// The first connection that comes about. An attempt that is silent does not hold up the next: it
/// starts 250 ms later, or at once after a failure (RFC 8305 section 5).
async fn connect_any(addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let mut untried = alternate_families(addresses);
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    while !untried.is_empty() || !attempts.is_empty() {
        if let Some(address) = untried.pop_front() {
            attempts.spawn(async move { (address, connect_to(address).await) });
        }
        let pause = if untried.is_empty() {
            ATTEMPT_TIMEOUT
        } else {
            ATTEMPT_DELAY
        };
        match timeout(pause, attempts.join_next()).await {
            Ok(Some(Ok((address, Ok(stream))))) => return Ok((stream, address)),
            Ok(Some(Ok((address, Err(error))))) => failures.push((address, error)),
            Ok(Some(Err(_)) | None) | Err(_) => {}
        }
    }
    Err(ConnectError::NoAddress(failures))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let Ok(stream) = timeout(ATTEMPT_TIMEOUT, TcpStream::connect(address)).await else {
        let message = format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    };
    let stream = stream?;
    // A request is one or two writes, and somebody waits for its answer.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// In the resolver's order, but by turns of IPv6 and IPv4 (RFC 8305 section 4): where one family
/// leads nowhere, the other is the second and not the last.
fn alternate_families(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let is_first_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == is_first_ipv6);
    let (mut queues, mut ordered) = ([first, second], VecDeque::new());
    while queues.iter().any(|queue| !queue.is_empty()) {
        ordered.extend(queues.iter_mut().filter_map(VecDeque::pop_front));
    }
    ordered.truncate(MAX_ADDRESSES);
    ordered
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.address)
    }
}

/// RFC 8305 section 8 recommends it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// For each address by itself. All of [`MAX_ADDRESSES`] fit into the time for a connection.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A listener that accepts nobody, and whose queue is full: the system drops what comes.
    async fn silent_listener() -> (TcpListener, Vec<JoinSet<()>>, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = JoinSet::new();
        let full = timeout(Duration::from_secs(30), async {
            loop {
                let patience = Duration::from_secs(1);
                let connected = timeout(patience, TcpStream::connect(address)).await;
                let Ok(stream) = connected else { break };
                let stream = stream.unwrap();
                queued.spawn(async move {
                    let _held = stream;
                    std::future::pending::<()>().await;
                });
            }
        });
        full.await.expect("the queue of the listener is finite");
        (listener, vec![queued], address)
    }

    #[tokio::test]
    async fn a_silent_first_address_does_not_keep_from_the_second() {
        let (_silent, _queued, silent) = silent_listener().await;
        let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answering = receiver.local_addr().unwrap();
        // Less than the silent one's own deadline.
        let connecting = timeout(ATTEMPT_TIMEOUT, connect_any(vec![silent, answering]));
        let (_, connected) = connecting.await.unwrap().unwrap();
        assert_eq!(connected, answering);
    }

    #[tokio::test]
    async fn a_failure_names_every_address_with_its_reason() {
        let closed = |listener: TcpListener| listener.local_addr().unwrap();
        let first = closed(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let second = closed(TcpListener::bind("127.0.0.2:0").await.unwrap());
        let error = connect_any(vec![first, second]).await.unwrap_err();
        let text = error.to_string();
        for address in [first, second] {
            assert!(
                text.contains(&format!("{address}: Connection refused")),
                "{text}"
            );
        }
    }

    #[test]
    fn families_take_turns_and_their_number_is_bounded() {
        let addresses = |text: &str| -> Vec<SocketAddr> {
            text.split(' ').map(|it| it.parse().unwrap()).collect()
        };
        assert_eq!(
            alternate_families(addresses("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 1.1.1.2:1")),
            addresses("[::1]:1 1.1.1.1:1 [::2]:1 1.1.1.2:1 [::3]:1")
        );
        let many = (1..=100).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(alternate_families(many.collect()).len(), MAX_ADDRESSES);
        assert!(alternate_families(Vec::new()).is_empty());
    }
}
