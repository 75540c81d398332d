//! What a collector wants to see beside the spans.

use std::path::Path;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::OtlpError;
use engage_wire::Text;

/// Reads a file of header fields, one a line.
pub(super) fn load(path: &Path) -> Result<HeaderMap, OtlpError> {
    let contents = Text::read("otlp headers_file", path, MAX_FILE_BYTES)?;
    let mut headers = HeaderMap::new();
    for (at, line) in contents.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (name, value) = field(line).ok_or_else(|| OtlpError::HeaderMalformed {
            path: path.to_owned(),
            line: at + 1,
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    // How the request is framed is not the file's to say.
    let is_ours = [HOST, CONNECTION, TRANSFER_ENCODING].contains(&name)
        || name.as_str().starts_with("content-");
    let mut value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    value.set_sensitive(true);
    (!is_ours).then_some((name, value))
}

/// A token or two.
const MAX_FILE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<HeaderMap, OtlpError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        fs_err::write(&path, text).unwrap();
        load(&path)
    }

    #[test]
    fn fields_are_read_and_never_printed() {
        let headers = loaded("# of the collector\n\nAuthorization: Bearer a:b \r\nX-Tenant:7\n");
        let headers = headers.unwrap();
        assert_eq!(headers["authorization"], "Bearer a:b");
        assert_eq!(headers["x-tenant"], "7");
        assert!(!format!("{headers:?}").contains("Bearer"));
    }

    #[test]
    fn what_is_no_field_or_frames_the_request_is_refused_by_its_line_alone() {
        for line in [
            "secret",
            "a b: secret",
            ": secret",
            "a: secret\u{7}",
            "Host: secret",
            "Content-Length: secret",
        ] {
            let error = loaded(&format!("X-Tenant: 7\n{line}\n")).unwrap_err();
            assert!(error.to_string().starts_with("line 2 of"), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{line}");
        }
    }
}
