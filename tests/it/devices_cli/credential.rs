//! `devices credential`.

use engage_store::{Credentials, SerialNumber};

use crate::harness::{Finished, program, run_with_input};

use super::installation::{Installation, LOBBY};

#[test]
fn a_credential_is_a_line_that_the_credentials_file_takes() {
    let line = credential("0123456789abcdef", b"correct horse\r\n");
    assert_eq!(line.code, Some(0), "{}", line.stderr_text());
    assert!(!line.stdout_text().contains("horse"));
    let line = line.stdout_text();
    assert!(
        line.starts_with("0123456789ABCDEF $argon2id$v=19$m=19456,t=2,p=1$"),
        "{line}"
    );
    let file = Installation::new();
    file.write("credentials", format!("# doors\n{line}"));
    let credentials = Credentials::load(&file.0.path().join("credentials")).unwrap();
    let serial = SerialNumber::from_hex(LOBBY.as_bytes()).unwrap();
    assert!(credentials.verify(serial, b"correct horse"));
    assert!(!credentials.verify(serial, b"correct horse\r"));
}

#[test]
fn a_credential_needs_a_serial_number_and_a_password() {
    for (device, password, reason) in [
        (LOBBY, b"\n".as_slice(), "no password"),
        (LOBBY, &[b'x'; 2000], "too long"),
        ("10.44.0.7", b"correct horse\n", "is an address"),
    ] {
        let refused = credential(device, password);
        assert_eq!(refused.code, Some(1));
        assert_eq!(refused.stdout_text(), "");
        assert!(refused.errors().contains(reason), "{}", refused.errors());
    }
    assert_eq!(credential("front-door", b"x\n").code, Some(2));
}

fn credential(device: &str, password: &[u8]) -> Finished {
    run_with_input(program().args(["devices", "credential", device]), password)
}
