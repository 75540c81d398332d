//! The static directory, read once: only what is a certificate is taken from it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Warning;
use engage_wire::diagnostic::causes;
use engage_wire::paths;
use engage_wire::pki::{Certificate, load_certificate_der, private_key_kind_of_file};
use engage_wire::site::SiteKey;

/// The certificates of the static directory, by file name.
#[derive(Debug, Default)]
pub(super) struct StaticCertificates {
    pub(super) certificates: BTreeMap<FileName, (PathBuf, Certificate)>,
    pub(super) warnings: Vec<Warning>,
}

impl StaticCertificates {
    /// Reads `<static_dir>/Device_Certificates`. A folder that does not exist is empty: the
    /// announced certificate may lie elsewhere.
    pub(super) fn load(static_dir: &Path) -> io::Result<Self> {
        let mut static_files = Self {
            warnings: keys_within(static_dir),
            ..Self::default()
        };
        let folder = static_dir.join(paths::CERTIFICATES_FOLDER);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(static_files),
            entries => entries?,
        };
        let home = static_dir.canonicalize()?;
        for entry in entries.take(MAX_ENTRIES) {
            static_files.add(&entry?.path(), &home);
        }
        Ok(static_files)
    }

    fn add(&mut self, path: &Path, home: &Path) {
        let Some(name) = FileName::from_path(path) else {
            return;
        };
        match path.canonicalize() {
            Ok(target) if !target.starts_with(home) => {
                self.warnings.push(Warning::NotServed {
                    reason: format!(
                        "`{}` is a link to the outside of the static directory",
                        path.display()
                    ),
                });
                return;
            }
            Ok(target) if target.is_dir() => return,
            _ => {}
        }
        match load_certificate_der("certificate", path) {
            Ok(certificate) => {
                self.certificates
                    .insert(name, (path.to_owned(), certificate));
            }
            Err(error) => self.warnings.push(Warning::NotServed {
                reason: causes(&error),
            }),
        }
    }
}

/// The name of a file that may be served: ends in `.der`, does not start with a dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct FileName(String);

impl FileName {
    /// The name at the end of `path`, if it may be served.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let is_der = path.extension()? == "der";
        (is_der && !name.starts_with('.')).then(|| Self(name.to_owned()))
    }

    /// The path under which it is served: percent-encoded, and only this one spelling.
    pub(crate) fn request_path(&self) -> String {
        format!(
            "{}{}",
            paths::CERTIFICATES,
            utf8_percent_encode(&self.0, ENCODED)
        )
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Warns of files at most a few levels below `folder` that hold a key in any form.
///
/// They are never served, but Flask and every other web server that is pointed at the folder
/// would (PROTOCOL.md section 5, defect 1).
fn keys_within(folder: &Path) -> Vec<Warning> {
    let mut keys = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    let mut looked_at = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MAX_ENTRIES {
                break;
            }
            // What a link leads to does not lie here, and may lead round in circles.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file()
                && let Some(kind) = key_kind(&entry.path())
            {
                keys.push((entry.path(), kind));
            }
        }
    }
    keys.sort();
    let warning = |(path, kind)| Warning::KeyInStaticDir { kind, path };
    keys.into_iter().map(warning).collect()
}

/// What key a file holds. A site key cannot be told from other text of its form.
fn key_kind(path: &Path) -> Option<&'static str> {
    let may_be_site_key = || SiteKey::load(path).is_ok();
    private_key_kind_of_file(path)
        .or_else(|| may_be_site_key().then_some("what looks like a site key,"))
}

/// RFC 3986 section 2.3: unreserved characters stand for themselves everywhere.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Far more files than any installation has sites; a bound against a wrong path such as `/`.
const MAX_ENTRIES: usize = 50_000;
const MAX_DEPTH: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_der_names_that_are_not_hidden_may_be_served() {
        for (path, served) in [
            ("a/partner_CA.der", true),
            ("a/.hidden.der", false),
            ("a/.der", false),
            ("a/partner_CA.DER", false),
            ("a/partner_server.key", false),
            ("a/partner_CA.der.bak", false),
        ] {
            assert_eq!(
                FileName::from_path(Path::new(path)).is_some(),
                served,
                "{path}"
            );
        }
    }

    #[test]
    fn unusual_names_are_percent_encoded_in_the_url() {
        let path = FileName::from_path(Path::new("my CA%.der"))
            .unwrap()
            .request_path();
        assert_eq!(path, "/static/Device_Certificates/my%20CA%25.der");
        // A part of a name here, and on Windows the end of a folder's.
        let name = FileName::from_path(Path::new(r"old\CA.der")).unwrap();
        assert!(!name.request_path().contains('\\'), "{name:?}");
    }
}
