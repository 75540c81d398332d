//! Access lists of files, in the security descriptor definition language of Windows (SDDL).

use std::io;
use std::path::Path;

use fs_err::{File, OpenOptions};
use windows_permissions::constants::SeObjectType::SE_FILE_OBJECT;
use windows_permissions::constants::SecurityInformation;
use windows_permissions::utilities::current_process_sid;
use windows_permissions::wrappers::{
    ConvertSecurityDescriptorToStringSecurityDescriptor, GetNamedSecurityInfo, LookupAccountSid,
    SetNamedSecurityInfo,
};
use windows_permissions::{LocalBox, SecurityDescriptor, Sid};

/// The access list of a file, as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileAccess(pub(super) String);

impl FileAccess {
    /// That of a file that exists.
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        let descriptor = security_of(path)?;
        let text = ConvertSecurityDescriptorToStringSecurityDescriptor(
            &descriptor,
            SecurityInformation::Dacl,
        )?;
        Ok(Self(text.to_string_lossy().into_owned()))
    }

    /// For administrators and the system.
    fn administrative(kind: Kind) -> Self {
        Self("D:P".to_owned())
            .with(SYSTEM, kind, FULL)
            .with(ADMINISTRATORS, kind, FULL)
    }

    /// For administrators, the system and the owner: not for whoever makes it, as what an elevated
    /// administrator makes belongs to all of them, and each would find the first one in the list.
    fn private(kind: Kind, owner: Option<&str>) -> Self {
        let access = Self::administrative(kind);
        match owner {
            None | Some(SYSTEM | ADMINISTRATORS) => access,
            Some(owner) => access.with(owner, kind, FULL),
        }
    }

    /// And for the service, as far as the permission bits of a group say.
    fn with_service(self, kind: Kind, group_bits: u32) -> Self {
        let rights = if group_bits & 0o020 == 0 {
            kind.to_read()
        } else {
            MODIFY
        };
        self.with(SERVICE, kind, rights)
    }

    /// And for somebody else.
    fn with(mut self, sid: &str, kind: Kind, rights: &str) -> Self {
        let flags = kind.flags();
        self.0 += &format!("(A;{flags};{rights};;;{sid})");
        self
    }

    /// Gives it to another file. One that comes from the folder comes from that file's folder.
    pub(crate) fn apply(&self, path: &Path) -> io::Result<()> {
        let descriptor: LocalBox<SecurityDescriptor> = self.0.parse()?;
        let inheritance = if self.is_protected() {
            SecurityInformation::ProtectedDacl
        } else {
            SecurityInformation::UnprotectedDacl
        };
        SetNamedSecurityInfo(
            path.as_os_str(),
            SE_FILE_OBJECT,
            SecurityInformation::Dacl | inheritance,
            None,
            None,
            descriptor.dacl(),
            None,
        )
    }

    /// Whether nothing is added to it that the folder's list says.
    fn is_protected(&self) -> bool {
        let flags = self.0.strip_prefix("D:").unwrap_or_default();
        flags.split('(').next().unwrap_or_default().contains('P')
    }
}

/// Creates a new file for administrators, the system and its owner, and fails if it exists.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // It is still empty.
    make_private(path, Kind::File)?;
    Ok(file)
}

fn make_private(path: &Path, kind: Kind) -> io::Result<()> {
    let descriptor = security_of(path)?;
    let owner = descriptor.owner().map(ToString::to_string);
    FileAccess::private(kind, owner.as_deref()).apply(path)
}

/// Creates a directory; one that others are to see nothing of gets a list of its own.
pub(crate) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs_err::create_dir(path)?;
    if mode & 0o007 == 0 {
        make_private(path, Kind::Dir)?;
    }
    Ok(())
}

/// What an administrator creates is for the service too, to read or to write, where `group_bits` say
/// so: others' lists come from the folder.
pub(crate) fn inherit_access(path: &Path, group_bits: u32) -> io::Result<()> {
    let access = FileAccess::from_path(path)?;
    if group_bits == 0 || !access.is_protected() {
        return Ok(());
    }
    access
        .with_service(Kind::from_path(path), group_bits)
        .apply(path)
}

/// What a service may do in a directory that is made for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServiceDir {
    /// Administrators' own; the service may read it.
    Readable,
    /// The service may write too.
    Writable,
}

/// Makes a directory for the service, or takes one that exists for administrators and gives it to the
/// service. Needs an administrator: any user may have made it before, and could change its list as
/// its owner.
pub(crate) fn create_service_dir(path: &Path, _user: &str, access: ServiceDir) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    let rights = match access {
        ServiceDir::Readable => Kind::Dir.to_read(),
        ServiceDir::Writable => MODIFY,
    };
    take(path, rights)?;
    match access {
        ServiceDir::Readable => refuse_foreign_entries(path),
        // The service's own.
        ServiceDir::Writable => Ok(()),
    }
}

