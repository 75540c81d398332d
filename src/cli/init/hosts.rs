//! The names for which the server certificate is issued.

use super::layout::distinct;
use super::replaced::Replaced;
use crate::config::{Config, primary_ipv4};
use engage_wire::HostName;

/// Those that the operator named, and this computer's own.
pub(in crate::cli) fn given(hosts: &[HostName], config: &Config) -> Vec<HostName> {
    names(hosts, None, config)
}

/// Each name and address once, the most telling first.
///
/// Addresses and at least one DNS name: devices are told bare addresses, and some embedded TLS
/// clients look at DNS names only (PROTOCOL.md section 2).
pub(super) fn names(
    given: &[HostName],
    replaced: Option<&Replaced>,
    config: &Config,
) -> Vec<HostName> {
    let mut names = match replaced {
        _ if !given.is_empty() => given.to_vec(),
        Some(replaced) => {
            let earlier = replaced.hosts.iter().cloned();
            earlier.chain(configured(config)).collect()
        }
        None => found(config),
    };
    if !names.iter().any(|name| matches!(name, HostName::Dns(_))) {
        names.extend(own_name());
    }
    // What an integrator's curl on this computer connects to.
    names.push(HostName::Dns("localhost".to_owned()));
    names.push(HostName::Ip(std::net::Ipv4Addr::LOCALHOST.into()));
    distinct(names)
}

/// Names under which devices are told to reach this computer.
fn configured(config: &Config) -> impl Iterator<Item = HostName> {
    let base_url = config.base_url.iter().map(|url| url.host().clone());
    base_url.chain(config.sites.iter().flat_map(|site| site.hosts.to_vec()))
}

/// What the configuration and this computer say of themselves.
fn found(config: &Config) -> Vec<HostName> {
    let base_url = config.base_url.iter().map(|url| url.host().clone());
    let primary = primary_ipv4().map(|address| HostName::Ip(address.into()));
    let listening = [config.http.listen, config.https.listen]
        .into_iter()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_unspecified())
        .map(HostName::Ip);
    let of_sites = config.sites.iter().flat_map(|site| site.hosts.to_vec());
    base_url
        .chain(primary)
        .chain(listening)
        .chain(own_name())
        .chain(of_sites)
        .collect()
}

/// This computer's host name, if it is one.
fn own_name() -> Option<HostName> {
    let name = gethostname::gethostname().into_string().ok()?;
    match name.parse().ok()? {
        name @ HostName::Dns(_) => Some(name),
        HostName::Ip(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names_with(given: &[&str], listen: &str, base_url: &str) -> Vec<String> {
        let text = format!(
            "{base_url}\n[http]\nlisten = \"{listen}\"\n\
             [https]\nlisten = \"0.0.0.0:443\"\ncertificate = \"a\"\nprivate_key = \"b\"\n\
             [[site]]\nname = \"A\"\nkey_file = \"c\"\ncertificate = \"d.der\"\n"
        );
        let config = Config::parse(Path::new("/x/config.toml"), &text).unwrap();
        let given: Vec<_> = given.iter().map(|host| host.parse().unwrap()).collect();
        names(&given, None, &config)
            .iter()
            .map(HostName::to_string)
            .collect()
    }

    #[test]
    fn given_hosts_come_first_and_nothing_is_guessed_beside_a_given_name() {
        assert_eq!(
            names_with(
                &["10.0.0.1", "Doors.example.com", "10.0.0.1"],
                "192.0.2.7:80",
                ""
            ),
            ["10.0.0.1", "doors.example.com", "localhost", "127.0.0.1"]
        );
    }

    #[test]
    fn without_given_hosts_base_url_and_specific_listeners_are_named() {
        let names = names_with(
            &[],
            "192.0.2.7:80",
            "base_url = \"http://doors.example.com\"",
        );
        assert_eq!(names[0], "doors.example.com");
        assert!(names.contains(&"192.0.2.7".to_owned()), "{names:?}");
        assert!(!names.contains(&"0.0.0.0".to_owned()), "{names:?}");
        assert_eq!(
            names.iter().filter(|name| *name == "127.0.0.1").count(),
            1,
            "{names:?}"
        );
    }
}
