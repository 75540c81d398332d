//! `engage-host devices credential`: a line for the credentials file.

use std::io::{self, BufRead, IsTerminal, Read};

use clap::Args;
use zeroize::Zeroizing;

use super::super::output::{eprint_note, print};
use super::error::DevicesError;
use crate::failure::Failure;
use engage_store::{DeviceId, SerialNumber, credential_line};

/// Read a device's password from standard input, print its line for the credentials file.
///
/// The line is the serial number and an Argon2id hash (19 MiB, 2 passes, 1 lane; a new salt each
/// time). Append it to the file that `[devices] credentials_file` names.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host devices credential 0123456789ABCDEF < password.txt >> credentials"
)]
pub(super) struct Credential {
    /// Serial number in hexadecimal, any case
    #[arg(value_name = "SERIAL")]
    device: DeviceId,
}

impl Credential {
    pub(super) fn run(self) -> Result<(), Failure> {
        let serial = match self.device {
            DeviceId::Serial(serial) => serial,
            DeviceId::Address(address) => {
                return Err(DevicesError::NotASerialNumber {
                    address: address.to_string(),
                }
                .into());
            }
        };
        let password = password(serial)?;
        print(credential_line(serial, &password)?)
    }
}

fn password(serial: SerialNumber) -> Result<Zeroizing<Vec<u8>>, DevicesError> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        eprint_note(
            "password",
            format!("of device {serial}; it will be seen as you type"),
        );
    }
    // So large that it never moves, and leaves nothing behind.
    let mut line = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
    input
        .take(MAX_BYTES as u64 + 2)
        .read_until(b'\n', &mut line)
        .map_err(DevicesError::Input)?;
    let ending = [b"\r\n".as_slice(), b"\n"]
        .into_iter()
        .find(|ending| line.ends_with(ending));
    let length = line.len() - ending.map_or(0, <[u8]>::len);
    line.truncate(length);
    match length {
        0 => Err(DevicesError::NoPassword),
        1..=MAX_BYTES => Ok(line),
        _ => Err(DevicesError::PasswordTooLong {
            max_bytes: MAX_BYTES,
        }),
    }
}

const MAX_BYTES: usize = 1024;
