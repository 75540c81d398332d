//! What the commands say, to people and to scripts.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// What `service install` did.
#[derive(Debug, Serialize)]
pub(super) struct InstallReport {
    /// It was there: it has this program and configuration now.
    pub(super) is_update: bool,
    pub(super) is_running: bool,
    pub(super) program: PathBuf,
    pub(super) config: PathBuf,
    pub(super) account: &'static str,
    pub(super) logs: PathBuf,
    /// Ports that were opened in the firewall; `null` if that was not asked for, or failed.
    pub(super) opened_ports: Option<Vec<u16>>,
    pub(super) has_firewall_failed: bool,
    /// What could not be set, and what to do by hand.
    pub(super) warnings: Vec<String>,
}

impl fmt::Display for InstallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.is_update {
            "updated"
        } else {
            "installed"
        };
        writeln!(f, "{done} service `engage-host`, which starts with Windows")?;
        writeln!(f, "program   {}", self.program.display())?;
        writeln!(f, "config    {}", self.config.display())?;
        writeln!(f, "account   {}", self.account)?;
        writeln!(f, "log       {}, and the event log", self.logs.display())?;
        match self.opened_ports.as_deref() {
            None if self.has_firewall_failed => writeln!(
                f,
                "firewall  NOT opened: devices may not reach this computer yet"
            )?,
            None => writeln!(f, "firewall  unchanged; `--firewall` opens the ports")?,
            Some([]) => writeln!(
                f,
                "firewall  unchanged: only this computer reaches the ports"
            )?,
            Some(ports) => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                writeln!(
                    f,
                    "firewall  TCP {} opened for this program",
                    ports.join(", ")
                )?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        let next = if self.is_running {
            "it runs as it was: `engage-host service stop`, then `engage-host service start`"
        } else {
            "next: `engage-host service start`"
        };
        f.write_str(next)
    }
}

/// What `service uninstall` did.
#[derive(Debug, Serialize)]
pub(super) struct UninstallReport {
    pub(super) removed: bool,
    /// What could not be removed with it.
    pub(super) warnings: Vec<String>,
}

impl fmt::Display for UninstallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        f.write_str("removed service `engage-host`; configuration, keys, records and logs stay")
    }
}

/// How the service is.
#[derive(Debug, Serialize)]
pub(super) struct StateReport {
    pub(super) installed: bool,
    /// As `sc query` calls it, in lower case; `null` if it is not installed.
    pub(super) state: Option<&'static str>,
    pub(super) process_id: Option<u32>,
    /// Of its last end, where it has ended; not 0 where it failed.
    pub(super) exit_code: Option<u32>,
    /// What Windows starts.
    pub(super) command: Option<String>,
    pub(super) account: Option<String>,
}

impl StateReport {
    pub(super) const NOT_INSTALLED: Self = Self {
        installed: false,
        state: None,
        process_id: None,
        exit_code: None,
        command: None,
        account: None,
    };

    pub(super) fn is_running(&self) -> bool {
        self.state == Some(RUNNING)
    }

    /// The configuration in its command, as `service install` writes it.
    pub(super) fn config(&self) -> Option<PathBuf> {
        let (_, path) = self
            .command
            .as_deref()?
            .split_once(" service run --config ")?;
        // Quoted if it has spaces; no path has quotes.
        Some(path.trim_matches(['"', ' ']).into())
            .filter(|path: &PathBuf| !path.as_os_str().is_empty())
    }
}

impl fmt::Display for StateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(state) = self.state else {
            return f.write_str("not installed: `engage-host service install`");
        };
        f.write_str(state)?;
        if let Some(process_id) = self.process_id {
            write!(f, ", process {process_id}")?;
        }
        match self.exit_code {
            None | Some(0) => {}
            Some(ERROR_SERVICE_NEVER_STARTED) => {
                f.write_str(", not started since Windows was: `engage-host service start`")?;
            }
            Some(code) => write!(
                f,
                ", failed with code {code}: its log and the event log say why"
            )?,
        }
        if let Some(command) = &self.command {
            write!(f, "\ncommand  {command}")?;
        }
        if let Some(account) = &self.account {
            write!(f, "\naccount  {account}")?;
        }
        Ok(())
    }
}

