//! Values as pages show them: for people, and with what devices and strangers chose made harmless.
//!
//! maud escapes what HTML gives a meaning to. What is left is text that cannot be seen or that turns
//! the direction of writing: it is shown as the escapes that the log and the command line show.

use std::borrow::Cow;

use engage_wire::escape_for_terminal;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// Text that somebody else chose, at most [`MAX_CHARS`] of it.
pub(super) fn foreign(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_CHARS) {
        None => escape_for_terminal(text),
        Some((end, _)) => format!("{}..", escape_for_terminal(&text[..end])).into(),
    }
}

/// As [`foreign`], or what stands for its absence.
pub(super) fn foreign_or_dash(text: Option<&str>) -> Markup {
    match text {
        Some(text) if !text.is_empty() => html! { (foreign(text)) },
        _ => dash(),
    }
}

/// A message of this program, which quotes between back-ticks.
pub(in crate::admin) fn message(text: &str) -> Markup {
    let text = foreign(text);
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// What is not known; a screen reader says so.
pub(super) fn dash() -> Markup {
    html! { span.muted aria-hidden="true" { "\u{2013}" } span.unseen { "unknown" } }
}

/// A moment in UTC to the minute, and how long ago it is.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        span.moment {
            (time(at)) " "
            span.muted { (age(at, now)) }
        }
    }
}

/// As [`moment`], where it is known.
pub(super) fn moment_or_dash(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(dash, |at| moment(at, now))
}

/// A moment in UTC to the minute; to the microsecond for machines.
pub(super) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M")) } }
}

/// A day in UTC; to the microsecond for machines.
pub(super) fn day(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d")) } }
}

/// "5 minutes ago", "in 3 days".
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let between = now.duration_since(at);
    let length = between.abs();
    if length < SignedDuration::from_mins(1) {
        return "just now".to_owned();
    }
    let text = spell(length);
    if between.is_negative() {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

/// The largest unit that there is one of, and the number of it.
fn spell(length: SignedDuration) -> String {
    let hours = length.as_hours();
    let (number, unit) = match hours {
        0 => (length.as_mins(), "minute"),
        1..48 => (hours, "hour"),
        _ => (hours / 24, "day"),
    };
    plural(number.unsigned_abs(), unit)
}

/// "1 day", "2 days", "1,200 days".
pub(super) fn plural(number: u64, unit: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {unit}{ending}", count(number))
}

/// With commas between the thousands.
pub(super) fn count(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "512 bytes", "1.4 MiB".
pub(super) fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return plural(number, "byte");
    }
    let power = (number.ilog2() / 10).min(4);
    let tenths = u128::from(number) * 10 / (1_u128 << (10 * power));
    let unit = units[power as usize - 1];
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Names of doors have at most 100; messages are longer.
const MAX_CHARS: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_somebody_chose_is_neither_html_nor_invisible() {
        let shown = foreign_or_dash(Some("<script>\u{202e}\u{7}</script>&\""));
        assert_eq!(
            shown.into_string(),
            "&lt;script&gt;\\u{202e}\\u{7}&lt;/script&gt;&amp;&quot;"
        );
        let long = "x".repeat(100_000);
        assert_eq!(foreign(&long).len(), MAX_CHARS + 2);
    }

    #[test]
    fn ages_are_told_in_the_largest_unit() {
        for (then, now, told) in [
            (0, 59, "just now"),
            (59, 0, "just now"),
            (0, 60, "1 minute ago"),
            (0, 3600, "1 hour ago"),
            (0, 47 * 3600, "47 hours ago"),
            (48 * 3600, 0, "in 2 days"),
            (0, 1200 * 86_400, "1,200 days ago"),
        ] {
            assert_eq!(age(at(then), at(now)), told);
        }
    }

    #[test]
    fn numbers_have_commas_and_sizes_units() {
        for (number, text) in [
            (0_u64, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(number).replace(',', ""), text);
        }
    }
}
