//! Chains that openssl made, each verified by a TLS client that trusts only what is announced.

use std::path::Path;

use crate::harness::{
    CA, Certificate, Chain, Daemon, Installation, Key, Request, SERVER, get, openssl, standard,
    tls_get, trusting,
};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// Starts the daemon, takes the announced certificate from it as a device would, and asks again
/// over TLS under that certificate alone.
fn assert_accepted(installation: &Installation) {
    assert_eq!(installation.refusal_codes(), [""; 0]);
    let daemon = Daemon::start(installation);
    let announcement = get(daemon.http, ANNOUNCEMENT);
    let url = announcement.json("cert_url");
    let path = url
        .strip_prefix(&format!("http://{}", daemon.http))
        .unwrap();
    let anchor = get(daemon.http, path).body;
    let over_tls = tls_get(daemon.https, &trusting(&anchor), ANNOUNCEMENT);
    assert_eq!(over_tls.body, announcement.body);
}

fn announce(installation: &Installation, certificate: &Certificate) {
    let name = "static/Device_Certificates/partner_CA.der";
    installation.write(name, &certificate.der);
}

#[test]
fn three_certificates_with_the_root_announced() {
    assert_accepted(&Installation::new(standard()));
}

#[test]
fn the_root_may_follow_in_the_pem_file() {
    let installation = Installation::new(standard());
    installation.write(
        "pki/partner_server.pem",
        standard().pem() + &standard().root.pem,
    );
    assert_accepted(&installation);
}

#[test]
fn the_intermediate_may_be_announced_instead_of_the_root() {
    let installation = Installation::new(standard());
    announce(&installation, &standard().intermediate);
    assert_accepted(&installation);
    installation.write("pki/partner_CA.der", &standard().root.der);
    installation.edit("[https]", "[https]\nroot = \"pki/partner_CA.der\"");
    assert_accepted(&installation);
    let checked = installation.check_json();
    assert_eq!(checked["sites"][0]["chain_bytes"], standard().total_bytes());
}

#[test]
fn two_certificates_without_an_intermediate() {
    let root = Request::new("Partner CA", Key::Root, CA).self_signed();
    let server = Request::new("server.example.com", Key::Server, SERVER).issued_by(&root);
    let installation = Installation::new(standard());
    installation.write("pki/partner_server.pem", &server.pem);
    announce(&installation, &root);
    assert_accepted(&installation);
}

#[test]
fn one_self_signed_certificate() {
    let extensions = SERVER.replace("authorityKeyIdentifier = keyid\n", "");
    let alone = Request::new("server.example.com", Key::Server, &extensions).self_signed();
    let installation = Installation::new(standard());
    installation.write("pki/partner_server.pem", &alone.pem);
    announce(&installation, &alone);
    assert_accepted(&installation);
}

#[test]
fn an_ecdsa_server_key_under_rsa_issuers() {
    let chain = Chain::issue(|[server, ..]| server.key = Key::Ec);
    assert_accepted(&Installation::new(&chain));
}

#[test]
fn other_writings_of_the_same_files() {
    let installation = Installation::new(standard());
    // As Windows editors and `openssl x509 -text` leave them.
    let pem = format!("Certificate:\n    Data: text\n{}", standard().pem());
    installation.write("pki/partner_server.pem", pem.replace('\n', "\r\n"));
    for form in [&["rsa", "-traditional"][..], &["pkey"]] {
        let key = Key::Server.path();
        let args = [form, &["-in", key.to_str().unwrap()]].concat();
        installation.write(
            "pki/partner_server.key",
            openssl(installation.folder(), args),
        );
        assert_accepted(&installation);
    }
    // A key file may carry the certificate too.
    let both = standard().pem() + &Key::Server.pem();
    installation.write("pki/partner_server.key", both);
    assert_accepted(&installation);
}

#[test]
fn a_sec1_key_with_its_parameters_in_front() {
    let chain = Chain::issue(|[server, ..]| server.key = Key::Ec);
    let installation = Installation::new(&chain);
    let key = Key::Ec.path();
    let sec1 = openssl(installation.folder(), ["ec", "-in", key.to_str().unwrap()]);
    let parameters = ["ecparam", "-name", "prime256v1"];
    let parameters = openssl(installation.folder(), parameters);
    installation.write("pki/partner_server.key", [parameters, sec1].concat());
    assert_accepted(&installation);
}

/// The vendor page's commands, run with openssl's own configuration file: the intermediate and
/// the server certificate come out with `usr_cert`, so as no authorities and without names.
pub(crate) fn vendor_chain(folder: &Path) -> Chain {
    for name in ["demoCA/newcerts", "demoCA/private"] {
        fs_err::create_dir_all(folder.join(name)).unwrap();
    }
    fs_err::write(folder.join("demoCA/index.txt"), "").unwrap();
    fs_err::write(folder.join("demoCA/serial"), "1000\n").unwrap();
    let subject = |name: &str| format!("/C=US/ST=Indiana/L=Carmel/O=Partner/OU=Doors/CN={name}");
    for (name, key) in [
        ("partner_CA", Key::Root),
        ("partner_intermediate", Key::Intermediate),
        ("partner_server", Key::Server),
    ] {
        fs_err::copy(key.path(), folder.join(format!("{name}.key"))).unwrap();
    }
    let run = |command: &str, subject: Option<&str>| {
        let subject = subject.map(|subject| ["-subj", subject]);
        openssl(
            folder,
            command.split(' ').chain(subject.into_iter().flatten()),
        );
    };
    run(
        "req -new -x509 -extensions v3_ca -key partner_CA.key -out partner_CA.crt -days 365",
        Some(&subject("partner_CA")),
    );
    for (name, issuer) in [
        ("partner_intermediate", "partner_CA"),
        ("partner_server", "partner_intermediate"),
    ] {
        run(
            &format!("req -new -extensions v3_ca -key {name}.key -out {name}.csr -days 365"),
            Some(&subject(name)),
        );
        run(
            &format!(
                "ca -batch -notext -in {name}.csr -out {name}.crt -cert {issuer}.crt \
                 -keyfile {issuer}.key -days 365"
            ),
            None,
        );
    }
    let read = |name: &str, key| {
        let pem = fs_err::read_to_string(folder.join(format!("{name}.crt"))).unwrap();
        Certificate::from_pem(key, pem)
    };
    Chain {
        server: read("partner_server", Key::Server),
        intermediate: read("partner_intermediate", Key::Intermediate),
        root: read("partner_CA", Key::Root),
    }
}

#[test]
fn the_vendors_own_commands_make_a_chain_that_starts_with_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let chain = vendor_chain(folder.path());
    let installation = Installation::new(&chain);
    installation.set_base_url("http://10.44.68.128");
    assert_eq!(installation.refusal_codes(), [""; 0]);
    insta::assert_snapshot!(installation.warning_codes().join("\n"));
    let daemon = Daemon::start(&installation);
    // Strict clients refuse such a chain, so this one does not judge it: it only connects.
    let address = daemon.https.to_string();
    let connected = openssl(folder.path(), ["s_client", "-connect", &address, "-brief"]);
    assert!(
        connected.is_empty(),
        "{}",
        String::from_utf8_lossy(&connected)
    );
    assert_eq!(get(daemon.http, ANNOUNCEMENT).status(), 200);
}
