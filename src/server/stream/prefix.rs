//! Bytes that were read ahead.

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

use super::intercept::Intercept;

/// Bytes that have been read already and come first: they came with a PROXY protocol header and
/// belong to what follows it.
#[derive(Debug)]
pub(in crate::server) struct Prefix(pub(super) Bytes);

impl Intercept for Prefix {
    fn read_ahead(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if !self.0.has_remaining() {
            return false;
        }
        let length = self.0.len().min(buffer.remaining());
        buffer.put_slice(&self.0.split_to(length));
        true
    }
}
