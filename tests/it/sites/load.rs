//! Sites under load: nobody is told what another site's devices are told, whatever is reloaded meanwhile.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use engage_wire::site::SiteKey;

use super::reload;
use crate::harness::{Daemon, Installation, connect, read_answer, standard};

const RELOADED: &str = "reloaded: new connections get the new state";
const ROOT: &str = "partner_CA.der";
const INTERMEDIATE: &str = "partner_intermediate.der";

/// Four sites: two of one certificate and two of one key.
struct Fleet {
    installation: Installation,
    daemon: Daemon,
}

/// Selected by its host or by a serial number.
const SITES: [(&str, u8, &str); 4] = [
    ("a", 0x11, ROOT),
    ("b", 0x22, ROOT),
    ("c", 0x33, ROOT),
    ("d", 0x33, INTERMEDIATE),
];

impl Fleet {
    fn start() -> Self {
        let installation = Installation::new(standard());
        installation.edit("static_dir", "sites_dir = \"sites\"\nstatic_dir");
        installation.set_base_url("http://10.44.68.128");
        let folder = "static/Device_Certificates";
        installation.write(
            &format!("{folder}/{INTERMEDIATE}"),
            &standard().intermediate.der,
        );
        for (site, key, certificate) in SITES {
            write_key(&installation, site, key);
            installation.write(
                &format!("sites/{site}.toml"),
                format!(
                    "name = \"{site}\"\nkey_file = \"pki/{site}.key\"\nhosts = [\"{site}.example.com\"]\n\
                     serials = [\"{key:016X}\"]\ncertificate = \"{folder}/{certificate}\"\n",
                    // Serial numbers are those of one site each.
                    key = u64::from(key) * 100 + u64::from(site.as_bytes()[0]),
                ),
            );
        }
        let daemon = Daemon::start(&installation);
        Self {
            installation,
            daemon,
        }
    }

    /// Asks for every site by turns, on kept connections, while `change` is made again and again; every
    /// answer is one that `allowed` names for its site.
    fn ask(
        &mut self,
        requests: usize,
        allowed: impl Fn(&str) -> Vec<Vec<u8>>,
        mut change: impl FnMut(&Installation, usize),
    ) {
        let allowed: Vec<_> = SITES.map(|(site, ..)| (site, allowed(site))).into();
        let http = self.daemon.http;
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let (allowed, answered) = (&allowed, &answered);
                    scope.spawn(move || call(http, caller, requests, allowed, answered))
                })
                .collect();
            let mut reloads = 0;
            while callers.iter().any(|caller| !caller.is_finished()) {
                change(&self.installation, reloads);
                reload(&mut self.daemon, RELOADED);
                reloads += 1;
            }
            assert!(reloads > 2, "{reloads}");
            for caller in callers {
                caller.join().unwrap();
            }
        });
        assert!(answered.into_inner() >= requests);
    }
}

fn call(
    http: SocketAddr,
    caller: usize,
    requests: usize,
    allowed: &[(&str, Vec<Vec<u8>>)],
    answered: &AtomicUsize,
) {
    let mut stream = connect(http);
    let mut turn = caller;
    while answered.fetch_add(1, Ordering::Relaxed) < requests {
        let (site, bodies) = &allowed[turn % allowed.len()];
        let (_, key, _) = SITES[turn % SITES.len()];
        let serial = u64::from(key) * 100 + u64::from(site.as_bytes()[0]);
        // By host, by serial number, and by a serial number at another site's host.
        let (query, host) = match turn / SITES.len() % 3 {
            0 => (String::new(), *site),
            1 => (format!("?sn={serial:016X}"), *site),
            _ => (
                format!("?sn={serial:016X}"),
                SITES[(turn + 1) % SITES.len()].0,
            ),
        };
        // In one segment: several wait for each other's acknowledgement.
        let request = format!(
            "GET /swordfish/lock/certificates/current{query} HTTP/1.1\r\nHost: {host}.example.com\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!(answer.status(), 200, "{site}");
        let body = &answer.body;
        assert!(
            bodies.contains(body),
            "{site} was told {}",
            String::from_utf8_lossy(body)
        );
        turn += 1;
    }
}

fn write_key(installation: &Installation, site: &str, key: u8) {
    // Renamed over: nobody finds half a key.
    let fresh = format!("pki/{site}.fresh");
    installation.write(&fresh, bytes(key));
    fs_err::rename(
        installation.path(&fresh),
        installation.path(&format!("pki/{site}.key")),
    )
    .unwrap();
}

/// A key of 32 bytes that is no placeholder.
fn bytes(key: u8) -> [u8; 32] {
    std::array::from_fn(|at| key ^ u8::try_from(at * at % 251).unwrap())
}

/// What is announced of a certificate under a key.
fn body(key: u8, certificate: &str) -> Vec<u8> {
    let der = match certificate {
        ROOT => &standard().root.der,
        _ => &standard().intermediate.der,
    };
    let hash = SiteKey::from_bytes(bytes(key)).announcement_hash(der);
    let url = format!("http://10.44.68.128/static/Device_Certificates/{certificate}");
    format!("{{\"cert_url\":\"{url}\",\"hash\":\"{hash}\"}}").into_bytes()
}

fn of_site(site: &str) -> (u8, &'static str) {
    let (_, key, certificate) = SITES.into_iter().find(|(name, ..)| *name == site).unwrap();
    (key, certificate)
}

/// Keys of "a" and "b" change with every reload, and never become each other's.
fn sites_of_one_certificate_and_of_one_key(requests: usize) {
    const NEXT: u8 = 0x40;
    let keys = |site: &str| {
        let (key, certificate) = of_site(site);
        let other = matches!(site, "a" | "b").then(|| body(key + NEXT, certificate));
        [body(key, certificate)].into_iter().chain(other).collect()
    };
    Fleet::start().ask(requests, keys, |installation, reloads| {
        for site in ["a", "b"] {
            let (key, _) = of_site(site);
            write_key(
                installation,
                site,
                if reloads % 2 == 0 { key + NEXT } else { key },
            );
        }
    });
}

#[test]
fn sites_of_one_certificate_and_of_one_key_never_get_each_others_hash() {
    sites_of_one_certificate_and_of_one_key(4_000);
}

#[test]
#[ignore = "100,000 requests take a minute"]
fn sites_of_one_certificate_and_of_one_key_never_get_each_others_hash_in_100_000_requests() {
    sites_of_one_certificate_and_of_one_key(100_000);
}

#[test]
fn a_site_file_that_breaks_and_heals_under_load_disturbs_no_other() {
    let mut fleet = Fleet::start();
    let file = "sites/d.toml";
    let whole = fs_err::read_to_string(fleet.installation.path(file)).unwrap();
    let cut = whole.len() / 2;
    let contents = ["nonsense", &whole, "", &whole, &whole[..cut], &whole].map(str::to_owned);
    let same = |site: &str| {
        let (key, certificate) = of_site(site);
        vec![body(key, certificate)]
    };
    // Its own devices too are told what they were.
    fleet.ask(4_000, same, |installation, reloads| {
        installation.write(file, &contents[reloads % contents.len()]);
    });
}

const CALLERS: usize = 4;
