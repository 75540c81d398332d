//! Small hosts, written by hand, that have one fault each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha1::Sha1;

use super::openssl::{Pki, SITE_KEY};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    None,
    Chunked,
    ClosedTls,
    HtmlType,
    Http10,
    HttpsCertUrl,
    KeyOrder,
    LeaksKey,
    LeaksKeyBesidePki,
    LeaksSiteKey,
    LowerCaseLength,
    MissingFile,
    OtherOverTls,
    Pem,
    PlainTls,
    TextKeyHash,
    WrongHash,
    WrongTlsKey,
}

/// Answers on two ports until it is dropped.
pub(crate) struct Host {
    http: SocketAddr,
    https: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start(pki: &Pki, fault: Fault) -> Self {
        let plain = TcpListener::bind("127.0.0.1:0").unwrap();
        let secure = TcpListener::bind("127.0.0.1:0").unwrap();
        let (http, https) = (plain.local_addr().unwrap(), secure.local_addr().unwrap());
        let content = Arc::new(Content::new(pki, fault, http));
        let tls = tls_config(pki, fault);
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = vec![{
            let content = Arc::clone(&content);
            serve(plain, &stop, move |stream| content.answer(stream, false))
        }];
        match fault {
            Fault::ClosedTls => drop(secure),
            Fault::PlainTls => {
                threads.push(serve(secure, &stop, |mut stream| {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(
                        b"HTTP/1.1 400 Bad Request
Content-Length: 0

",
                    );
                }));
            }
            _ => threads.push(serve(secure, &stop, move |stream| {
                let session = ServerConnection::new(Arc::clone(&tls)).unwrap();
                content.answer(StreamOwned::new(session, stream), true);
            })),
        }
        Self {
            http,
            https,
            stop,
            threads,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn https(&self) -> String {
        self.https.to_string()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for address in [self.http, self.https] {
            // Wakes `accept`.
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// An address at which nobody listens: its listener was closed a moment ago.
pub(crate) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn serve(
    listener: TcpListener,
    stop: &Arc<AtomicBool>,
    answer: impl Fn(TcpStream) + Send + 'static,
) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            stream
                .set_write_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            answer(stream);
        }
    })
}

struct Content {
    fault: Fault,
    announcement: String,
    file: Vec<u8>,
    private_key: Vec<u8>,
}

impl Content {
    fn new(pki: &Pki, fault: Fault, http: SocketAddr) -> Self {
        let file = match fault {
            Fault::Pem => pki.read("ca.pem"),
            _ => pki.read("static/Device_Certificates/partner_CA.der"),
        };
        let key = STANDARD.decode(SITE_KEY).unwrap();
        let hash = STANDARD.encode(match fault {
            Fault::WrongHash => hmac(&[0; 32], &file),
            Fault::TextKeyHash => hmac(SITE_KEY.as_bytes(), &file),
            _ => hmac(&key, &file),
        });
        let scheme = if fault == Fault::HttpsCertUrl {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://{http}{CERTIFICATE}");
        let announcement = match fault {
            Fault::KeyOrder => format!(r#"{{"hash":"{hash}","cert_url":"{url}"}}"#),
            _ => format!(r#"{{"cert_url":"{url}","hash":"{hash}"}}"#),
        };
        Self {
            fault,
            announcement,
            file,
            private_key: pki.read("server.key"),
        }
    }

    fn answer(&self, mut stream: impl Read + Write, is_secure: bool) {
        let Some(path) = request_path(&mut stream) else {
            return;
        };
        let bytes = match path.as_str() {
            "/swordfish/lock/certificates/current" => self.announce(is_secure),
            CERTIFICATE if self.fault != Fault::MissingFile => {
                ok("application/octet-stream", &self.file)
            }
            "/static/Device_Certificates/partner_server.key" if self.fault == Fault::LeaksKey => {
                ok("text/plain", &self.private_key)
            }
            "/static/Device_Certificates/../../pki/partner_server.key"
                if self.fault == Fault::LeaksKeyBesidePki =>
            {
                ok("text/plain", &self.private_key)
            }
            "/pki/site.key" if self.fault == Fault::LeaksSiteKey => {
                ok("text/plain", format!("{SITE_KEY}\n").as_bytes())
            }
            _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        };
        let _ = stream.write_all(&bytes);
        let _ = stream.flush();
    }

    fn announce(&self, is_secure: bool) -> Vec<u8> {
        let body = match self.fault {
            Fault::OtherOverTls if is_secure => self.announcement.replace("partner_CA", "old_CA"),
            _ => self.announcement.clone(),
        };
        let good = String::from_utf8(ok("application/json", body.as_bytes())).unwrap();
        match self.fault {
            Fault::LowerCaseLength => good.replace("Content-Length", "content-length"),
            Fault::Http10 => good.replace("HTTP/1.1", "HTTP/1.0"),
            Fault::HtmlType => good.replace("application/json", "text/html; charset=utf-8"),
            Fault::Chunked => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
            _ => good,
        }
        .into_bytes()
    }
}

/// Reads the whole head: a connection closed with unread bytes would be reset.
fn request_path(stream: &mut impl Read) -> Option<String> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let path = target.split('?').next()?.to_owned();
    lines.find(String::is_empty)?;
    Some(path)
}

fn ok(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    hmac.update(message);
    hmac.finalize().into_bytes().to_vec()
}

fn tls_config(pki: &Pki, fault: Fault) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(&pki.read("chain.pem"))
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = match fault {
        Fault::WrongTlsKey => pki.read("intermediate.key"),
        _ => pki.read("server.key"),
    };
    let key = any_supported_type(&PrivateKeyDer::from_pem_slice(&key).unwrap()).unwrap();
    // Nothing compares the key with the certificate here.
    let identity = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = ServerConfig::builder_with_provider(engage_wire::crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(identity));
    Arc::new(config)
}

const CERTIFICATE: &str = "/static/Device_Certificates/partner_CA.der";
