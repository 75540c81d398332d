//! The one answer that counts, byte for byte.

use engage_device::Received;

use crate::trouble::{Outcome, Trouble, While};

/// An answer in which only the date may differ.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    bytes: Vec<u8>,
    /// Where the value of `Date:` stands.
    date: std::ops::Range<usize>,
}

impl Expected {
    /// Learns an answer that a device would process and whose body is `body`.
    pub(crate) fn learn(received: &Received, body: &[u8], content_type: &str) -> Outcome<Self> {
        let answer = received.response().doing("learning an answer")?;
        if answer.status() != 200 || answer.body() != body {
            return Err(Trouble::new("the server answers another payload"));
        }
        if answer.header("Content-Type") != Some(content_type) {
            return Err(Trouble::new("the server answers another content type"));
        }
        let bytes = received.bytes().to_vec();
        let date = find(&bytes, DATE)
            .map(|at| at + DATE.len())
            .and_then(|at| Some(at..at + find(&bytes[at..], b"\r\n")?))
            .unwrap_or(0..0);
        Ok(Self { bytes, date })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is(&self, received: &[u8]) -> bool {
        let date = self.date.clone();
        received.len() == self.bytes.len()
            && received[..date.start] == self.bytes[..date.start]
            && received[date.end..] == self.bytes[date.end..]
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|it| it == what)
}

const DATE: &[u8] = b"\r\nDate: ";
