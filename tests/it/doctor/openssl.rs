//! A chain made by the openssl command line, as operators make theirs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The published example: bytes 1 to 32.
pub(crate) const SITE_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// A folder with everything that the daemon needs.
pub(crate) struct Pki(TempDir);

impl Pki {
    /// Three certificates with the extensions that they should have.
    pub(crate) fn vendor_like() -> Self {
        Self::new(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n",
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n\
             extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n",
        )
    }

    /// A server certificate with names enough for a chain of more than 4096 bytes.
    pub(crate) fn with_large_chain() -> Self {
        let names: Vec<_> = (0..80)
            .map(|number| format!("DNS:door-{number}.a-long-name-of-a-department.example.com"))
            .collect();
        Self::new(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n",
            &format!(
                "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,{}\n",
                names.join(",")
            ),
        )
    }

    /// Version 1 certificates, as `openssl x509 -req` makes them without an extension file.
    pub(crate) fn without_extensions() -> Self {
        Self::new("", "")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs_err_read(&self.file(name))
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.file("config.toml")
    }

    fn new(intermediate: &str, server: &str) -> Self {
        let pki = Self(TempDir::new().unwrap());
        fs::create_dir_all(pki.file("static/Device_Certificates")).unwrap();
        pki.write("intermediate.ext", intermediate);
        pki.write("server.ext", server);
        pki.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 \
             -subj /O=T/CN=partner_CA -addext keyUsage=keyCertSign,cRLSign",
        );
        pki.issue("intermediate", "partner_intermediate", "ca");
        pki.issue("server", "localhost", "intermediate");
        pki.openssl("x509 -in ca.pem -outform der -out static/Device_Certificates/partner_CA.der");
        pki.write(
            "chain.pem",
            &[pki.read("server.pem"), pki.read("intermediate.pem")]
                .map(|pem| String::from_utf8(pem).unwrap())
                .concat(),
        );
        pki.write("site.key", SITE_KEY);
        pki.write("config.toml", CONFIG);
        pki
    }

    fn issue(&self, name: &str, subject: &str, issuer: &str) {
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /O=T/CN={subject}"
        ));
        let extensions = match self.read(&format!("{name}.ext")).as_slice() {
            [] => String::new(),
            _ => format!("-extfile {name}.ext"),
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial \
             -days 365 -out {name}.pem {extensions}"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("these tests need the openssl command line");
        assert!(output.status.success(), "{arguments}: {output:?}");
    }

    fn write(&self, name: &str, text: &str) {
        fs::File::create(self.file(name))
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn fs_err_read(path: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_to_end(&mut file, &mut bytes))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
}

const CONFIG: &str = r#"
[http]
listen = "127.0.0.1:0"
[https]
listen = "127.0.0.1:0"
certificate = "chain.pem"
private_key = "server.key"
[[site]]
name = "Main Office"
key_file = "site.key"
certificate = "static/Device_Certificates/partner_CA.der"
"#;
