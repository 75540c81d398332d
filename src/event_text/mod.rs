//! Events as text for people and for other programs, harmless wherever it is shown.

mod csv;

use engage_store::{DeviceEvent, redact};
use engage_wire::escape_json_for_terminal;
use serde_json::value::RawValue;

pub(crate) use csv::CsvPrinter;

/// A line of JSON as it is stored, with its `device`, secrets masked; without a line end.
pub(crate) fn json_line(event: &DeviceEvent) -> String {
    // Members that nobody knows can be secrets too.
    let text = redact(&event.text);
    let rest = text.strip_prefix('{').unwrap_or_default();
    let rest = escape_json_for_terminal(rest);
    format!("{{\"device\":\"{}\",{rest}", event.device)
}

/// The text of a JSON string, or JSON.
pub(crate) fn unquote(value: Option<&RawValue>) -> String {
    value.map_or_else(String::new, |value| {
        serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
    })
}
