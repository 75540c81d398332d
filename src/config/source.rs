//! Where a configuration comes from.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Config, ConfigError, SiteFiles};

/// A configuration file and what the command line says instead: read at start and at every reload.
#[derive(Clone, Debug)]
pub(crate) struct ConfigSource {
    /// The path of the configuration file, as `--config` names it.
    pub path: PathBuf,
    /// What overrides it.
    pub listen: ListenOverrides,
}

impl ConfigSource {
    /// Reads the file and puts the overrides in the place of what it says.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        self.load_after(&SiteFiles::default())
    }

    /// The same where these files of sites were read before ([`Config::load_after`]).
    pub(crate) fn load_after(&self, last: &SiteFiles) -> Result<Config, ConfigError> {
        let config = self.listen.apply(Config::load_after(&self.path, last)?);
        config.check_ports()?;
        config.check_admin()?;
        Ok(config)
    }
}

/// Addresses on the command line, which override those of the configuration file.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct ListenOverrides {
    /// Address of the plain listener, such as 0.0.0.0:80; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Address of the TLS listener, such as 0.0.0.0:443; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub https: Option<SocketAddr>,
}

impl ListenOverrides {
    /// Puts them in the place of what the file says.
    pub(crate) fn apply(&self, mut config: Config) -> Config {
        config.http.listen = self.http.unwrap_or(config.http.listen);
        config.https.listen = self.https.unwrap_or(config.https.listen);
        config
    }
}
