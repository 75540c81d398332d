//! Which process listens on a port, from what Linux tells in `/proc`.

use std::fmt;

use std::path::Path;

use fs_err as fs;

/// A process that listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PortHolder {
    /// Its process id.
    pub pid: u32,
    /// The name of its program, as `ps` shows it.
    pub name: String,
}

impl PortHolder {
    /// Who listens on a TCP port, on whichever address; `None` where that cannot be told: another
    /// user's process, or not Linux.
    pub(crate) fn find(port: u16) -> Option<Self> {
        let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .into_iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .flat_map(|table| listening_inodes(&table, port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let processes = fs::read_dir("/proc").ok()?.flatten();
        processes
            .filter(|process| holds(&process.path(), &inodes))
            .find_map(|process| {
                let name = fs::read_to_string(process.path().join("comm")).ok()?;
                Some(Self {
                    pid: process.file_name().to_str()?.parse().ok()?,
                    name: name.trim_end().to_owned(),
                })
            })
    }
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name } = self;
        write!(f, "`{name}` (process {pid})")
    }
}

/// Inodes of the sockets that listen (state 0A) on `port`, in a table such as `/proc/net/tcp`.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (local, state) = (fields.nth(1)?, fields.nth(1)?);
            let inode = fields.nth(5)?;
            (state == "0A" && local.ends_with(&port)).then(|| inode.to_owned())
        })
        .collect()
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        inodes
            .iter()
            .any(|inode| target.as_os_str() == inode.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_found_by_port_and_others_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41 1\n\
             1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 42 1\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 43 1\n";
        assert_eq!(listening_inodes(table, 8080), ["41"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holder = PortHolder::find(port).unwrap();
        assert_eq!(holder.pid, std::process::id());
    }
}
