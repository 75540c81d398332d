//! A host whose root is changed, and the command that does it.

use std::process::Command;

use crate::harness::{
    Chain, Daemon, Finished, Installation, Key, SITE_KEY_HEX, program, run, standard,
};

pub(super) struct Host {
    pub(super) installation: Installation,
    pub(super) daemon: Daemon,
}

impl Host {
    pub(super) fn start(database: &str) -> Self {
        let installation = Installation::new(chain()).with_admin();
        installation.write("pki/site.key", SITE_KEY_HEX);
        installation.write("pki/partner_CA.key", Key::Root.pem());
        installation.set("[devices]", database);
        Self {
            daemon: Daemon::start(&installation),
            installation,
        }
    }

    pub(super) fn rotate(&self, arguments: &[&str]) -> Finished {
        run(program()
            .arg("rotate")
            .args(arguments)
            .arg("--config")
            .arg(self.installation.path("config.toml")))
    }

    pub(super) fn status(&self) -> String {
        self.rotate(&["status"]).stdout_text()
    }

    /// As the runbook says: the new files are carried to every host.
    pub(super) fn take_next(&self, from: &Self) {
        let copied = run(Command::new("cp")
            .arg("-a")
            .arg(from.installation.path("pki/next"))
            .arg(self.installation.path("pki")));
        assert_eq!(copied.code, Some(0), "{copied:?}");
    }
}

/// That it begins with.
pub(super) fn chain() -> &'static Chain {
    standard()
}