/// For administrators, and with those rights for the service.
fn take(path: &Path, rights: &str) -> io::Result<()> {
    let administrators: LocalBox<Sid> = ADMINISTRATORS.parse()?;
    SetNamedSecurityInfo(
        path.as_os_str(),
        SE_FILE_OBJECT,
        SecurityInformation::Owner,
        Some(&administrators),
        None,
        None,
        None,
    )?;
    FileAccess::administrative(Kind::Dir)
        .with(SERVICE, Kind::Dir, rights)
        .apply(path)
}

/// Nobody can add anything any more; but what a user had put there before, keys or a configuration, the
/// service would obey.
fn refuse_foreign_entries(directory: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        if let Some(owner) = foreign_owner(&path)? {
            return Err(io::Error::other(format!(
                "`{0}` belongs to `{owner}`; look at it, and `icacls \"{0}\" /setowner *S-1-5-32-544 /t` makes it \
                 the administrators'",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Whose a file is, unless it is an administrator's, the system's, the service's or of whoever runs
/// this.
fn foreign_owner(path: &Path) -> io::Result<Option<String>> {
    let descriptor = security_of(path)?;
    let Some(owner) = descriptor.owner() else {
        return Ok(Some("nobody".to_owned()));
    };
    let (sid, own) = (owner.to_string(), current_process_sid()?.to_string());
    let is_ours = [SYSTEM, ADMINISTRATORS, SERVICE, &own].contains(&&*sid);
    Ok((!is_ours).then(|| account_name(owner)))
}

/// Files and folders have other rights of the same meaning.
#[derive(Clone, Copy)]
enum Kind {
    File,
    Dir,
}

impl Kind {
    fn from_path(path: &Path) -> Self {
        if path.is_dir() { Self::Dir } else { Self::File }
    }

    /// What a folder's list says is for what is created in it too.
    fn flags(self) -> &'static str {
        match self {
            Self::File => "",
            Self::Dir => "OICI",
        }
    }

    fn to_read(self) -> &'static str {
        match self {
            Self::File => "FR",
            // And to enter.
            Self::Dir => "0x1200a9",
        }
    }
}

pub(super) fn security_of(path: &Path) -> io::Result<LocalBox<SecurityDescriptor>> {
    GetNamedSecurityInfo(
        path.as_os_str(),
        SE_FILE_OBJECT,
        SecurityInformation::Dacl | SecurityInformation::Owner,
    )
}

/// As Windows shows it in the language of this computer.
pub(super) fn account_name(sid: &Sid) -> String {
    match LookupAccountSid(sid) {
        Ok((name, _)) => name.to_string_lossy().into_owned(),
        Err(_) => sid.to_string(),
    }
}

/// Of every Windows.
pub(super) const SYSTEM: &str = "S-1-5-18";
pub(super) const ADMINISTRATORS: &str = "S-1-5-32-544";

/// `NT SERVICE\engage-host`: of each service, S-1-5-80 and the SHA-1 of its name in capitals. Windows
/// knows it before the service is installed.
pub(super) const SERVICE: &str = "S-1-5-80-3558636503-2223206389-2297155582-1970389188-2644781296";

/// Of SDDL: to do everything.
const FULL: &str = "FA";

/// To read, write, remove and enter.
const MODIFY: &str = "0x1301bf";

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;

    fn service_sid(name: &str) -> String {
        let utf16: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hash = Sha1::digest(&utf16);
        let parts = hash.chunks_exact(4).map(|part| {
            let number = u32::from_le_bytes(part.try_into().unwrap());
            format!("-{number}")
        });
        format!("S-1-5-80{}", parts.collect::<String>())
    }

    #[test]
    fn the_account_of_the_service_is_what_windows_makes_of_its_name() {
        // As Microsoft documents it.
        assert_eq!(
            service_sid("TRUSTEDINSTALLER"),
            "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
        );
        assert_eq!(service_sid("ENGAGE-HOST"), SERVICE);
    }

    #[test]
    fn a_list_names_nobody_but_administrators_the_system_the_owner_and_the_service() {
        let list = |owner| FileAccess::private(Kind::File, owner).0;
        let administrative = "D:P(A;;FA;;;S-1-5-18)(A;;FA;;;S-1-5-32-544)";
        for owner in [None, Some(SYSTEM), Some(ADMINISTRATORS)] {
            assert_eq!(list(owner), administrative);
        }
        let person = "S-1-5-21-1-2-3-1001";
        assert_eq!(
            list(Some(person)),
            format!("{administrative}(A;;FA;;;{person})")
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        drop(create_private_file(&path).unwrap());
        assert_eq!(foreign_owner(&path).unwrap(), None);
        refuse_foreign_entries(folder.path()).unwrap();
    }

    #[test]
    fn the_service_writes_where_a_group_may_and_else_reads() {
        let list = |kind, bits| FileAccess(String::new()).with_service(kind, bits).0;
        assert_eq!(
            list(Kind::Dir, 0o070),
            format!("(A;OICI;0x1301bf;;;{SERVICE})")
        );
        assert_eq!(
            list(Kind::Dir, 0o050),
            format!("(A;OICI;0x1200a9;;;{SERVICE})")
        );
        assert_eq!(list(Kind::File, 0o040), format!("(A;;FR;;;{SERVICE})"));
    }
}
