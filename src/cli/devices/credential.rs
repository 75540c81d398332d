//! `engage-host devices credential`: a line for the credentials file.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;

use bytes::Bytes;
use clap::Args;
use http::Method;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::output::{eprint_note, print};
use super::super::remote::Remote;
use super::error::{DevicesError, NotTakenUp};
use super::path_of;
use crate::failure::{ErrorEntry, Failure};
use engage_store::{DeviceId, SerialNumber, credential_line};
use engage_wire::{Text, TextEncoding};

/// Read a device's password from standard input, print its line for the credentials file.
///
/// The line is the serial number and an Argon2id hash (19 MiB, 2 passes, 1 lane; a new salt each
/// time). Append it to the file that `[devices] credentials_file` names. With `--server` the other host
/// puts the line into its file.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host devices credential 0123456789ABCDEF < password.txt >> credentials\n  engage-host --server https://10.44.0.5:9480 --token-file token devices credential 0123456789ABCDEF < password.txt"
)]
pub(super) struct Credential {
    /// Serial number in hexadecimal, any case
    #[arg(value_name = "SERIAL")]
    device: DeviceId,
    /// Have the other host remove the device's line: it may call no more; with `--server` only
    #[arg(long)]
    remove: bool,
}

impl Credential {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<(), Failure> {
        let serial = match self.device {
            DeviceId::Serial(serial) => serial,
            DeviceId::Address(address) => {
                return Err(DevicesError::NotASerialNumber {
                    address: address.to_string(),
                }
                .into());
            }
        };
        match (remote, self.remove) {
            (Some(remote), true) => remove(remote, serial),
            (Some(remote), false) => set(remote, serial, &password(serial)?),
            (None, true) => Err(Failure::from(DevicesError::RemoveHere).into_usage_error()),
            (None, false) => print(credential_line(serial, &password(serial)?)?),
        }
    }
}

/// Has another host give the device a password.
fn set(remote: &Remote, serial: SerialNumber, password: &[u8]) -> Result<(), Failure> {
    let password = str::from_utf8(password).map_err(|_| DevicesError::PasswordNotText)?;
    // As large as it gets: none of its copies stays behind.
    let mut body = Zeroizing::new(Vec::with_capacity(8 * MAX_BYTES));
    let written = serde_json::to_writer(&mut *body, &NewCredential { password });
    if written.is_err() {
        unreachable!("a text serialises into memory");
    }
    let body = Some(Bytes::from_owner(body));
    let report: CredentialAnswer = remote
        .send(Method::PUT, &path_of_credential(serial), body)?
        .read()?;
    report.print(format!(
        "ok: device {serial} is to call with this password at `{}`",
        remote.place()
    ))
}

/// Has another host take the device's password away.
fn remove(remote: &Remote, serial: SerialNumber) -> Result<(), Failure> {
    let answer = remote.send(Method::DELETE, &path_of_credential(serial), None)?;
    let report: CredentialAnswer = answer.read()?;
    report.print(format!(
        "ok: device {serial} may not call at `{}` any more",
        remote.place()
    ))
}

fn path_of_credential(serial: SerialNumber) -> String {
    format!("{}/credential", path_of(DeviceId::Serial(serial)))
}

/// As the API takes it.
#[derive(Serialize)]
struct NewCredential<'a> {
    password: &'a str,
}

/// What became of it.
#[derive(Deserialize)]
struct CredentialAnswer {
    refusals: Vec<ErrorEntry>,
}

impl CredentialAnswer {
    /// The file is written in any case; fails where the daemon did not take it up.
    fn print(self, ok: String) -> Result<(), Failure> {
        if self.refusals.is_empty() {
            return print(ok);
        }
        let refused = self.refusals.into_iter();
        Err(Failure::from_errors(refused.map(NotTakenUp)))
    }
}

/// The first line of standard input, which may be a file in any encoding.
fn password(serial: SerialNumber) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        eprint_note(
            "password",
            format!("of device {serial}; it will be seen as you type"),
        );
    }
    // So large that it never moves, and leaves nothing behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(2 * MAX_INPUT_BYTES));
    let mut input = input.take(MAX_INPUT_BYTES as u64);
    let mut read = input.read_until(b'\n', &mut contents);
    // In UTF-16 that byte may be half of another character; nobody types UTF-16.
    let utf16 = [TextEncoding::Utf16Le, TextEncoding::Utf16Be];
    if utf16.iter().any(|it| contents.starts_with(it.mark())) {
        read = input.read_to_end(&mut contents);
    }
    read.map_err(DevicesError::Input)?;
    let text = Text::of_file("password", Path::new("standard input"), &contents)?;
    let line = text.split_inclusive(|byte| *byte == b'\n').next();
    let mut line = Zeroizing::new(line.unwrap_or_default().to_vec());
    let ending = [b"\r\n".as_slice(), b"\n"]
        .into_iter()
        .find(|ending| line.ends_with(ending));
    let length = line.len() - ending.map_or(0, <[u8]>::len);
    line.truncate(length);
    match length {
        0 => Err(DevicesError::NoPassword.into()),
        1..=MAX_BYTES => Ok(line),
        _ => Err(DevicesError::PasswordTooLong {
            max_bytes: MAX_BYTES,
        }
        .into()),
    }
}

const MAX_BYTES: usize = 1024;

/// A password in UTF-16, its line end and more.
const MAX_INPUT_BYTES: usize = 4 * MAX_BYTES;
