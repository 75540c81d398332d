//! Who else has access to a file.

use std::fmt;
use std::path::Path;

use windows_permissions::Ace;
use windows_permissions::constants::{AccessRights, AceFlags, AceType};
use windows_permissions::utilities::current_process_sid;

use super::file_access::{ADMINISTRATORS, SERVICE, SYSTEM, account_name, security_of};

/// Who has access to a file that holds a secret, besides administrators, the system, its owner and
/// the service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AccessOfOthers {
    account: String,
}

impl AccessOfOthers {
    /// What a file has that only its owner and the service can use.
    pub(crate) const NONE: &'static str =
        "one of SYSTEM, Administrators, the owner and the service only";

    /// To read it.
    pub(crate) fn to_read(path: &Path) -> Option<Self> {
        Self::with_any(path, READ)
    }

    /// To use it in any way.
    pub(crate) fn to_use(path: &Path) -> Option<Self> {
        Self::with_any(path, READ | WRITE)
    }

    /// For people: how it is taken away.
    pub(crate) fn remedy(&self, path: &Path) -> String {
        format!(
            "`icacls \"{}\" /inheritance:r /grant:r *S-1-5-18:F *S-1-5-32-544:F *{SERVICE}:R`",
            path.display()
        )
    }

    fn with_any(path: &Path, rights: u32) -> Option<Self> {
        let descriptor = security_of(path).ok()?;
        let Some(list) = descriptor.dacl() else {
            let account = "no access list".to_owned();
            return Some(Self { account });
        };
        let owner = descriptor.owner().map(ToString::to_string);
        let own = current_process_sid().ok().map(|sid| sid.to_string());
        let is_trusted = |sid: &str| {
            TRUSTED.contains(&sid) || owner.as_deref() == Some(sid) || own.as_deref() == Some(sid)
        };
        let mut entries = (0..list.len()).filter_map(|index| list.get_ace(index));
        let open = entries.find(|entry| {
            allows(entry, rights) && entry.sid().is_some_and(|sid| !is_trusted(&sid.to_string()))
        })?;
        Some(Self {
            account: format!("an access list with `{}`", account_name(open.sid()?)),
        })
    }
}

/// After "the file has".
impl fmt::Display for AccessOfOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.account)
    }
}

fn allows(entry: &Ace, rights: u32) -> bool {
    entry.ace_type() == AceType::ACCESS_ALLOWED_ACE_TYPE
        && !entry.flags().contains(AceFlags::InheritOnly)
        && entry.mask().bits() & rights != 0
}

/// SYSTEM, Administrators, whoever owns the file, the service.
const TRUSTED: [&str; 4] = [SYSTEM, ADMINISTRATORS, "S-1-3-4", SERVICE];

/// `FILE_READ_DATA`, and the generic rights that contain it.
const READ: u32 = 0x1 | AccessRights::GenericRead.bits() | AccessRights::GenericAll.bits();

/// `FILE_WRITE_DATA` and `FILE_APPEND_DATA`, and those that contain them or give access away.
const WRITE: u32 = 0x6
    | AccessRights::GenericWrite.bits()
    | AccessRights::WriteDac.bits()
    | AccessRights::WriteOwner.bits();

#[cfg(test)]
mod tests {
    use super::super::file_access::{FileAccess, create_private_file, inherit_access};
    use super::*;

    #[test]
    fn a_private_file_is_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        drop(create_private_file(&path).unwrap());
        assert_eq!(AccessOfOthers::to_read(&path), None);
        inherit_access(&path, 0o040).unwrap();
        assert_eq!(AccessOfOthers::to_use(&path), None);
    }

    #[test]
    fn a_file_for_everybody_is_told_by_whom_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs_err::write(&path, "key").unwrap();
        FileAccess("D:P(A;;FA;;;BA)(A;;FR;;;WD)".to_owned())
            .apply(&path)
            .unwrap();
        let found = AccessOfOthers::to_read(&path).unwrap().to_string();
        assert!(found.starts_with("an access list with `"), "{found}");
    }

    #[test]
    fn another_file_gets_the_list_of_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        drop(create_private_file(&from).unwrap());
        fs_err::write(&to, "key").unwrap();
        FileAccess::from_path(&from).unwrap().apply(&to).unwrap();
        assert_eq!(AccessOfOthers::to_read(&to), None);
    }
}
