//! The rule of Windows Defender Firewall that lets devices in.

use std::net::SocketAddr;
use std::path::Path;

#[cfg(windows)]
use crate::config::Config;

/// What is let in: to these ports, to this program alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FirewallRule {
    ports: Vec<u16>,
}

impl FirewallRule {
    /// For the listeners of devices, where others than this computer reach them.
    #[cfg(windows)]
    pub(super) fn for_devices(config: &Config) -> Self {
        Self::for_addresses([config.http.listen, config.https.listen])
    }

    fn for_addresses(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let reachable = addresses.into_iter().filter(|it| !it.ip().is_loopback());
        let mut ports: Vec<_> = reachable.map(|it| it.port()).collect();
        ports.dedup();
        Self { ports }
    }

    /// The ports that it opens; none where devices cannot reach this computer anyway.
    pub(super) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The arguments of `netsh`.
    pub(super) fn to_add(&self, program: &Path) -> Vec<String> {
        let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
        let mut arguments = command("add");
        arguments.extend([
            "dir=in".to_owned(),
            "action=allow".to_owned(),
            "protocol=TCP".to_owned(),
            format!("localport={}", ports.join(",")),
            format!("program={}", program.display()),
        ]);
        arguments
    }

    /// The arguments of `netsh` that remove every rule of this name.
    pub(super) fn to_remove() -> Vec<String> {
        command("delete")
    }
}

fn command(verb: &str) -> Vec<String> {
    let words = ["advfirewall", "firewall", verb, "rule", "name=engage-host"];
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_opens_the_ports_of_devices_for_this_program() {
        let addresses = ["0.0.0.0:80", "[::]:443"].map(|it| it.parse().unwrap());
        let rule = FirewallRule::for_addresses(addresses);
        let program = Path::new(r"C:\Program Files\engage-host\engage-host.exe");
        assert_eq!(
            rule.to_add(program).join("|"),
            r"advfirewall|firewall|add|rule|name=engage-host|dir=in|action=allow|protocol=TCP|localport=80,443|program=C:\Program Files\engage-host\engage-host.exe"
        );
        assert_eq!(
            FirewallRule::to_remove().join(" "),
            "advfirewall firewall delete rule name=engage-host"
        );
    }

    #[test]
    fn what_only_this_computer_reaches_is_not_opened() {
        let addresses = ["127.0.0.1:80", "10.44.68.128:443"].map(|it| it.parse().unwrap());
        assert_eq!(FirewallRule::for_addresses(addresses).ports(), [443]);
    }
}
