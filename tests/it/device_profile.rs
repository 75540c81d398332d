//! The judgement of certificates, held against an independent judge and against itself.

use engage_wire::clock;
use engage_wire::diagnostic::{causes, code};
use engage_wire::pki::Certificate;
use engage_wire::pki::device_profile::{DeviceProfile, ProfileCheck};

use crate::harness::{
    CA, Chain, Daemon, INTERMEDIATE, Installation, Key, Request, SERVER, program, run,
};

/// What the device profile makes of a chain whose root is announced.
fn judged(chain: &Chain) -> ProfileCheck<()> {
    let parse = |der: &[u8]| Certificate::parse(der.to_vec()).unwrap();
    let sent = vec![parse(&chain.server.der), parse(&chain.intermediate.der)];
    let judgement = DeviceProfile::new(clock::now()).check_handshake(sent, &parse(&chain.root.der));
    ProfileCheck {
        accepted: judgement.accepted.map(|_| ()),
        violations: judgement.violations,
    }
}

/// Whether OpenSSL accepts it for a TLS server, and what it says.
fn openssl_accepts(chain: &Chain) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
    write("server.pem", &chain.server.pem);
    write("intermediate.pem", &chain.intermediate.pem);
    write("root.pem", &chain.root.pem);
    let mut command = std::process::Command::new("openssl");
    command.current_dir(folder.path()).args([
        "verify",
        "-purpose",
        "sslserver",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "intermediate.pem",
        "server.pem",
    ]);
    let finished = run(&mut command);
    let said = finished.stdout_text() + &finished.stderr_text();
    (finished.code == Some(0), said)
}

/// Changes one line of a certificate's extensions.
fn replaced(extensions: &str, line: &str, by: &str) -> String {
    let changed = extensions.replace(line, by);
    assert_ne!(changed, extensions, "{line}");
    changed
}

const SERVER_LINES: [(&str, &str); 10] = [
    ("= serverAuth", "= clientAuth"),
    ("= serverAuth", "= anyExtendedKeyUsage"),
    ("= serverAuth", "= clientAuth, serverAuth"),
    ("digitalSignature, keyEncipherment", "keyCertSign"),
    ("digitalSignature, keyEncipherment", "keyAgreement"),
    ("CA:FALSE", "CA:TRUE"),
    ("subjectKeyIdentifier = hash\n", "nsCertType = client\n"),
    (
        "subjectKeyIdentifier = hash\n",
        "1.2.3.4 = critical, ASN1:UTF8String:x\n",
    ),
    (
        "subjectKeyIdentifier = hash\n",
        "1.2.3.4 = ASN1:UTF8String:x\n",
    ),
    (
        "authorityKeyIdentifier = keyid",
        "authorityKeyIdentifier = keyid, issuer:always",
    ),
];

const INTERMEDIATE_LINES: [(&str, &str); 13] = [
    ("basicConstraints = critical, CA:TRUE, pathlen:0\n", ""),
    ("CA:TRUE, pathlen:0", "CA:FALSE"),
    ("keyUsage = critical, keyCertSign, cRLSign\n", ""),
    ("keyCertSign, cRLSign", "cRLSign"),
    (
        "subjectKeyIdentifier = hash",
        "extendedKeyUsage = clientAuth",
    ),
    (
        "subjectKeyIdentifier = hash",
        "extendedKeyUsage = serverAuth",
    ),
    (
        "subjectKeyIdentifier = hash",
        "nameConstraints = permitted;DNS:other.example",
    ),
    (
        "subjectKeyIdentifier = hash",
        "nameConstraints = excluded;DNS:server.example.com",
    ),
    (
        "subjectKeyIdentifier = hash",
        "nameConstraints = excluded;DNS:other.example",
    ),
    (
        "subjectKeyIdentifier = hash",
        "nameConstraints = critical, permitted;IP:10.0.0.0/255.0.0.0",
    ),
    (
        "subjectKeyIdentifier = hash",
        "nameConstraints = permitted;IP:0.0.0.0/0.0.0.0",
    ),
    (
        "subjectKeyIdentifier = hash",
        "policyConstraints = critical, requireExplicitPolicy:5",
    ),
    (
        "subjectKeyIdentifier = hash",
        "1.2.3.4 = critical, ASN1:UTF8String:x",
    ),
];

const ROOT_LINES: [(&str, &str); 6] = [
    ("CA:TRUE", "CA:TRUE, pathlen:0"),
    ("CA:TRUE", "CA:TRUE, pathlen:1"),
    ("CA:TRUE", "CA:FALSE"),
    (
        "subjectKeyIdentifier = hash",
        "extendedKeyUsage = emailProtection",
    ),
    ("keyUsage = critical, keyCertSign, cRLSign\n", ""),
    ("basicConstraints = critical, CA:TRUE\n", ""),
];

