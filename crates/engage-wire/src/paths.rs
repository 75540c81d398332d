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

/// [`DATABASE`] as a router has it.
pub const DATABASE_TEMPLATE: &str = "/swordfish/lock/db/{version}";

/// Followed by the name of a DER file.
pub const CERTIFICATES: &str = "/static/Device_Certificates/";

/// [`CERTIFICATES`] as a router has it.
pub const CERTIFICATE_TEMPLATE: &str = "/static/Device_Certificates/{name}";

/// The folder of the static directory that is served under [`CERTIFICATES`].
pub const CERTIFICATES_FOLDER: &str = "Device_Certificates";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_one_segment_more_than_what_they_follow() {
        assert_eq!(DATABASE_TEMPLATE, format!("{DATABASE}{{version}}"));
        assert_eq!(CERTIFICATE_TEMPLATE, format!("{CERTIFICATES}{{name}}"));
    }
}