pub(super) const RUNNING: &str = "running";

/// Of Windows' `winerror.h`.
const ERROR_SERVICE_NEVER_STARTED: u32 = 1077;

#[cfg(test)]
mod tests {
    use super::*;

    fn installed() -> InstallReport {
        InstallReport {
            is_update: false,
            is_running: false,
            program: r"C:\Program Files\engage-host\engage-host.exe".into(),
            config: r"C:\ProgramData\engage-host\config.toml".into(),
            account: r"NT SERVICE\engage-host",
            logs: r"C:\ProgramData\engage-host\logs".into(),
            opened_ports: Some(vec![80, 443]),
            has_firewall_failed: false,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn an_installation_says_what_was_opened_and_what_is_next() {
        let text = installed().to_string();
        assert!(
            text.starts_with("installed service `engage-host`"),
            "{text}"
        );
        assert!(
            text.contains("firewall  TCP 80, 443 opened for this program\n"),
            "{text}"
        );
        assert!(
            text.ends_with("next: `engage-host service start`"),
            "{text}"
        );
    }

    #[test]
    fn an_update_of_a_running_service_says_that_it_runs_as_it_was() {
        let text = InstallReport {
            is_update: true,
            is_running: true,
            opened_ports: None,
            warnings: vec!["not set: delayed start".to_owned()],
            ..installed()
        }
        .to_string();
        assert!(text.starts_with("updated service"), "{text}");
        assert!(
            text.contains("firewall  unchanged; `--firewall` opens"),
            "{text}"
        );
        assert!(text.contains("warning: not set: delayed start\n"), "{text}");
        assert!(text.contains("it runs as it was"), "{text}");
    }

    #[test]
    fn a_firewall_that_took_no_rule_is_told_as_such() {
        let text = InstallReport {
            opened_ports: None,
            has_firewall_failed: true,
            ..installed()
        }
        .to_string();
        assert!(
            text.contains("firewall  NOT opened: devices may not"),
            "{text}"
        );
    }

    #[test]
    fn a_removal_says_what_stays_and_what_could_not_be_removed() {
        let warnings = vec!["not set: the event source: denied".to_owned()];
        let removed = true;
        let text = UninstallReport { removed, warnings }.to_string();
        assert_eq!(
            text,
            "warning: not set: the event source: denied\nremoved service `engage-host`; configuration, keys, records and logs stay"
        );
    }

    #[test]
    fn a_service_that_was_not_started_yet_has_not_failed() {
        let state = StateReport {
            installed: true,
            state: Some("stopped"),
            exit_code: Some(1077),
            ..StateReport::NOT_INSTALLED
        };
        let text = state.to_string();
        assert!(!text.contains("failed"), "{text}");
        assert!(text.ends_with("`engage-host service start`"), "{text}");
    }

    #[test]
    fn the_configuration_of_a_service_is_read_from_its_command() {
        let config = |command: &str| {
            let command = Some(command.to_owned());
            StateReport {
                command,
                ..StateReport::NOT_INSTALLED
            }
            .config()
        };
        let program = r#""C:\Program Files\engage-host\engage-host.exe" service run --config "#;
        for (written, path) in [
            (r"D:\doors\config.toml", r"D:\doors\config.toml"),
            (r#""D:\my doors\config.toml""#, r"D:\my doors\config.toml"),
        ] {
            assert_eq!(config(&format!("{program}{written}")), Some(path.into()));
        }
        assert_eq!(config(program), None);
        assert_eq!(config("svchost.exe -k netsvcs"), None);
    }

    #[test]
    fn a_service_that_failed_says_where_the_reason_is() {
        let state = StateReport {
            installed: true,
            state: Some("stopped"),
            exit_code: Some(1),
            ..StateReport::NOT_INSTALLED
        };
        assert!(!state.is_running());
        assert_eq!(
            state.to_string(),
            "stopped, failed with code 1: its log and the event log say why"
        );
        let none = StateReport::NOT_INSTALLED.to_string();
        assert!(none.contains("not installed"), "{none}");
    }
}
