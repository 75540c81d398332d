//! Floods of call-ins by devices that somebody invents.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Attack, HonestDevice, Host, request};

/// Strangers come over a balancer, so that each has a network of its own.
fn host() -> Host {
    let installation = Host::installation("");
    installation.set("[access]", "proxy_protocol_from = [\"127.66.0.0/16\"]");
    let daemon = crate::harness::Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

/// Forty strangers who deliver `body` for another serial number each time, whatever they are answered.
fn flood(host: &Host, body: &'static [u8]) -> Attack {
    let serials = Arc::new(AtomicUsize::new(0xBAD0_0000));
    Attack::begin(40, 1, host.daemon.http, move |stream| {
        deliver(stream, body, Arc::clone(&serials))
    })
}

async fn deliver(mut stream: TcpStream, body: &[u8], serials: Arc<AtomicUsize>) {
    let stranger = serials.load(Ordering::Relaxed) % 250;
    let header = format!("PROXY TCP4 10.66.0.{stranger} 10.0.0.1 1 80\r\n");
    let mut is_open = stream.write_all(header.as_bytes()).await.is_ok();
    let mut answer = [0; 1024];
    while is_open {
        let serial = serials.fetch_add(1, Ordering::Relaxed);
        let target = format!("/swordfish/lock/audit?sn={serial:016X}");
        let call = request("POST", &target, "", body);
        is_open = stream.write_all(&call).await.is_ok()
            && stream.read(&mut answer).await.is_ok_and(|read| read > 0);
    }
}

fn assert_nobody_notices(body: &'static [u8]) -> Host {
    let host = host();
    let mut device = HonestDevice::new(&host.daemon);
    device.visits(5).assert_prompt();
    let strangers = flood(&host, body);
    device.visits(50).assert_prompt();
    drop(strangers);
    device.assert_all_stored(&host);
    host
}

#[test]
fn devices_that_somebody_invents() {
    assert_nobody_notices(br#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"}]}"#);
}

#[test]
fn bodies_that_cannot_be_read() {
    let mut host = assert_nobody_notices(vec![b'x'; 64 * 1024].leak());
    let refused = host.daemon.metrics();
    let answered = refused.sum("requests_total", &[("status", "400")]);
    let kept = host.installation.quarantined().len();
    assert!(
        answered > 0 && kept > 0 && kept <= 4096,
        "{answered}, {kept}"
    );
}

/// Batches without an event, beside much else: they are taken, so that nothing limits them but the work.
#[test]
fn bodies_that_take_long_to_read() {
    let body = format!(r#"{{"asyncEvents":[],"x":"{}"}}"#, "x".repeat(1_000_000));
    assert_nobody_notices(body.into_bytes().leak());
}
