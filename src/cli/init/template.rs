//! The text of a new `config.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::ListenOverrides;
use engage_wire::HostName;

/// How a configuration begins that `init` wrote.
pub(super) const FIRST_LINE: &str = "# engage-host: made by `engage-host init`";

/// A commented configuration; `host` becomes `base_url` if the operator named one.
///
/// What is filled in needs no TOML escapes: addresses and host names have neither quotes nor
/// backslashes.
pub(super) fn config(listen: &ListenOverrides, host: Option<&HostName>) -> String {
    let http = listen.http.unwrap_or((Ipv4Addr::UNSPECIFIED, 80).into());
    let https = listen.https.unwrap_or((Ipv4Addr::UNSPECIFIED, 443).into());
    let base_url = match host.and_then(|host| base_url(host, http)) {
        Some(url) => format!("base_url = \"{url}\""),
        None => "# base_url = \"http://10.44.68.128\"".to_owned(),
    };
    format!(
        r#"{FIRST_LINE}. docs/CONFIGURATION.md lists every key.
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

[[site]]
name = "Main Office"
# The ENGAGE site's key: 32 bytes as Base64 (44 characters), hex (64 digits), or raw.
key_file = "pki/site.key"
# What devices are told to install.
certificate = "static/Device_Certificates/partner_CA.der"
# Host header values that select this site; the one site without `hosts` is the default.
# hosts = ["site-a.example.com"]
"#
    )
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
        let text = config(&listen, host.as_ref());
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
