//! The paths that devices ask for (PROTOCOL.md sections 1 and 4).

/// What a device is to install.
pub const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current";

/// Device properties; both spellings are seen.
pub const CONFIG: [&str; 2] = ["/swordfish/lock/Config", "/swordfish/lock/config"];

/// Stored events.
pub const AUDIT: &str = "/swordfish/lock/audit";

/// One event when it happens. Inferred, not documented.
pub const ALERT: &str = "/swordfish/lock/alert";

/// Followed by the version of the database that the device has.
pub const DATABASE: &str = "/swordfish/lock/db/";

/// Followed by the name of a DER file.
pub const CERTIFICATES: &str = "/static/Device_Certificates/";

/// The folder of the static directory that is served under [`CERTIFICATES`].
pub const CERTIFICATES_FOLDER: &str = "Device_Certificates";
