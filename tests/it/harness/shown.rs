//! Output as snapshots show it: what changes from run to run is named instead.

use super::Installation;

/// Replaces the folder, points in time, fingerprints and hashes.
pub(crate) fn shown(installation: &Installation, text: &str) -> String {
    let folder = installation.folder().to_str().unwrap();
    let text = text.replace(folder, "[folder]");
    let text = replace_shape(&text, "dddd-dd-ddTdd:dd:ddZ", "[time]");
    let text = replace_shape(&text, "dddd-dd-ddTdd:dd:dd.ddddddZ", "[time]");
    let text = replace_shape(&text, &["XX"; 32].join(":"), "[fingerprint]");
    replace_shape(&text, "bbbbbbbbbbbbbbbbbbbbbbbbbbb=", "[hash]")
}

/// An answer with its line ends visible, its date named, and a binary body counted.
pub(crate) fn wire_text(bytes: &[u8]) -> String {
    let head_end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(bytes.len(), |at| at + 4);
    let (head, body) = bytes.split_at(head_end);
    let mut text = String::new();
    for line in String::from_utf8_lossy(head).split_inclusive("\r\n") {
        match line.strip_prefix("Date: ") {
            Some(date) => {
                assert_eq!(date.len(), "Mon, 23 Nov 2026 21:26:25 GMT\r\n".len());
                text.push_str("Date: [date]\\r\\n\n");
            }
            None => text.push_str(&line.replace("\r\n", "\\r\\n\n")),
        }
    }
    text + &String::from_utf8(body.to_vec()).unwrap_or_else(|_| format!("[{} bytes]", body.len()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Replaces every run of characters that fits `shape`: `d` a digit, `X` an upper-case
/// hexadecimal digit, `b` a Base64 character, anything else itself.
fn replace_shape(text: &str, shape: &str, name: &str) -> String {
    let fits = |at: &str| {
        at.len() >= shape.len()
            && at
                .bytes()
                .zip(shape.bytes())
                .all(|(found, wanted)| match wanted {
                    b'd' => found.is_ascii_digit(),
                    b'X' => found.is_ascii_digit() || (b'A'..=b'F').contains(&found),
                    b'b' => found.is_ascii_alphanumeric() || b"+/".contains(&found),
                    _ => found == wanted,
                })
    };
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if fits(rest) {
            replaced.push_str(name);
            rest = &rest[shape.len()..];
        } else {
            replaced.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    replaced
}
