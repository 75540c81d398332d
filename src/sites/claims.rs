//! What only one site can have, and which site has it.

use std::collections::HashMap;
use std::path::PathBuf;

use super::error::SitesError;
use super::new_site::NewSite;
use crate::config::{Config, SiteHosts};
use crate::publication::listed_serials;
use engage_store::SerialNumber;
use engage_wire::HostName;
use engage_wire::site::SiteName;

/// Names, hosts and serial numbers with their owners.
#[derive(Default)]
pub(crate) struct Claims {
    /// With the file in which the site stands.
    names: HashMap<SiteName, PathBuf>,
    /// `None` is the default site's place.
    hosts: HashMap<Option<HostName>, SiteName>,
    serials: HashMap<SerialNumber, SiteName>,
}

impl Claims {
    /// Those of every site of a configuration, as far as its files can be read.
    pub(crate) fn from_config(config: &Config) -> Self {
        let mut claims = Self::default();
        for site in &config.sites {
            let listed = site
                .serials_file
                .iter()
                .flat_map(|file| listed_serials(file).unwrap_or_default());
            let serials = site.serials.iter().copied().chain(listed);
            claims.add(&site.name, site.file.clone(), &site.hosts, serials);
        }
        for broken in config.site_files.broken() {
            let serials = broken.serials.iter().copied();
            claims.add(&broken.name, broken.file.clone(), &broken.hosts, serials);
        }
        claims
    }

    /// Adds a new site, or says why it cannot be one beside the others.
    pub(crate) fn take(&mut self, site: &NewSite) -> Vec<SitesError> {
        let faults: Vec<_> = self.faults(site).collect();
        if faults.is_empty() {
            let serials = site.serials.iter().copied();
            self.add(&site.name, site.file.clone(), &site.hosts, serials);
        }
        faults
    }

    fn faults(&self, site: &NewSite) -> impl Iterator<Item = SitesError> {
        let name = &site.name;
        let exists = self.names.get(name).map(|file| SitesError::Exists {
            name: name.clone(),
            file: file.clone(),
        });
        let hosts = site.hosts.claims().filter_map(move |host| {
            let host = host.cloned();
            Some(SitesError::HostTaken {
                site: name.clone(),
                owner: self.hosts.get(&host)?.clone(),
                host,
            })
        });
        let serials = site.serials.iter().filter_map(move |serial| {
            Some(SitesError::SerialTaken {
                site: name.clone(),
                owner: self.serials.get(serial)?.clone(),
                serial: *serial,
            })
        });
        exists.into_iter().chain(hosts).chain(serials)
    }

    fn add(
        &mut self,
        name: &SiteName,
        file: PathBuf,
        hosts: &SiteHosts,
        serials: impl Iterator<Item = SerialNumber>,
    ) {
        let hosts = hosts.claims().map(|host| (host.cloned(), name.clone()));
        self.hosts.extend(hosts);
        self.serials
            .extend(serials.map(|serial| (serial, name.clone())));
        self.names.insert(name.clone(), file);
    }
}
