//! The identity of the admin listener: a certificate of its own, for browsers and programs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use miette::Diagnostic;
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use engage_wire::pki::{LoadError, PrivateKey, load_certificate_chain};

/// How the admin listener shakes hands, until its files are read again. None of a device's limits
/// apply: any chain and any key that the TLS library takes.
#[derive(Debug)]
pub(crate) struct AdminIdentity(ArcSwapOption<ServerConfig>);

impl AdminIdentity {
    /// Without `config` every handshake is refused, until there is one.
    pub(crate) fn new(config: Option<Arc<ServerConfig>>) -> Self {
        Self(ArcSwapOption::new(config))
    }

    /// Reads a certificate, with its intermediates, and its key.
    pub(crate) fn load(
        certificate: &Path,
        private_key: &Path,
    ) -> Result<Arc<ServerConfig>, AdminIdentityError> {
        let chain = load_certificate_chain("admin certificate", certificate)?;
        let key = match chain.first() {
            Some(leaf) => PrivateKey::load_for(private_key, leaf)?,
            None => PrivateKey::load(private_key)?,
        };
        let chain = chain.iter().map(|it| it.der().clone()).collect();
        let builder = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12]);
        let mut config = builder
            .and_then(|it| {
                it.with_no_client_auth()
                    .with_single_cert(chain, key.into_der())
            })
            .map_err(|source| AdminIdentityError::Unusable {
                certificate: certificate.to_owned(),
                source,
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Has new connections shake hands so.
    pub(crate) fn replace(&self, config: Arc<ServerConfig>) {
        self.0.store(Some(config));
    }

    /// Shakes hands.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let config = self.0.load_full().ok_or(io::ErrorKind::ConnectionRefused)?;
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Why the admin listener cannot shake hands.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(crate) enum AdminIdentityError {
    /// A file is not what it should be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Load(#[from] LoadError),
    /// The key is another one's, or of a kind that TLS does not know.
    #[error("`[admin] private_key` is not usable with admin certificate `{}`", certificate.display())]
    #[diagnostic(
        code("admin-identity"),
        help("name the key that the certificate was made for")
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// What the TLS library says.
        source: rustls::Error,
    },
}
