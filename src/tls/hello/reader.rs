//! Bounded reading of TLS's length-prefixed vectors (RFC 8446 section 3.4).

/// What is left of some bytes; every read either fits or is `None`, and then reads nothing.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A vector with a length of one byte.
    pub(super) fn vector8(&mut self) -> Option<Self> {
        let mut ahead = *self;
        let length = ahead.u8()?;
        let vector = Self(ahead.take(usize::from(length))?);
        *self = ahead;
        Some(vector)
    }

    /// A vector with a length of two bytes.
    pub(super) fn vector16(&mut self) -> Option<Self> {
        let mut ahead = *self;
        let length = ahead.u16()?;
        let vector = Self(ahead.take(usize::from(length))?);
        *self = ahead;
        Some(vector)
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}
