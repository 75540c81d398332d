//! What the simulated device, and so `doctor`, says of a host's answers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use engage_device::{
    ReceivedAnnouncement, Request, Response, TlsClient, TlsVersions, connect, exchange,
};
use engage_wire::diagnostic::{causes, code, hint};
use engage_wire::pki::parse_certificate_der;
use engage_wire::{HostName, HostPort};
use miette::Diagnostic;
use tokio::time::Instant;

use crate::harness::standard;

fn told(error: &dyn Diagnostic) -> String {
    format!(
        "[{}] {}\n  hint: {}\n",
        code(error),
        causes(error),
        hint(error)
    )
}

#[test]
fn answers() {
    let long = "x".repeat(70_000);
    let long_head = format!("HTTP/1.1 200 OK\r\nA: {long}\r\n\r\n");
    let answers = [
        "",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &long_head,
        "HTTP/1.1 200 OK\r\nContent-",
        "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nx",
    ];
    let mut text: String = answers
        .iter()
        .map(|answer| told(&Response::parse(answer.as_bytes()).unwrap_err()))
        .collect();
    for body in [
        &b"\xff"[..],
        b"hello",
        b"{}",
        br#"{"cert_url":1,"hash":""}"#,
        br#"{"cert_url":"http://a/b.der","cert_url":"http://a/b.der","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#,
        br#"{"cert_url":"http://a/b.der","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","more":1}"#,
    ] {
        text += &told(&ReceivedAnnouncement::parse(body).unwrap_err());
    }
    insta::assert_snapshot!("answers", text);
}

#[test]
fn connections() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = runtime.block_on(async {
        let mut text = String::new();
        let soon = || Instant::now() + Duration::from_millis(200);
        let late = || Instant::now() + Duration::from_secs(30);
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        text += &told(&connect(&at(closed), late()).await.unwrap_err())
            .replace(&closed.to_string(), "[peer]");
        let url = "http://127.0.0.1/".parse().unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let mut stream = connect(&at(address), late()).await.unwrap();
        text += &told(
            &exchange(&mut stream, &Request::get(&url), soon())
                .await
                .unwrap_err(),
        );
        let root = parse_certificate_der(
            "root certificate",
            Path::new("root.der"),
            &standard().root.der,
        )
        .unwrap();
        let client = TlsClient::new(root, TlsVersions::Any);
        text += &told(&client.connect(&at(address), soon()).await.unwrap_err())
            .replace(&address.to_string(), "[peer]");
        let mut stream = connect(&at(address), late()).await.unwrap();
        let answering = thread::spawn(move || {
            for _ in 0..2 {
                let _ = silent.accept();
            }
            // Ended with the request unread, which resets the connection.
            let (stream, _) = silent.accept().unwrap();
            let _ = stream.peek(&mut [0]);
            drop(stream);
            let (mut stream, _) = silent.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
        });
        let request = Request::get(&url);
        text += &told(&exchange(&mut stream, &request, late()).await.unwrap_err());
        text += &told(&client.connect(&at(address), late()).await.unwrap_err())
            .replace(&address.to_string(), "[peer]");
        answering.join().unwrap();
        text
    });
    insta::assert_snapshot!("connections", text);
}

fn at(address: std::net::SocketAddr) -> HostPort {
    HostPort {
        host: HostName::Ip(address.ip()),
        port: address.port(),
    }
}
