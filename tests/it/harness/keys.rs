//! Private keys: dear to make, so each is made once and kept in the build directory.

use std::path::{Path, PathBuf};

use super::openssl;

/// A key by the part it plays; each has its own file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    Server,
    Intermediate,
    Root,
    /// Belongs to nothing else.
    Foreign,
    Rsa(usize),
    Ec,
    Ed25519,
}

impl Key {
    /// The PKCS#8 PEM file.
    pub(crate) fn path(self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
        let path = folder.join(format!("{self:?}.key"));
        if !path.exists() {
            fs_err::create_dir_all(&folder).unwrap();
            // Made beside it and renamed: tests run at the same time, in threads and processes.
            let fresh = tempfile::NamedTempFile::new_in(&folder).unwrap();
            let bits;
            let args: &[&str] = match self {
                Self::Ec => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                Self::Ed25519 => &["-algorithm", "ED25519"],
                Self::Rsa(size) => {
                    bits = format!("rsa_keygen_bits:{size}");
                    &["-algorithm", "RSA", "-pkeyopt", &bits]
                }
                Self::Server | Self::Intermediate | Self::Root | Self::Foreign => {
                    &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
                }
            };
            let pem = openssl(&folder, [&["genpkey"], args].concat());
            fs_err::write(fresh.path(), pem).unwrap();
            // Whoever was first keeps its key: others may have signed with it already.
            let _ = fresh.persist_noclobber(&path);
        }
        path
    }

    pub(crate) fn pem(self) -> String {
        fs_err::read_to_string(self.path()).unwrap()
    }
}
