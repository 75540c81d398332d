//! Floods of handshakes, of which each costs the server a signature and the client nothing.

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Attack, HonestDevice, Host, standard, trusting};

#[test]
fn handshakes_that_are_never_finished() {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(trusting(&standard().root.der), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let hello: &[u8] = hello.leak();
    let installation = Host::installation("");
    installation.set("[log]", "level = \"info,access=warn\"");
    let daemon = crate::harness::Daemon::start(&installation);
    let host = Host {
        installation,
        daemon,
    };
    let mut device = HonestDevice::new(&host.daemon);
    let flood = Attack::begin(256, 64, host.daemon.https, move |mut stream| async move {
        if stream.write_all(hello).await.is_ok() {
            // Its certificate and signature.
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    device.visits(25).assert_prompt();
    drop(flood);
    device.assert_all_stored(&host);
}
