//! The text of a new `config.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::ListenOverrides;
use engage_wire::HostName;

/// How a configuration begins that one of our commands wrote.
pub(super) const FIRST_WORDS: &str = "# engage-host: made by `engage-host ";

/// What is filled into a commented configuration.
///
/// It needs no TOML escapes: addresses, host names and the file names of certificates have neither
/// quotes nor backslashes.
pub(in crate::cli) struct Template {
    /// Which of our commands writes it.
    pub(in crate::cli) command: &'static str,
    pub(in crate::cli) http: SocketAddr,
    pub(in crate::cli) https: SocketAddr,
    pub(in crate::cli) base_url: Option<String>,
    /// File name of the announced certificate.
    pub(in crate::cli) announced: String,
    /// Where what devices send is kept, if not beside the configuration.
    pub(in crate::cli) devices_directory: Option<&'static str>,
}

impl Template {
    /// For `init`; `host` becomes `base_url` if the operator named one.
    pub(super) fn for_host(listen: &ListenOverrides, host: Option<&HostName>) -> Self {
        let any = |port: u16| (Ipv4Addr::UNSPECIFIED, port).into();
        let http = listen.http.unwrap_or_else(|| any(80));
        Self {
            command: "init",
            http,
            https: listen.https.unwrap_or_else(|| any(443)),
            base_url: host.and_then(|host| base_url(host, http)),
            announced: "partner_CA.der".to_owned(),
            devices_directory: None,
        }
    }

    pub(in crate::cli) fn text(&self) -> String {
        let Self {
            command,
            http,
            https,
            base_url,
            announced,
            devices_directory,
        } = self;
        let base_url = match base_url {
            Some(url) => format!("base_url = \"{url}\""),
            None => "# base_url = \"http://10.44.68.128\"".to_owned(),
        };
        let devices = devices_directory.map_or_else(String::new, |directory| {
            format!("\n[devices]\ndirectory = \"{directory}\"\n")
        });
        format!(
            r#"{FIRST_WORDS}{command}`. docs/CONFIGURATION.md lists every key.
# Relative paths start from this file's folder.

# How devices reach port 80; cert_url = base_url + /static/Device_Certificates/ + file name.
# Without it: this host's primary IPv4 address (and the port, if not 80).
{base_url}
static_dir = "static"

[http]
listen = "{http}"

[https]
listen = "{https}"
# Server certificate first, then the intermediate(s); the root may follow.
certificate = "pki/partner_server.pem"
private_key = "pki/partner_server.key"

[admin]
# Health, metrics, pages and API, on http://127.0.0.1:9480 unless `listen` says otherwise. Pages and API take a token:
# `engage-host admin token NAME --role read` makes one and adds it to this file.
token_file = "admin-tokens"

[[site]]
name = "Main Office"
# The ENGAGE site's key: 32 bytes as Base64 (44 characters), hex (64 digits), or raw.
key_file = "pki/site.key"
# What devices are told to install.
certificate = "static/Device_Certificates/{announced}"
# Host header values that select this site; the one site without `hosts` is the default.
# hosts = ["site-a.example.com"]
{devices}"#
        )
    }
}

/// `None` where the port is not known before the daemon listens.
fn base_url(host: &HostName, http: SocketAddr) -> Option<String> {
    let host = match host {
        HostName::Ip(IpAddr::V6(address)) => format!("[{address}]"),
        host => host.to_string(),
    };
    match http.port() {
        0 => None,
        80 => Some(format!("http://{host}")),
        port => Some(format!("http://{host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parsed(http: &str, host: Option<&str>) -> Config {
        let listen = ListenOverrides {
            http: Some(http.parse().unwrap()),
            https: None,
        };
        let host = host.map(|host| host.parse().unwrap());
        let text = Template::for_host(&listen, host.as_ref()).text();
        Config::parse(Path::new("/x/config.toml"), &text).unwrap()
    }

    #[test]
    fn base_url_is_the_first_host_with_the_port_unless_it_is_80() {
        for (http, host, url) in [
            ("0.0.0.0:80", "10.44.68.128", "http://10.44.68.128"),
            (
                "[::]:8080",
                "doors.example.com",
                "http://doors.example.com:8080",
            ),
            ("[::]:8080", "2001:db8::1", "http://[2001:db8::1]:8080"),
        ] {
            let config = parsed(http, Some(host));
            assert_eq!(config.base_url.unwrap().to_string(), url);
            assert_eq!(config.http.listen.to_string(), http);
        }
    }

    #[test]
    fn base_url_is_left_open_without_a_host_or_a_fixed_port() {
        assert_eq!(parsed("0.0.0.0:80", None).base_url, None);
        assert_eq!(parsed("127.0.0.1:0", Some("127.0.0.1")).base_url, None);
    }
}
