//! Many clients that mean harm, one device that does not, and what both leave behind.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engage_device::connect_from;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use super::{Daemon, Host, Response, get, read_to_end, request, standard, tls_connect, trusting};

/// Clients of one kind, each a task that comes again when it is cut off. They end with the value.
pub(crate) struct Attack(Option<Runtime>);

impl Attack {
    /// Client after client from addresses of their own, `each` from one, on `target`.
    pub(crate) fn begin<C, F>(clients: usize, each: usize, target: SocketAddr, client: C) -> Self
    where
        C: Fn(TcpStream) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        for number in 0..clients {
            let (source, client) = (stranger(number / each), client.clone());
            runtime.spawn(async move {
                loop {
                    let deadline = tokio::time::Instant::now() + DEADLINE;
                    if let Ok(stream) = connect_from(source, target, deadline).await {
                        client(stream).await;
                    }
                    // Not to fill this computer's table of closed connections.
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Self(Some(runtime))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// The address of stranger `number`: none of a device or of another test.
pub(crate) fn stranger(number: usize) -> IpAddr {
    let [.., b, c] = u32::try_from(number + 1).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 66, b, c).into()
}

/// Asks for its announcement in clear text, and calls in over TLS: each on a connection of its own.
pub(crate) struct HonestDevice {
    http: SocketAddr,
    https: SocketAddr,
    tls: Arc<ClientConfig>,
    announcement: Vec<u8>,
    delivered: u32,
}

/// How long a device waited, visit by visit.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    announcements: Vec<Duration>,
    call_ins: Vec<Duration>,
}

impl HonestDevice {
    pub(crate) const SERIAL: &str = "0123456789ABCDEF";

    pub(crate) fn new(daemon: &Daemon) -> Self {
        Self {
            http: daemon.http,
            https: daemon.https,
            tls: trusting(&standard().root.der),
            announcement: get(daemon.http, ANNOUNCEMENT).body,
            delivered: 0,
        }
    }

    /// Visits, all of them answered as ever.
    pub(crate) fn visits(&mut self, count: usize) -> Visits {
        let mut visits = Visits::default();
        for _ in 0..count {
            let started = Instant::now();
            assert_eq!(get(self.http, ANNOUNCEMENT).body, self.announcement);
            visits.announcements.push(started.elapsed());
            let started = Instant::now();
            self.call_in();
            visits.call_ins.push(started.elapsed());
        }
        visits
    }

    /// Delivers an event that it has not delivered before.
    fn call_in(&mut self) {
        self.delivered += 1;
        let number = self.delivered;
        let body =
            format!(r#"{{"asyncEvents":[{{"event":"{number:08X}","time":"20261123021259"}}]}}"#);
        let target = format!("/swordfish/lock/audit?sn={}", Self::SERIAL);
        let call = request("POST", &target, "Connection: close\r\n", body.as_bytes());
        let mut stream = tls_connect(self.https, &self.tls);
        stream.write_all(&call).unwrap();
        let answer = Response::parse(&read_to_end(&mut stream));
        let expected = if number == 1 { 201 } else { 202 };
        assert_eq!(answer.status(), expected, "{}", answer.head);
    }

    /// Everything that was acknowledged is stored, once.
    pub(crate) fn assert_all_stored(&self, host: &Host) {
        let expected: Vec<_> = (1..=self.delivered).map(|it| format!("{it:08X}")).collect();
        assert_eq!(host.codes(Self::SERIAL), expected);
    }
}

impl Visits {
    /// No timed test of speed, which this machine shares: whoever has to wait until strangers are done
    /// waits for their deadlines, which are 15 s and more.
    pub(crate) fn assert_prompt(mut self) {
        for (what, waited) in [
            ("announcement", &mut self.announcements),
            ("call-in", &mut self.call_ins),
        ] {
            waited.sort();
            let median = waited[waited.len() / 2];
            println!("{what}: median {median:?}, longest {:?}", waited.last());
            assert!(median < PROMPT, "{what}: {waited:?}");
        }
    }
}

/// What the operating system has given to the daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Footprint {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
}

impl Daemon {
    pub(crate) fn footprint(&self) -> Footprint {
        let folder = format!("/proc/{}", self.id());
        let status = fs_err::read_to_string(format!("{folder}/status")).unwrap();
        let number = |name: &str| -> u64 {
            let mut lines = status.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
            value.split_whitespace().next().unwrap().parse().unwrap()
        };
        Footprint {
            resident_kib: number("VmRSS:"),
            descriptors: fs_err::read_dir(format!("{folder}/fd")).unwrap().count(),
            threads: number("Threads:"),
        }
    }

    /// Waits until it has no more descriptors and threads than `before`, and says what it has then.
    /// Threads that waited for files end after 10 s without work.
    pub(crate) fn rest(&self, before: Footprint) -> Footprint {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let now = self.footprint();
            let (descriptors, threads) = (
                before.descriptors + OF_THE_STORE,
                before.threads + OF_THE_STORE as u64,
            );
            if now.descriptors <= descriptors && now.threads <= threads {
                return now;
            }
            assert!(Instant::now() < deadline, "{now:?}, before {before:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// As many of `wanted` connections as this process may have open beside its other tests.
pub(crate) fn affordable(wanted: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    let _ = setrlimit(Resource::Nofile, all);
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |it| usize::try_from(it).unwrap());
    if files / 4 < wanted {
        println!(
            "{} instead of {wanted} connections: this process may open {files} files",
            files / 4
        );
    }
    wanted.min(files / 4)
}

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// Hundreds of times what a visit takes, and a fifth of the shortest deadline.
const PROMPT: Duration = Duration::from_secs(3);

/// Connections to its database that it opens when many wait for them, and the threads of those.
const OF_THE_STORE: usize = 12;

/// Beyond every deadline of the daemon that a test waits for.
const DEADLINE: Duration = Duration::from_mins(1);
