//! `engage-host doctor` against the real daemon, and against hosts that have one fault each.

mod diagnosis;
pub(crate) mod faulty_host;
pub(crate) mod openssl;

use engage_device::{TlsClient, TlsVersions};
use engage_wire::pki::Certificate;

use diagnosis::{Daemon, Diagnosis, PATIENCE, doctor};
use faulty_host::{Fault, Host};
use openssl::Pki;

#[test]
fn our_daemon_passes_every_step() {
    let pki = Pki::vendor_like();
    let daemon = Daemon::start(&pki.config());
    let url = format!("http://{}", daemon.http);
    let diagnosis = Diagnosis::run(&[
        &url,
        "--config",
        pki.config().to_str().unwrap(),
        "--https",
        &daemon.https,
    ]);
    diagnosis.assert_outcomes(&["pass"; 11]);
    let tls = diagnosis.words("tls");
    assert!(tls.contains("TLS 1.2 TLS_ECDHE_RSA_WITH_"), "{tls}");
    let chain = diagnosis.words("chain");
    assert!(
        chain.contains("server ") && chain.contains("root "),
        "{chain}"
    );
    assert!(chain.contains("names: 127.0.0.1, localhost"), "{chain}");
}

#[test]
fn the_text_has_one_line_for_each_step_and_a_summary() {
    let pki = Pki::vendor_like();
    let daemon = Daemon::start(&pki.config());
    let url = format!("http://{}", daemon.http);
    let key = pki.path("site.key");
    let output = doctor(&[&url, "--site-key-file", &key, "--https", &daemon.https]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 12, "{text}");
    assert!(lines[0].starts_with(" 1 pass connect "), "{text}");
    assert_eq!(lines[11], "ok: 11 passed, 0 failed, 0 warnings, 0 skipped");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn version_1_certificates_pass_as_they_do_with_devices() {
    let pki = Pki::without_extensions();
    let daemon = Daemon::start(&pki.config());
    let url = format!("http://{}", daemon.http);
    let key = pki.path("site.key");
    let diagnosis = Diagnosis::run(&[&url, "--site-key-file", &key, "--https", &daemon.https]);
    assert_eq!(
        diagnosis.outcome("tls"),
        "pass",
        "{}",
        diagnosis.words("tls")
    );
    // No subjectAltName.
    assert_eq!(diagnosis.outcome("chain"), "warn");
    assert_eq!(diagnosis.exit_code, Some(0));
}

#[test]
fn an_examination_that_cannot_begin_exits_with_2_and_says_why() {
    let pki = Pki::vendor_like();
    let config = pki.config();
    let config = config.to_str().unwrap();
    for (arguments, wanted) in [
        (
            vec!["--config", config],
            "port 0 of `[http] listen` is another at each start",
        ),
        (
            vec!["--config", "absent.toml"],
            "failed to read configuration file",
        ),
        (
            vec!["https://127.0.0.1", "--config", config],
            "a device asks in clear text first",
        ),
        (
            vec!["http://127.0.0.1/x", "--config", config],
            "it has a path",
        ),
        (
            vec!["127.0.0.1", "--config", config],
            "it must start with `http://`",
        ),
        (
            vec!["http://127.0.0.1", "--config", config, "--site", "Annex"],
            "has no site named `Annex`; it has `Main Office`",
        ),
    ] {
        let output = doctor(&arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(wanted), "{stderr}");
    }
}

#[test]
fn a_closed_port_fails_the_first_step_and_skips_the_rest() {
    let pki = Pki::vendor_like();
    let url = format!("http://{}", faulty_host::closed_port());
    let key = pki.path("site.key");
    let diagnosis = Diagnosis::run(&[&url, "--site-key-file", &key]);
    let mut wanted = ["skip"; 11];
    wanted[0] = "fail";
    diagnosis.assert_outcomes(&wanted);
    assert!(diagnosis.words("connect").contains("nothing listens there"));
}

#[test]
fn a_host_without_a_fault_passes() {
    let pki = Pki::vendor_like();
    Diagnosis::of_faulty_host(&pki, Fault::None).assert_outcomes(&["pass"; 11]);
}

#[test]
fn each_fault_is_told_at_its_own_step() {
    let pki = Pki::vendor_like();
    for (fault, step, outcome, words) in [
        (
            Fault::LowerCaseLength,
            "announcement",
            "fail",
            "is spelled `content-length:`",
        ),
        (
            Fault::Http10,
            "announcement",
            "fail",
            "says `HTTP/1.0`; allowed: `HTTP/1.1`",
        ),
        (
            Fault::Chunked,
            "announcement",
            "fail",
            "`Transfer-Encoding: chunked`",
        ),
        (
            Fault::HtmlType,
            "announcement",
            "warn",
            "Content-Type is `text/html",
        ),
        (
            Fault::KeyOrder,
            "announcement-form",
            "warn",
            "`hash` stands before `cert_url`",
        ),
        (
            Fault::HttpsCertUrl,
            "cert-url",
            "fail",
            "is https; allowed: http",
        ),
        (
            Fault::MissingFile,
            "certificate-download",
            "fail",
            "`HTTP/1.1 404",
        ),
        (Fault::WrongHash, "hash", "fail", "another site key"),
        (
            Fault::TextKeyHash,
            "hash",
            "fail",
            "decode the Base64 text to 32 bytes",
        ),
        (
            Fault::Pem,
            "certificate",
            "fail",
            "the file is PEM; allowed: DER",
        ),
        (Fault::ClosedTls, "tls", "fail", "nothing listens there"),
        (Fault::PlainTls, "tls", "fail", "does not speak TLS"),
        (
            Fault::WrongTlsKey,
            "tls",
            "fail",
            "does not have the private key",
        ),
        (
            Fault::OtherOverTls,
            "announcement-over-tls",
            "fail",
            "two servers answer",
        ),
        (
            Fault::LeaksKey,
            "private-key",
            "fail",
            "a private key can be downloaded over HTTP",
        ),
        (
            Fault::LeaksKeyBesidePki,
            "private-key",
            "fail",
            "/static/Device_Certificates/../../pki/",
        ),
        (
            Fault::LeaksSiteKey,
            "private-key",
            "fail",
            "the site key can be downloaded",
        ),
    ] {
        let diagnosis = Diagnosis::of_faulty_host(&pki, fault);
        let told = diagnosis.words(step);
        assert!(told.contains(words), "{fault:?}: {told}");
        assert_eq!(diagnosis.outcome(step), outcome, "{fault:?}: {told}");
        let exit_code = i32::from(outcome == "fail");
        assert_eq!(diagnosis.exit_code, Some(exit_code), "{fault:?}");
    }
}

#[test]
fn a_chain_of_another_authority_is_refused_and_still_counted() {
    let pki = Pki::vendor_like();
    let foreign = Pki::vendor_like();
    let daemon = Daemon::start(&foreign.config());
    let host = Host::start(&pki, Fault::None);
    let key = pki.path("site.key");
    let diagnosis = Diagnosis::run(&[
        &host.url(),
        "--site-key-file",
        &key,
        "--https",
        &daemon.https,
    ]);
    assert_eq!(diagnosis.outcome("tls"), "fail");
    let told = diagnosis.words("tls");
    assert!(
        told.contains("the announced file belongs to another issue"),
        "{told}"
    );
    assert!(diagnosis.words("chain").contains(" of 4096 bytes"));
    assert_eq!(diagnosis.outcome("announcement-over-tls"), "skip");
    assert_eq!(diagnosis.exit_code, Some(1));
}

#[tokio::test]
async fn a_server_without_the_private_key_of_its_certificate_is_refused_in_both_versions() {
    for pki in [Pki::vendor_like(), Pki::without_extensions()] {
        let anchor = pki.read("static/Device_Certificates/partner_CA.der");
        let anchor = Certificate::parse(anchor).unwrap();
        for versions in [TlsVersions::Any, TlsVersions::Device] {
            let client = TlsClient::new(anchor.clone(), versions);
            for (fault, is_trusted) in [(Fault::None, true), (Fault::WrongTlsKey, false)] {
                let host = Host::start(&pki, fault);
                let deadline = tokio::time::Instant::now() + PATIENCE;
                let address = host.https().parse().unwrap();
                match client.connect(&address, deadline).await {
                    Ok(_) => assert!(is_trusted, "{versions}"),
                    Err(error) => {
                        assert!(!is_trusted, "{versions}: {error:?}");
                        let hint = miette::Diagnostic::help(&error).unwrap().to_string();
                        assert!(hint.contains("does not have the private key"), "{hint}");
                    }
                }
            }
        }
    }
}

#[test]
fn no_key_shows_in_any_diagnosis() {
    let pki = Pki::vendor_like();
    for fault in [Fault::LeaksKey, Fault::LeaksSiteKey, Fault::TextKeyHash] {
        let host = Host::start(&pki, fault);
        let key = pki.path("site.key");
        let output = doctor(&[
            &host.url(),
            "--site-key-file",
            &key,
            "--https",
            &host.https(),
        ]);
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert!(all.contains("private-key"), "{all}");
        assert!(!all.contains(openssl::SITE_KEY), "{all}");
        assert!(!all.contains("0102030405"), "{all}");
        assert!(!all.contains("BEGIN"), "{all}");
    }
}
