//! The announcement's hash, judged by openssl and by the published test vectors.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engage_wire::site::SiteKey;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::harness::{
    Daemon, Finished, Installation, SITE_KEY_BASE64, SITE_KEY_HEX, get, hex, openssl, program, run,
    standard,
};

/// The second published example key, and its hexadecimal digits.
const OTHER_KEY_BASE64: &str = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=";
const OTHER_KEY_HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// RFC 2202 section 3: key, data and digest of each HMAC-SHA1 test case.
fn rfc_2202() -> [(Vec<u8>, Vec<u8>, &'static str); 7] {
    [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "4c9007f4026250c6bc8414f9bf50c86c2d7235da",
        ),
        (
            vec![0x0c; 20],
            b"Test With Truncation".to_vec(),
            "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04",
        ),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
        (
            vec![0xaa; 80],
            b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".to_vec(),
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91",
        ),
    ]
}

#[test]
fn the_hmac_that_is_used_passes_the_cases_of_rfc_2202() {
    for (key, data, digest) in rfc_2202() {
        let mut hmac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
        hmac.update(&data);
        assert_eq!(hex(&hmac.finalize().into_bytes()), digest);
    }
}

#[test]
fn openssl_as_a_judge_passes_the_cases_of_rfc_2202_too() {
    for (key, data, digest) in rfc_2202() {
        assert_eq!(hex(&openssl_hmac(&hex(&key), &data)), digest);
    }
}

#[test]
fn the_announced_hash_is_what_openssl_computes() {
    let der = &standard().root.der;
    for (key, digits) in [
        (SITE_KEY_BASE64, SITE_KEY_HEX),
        (OTHER_KEY_BASE64, OTHER_KEY_HEX),
    ] {
        let judged = STANDARD.encode(openssl_hmac(digits, der));
        let key: [u8; 32] = STANDARD.decode(key).unwrap().try_into().unwrap();
        assert_eq!(
            SiteKey::from_bytes(key).announcement_hash(der).to_string(),
            judged
        );
    }
}

#[test]
fn the_daemon_announces_the_hash_of_the_bytes_it_serves() {
    let installation = Installation::new(standard());
    let daemon = Daemon::start(&installation);
    let announcement = get(daemon.http, "/swordfish/lock/certificates/current");
    let url = announcement.json("cert_url");
    let (origin, path) = url.split_at(format!("http://{}", daemon.http).len());
    assert_eq!(origin, format!("http://{}", daemon.http));
    let served = get(daemon.http, path);
    let judged = STANDARD.encode(openssl_hmac(SITE_KEY_HEX, &served.body));
    assert_eq!(announcement.json("hash"), judged);
}

#[test]
fn every_form_of_a_site_key_gives_the_same_hash() {
    let judged = STANDARD.encode(openssl_hmac(SITE_KEY_HEX, &standard().root.der));
    let raw = STANDARD.decode(SITE_KEY_BASE64).unwrap();
    for key in [
        SITE_KEY_BASE64.as_bytes(),
        format!("{SITE_KEY_BASE64}\r\n").as_bytes(),
        SITE_KEY_HEX.as_bytes(),
        SITE_KEY_HEX.to_uppercase().as_bytes(),
        &raw,
    ] {
        let installation = Installation::new(standard());
        installation.write("pki/site.key", key);
        let hash = hash(&installation, "static/Device_Certificates/partner_CA.der");
        assert_eq!(hash.code, Some(0));
        assert_eq!(hash.stdout_text(), format!("{judged}\n"));
        assert_eq!(hash.stderr_text(), "");
    }
}

#[test]
fn hash_refuses_what_a_device_could_not_use() {
    let installation = Installation::new(standard());
    for file in ["pki/partner_server.pem", "pki/site.key", "none.der"] {
        let refused = hash(&installation, file);
        assert_eq!(refused.code, Some(1), "{file}");
        assert_eq!(refused.stdout_text(), "", "{file}");
        assert!(refused.stderr_text().contains("hint: "), "{file}");
    }
}

fn hash(installation: &Installation, file: &str) -> Finished {
    run(program()
        .arg("hash")
        .arg(installation.path(file))
        .arg("--site-key-file")
        .arg(installation.path("pki/site.key")))
}

fn openssl_hmac(key_hex: &str, data: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), data).unwrap();
    let key = format!("hexkey:{key_hex}");
    let path = file.path().to_str().unwrap();
    openssl(
        Path::new("/"),
        [
            "dgst", "-sha1", "-mac", "HMAC", "-macopt", &key, "-binary", path,
        ],
    )
}
