//! What a device accepts (PROTOCOL.md section 2), and what prudence adds.

/// Largest DER total of server certificate, intermediates and root, in bytes. Beyond it a device
/// logs "TLS Connection Error" at each attempt. The root counts even though no server sends it.
pub const MAX_CHAIN_BYTES: usize = 4096;

/// A chain above this, in bytes, leaves no room for a renewal with a longer name.
pub const TIGHT_CHAIN_BYTES: usize = 3500;

/// Longest key that a device accepts, in bits, at every position of the chain.
pub(crate) const MAX_KEY_BITS: usize = 2048;

/// Shortest RSA key that this server can use, in bits: rustls refuses anything less.
pub(crate) const MIN_RSA_BITS: usize = 2048;

/// Longest `cert_url` that devices are known to accept, in characters (PROTOCOL.md section 1).
pub const MAX_CERT_URL_CHARS: usize = 256;

/// Certificates of which at most this many whole days are left are warned about
/// ([`Validity::expires_soon`](crate::pki::Validity::expires_soon)).
pub const EXPIRY_WARNING_DAYS: i64 = 30;

/// Largest certificate or key file that is read, in bytes: generous for any PEM chain within the
/// device limit, small enough that a wrong path to a disk image does no harm.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// Bytes that a TLS 1.2 Certificate message adds to its certificates: handshake type and length
/// (4), list length (3), and 3 per certificate (RFC 5246 section 7.4.2).
pub const fn certificate_message_framing(certificates: usize) -> usize {
    7 + 3 * certificates
}
