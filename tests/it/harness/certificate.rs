//! Certificates issued by the openssl command line.

use std::sync::OnceLock;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::{Key, openssl};

/// One issued certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) key: Key,
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
}

/// Server, intermediate and root.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) server: Certificate,
    pub(crate) intermediate: Certificate,
    pub(crate) root: Certificate,
}

impl Chain {
    /// Issues three certificates after letting `change` touch the requests, server first.
    pub(crate) fn issue(change: impl FnOnce(&mut [Request; 3])) -> Self {
        let mut requests = [
            Request::new("server.example.com", Key::Server, SERVER),
            Request::new("Partner Intermediate", Key::Intermediate, INTERMEDIATE),
            Request::new("Partner CA", Key::Root, CA),
        ];
        change(&mut requests);
        let [server, intermediate, root] = &requests;
        let root = root.self_signed();
        let intermediate = intermediate.issued_by(&root);
        Self {
            server: server.issued_by(&intermediate),
            intermediate,
            root,
        }
    }

    /// Server and intermediate: what the daemon sends.
    pub(crate) fn pem(&self) -> String {
        format!("{}{}", self.server.pem, self.intermediate.pem)
    }

    /// What a device counts.
    pub(crate) fn total_bytes(&self) -> usize {
        [&self.server, &self.intermediate, &self.root]
            .map(|certificate| certificate.der.len())
            .iter()
            .sum()
    }
}

/// The chain in which nothing is wrong, issued once.
pub(crate) fn standard() -> &'static Chain {
    static STANDARD: OnceLock<Chain> = OnceLock::new();
    STANDARD.get_or_init(|| Chain::issue(|_| {}))
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) subject: String,
    pub(crate) key: Key,
    /// Lines of an openssl extension section.
    pub(crate) extensions: String,
    pub(crate) digest: &'static str,
    /// In hexadecimal, an even number of digits.
    pub(crate) serial: &'static str,
    /// First and last day of its validity, counted from now.
    pub(crate) days: (i64, i64),
}

impl Request {
    pub(crate) fn new(common_name: &str, key: Key, extensions: &str) -> Self {
        Self {
            subject: format!("/O=Partner/CN={common_name}"),
            key,
            extensions: extensions.to_owned(),
            digest: "sha256",
            serial: "1000000000000001",
            days: (-1, 365),
        }
    }

    pub(crate) fn self_signed(&self) -> Certificate {
        self.sign(None)
    }

    pub(crate) fn issued_by(&self, issuer: &Certificate) -> Certificate {
        self.sign(Some(issuer))
    }

    fn sign(&self, issuer: Option<&Certificate>) -> Certificate {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
        write("openssl.cnf", &format!("{CONFIG}{}\n", self.extensions));
        write("index.txt", "");
        write("serial", &format!("{}\n", self.serial));
        let key = self.key.path().into_os_string().into_string().unwrap();
        let subject = self.subject.as_str();
        openssl(
            folder.path(),
            [
                "req",
                "-new",
                "-config",
                "openssl.cnf",
                "-key",
                &key,
                "-subj",
                subject,
                "-out",
                "request.pem",
            ],
        );
        let (start, end) = (day(self.days.0), day(self.days.1));
        let issuer_key = issuer.map_or(self.key, |issuer| issuer.key).path();
        let mut args = vec![
            "ca",
            "-batch",
            "-notext",
            "-config",
            "openssl.cnf",
            "-in",
            "request.pem",
            "-out",
            "issued.pem",
            "-md",
            self.digest,
            "-startdate",
            &start,
            "-enddate",
            &end,
            "-keyfile",
            issuer_key.to_str().unwrap(),
        ];
        if let Some(issuer) = issuer {
            write("issuer.pem", &issuer.pem);
            args.extend(["-cert", "issuer.pem"]);
        } else {
            args.push("-selfsign");
        }
        openssl(folder.path(), args);
        Certificate::from_pem(
            self.key,
            fs_err::read_to_string(folder.path().join("issued.pem")).unwrap(),
        )
    }
}

impl Certificate {
    pub(crate) fn from_pem(key: Key, pem: String) -> Self {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        Self {
            key,
            der: der.to_vec(),
            pem,
        }
    }
}

/// A point in time in openssl's form: whole days from now, and half a day to keep "days left"
/// from changing while a test runs.
fn day(days: i64) -> String {
    let format = format_description!("[year][month][day][hour][minute][second]Z");
    (OffsetDateTime::now_utc() + Duration::days(days) + Duration::hours(12))
        .format(format)
        .unwrap()
}

/// Extensions of a well-made server certificate.
pub(crate) const SERVER: &str = "\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, IP:10.44.68.128, DNS:localhost, DNS:server.example.com
";

/// Extensions of a well-made intermediate.
pub(crate) const INTERMEDIATE: &str = "\
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
";

/// Extensions of a well-made root.
pub(crate) const CA: &str = "\
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
";

const CONFIG: &str = "\
[ca]
default_ca = issuing
[issuing]
database = index.txt
serial = serial
new_certs_dir = .
unique_subject = no
policy = any
x509_extensions = wanted
[any]
organizationName = optional
commonName = supplied
[req]
prompt = no
distinguished_name = name
[name]
[wanted]
";
