//! A folder as an operator has it: configuration, keys, certificates.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Chain, Finished, program, run};

/// A configuration that serves, until a test spoils it.
pub(crate) struct Installation {
    folder: TempDir,
}

impl Installation {
    /// Writes `chain`, its server's key, the published example site key and a configuration
    /// that announces the root and listens on port 0.
    pub(crate) fn new(chain: &Chain) -> Self {
        let installation = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        installation.write("config.toml", CONFIG);
        installation.write("pki/partner_server.pem", chain.pem());
        installation.write("pki/partner_server.key", chain.server.key.pem());
        installation.write("pki/site.key", SITE_KEY_BASE64);
        installation.write(PARTNER_CA, &chain.root.der);
        installation
    }

    /// What `init` makes, with its own authorities, for `127.0.0.1` and `doors.example.com`.
    pub(crate) fn by_init(more: &[&str]) -> Self {
        let installation = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let made = run(program()
            .args(["init", "--host", "127.0.0.1", "--host", "doors.example.com"])
            .args(["--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--dir"])
            .arg(installation.folder())
            .args(more));
        assert_eq!(made.code, Some(0), "{}", made.stderr_text());
        installation.set("[admin]", "listen = \"\"");
        installation
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only its owner can read, as keys have to be.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, contents).unwrap();
        self.chmod(name, 0o600);
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;

        let permissions = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(self.path(name), permissions).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs_err::remove_file(self.path(name)).unwrap();
    }

    /// Replaces text that must be there in the configuration.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let path = self.path("config.toml");
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs_err::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    /// Puts lines into the configuration, behind a section's name such as `[limits]`, which is
    /// made if it is not there.
    pub(crate) fn set(&self, section: &str, lines: &str) {
        let path = self.path("config.toml");
        let mut text = fs_err::read_to_string(&path).unwrap();
        if !text.contains(section) {
            text = format!("{text}\n{section}\n");
        }
        let text = text.replacen(section, &format!("{section}\n{lines}"), 1);
        fs_err::write(&path, text).unwrap();
    }

    /// Switches the admin listener on.
    pub(crate) fn with_admin(self) -> Self {
        self.edit(
            "[admin]\nlisten = \"\"",
            "[admin]\nlisten = \"127.0.0.1:0\"",
        );
        self
    }

    /// Tells devices `url` instead of the listener's own address.
    pub(crate) fn set_base_url(&self, url: &str) {
        self.edit("static_dir", &format!("base_url = \"{url}\"\nstatic_dir"));
    }

    pub(crate) fn check(&self, args: &[&str]) -> Finished {
        run(program()
            .arg("check")
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(args))
    }

    /// Runs `serve`, which must end by itself.
    pub(crate) fn serve_refused(&self) -> Finished {
        run(program()
            .arg("serve")
            .arg("--config")
            .arg(self.path("config.toml")))
    }

    /// `check --json`, parsed.
    pub(crate) fn check_json(&self) -> serde_json::Value {
        let checked = self.check(&["--json"]);
        serde_json::from_slice(&checked.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", checked.stdout_text()))
    }

    /// Codes of the warnings of `check`, in their order.
    pub(crate) fn warning_codes(&self) -> Vec<String> {
        codes(&self.check_json()["warnings"])
    }

    /// Codes of the refusals of `check`, in their order.
    pub(crate) fn refusal_codes(&self) -> Vec<String> {
        codes(&self.check_json()["refusals"])
    }
}

fn codes(list: &serde_json::Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["code"].as_str().unwrap().to_owned())
        .collect()
}

/// A site key of random bytes: one that is plainly an example would be warned about.
pub(crate) const SITE_KEY_BASE64: &str = "Hsn5pp3ryc1Y9nbUCPiPHKhXsIB6pDgTM96S1XU/mjk=";

/// The same in hexadecimal.
pub(crate) const SITE_KEY_HEX: &str =
    "1ec9f9a69debc9cd58f676d408f88f1ca857b0807aa4381333de92d5753f9a39";

const PARTNER_CA: &str = "static/Device_Certificates/partner_CA.der";

const CONFIG: &str = r#"static_dir = "static"

[http]
listen = "127.0.0.1:0"

[https]
listen = "127.0.0.1:0"
certificate = "pki/partner_server.pem"
private_key = "pki/partner_server.key"

[[site]]
name = "Main Office"
key_file = "pki/site.key"
certificate = "static/Device_Certificates/partner_CA.der"

[admin]
listen = ""
"#;
