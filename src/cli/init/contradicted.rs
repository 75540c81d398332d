//! Arguments that ask for something else than what exists, which is never changed.

use super::InitRequest;
use super::error::InitError;
use super::layout::{Layout, exists};
use crate::config::Config;
use crate::renewal::AuthorityFiles;
use engage_wire::pki::load_der_or_pem;

impl InitRequest<'_> {
    /// Refuses `--http` and `--https` where a configuration exists that says otherwise. `serve --init`
    /// listens there all the same.
    pub(super) fn refuse_other_addresses(&self, found: &Config) -> Result<(), InitError> {
        let listeners = [
            ("http", self.listen.http, found.http.listen),
            ("https", self.listen.https, found.https.listen),
        ];
        for (name, asked, found_address) in listeners {
            if let Some(asked) = asked.filter(|asked| *asked != found_address && !self.only_unused)
            {
                return Err(InitError::Contradicted {
                    argument: format!("--{name} {asked}"),
                    path: found.path.clone(),
                    found: format!("`[{name}] listen` is {found_address}"),
                    hint: "change it there",
                });
            }
        }
        Ok(())
    }

    /// Refuses `--root-key-out` where the root's key lies beside the others.
    pub(super) fn refuse_other_root_key(
        &self,
        config: &Config,
        layout: &Layout,
    ) -> Result<(), InitError> {
        let beside = AuthorityFiles::from_config(config).root_key;
        match self.root_key_out {
            Some(folder) if beside != layout.root.key && exists(&beside)? => {
                Err(InitError::Contradicted {
                    argument: format!("--root-key-out {}", folder.display()),
                    found: "the root's key is there".to_owned(),
                    path: beside,
                    hint: "move it there by hand, and wipe it here",
                })
            }
            _ => Ok(()),
        }
    }

    /// Refuses `--host` and `--days` where a server certificate exists that is for other names or
    /// another time.
    pub(super) fn refuse_other_certificate(&self, layout: &Layout) -> Result<(), InitError> {
        let path = &layout.server.certificate;
        // Whoever cannot read it is told by what needs it.
        let Ok(found) = load_der_or_pem("server certificate", path) else {
            return Ok(());
        };
        let contradicted = |argument, found| InitError::Contradicted {
            argument,
            path: path.clone(),
            found,
            hint: "to renew it, run `engage-host renew`",
        };
        let is_named = |host| found.alt_names().iter().any(|name| name.matches(host));
        if let Some(host) = self.hosts.iter().find(|host| !is_named(host)) {
            let names = format!("it is for {}", found.alt_names_text());
            return Err(contradicted(format!("--host {host}"), names));
        }
        // Certificates begin a day before they are issued.
        let days = found.validity().days_left(found.validity().not_before) - 1;
        match self.server_days {
            Some(asked) if i64::from(asked) != days => {
                let found = format!("it is valid for {days} days");
                Err(contradicted(format!("--days {asked}"), found))
            }
            _ => Ok(()),
        }
    }
}
