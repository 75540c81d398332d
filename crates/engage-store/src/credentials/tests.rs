use super::*;
use engage_wire::diagnostic::{code, explained};

const SERIAL: &str = "0123456789ABCDEF";

fn serial(text: &str) -> SerialNumber {
    SerialNumber::from_hex(text.as_bytes()).unwrap()
}

fn parse(contents: impl AsRef<[u8]>) -> Result<Credentials, CredentialsError> {
    Credentials::parse(Path::new("credentials"), contents.as_ref())
}

fn line() -> String {
    credential_line(serial(SERIAL), b"correct horse").unwrap()
}

#[test]
fn a_device_is_known_by_its_password_and_by_no_other() {
    let file = format!(
        "\u{feff}# doors\r\n\r\n{}  # lobby\r\n",
        line().to_lowercase_serial()
    );
    let credentials = parse(file).unwrap();
    assert_eq!(credentials.hashes.len(), 1);
    assert!(credentials.verify(serial(SERIAL), b"correct horse"));
    assert!(credentials.verify(serial(SERIAL), b"correct horse"));
    assert!(!credentials.verify(serial(SERIAL), b"correct horse "));
    assert!(!credentials.verify(serial(SERIAL), b""));
    assert!(!credentials.verify(serial("FEDCBA9876543210"), b"correct horse"));
}

#[test]
fn a_right_password_is_remembered_for_a_night_and_a_wrong_one_never() {
    let credentials = parse(line()).unwrap();
    let (device, now) = (serial(SERIAL), Instant::now());
    assert!(!credentials.verify_at(device, b"wrong", now));
    assert!(!credentials.remembers(device, b"wrong", now));
    assert!(!credentials.remembers(device, b"correct horse", now));
    assert!(credentials.verify_at(device, b"correct horse", now));
    assert!(credentials.remembers(device, b"correct horse", now));
    assert!(!credentials.remembers(device, b"wrong", now));
    assert!(!credentials.remembers(serial("FEDCBA9876543210"), b"correct horse", now));
    assert!(!credentials.remembers(device, b"correct horse", now + REMEMBERED_FOR));
    assert!(credentials.verify_at(device, b"correct horse", now + REMEMBERED_FOR));
    assert!(credentials.remembers(device, b"correct horse", now + REMEMBERED_FOR));
}

#[test]
fn memory_holds_only_devices_of_the_file() {
    let credentials = parse(line()).unwrap();
    assert!(!credentials.verify(serial("FEDCBA9876543210"), b"correct horse"));
    assert_eq!(credentials.verified().len(), 0);
}

#[test]
fn an_unknown_device_costs_what_the_known_ones_do() {
    let file = "0123456789abcdef $argon2id$v=19$m=8,t=3,p=1$MTIzNDU2Nzg$\
                MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
    let credentials = parse(file).unwrap();
    assert!(credentials.nobody.as_str().contains("$m=8,t=3,p=1$"));
    assert!(
        parse(line())
            .unwrap()
            .nobody
            .as_str()
            .contains("$m=19456,t=2,p=1$")
    );
}

#[test]
fn lines_are_salted_and_take_the_least_that_owasp_allows() {
    let (one, other) = (line(), line());
    assert!(
        one.starts_with("0123456789ABCDEF $argon2id$v=19$m=19456,t=2,p=1$"),
        "{one}"
    );
    assert_ne!(one, other);
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_never_quoted() {
    let good = line();
    let hash = good.split(' ').nth(1).unwrap();
    for (file, line, problem) in [
        (format!("\n{SERIAL}\n"), 2, LineProblem::NoHash),
        (format!("{SERIAL} hunter22hunter22"), 1, LineProblem::Hash),
        (
            format!("{SERIAL} {}", hash.replace("argon2id", "argon2i")),
            1,
            LineProblem::Hash,
        ),
        (
            format!("{SERIAL} {}", hash.replace("m=19456", "m=99999999")),
            1,
            LineProblem::Expensive,
        ),
        (
            format!("{SERIAL} {}", hash.rsplit_once('$').unwrap().0),
            1,
            LineProblem::Hash,
        ),
        (format!("{good} hunter22hunter22"), 1, LineProblem::More),
        (format!("hunter22hunter22 {hash}"), 1, LineProblem::Serial),
    ] {
        let error = parse(&file).unwrap_err();
        let text = explained(&error);
        assert!(text.contains(&format!("line {line} {problem}")), "{text}");
        assert!(!text.contains("hunter22"), "{text}");
        assert!(!text.contains(hash), "{text}");
        assert!(!format!("{error:?}").contains("hunter22"));
    }
    assert!(explained(&parse(b"\n\xff\n").unwrap_err()).contains("line 2 is not UTF-8 text"));
}

#[test]
fn a_line_that_was_cut_concerns_its_device_only() {
    let good = line();
    let other = good.replace(SERIAL, "FEDCBA9876543210");
    let cut = format!(
        "{}\n{good}\n\n{}\n",
        &other[..60],
        good.to_lowercase_serial()
    );
    let credentials = parse(cut).unwrap();
    assert_eq!(credentials.hashes.len(), 1);
    assert!(credentials.verify(serial(SERIAL), b"correct horse"));
    assert!(!credentials.verify(serial("FEDCBA9876543210"), b"correct horse"));
    let told: Vec<_> = credentials
        .problems()
        .iter()
        .map(|problem| explained(problem))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("line 1 has no Argon2id hash"),
        "{}",
        told[0]
    );
    let repeated = LineProblem::Repeated { first: 2 };
    assert!(
        told[1].contains(&format!("line 4 {repeated}")),
        "{}",
        told[1]
    );
}

#[test]
fn a_file_that_names_no_device_is_refused() {
    for file in [
        "",
        "\u{feff}",
        "\n\r\n",
        "# doors\n  # and their passwords\n",
    ] {
        let error = parse(file).unwrap_err();
        assert_eq!(code(&error), "no-credentials", "{file:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = Credentials::load(&folder.path().join("none")).unwrap_err();
    assert!(
        explained(&absent).contains("none`"),
        "{}",
        explained(&absent)
    );
    assert_eq!(code(&absent), "unreadable-file");
    let large = folder.path().join("large");
    fs_err::File::create(&large)
        .unwrap()
        .set_len(MAX_BYTES as u64 + 1)
        .unwrap();
    assert_eq!(
        code(&Credentials::load(&large).unwrap_err()),
        "file-too-large"
    );
    assert!(Credentials::load(folder.path()).is_err());
}

#[test]
fn neither_hashes_nor_passwords_are_printed() {
    assert_eq!(
        format!("{:?}", parse(line()).unwrap()),
        "Credentials(1 devices)"
    );
}

trait LowercaseSerial {
    fn to_lowercase_serial(&self) -> String;
}

impl LowercaseSerial for String {
    fn to_lowercase_serial(&self) -> String {
        self.replace(SERIAL, &SERIAL.to_lowercase())
    }
}
