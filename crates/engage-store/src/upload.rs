//! What a device uploads of itself: its properties and parameters.

use super::body_error::BodyError;
use super::json::{Object, elements, text_or_number};
use super::lenient::{Mended, mend};
use super::redact::redact;

/// The body of `PUT /swordfish/lock/Config`, as it arrived.
///
/// It can hold Wi-Fi credentials (PROTOCOL.md section 4): it cannot be printed, only shown
/// [redacted](ConfigUpload::redacted).
#[derive(Clone)]
pub struct ConfigUpload {
    body: Vec<u8>,
    text: String,
}

impl ConfigUpload {
    /// Accepts a JSON object, whatever its members; leniently, as [`AuditBatch`] does.
    ///
    /// [`AuditBatch`]: crate::AuditBatch
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let Mended { values, .. } = mend(body)?;
        let mut objects = values
            .into_iter()
            .filter(|value| Object::parse(value).is_ok());
        Ok(Self {
            body: body.to_vec(),
            text: objects.next().ok_or(BodyError::NotAnObject)?,
        })
    }

    /// What it takes in the store, in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.body.len()
    }

    /// What arrived, to the byte. Secrets included.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.body
    }

    /// The upload, minified, with secret values replaced.
    pub fn redacted(&self) -> String {
        redact(&self.text)
    }

    /// What tables show of a device.
    pub fn properties(&self) -> Properties {
        let text = |path: &[&str]| text_at(&self.text, path);
        Properties {
            name: text(&["lckPrmtrs", "nm"]),
            model: text(&["lckPrmtrs", "mdl"]).or_else(|| text(&["dvcProfile", "baseType"])),
            firmware: text(&["fwVer", "main"]),
            battery: text(&["battV", "main"]),
        }
    }
}

impl std::fmt::Debug for ConfigUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConfigUpload({} bytes)", self.body.len())
    }
}

/// What tables show of a device, as it reported it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Properties {
    /// What its door is called.
    pub name: Option<String>,
    /// Its model, or its base type.
    pub model: Option<String>,
    /// The version of its main firmware.
    pub firmware: Option<String>,
    /// The voltage of its main battery, in the device's unit.
    pub battery: Option<String>,
}

/// The text or number at a path of members; blocks may be objects, or arrays of one.
fn text_at(json: &str, path: &[&str]) -> Option<String> {
    let [name, rest @ ..] = path else {
        return None;
    };
    let value = Object::parse(json).ok()?.get(name)?;
    if rest.is_empty() {
        let text: String = text_or_number(value)?
            .chars()
            .filter(|character| !character.is_control())
            .take(MAX_PROPERTY_CHARS)
            .collect();
        return Some(text);
    }
    match elements(value) {
        Some(blocks) => blocks.iter().find_map(|block| text_at(block.get(), rest)),
        None => text_at(value.get(), rest),
    }
}

const MAX_PROPERTY_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = r#"{ "dvcProfile":{"baseType":"nde"}, "battV":{"main":6.1,"li":"3.0"},
        "fwVer":{"main":"02.11.03"}, "lckPrmtrs":{"nm":"Front\u0007 door","mdl":"NDE80",},
        "wifiStngs":{"ssid":"corp","psswd":"hunter2","usrNm":"lock"}}"#;

    #[test]
    fn what_tables_show_is_read() {
        let upload = ConfigUpload::parse(UPLOAD.as_bytes()).unwrap();
        let some = |text: &str| Some(text.to_owned());
        let expected = Properties {
            name: some("Front door"),
            model: some("NDE80"),
            firmware: some("02.11.03"),
            battery: some("6.1"),
        };
        assert_eq!(upload.properties(), expected);
        assert_eq!(upload.as_bytes(), UPLOAD.as_bytes());
    }

    #[test]
    fn credentials_are_in_no_form_of_printing() {
        let upload = ConfigUpload::parse(UPLOAD.as_bytes()).unwrap();
        for shown in [format!("{upload:?}"), upload.redacted()] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(upload.redacted().contains(r#""ssid":"corp""#));
    }

    #[test]
    fn an_upload_that_is_nearly_json_is_kept_to_the_byte_and_read() {
        for body in [
            &b"{\"lckPrmtrs\":{\"nm\":\"T\xfcr\",\"mdl\":\"NDE80\"},\"psswd\":\"hunter2\"}\0\0"[..],
            b"{\"psswd\":'hunter2',\"lckPrmtrs\":{mdl:NDE80}",
        ] {
            let upload = ConfigUpload::parse(body).unwrap();
            assert_eq!(upload.as_bytes(), body);
            assert_eq!(upload.properties().model.as_deref(), Some("NDE80"));
            assert!(!upload.redacted().contains("hunter2"));
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in [&b"[]"[..], b"", b"{", b"\xff", b"\"text\""] {
            assert!(ConfigUpload::parse(body).is_err());
        }
    }
}
