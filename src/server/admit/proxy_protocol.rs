//! The header that a balancer sends first, version 1 or 2 of the PROXY protocol.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whom a header names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// The connection that is passed on came from there.
    Peer(SocketAddr),
    /// Nobody is named (`UNKNOWN`, `AF_UNSPEC`, `AF_UNIX`): the balancer itself counts as the
    /// caller (PROXY protocol sections 2.1 and 2.2).
    Unnamed,
    /// `LOCAL`: a connection of the balancer's own, such as a health check.
    Balancer,
}

/// Reads a header, and what came with it. Fails if there is none within `deadline`.
pub(super) async fn read_header(
    stream: &mut TcpStream,
    deadline: Duration,
) -> io::Result<(Caller, Bytes)> {
    let mut bytes = BytesMut::with_capacity(MAX_PROXY_HEADER_BYTES);
    let read = async {
        loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((caller, length)) = parse_proxy_header(&bytes)? {
                return Ok((caller, bytes.split_off(length).freeze()));
            }
        }
    };
    timeout(deadline, read)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// A header, and its length in bytes; `None` while more bytes could make it one.
pub fn parse_proxy_header(bytes: &[u8]) -> io::Result<Option<(Caller, usize)>> {
    let begins_as = |start: &[u8]| bytes.iter().zip(start).all(|(a, b)| a == b);
    let whole = if begins_as(v2::PROTOCOL_PREFIX) {
        let is_cut_off =
            bytes.len() < V2_FIXED_HEADER_BYTES || HeaderResult::parse(bytes).is_incomplete();
        (!is_cut_off).then_some(bytes)
    } else if begins_as(b"PROXY ") {
        v1_line(bytes)?
    } else {
        Some(bytes)
    };
    match whole {
        Some(whole) => caller(&HeaderResult::parse(whole)).map(Some),
        None if bytes.len() < MAX_PROXY_HEADER_BYTES => Ok(None),
        None => Err(invalid("it is longer than 4096 bytes")),
    }
}

/// A header of version 1 with its line end, and nothing behind it. Found here, because `ppp` takes an
/// address that has not yet arrived whole for a wrong one, and a CR at the end of its buffer for the
/// line's end.
fn v1_line(bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let beginning = &bytes[..bytes.len().min(MAX_V1_HEADER_BYTES)];
    match beginning.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => Ok(Some(&bytes[..end + 2])),
        None if bytes.len() < MAX_V1_HEADER_BYTES => Ok(None),
        None => Err(invalid("its line does not end within 107 bytes")),
    }
}

fn caller(header: &HeaderResult<'_>) -> io::Result<(Caller, usize)> {
    Ok(match header {
        HeaderResult::V1(Ok(header)) => (caller_v1(&header.addresses), header.header.len()),
        HeaderResult::V2(Ok(header)) => (caller_v2(header), header.len()),
        HeaderResult::V1(Err(error)) => return Err(invalid(&error.to_string())),
        HeaderResult::V2(Err(error)) => return Err(invalid(&error.to_string())),
    })
}

fn caller_v1(addresses: &v1::Addresses) -> Caller {
    match addresses {
        v1::Addresses::Tcp4(ip) => Caller::Peer((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Caller::Peer((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => Caller::Unnamed,
    }
}

fn caller_v2(header: &v2::Header<'_>) -> Caller {
    // The addresses of a LOCAL command are to be ignored (PROXY protocol section 2.2).
    if header.command == v2::Command::Local {
        return Caller::Balancer;
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => Caller::Peer((ip.source_address, ip.source_port).into()),
        v2::Addresses::IPv6(ip) => Caller::Peer((ip.source_address, ip.source_port).into()),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => Caller::Unnamed,
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// Sections 2.1 and 2.2 of the PROXY protocol.
const MAX_V1_HEADER_BYTES: usize = 107;
const V2_FIXED_HEADER_BYTES: usize = 16;

/// Version 2 may carry up to 64 KiB of extensions; balancers send a few hundred bytes.
const MAX_PROXY_HEADER_BYTES: usize = 4096;
