//! One chain, one site key and one set of payloads, used by both servers.

use fs_err as fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::signature::RsaKeyPair;
use engage_host::Config;
use engage_host::validate;
use engage_wire::clock;
use engage_wire::pki::{Certificate, PrivateKey, load_certificate_der};

use crate::host;
use crate::nginx;
use crate::process::Server;
use crate::trouble::{Outcome, Trouble, While};

#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) engage_host: PathBuf,
    /// An earlier engage-host.
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) nginx: PathBuf,
    /// Absolute.
    pub(crate) work: PathBuf,
    /// What devices have installed.
    pub(crate) anchor: Certificate,
    /// The announcement, byte for byte.
    pub(crate) announcement: Arc<[u8]>,
}

/// One of the servers that are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Subject {
    EngageHost,
    Nginx,
    /// An earlier engage-host.
    Baseline,
}

impl Subject {
    pub(crate) const BOTH: [Self; 2] = [Self::EngageHost, Self::Nginx];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EngageHost => "engage-host",
            Self::Nginx => "nginx",
            Self::Baseline => "baseline",
        }
    }
}

impl Installation {
    /// Makes the chain with `engage-host init`, and the files that nginx serves.
    pub(crate) fn new(
        engage_host: &Path,
        baseline: Option<&Path>,
        nginx: &Path,
        work: &Path,
    ) -> Outcome<Self> {
        // Only a folder that an earlier run has made is emptied.
        if work.join(MARK).exists() {
            fs::remove_dir_all(work).doing("emptying the work folder")?;
        }
        fs::create_dir_all(work.join("log")).doing("making the work folder")?;
        let work = work.canonicalize()?;
        fs::write(work.join(MARK), "bench/compare empties this folder\n")?;
        host::init(engage_host, &work)?;
        let config_file = work.join(CONFIG);
        // The admin listener is on, on a port that nobody else can have.
        let text = fs::read_to_string(&config_file)?;
        let text = host::with_admin(&text, "127.0.0.1:0");
        fs::write(&config_file, &text)?;
        let devices = "[devices]\ndirectory = \"Engage_Data_baseline\"\n";
        fs::create_dir(work.join("Engage_Data_baseline"))?;
        fs::write(work.join(BASELINE_CONFIG), text + devices)?;
        let config = Config::load(&config_file).doing("reading the configuration")?;
        let installation = Self {
            engage_host: engage_host.canonicalize()?,
            baseline: baseline.map(Path::canonicalize).transpose()?,
            nginx: nginx.to_owned(),
            anchor: load_certificate_der("certificate", &config.sites[0].certificate)
                .doing("reading the root")?,
            announcement: announcement(&config)?.into(),
            work,
        };
        installation.write_document_root()?;
        Ok(installation)
    }

    /// Starts a server with this installation and waits until it listens.
    pub(crate) fn start(&self, subject: Subject) -> Outcome<Server> {
        let mut server = self.spawn(subject)?;
        server.wait_until_listening()?;
        Ok(server)
    }

    /// Starts a server and does not wait.
    pub(crate) fn spawn(&self, subject: Subject) -> Outcome<Server> {
        match subject {
            Subject::EngageHost => host::spawn(self, &self.work.join(CONFIG)),
            Subject::Nginx => nginx::spawn(self),
            Subject::Baseline => host::spawn_baseline(self, &self.work.join(BASELINE_CONFIG)),
        }
    }

    /// The server's key, for the bare cost of its signatures.
    pub(crate) fn server_key(&self) -> Outcome<RsaKeyPair> {
        let file = self.work.join("pki/partner_server.key");
        let key = PrivateKey::load(&file).doing("reading the server's key")?;
        RsaKeyPair::from_pkcs8(key.into_der().secret_der())
            .map_err(|error| Trouble::new(format!("the server's key: {error}")))
    }

    fn write_document_root(&self) -> Outcome<()> {
        let folder = self.work.join("nginx/root");
        let route = folder.join("swordfish/lock/certificates");
        fs::create_dir_all(&route)?;
        fs::write(route.join("current"), &self.announcement)?;
        let certificates = folder.join("static/Device_Certificates");
        fs::create_dir_all(&certificates)?;
        fs::write(certificates.join("partner_CA.der"), self.anchor.der())?;
        Ok(())
    }
}

/// What devices must be told, from the validation and not from a server.
fn announcement(config: &Config) -> Outcome<Vec<u8>> {
    let validation = validate(
        config,
        &config.base_url_at(config.http.listen),
        clock::now(),
        None,
        None,
    );
    let publication = validation
        .outcome
        .map_err(|refusals| Trouble::new(format!("the installation is refused: {refusals:?}")))?;
    publication
        .site(None, None)
        .map(|site| site.announcement.body().to_vec())
        .map_err(|_| Trouble::new("there is no default site"))
}

const CONFIG: &str = "config.toml";

/// The same, with a folder for devices of its own: two daemons do not share one.
const BASELINE_CONFIG: &str = "baseline.toml";

const MARK: &str = ".bench-compare";