/// Chains that differ from the well-made one in one thing each.
fn matrix() -> Vec<(String, Chain)> {
    let mut chains = vec![("well made".to_owned(), Chain::issue(|_| {}))];
    let mut add = |at: usize, all: &str, lines: &[(&str, &str)]| {
        for (line, by) in lines {
            let chain = Chain::issue(|requests| requests[at].extensions = replaced(all, line, by));
            chains.push((format!("{line} -> {by}"), chain));
        }
    };
    add(0, SERVER, &SERVER_LINES);
    add(1, INTERMEDIATE, &INTERMEDIATE_LINES);
    add(2, CA, &ROOT_LINES);
    for at in 0..3 {
        let expired = Chain::issue(|requests| requests[at].days = (-20, -10));
        chains.push((format!("{at} expired"), expired));
        let sha1 = Chain::issue(|requests| requests[at].digest = "sha1");
        chains.push((format!("{at} SHA-1"), sha1));
    }
    chains.extend(issued_anew());
    chains
}

/// The root or the intermediate is another issue, with the same key or another one.
fn issued_anew() -> Vec<(String, Chain)> {
    let always = "authorityKeyIdentifier = keyid, issuer:always";
    let by_serial = Chain::issue(|[server, intermediate, _]| {
        for request in [server, intermediate] {
            request.extensions = replaced(
                &request.extensions,
                "authorityKeyIdentifier = keyid",
                always,
            );
        }
    });
    let mut chains = Vec::new();
    for (name, extensions, serial) in [
        ("same", CA.to_owned(), "1000000000000001"),
        ("another serial number", CA.to_owned(), "2000000000000002"),
        (
            "another key identifier",
            replaced(CA, "= hash", "= 01020304"),
            "1000000000000001",
        ),
    ] {
        let mut root = Request::new("Partner CA", Key::Root, &extensions);
        root.serial = serial;
        let root = root.self_signed();
        for chain in [&by_serial, &Chain::issue(|_| {})] {
            let chain = Chain {
                root: root.clone(),
                ..chain.clone()
            };
            chains.push((format!("root anew, {name}"), chain));
        }
    }
    let foreign = Request::new("Partner CA", Key::Foreign, CA).self_signed();
    let namesake = Chain {
        root: foreign,
        ..by_serial
    };
    chains.push(("a namesake of the root".to_owned(), namesake));
    chains
}

#[test]
fn what_openssl_refuses_is_never_passed_over_and_what_it_accepts_is_not_refused() {
    let mut refused_by_openssl = 0;
    for (name, chain) in matrix() {
        let judgement = judged(&chain);
        let told: Vec<_> = judgement.violations.iter().map(causes).collect();
        let (is_accepted, said) = openssl_accepts(&chain);
        if is_accepted {
            assert_eq!(judgement.refusal(), None, "{name}: {said}");
        } else {
            refused_by_openssl += 1;
            assert!(!told.is_empty(), "{name}: {said}");
        }
    }
    // The judge judges.
    assert!(refused_by_openssl > 15, "{refused_by_openssl}");
}

#[test]
fn a_well_made_chain_has_nothing_against_it() {
    assert_eq!(judged(&Chain::issue(|_| {})).violations, []);
}

/// `check` and `doctor` on the same certificates: the codes of the one are in the words of the
/// other.
#[test]
fn check_and_doctor_say_the_same_of_names_and_of_the_time_that_is_left() {
    let named = |names: &str| {
        replaced(
            SERVER,
            "IP:127.0.0.1, IP:10.44.68.128, DNS:localhost",
            names,
        )
    };
    for (names, days, wanted) in [
        ("IP:127.0.0.1", 365, &[][..]),
        ("DNS:127.0.0.1", 365, &["name-missing"]),
        ("DNS:*.0.0.1", 365, &["name-missing"]),
        ("IP:127.0.0.2", 365, &["name-missing"]),
        ("IP:127.0.0.1", 30, &["expires-soon"]),
        ("IP:127.0.0.1", 31, &[]),
    ] {
        let chain = Chain::issue(|[server, ..]| {
            server.extensions = named(names);
            server.days = (-1, days);
        });
        let installation = Installation::new(&chain);
        let mut checked = installation.warning_codes();
        checked.retain(|code| code != "loopback-base-url");
        assert_eq!(checked, wanted, "{names} {days}");
        let daemon = Daemon::start(&installation);
        let doctor = run(program()
            .args(["doctor", "--json"])
            .arg(format!("http://{}", daemon.http))
            .arg("--https")
            .arg(daemon.https.to_string())
            .arg("--site-key-file")
            .arg(installation.path("pki/site.key")));
        let steps: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let step = &steps[8];
        assert_eq!(step["name"], "chain", "{steps}");
        let outcome = if wanted.is_empty() { "pass" } else { "warn" };
        assert_eq!(step["outcome"], outcome, "{names} {days}: {step}");
        for violation in judged(&chain).violations {
            assert!(wanted.contains(&&*code(&violation)), "{violation}");
            let told = step["detail"].as_str().unwrap();
            assert!(told.contains(&violation.to_string()), "{told}");
        }
    }
}
