//! A client of raw bytes: HTTP libraries hide how header names are spelled.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::time::timeout;

/// One answer, split where the head ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Response {
    /// Status line and header lines, with their line ends.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
        Self {
            head: String::from_utf8(bytes[..end + 2].to_vec()).unwrap(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The value of a header whose name is spelled exactly so.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .split("\r\n")
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The value of a member of a JSON body.
    pub(crate) fn json(&self, member: &str) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body[member].as_str().unwrap().to_owned()
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// As [`connect`], from another address of this computer, such as 127.0.0.2.
pub(crate) fn connect_from(source: impl Into<IpAddr>, address: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.unwrap();
        socket.bind((source.into(), 0).into()).unwrap();
        let connected = timeout(DEADLINE, socket.connect(address)).await;
        connected.unwrap().unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// As [`get`], from another address of this computer.
pub(crate) fn get_from(source: impl Into<IpAddr>, address: SocketAddr, target: &str) -> Response {
    let mut stream = connect_from(source, address);
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    Response::parse(&read_to_end(&mut stream))
}

/// Sends `request` on a fresh connection and reads until the server closes it.
pub(crate) fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Vec<u8> {
    let mut stream = connect(address);
    // The server may refuse and close before it has read all of a bad request.
    let _ = stream.write_all(request.as_ref());
    read_to_end(&mut stream)
}

/// `GET target`, raw, and the answer.
pub(crate) fn get(address: SocketAddr, target: &str) -> Response {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    Response::parse(&exchange(address, request))
}

/// Everything until the server closes. A reset after the answer is a close too: it follows when
/// the server had not read all of a request that it refused.
pub(crate) fn read_to_end(stream: &mut (impl Read + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert!(
            !bytes.is_empty() && error.kind() == std::io::ErrorKind::ConnectionReset,
            "{error} after {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    bytes
}

/// One answer from a connection that stays open: as many bytes of body as the head says.
pub(crate) fn read_answer(stream: &mut impl Read) -> Response {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let mut answer = Response::parse(&bytes);
    let length = answer.header("Content-Length").unwrap().parse().unwrap();
    answer.body = vec![0; length];
    stream.read_exact(&mut answer.body).unwrap();
    answer
}

/// Closes the sending side, as simple embedded clients do after the request.
pub(crate) fn close_sending(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Beyond every deadline of the daemon that a test waits for.
const DEADLINE: Duration = Duration::from_mins(1);
