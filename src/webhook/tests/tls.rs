//! A receiver under TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::receiver::TestReceiver;
use super::*;
use engage_wire::crypto_provider;

const AT: &str = "2026-11-01T02:00:00Z";

#[tokio::test]
async fn a_receiver_whose_authority_is_in_the_ca_file_gets_the_events() {
    let (receiver, port, authority) = start("127.0.0.1").await;
    let store = TestStore::new();
    store.append(1, AT, 1..=250).await;
    let delivery = store.deliver_to(https(port, &authority));
    receiver.until(|it| it.count() == 250).await;
    delivery.stop().await;
}

#[tokio::test]
async fn a_receiver_of_another_authority_or_name_is_refused_and_its_address_is_named() {
    let (receiver, port, _) = start("127.0.0.1").await;
    let (_, misnamed_port, misnamed) = start("acs.example.com").await;
    let (_, _, other_authority) = start("127.0.0.1").await;
    for (port, authority) in [(port, other_authority), (misnamed_port, misnamed)] {
        let webhook = https(port, &authority);
        let headers = client::DeliveryHeaders {
            signature: String::new(),
            delivery: String::new(),
            traceparent: String::new(),
        };
        let posted = webhook.client.post(&headers, "{}".into()).await;
        let error = posted.unwrap_err().to_string();
        let expected = format!("no TLS with 127.0.0.1:{port}: invalid peer certificate");
        assert!(error.contains(&expected), "{error}");
    }
    assert_eq!(receiver.requests(), 0);
}

/// A receiver with a certificate for `name`, its port, and its authority as PEM.
async fn start(name: &str) -> (Arc<TestReceiver>, u16, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = TestReceiver::new(&[]);
    let serving = Arc::clone(&receiver);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(tls) = acceptor.accept(tcp).await {
                tokio::spawn(Arc::clone(&serving).answer_all(tls));
            }
        }
    });
    (receiver, port, authority.pem())
}

fn https(port: u16, authority: &str) -> Receiver {
    let folder = tempfile::tempdir().unwrap();
    let [secret_file, ca_file] = ["secret", "ca.pem"].map(|name| folder.path().join(name));
    fs_err::write(&secret_file, SECRET).unwrap();
    fs_err::write(&ca_file, authority).unwrap();
    let config = WebhookConfig {
        url: format!("https://127.0.0.1:{port}/in").parse().unwrap(),
        secret_file,
        ca_file: Some(ca_file),
    };
    Receiver::with_timing(&config, quick()).unwrap()
}
