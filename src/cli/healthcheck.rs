//! `engage-host healthcheck`: whether the daemon that runs here is ready.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use miette::Diagnostic;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::output::{SystemError, print};
use crate::config::{AdminConfig, AdminListen, ConfigSource, ListenOverrides};
use crate::failure::Failure;
use crate::http_client::any_certificate;
use engage_device::{
    ConnectError, ExchangeError, Request, Response, ResponseError, connect, exchange,
};
use engage_wire::{HostName, HostPort, HttpUrl, Scheme, reached_from_here};

/// Ask the daemon that runs on this computer whether it is ready.
///
/// For the health checks of containers, whose image has nothing else that could ask. Prints what `/readyz` of the admin
/// listener answers. Exit code 0 if the daemon is ready; 1 if not, or if it does not answer within 4 seconds.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host healthcheck --config /etc/engage-host/config.toml")]
pub(super) struct Healthcheck {
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}

impl Healthcheck {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let source = ConfigSource {
            path: self.config,
            listen: ListenOverrides::default(),
        };
        let url = readyz(&source.load()?.admin)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SystemError::new("make a client"))?;
        let answer = runtime.block_on(ask(&url))?;
        print(String::from_utf8_lossy(answer.body()).trim_end())?;
        Ok(ExitCode::from(u8::from(answer.status() != 200)))
    }
}

/// Where the daemon of this configuration says whether it is ready.
fn readyz(admin: &AdminConfig) -> Result<HttpUrl, HealthcheckError> {
    let address = match admin.listen {
        AdminListen::Default => AdminListen::DEFAULT_ADDRESS.into(),
        AdminListen::Address(address) => reached_from_here(address),
        AdminListen::Off => return Err(HealthcheckError::NoAdminListener),
    };
    let scheme = match admin.identity() {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    };
    let address = HostPort {
        host: HostName::Ip(address.ip()),
        port: address.port(),
    };
    Ok(HttpUrl::new(scheme, address).with_target("/readyz"))
}

async fn ask(url: &HttpUrl) -> Result<Response, HealthcheckError> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    let mut stream = connect(&url.address(), deadline).await?;
    let request = Request::get(url);
    let received = if url.is_https() {
        let connector = TlsConnector::from(any_certificate());
        let name = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
        let shaken = timeout_at(deadline, connector.connect(name, stream)).await;
        let mut stream = shaken
            .map_err(|_| ExchangeError::Deadline)?
            .map_err(|source| ExchangeError::Broken { source })?;
        exchange(&mut stream, &request, deadline).await?
    } else {
        exchange(&mut stream, &request, deadline).await?
    };
    // That its headers are spelled as devices want them is another listener's affair.
    Ok(received.lenient_response()?.response)
}

/// Why nothing is known of the daemon.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum HealthcheckError {
    #[error(
        "the daemon of this configuration has no admin listener, which says whether it is ready"
    )]
    #[diagnostic(
        code("no-admin-listener"),
        help("`[admin] listen` is \"\"; without it the daemon listens on 127.0.0.1:9480")
    )]
    NoAdminListener,
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer of the daemon's admin listener")]
    #[diagnostic(forward(0))]
    Exchange(#[from] ExchangeError),
    #[error("the daemon's admin listener does not answer in HTTP")]
    #[diagnostic(forward(0))]
    Response(#[from] ResponseError),
}

/// Container runtimes give such a command five seconds and more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:9480", "http://127.0.0.1:9480/readyz"),
            ("[::]:9480", "http://[::1]:9480/readyz"),
            ("10.1.2.3:80", "http://10.1.2.3/readyz"),
        ] {
            let admin = AdminConfig {
                listen: AdminListen::Address(listen.parse().unwrap()),
                ..AdminConfig::default()
            };
            assert_eq!(readyz(&admin).unwrap().to_string(), expected);
        }
    }
}
