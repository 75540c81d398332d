//! CSV as RFC 4180 has it, lines ending with a newline alone, and harmless in a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::value::RawValue;

use engage_store::DeviceId;
use engage_store::files::Line;

/// The names of the columns: those of the stored lines.
pub(super) fn write_heading(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "received_at,device,event,time,code,name,at,batch,line,of"
    )
}

/// An event.
pub(super) fn write_event(out: &mut impl Write, device: DeviceId, line: &Line) -> io::Result<()> {
    let Line {
        received_at,
        event,
        time,
        code,
        name,
        at,
        record: _,
        with: _,
        batch,
        line,
        of,
    } = line;
    let [event, time] = [event, time].map(|value| plain(value.as_deref()));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let fields = [
        received_at.to_string(),
        device.to_string(),
        event,
        time,
        text(code),
        text(name),
        text(at),
        batch.clone(),
    ];
    for value in &fields {
        write!(out, "{},", field(value))?;
    }
    writeln!(out, "{line},{of}")
}

/// The text of a JSON string, or JSON.
pub(super) fn plain(value: Option<&RawValue>) -> String {
    value.map_or_else(String::new, |value| {
        serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
    })
}

/// Devices choose what they send, and spreadsheets run what starts with these signs (OWASP, CSV
/// injection): an apostrophe before them makes it text.
fn field(value: &str) -> Cow<'_, str> {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_quoted = is_formula || value.contains([',', ';', '"', '\r', '\n', '\t']);
    if !is_quoted {
        return Cow::Borrowed(value);
    }
    let mark = if is_formula { "'" } else { "" };
    Cow::Owned(format!("\"{mark}{}\"", value.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_quoted_and_formulas_are_text() {
        for (value, written) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
        ] {
            assert_eq!(field(value), written);
        }
    }
}
