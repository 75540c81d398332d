//! A device as the load generator has it: what it sends, and the one answer that counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engage_device::{CachedTlsClient, Request, TlsClient, TlsVersions, connect_from, exchange};
use engage_wire::HostName;
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::expected::Expected;
use crate::installation::Installation;
use crate::process::Server;
use crate::trouble::{Outcome, Trouble, While};

/// Devices of one server, as many as there are callers of its functions.
#[derive(Clone)]
pub(crate) struct Device {
    http: SocketAddr,
    https: SocketAddr,
    name: HostName,
    tls12: CachedTlsClient,
    tls13: CachedTlsClient,
    closing: Call,
    keeping: Call,
    certificate: Call,
}

/// A request and its answer.
#[derive(Clone, Debug)]
struct Call {
    request: Arc<[u8]>,
    expected: Arc<Expected>,
    closes: bool,
}

/// The versions that are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

impl Device {
    /// Learns what `server` answers; it must be the installation's payload.
    pub(crate) async fn learn(installation: &Installation, server: &Server) -> Outcome<Self> {
        let url = |target| {
            format!("http://{}{target}", server.http)
                .parse::<engage_wire::HttpUrl>()
                .doing("making a URL")
        };
        let current = url("/swordfish/lock/certificates/current")?;
        let file = url("/static/Device_Certificates/partner_CA.der")?;
        let announcement = &*installation.announcement;
        let client = |versions| TlsClient::new(installation.anchor.clone(), versions).cached();
        Ok(Self {
            http: server.http,
            https: server.https,
            name: HostName::Ip(Ipv4Addr::LOCALHOST.into()),
            tls12: client(TlsVersions::Device),
            tls13: client(TlsVersions::Any),
            closing: Call::learn(server, Request::get(&current), true, announcement, JSON).await?,
            keeping: Call::learn(
                server,
                Request::get(&current).keep_alive(),
                false,
                announcement,
                JSON,
            )
            .await?,
            certificate: Call::learn(
                server,
                Request::get(&file),
                true,
                installation.anchor.der(),
                "application/octet-stream",
            )
            .await?,
        })
    }

    /// The same devices at another server of the same program.
    pub(crate) fn at(&self, server: &Server) -> Self {
        Self {
            http: server.http,
            https: server.https,
            ..self.clone()
        }
    }

    /// Fetches the announcement over a connection of its own, in clear text.
    pub(crate) async fn fetch(&self, source: IpAddr) -> Outcome<()> {
        self.fetch_until(source, soon()).await
    }

    pub(crate) async fn fetch_until(&self, source: IpAddr, deadline: Instant) -> Outcome<()> {
        let mut stream = connect_from(source, self.http, deadline)
            .await
            .doing("connecting")?;
        self.closing.ask(&mut stream, deadline).await
    }

    /// Fetches the certificate, likewise.
    pub(crate) async fn fetch_certificate(&self, source: IpAddr, deadline: Instant) -> Outcome<()> {
        let mut stream = connect_from(source, self.http, deadline)
            .await
            .doing("connecting")?;
        self.certificate.ask(&mut stream, deadline).await
    }

    /// Fetches the announcement over a TLS session of its own.
    pub(crate) async fn fetch_secure(&self, source: IpAddr, version: Version) -> Outcome<()> {
        self.fetch_secure_until(source, version, soon()).await
    }

    pub(crate) async fn fetch_secure_until(
        &self,
        source: IpAddr,
        version: Version,
        deadline: Instant,
    ) -> Outcome<()> {
        let mut stream = self.shake_hands(source, version, deadline).await?;
        self.closing.ask(&mut stream, deadline).await
    }

    /// A plain connection that has had one answer and stays open.
    pub(crate) async fn stay(&self, source: IpAddr) -> Outcome<TcpStream> {
        let mut stream = connect_from(source, self.http, soon())
            .await
            .doing("connecting")?;
        self.ask_again(&mut stream).await?;
        Ok(stream)
    }

    /// A TLS connection that has had one answer and stays open.
    pub(crate) async fn stay_secure(
        &self,
        source: IpAddr,
        version: Version,
    ) -> Outcome<TlsStream<TcpStream>> {
        let mut stream = self.shake_hands(source, version, soon()).await?;
        self.ask_again(&mut stream).await?;
        Ok(stream)
    }

    /// One more request on a connection that stays open.
    pub(crate) async fn ask_again<S>(&self, stream: &mut S) -> Outcome<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.keeping.ask(stream, soon()).await
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.https
    }

    /// Always a full handshake, of exactly this version.
    async fn shake_hands(
        &self,
        source: IpAddr,
        version: Version,
        deadline: Instant,
    ) -> Outcome<TlsStream<TcpStream>> {
        let (client, wanted) = match version {
            Version::Tls12 => (&self.tls12, ProtocolVersion::TLSv1_2),
            Version::Tls13 => (&self.tls13, ProtocolVersion::TLSv1_3),
        };
        let stream = connect_from(source, self.https, deadline)
            .await
            .doing("connecting")?;
        let stream = client
            .handshake(stream, self.https, &self.name, deadline)
            .await
            .doing("shaking hands")?;
        let session = stream.get_ref().1;
        if session.handshake_kind() != Some(HandshakeKind::Full) {
            return Err(Trouble::new("a session was resumed"));
        }
        if session.protocol_version() != Some(wanted) {
            return Err(Trouble::new("another version of TLS was agreed on"));
        }
        Ok(stream)
    }
}

impl Call {
    async fn learn(
        server: &Server,
        request: Request,
        closes: bool,
        body: &[u8],
        content_type: &str,
    ) -> Outcome<Self> {
        let mut stream = connect_from(Ipv4Addr::LOCALHOST.into(), server.http, soon())
            .await
            .doing("connecting")?;
        let received = exchange(&mut stream, &request, soon())
            .await
            .doing("learning an answer")?;
        Ok(Self {
            request: request.to_bytes().into(),
            expected: Arc::new(Expected::learn(&received, body, content_type)?),
            closes,
        })
    }

    /// Asks, and fails unless the answer is the expected one to the last byte.
    async fn ask<S>(&self, stream: &mut S, deadline: Instant) -> Outcome<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut answer = [0; MAX_RESPONSE_BYTES];
        let length = timeout_at(deadline, self.exchange(stream, &mut answer))
            .await
            .map_err(|_| Trouble::new("no answer in time"))?
            .doing("asking")?;
        if self.expected.is(&answer[..length]) {
            return Ok(());
        }
        let wrong = String::from_utf8_lossy(&answer[..length]);
        Err(Trouble::new(format!("a wrong answer: {wrong:?}")))
    }

    async fn exchange<S>(&self, stream: &mut S, answer: &mut [u8]) -> std::io::Result<usize>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(&self.request).await?;
        stream.flush().await?;
        let mut length = 0;
        // A closing server is read to its end, which must come right after the answer.
        while length < answer.len() && (self.closes || length < self.expected.len()) {
            match stream.read(&mut answer[length..]).await? {
                0 => break,
                read => length += read,
            }
        }
        Ok(length)
    }
}

/// The source address of device `number`, one for each.
pub(crate) fn address(number: usize) -> IpAddr {
    let [_, a, b, c] = u32::try_from(number % ADDRESSES)
        .unwrap_or_default()
        .to_be_bytes();
    // 127.0.x.x is left to the servers.
    Ipv4Addr::new(127, a + 1, b, c.max(1)).into()
}

/// Longer than anything that is not stuck.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

const ADDRESSES: usize = 1 << 20;
const MAX_RESPONSE_BYTES: usize = 4096;
const JSON: &str = "application/json";
