//! Server processes: started here, and only these are ever ended.

use fs_err as fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::trouble::{Outcome, Trouble, While};

/// A server and its workers. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

impl Server {
    pub(crate) fn spawn(
        command: &mut Command,
        http: SocketAddr,
        https: SocketAddr,
    ) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .doing(&format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, http, https })
    }

    /// The process and its children.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        let workers = children.split_whitespace().filter_map(|id| id.parse().ok());
        std::iter::once(own).chain(workers).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Outcome<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| Trouble::new("no process id"))?;
        kill_process(id, signal).doing("signalling the server")
    }

    /// Waits until both ports take connections.
    pub(crate) fn wait_until_listening(&mut self) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        for address in [self.http, self.https] {
            while std::net::TcpStream::connect(address).is_err() {
                if let Some(status) = self.child.try_wait()? {
                    return Err(Trouble::new(format!("the server ended with {status}")));
                }
                if Instant::now() > deadline {
                    return Err(Trouble::new(format!("nothing listens on {address}")));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that nginx ends its workers; whoever does not heed it is killed.
        let _ = self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this computer that is free at this moment.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Takes as many descriptors as the operating system gives.
pub(crate) fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    let _ = setrlimit(Resource::Nofile, all);
}
