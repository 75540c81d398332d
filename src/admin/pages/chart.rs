//! Small charts, drawn here: bars whose numbers stand beside them or in a table.

use engage_wire::clock::from_unix_seconds;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::text::{count, plural};

/// How many there were in an hour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Hour {
    /// Its beginning.
    pub(super) begins: Timestamp,
    pub(super) count: u64,
}

/// How many there are of a kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) count: u64,
}

/// Numbers of each hour of some days that follow each other, and a table of the days. Hours that are
/// not listed had none.
pub(super) fn hours(caption: &str, unit: &str, hours: &[Hour], now: Timestamp) -> Markup {
    let first = now.as_second().div_euclid(3600) - (SHOWN_HOURS - 1);
    let busiest = hours.iter().map(|hour| hour.count).max().unwrap_or(0);
    let total: u64 = hours.iter().map(|hour| hour.count).sum();
    let days = days(hours, now);
    html! {
        figure.chart {
            figcaption {
                (caption)
                span.muted { (plural(total, unit)) " in 7 days, at most " (count(busiest)) " an hour" }
            }
            svg.hours viewBox=(format!("0 0 {SHOWN_HOURS} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" {
                @for (x, _) in midnights(first) {
                    rect.midnight x=(x) width="0.15" height=(HEIGHT) {}
                }
                @for hour in hours {
                    @let x = hour.begins.as_second().div_euclid(3600) - first;
                    @if hour.count > 0 && (0..SHOWN_HOURS).contains(&x) {
                        (hour_bar(x, hour, unit, busiest))
                    }
                }
            }
            // Without a view box its text keeps its size.
            svg.days aria-hidden="true" {
                @for (x, begins) in midnights(first).filter(|(x, _)| *x < LAST_LABEL) {
                    @let permille = x * 1000 / SHOWN_HOURS;
                    text x=(format!("{}.{}%", permille / 10, permille % 10)) y="0.9em" { (begins.strftime("%a %-d")) }
                }
            }
            details {
                summary { "As a table" }
                (days_table(caption, unit, &days))
            }
        }
    }
}

/// Where a day begins among the shown hours, and when.
fn midnights(first_hour: i64) -> impl Iterator<Item = (i64, Timestamp)> {
    let hours = (0..SHOWN_HOURS).map(move |x| (x, first_hour + x));
    let midnights = hours.filter(|(_, hour)| hour % 24 == 0);
    midnights.map(|(x, hour)| (x, from_unix_seconds(hour * 3600)))
}

fn hour_bar(x: i64, hour: &Hour, unit: &str, busiest: u64) -> Markup {
    let height = scaled(hour.count, busiest, HEIGHT);
    html! {
        rect x=(format!("{x}.1")) y=(HEIGHT - height) width="0.8" height=(height) {
            title { (hour.begins.strftime("%a %-d %b, %H:00")) ": " (plural(hour.count, unit)) }
        }
    }
}

fn days_table(caption: &str, unit: &str, days: &[Day]) -> Markup {
    html! {
        table {
            caption.unseen { (caption) ", by day" }
            thead {
                tr {
                    th scope="col" { "Day" }
                    th.number scope="col" { (unit) "s" }
                    th.number scope="col" { "Most in an hour" }
                }
            }
            tbody {
                @for day in days {
                    tr {
                        th scope="row" { (day.date.strftime("%A, %-d %B")) }
                        td.number { (count(day.total)) }
                        td.number { (count(day.busiest)) }
                    }
                }
            }
        }
    }
}

struct Day {
    date: Date,
    total: u64,
    busiest: u64,
}

/// The days that the hours are of, the oldest first.
fn days(hours: &[Hour], now: Timestamp) -> Vec<Day> {
    let date = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
    let today = date(now);
    let dates = (0..SHOWN_HOURS / 24).rev();
    let dates = dates.map(|ago| today.saturating_sub(jiff::Span::new().days(ago)));
    dates
        .map(|day| {
            let of_day = hours.iter().filter(|hour| date(hour.begins) == day);
            let counts = of_day.map(|hour| hour.count);
            Day {
                date: day,
                total: counts.clone().sum(),
                busiest: counts.max().unwrap_or(0),
            }
        })
        .collect()
}

/// A table whose numbers have bars.
pub(super) fn bars(caption: &str, label: &str, unit: &str, bars: &[Bar]) -> Markup {
    let longest = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    html! {
        table.bars {
            caption { (caption) }
            thead.unseen {
                tr {
                    th scope="col" { (label) }
                    th scope="col" { (unit) }
                    td {}
                }
            }
            tbody {
                @for bar in bars {
                    tr {
                        th scope="row" { (bar.label) }
                        td.number { (count(bar.count)) }
                        td.bar aria-hidden="true" { (horizontal(bar.count, longest)) }
                    }
                }
            }
        }
    }
}

/// How much of something is taken, with the place from where on it is tight.
pub(super) fn gauge(label: &str, taken: u64, tight: u64, allowed: u64) -> Markup {
    let state = match taken {
        taken if taken > allowed => "failing",
        taken if taken > tight => "attention",
        _ => "well",
    };
    let tick = scaled(tight, allowed, WIDTH);
    html! {
        svg.gauge.(state) viewBox=(format!("0 0 {WIDTH} 10")) preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.track width=(WIDTH) height="10" {}
            rect.taken width=(scaled(taken.min(allowed), allowed, WIDTH)) height="10" {}
            rect.tick x=(tick) width="1.5" height="10" {}
        }
    }
}

fn horizontal(count: u64, longest: u64) -> Markup {
    html! {
        svg viewBox=(format!("0 0 {WIDTH} 10")) preserveAspectRatio="none" {
            rect width=(scaled(count, longest, WIDTH)) height="10" {}
        }
    }
}

/// The share of `most` in `full`; at least 1 of what there is, so that it is seen.
fn scaled(count: u64, most: u64, full: u64) -> u64 {
    if count == 0 || most == 0 {
        return 0;
    }
    let share = u128::from(count) * u128::from(full) / u128::from(most);
    u64::try_from(share).unwrap_or(full).clamp(1, full)
}

/// Seven days.
pub(super) const SHOWN_HOURS: i64 = 7 * 24;
/// Behind it there is no room for the name of a day.
const LAST_LABEL: i64 = 152;
const HEIGHT: u64 = 100;
const WIDTH: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-30T02:30:00Z".parse().unwrap()
    }

    fn hour(text: &str, count: u64) -> Hour {
        let begins = text.parse().unwrap();
        Hour { begins, count }
    }

    #[test]
    fn an_hour_has_its_bar_and_a_day_its_row() {
        let hours = [
            hour("2026-11-24T03:00:00Z", 10),
            hour("2026-11-30T01:00:00Z", 400),
            hour("2026-11-30T02:00:00Z", 200),
        ];
        let drawn = super::hours("Call-ins", "call-in", &hours, now()).into_string();
        // The hour that runs is the last, and the busiest is as high as there is room.
        assert!(
            drawn.contains(r#"<rect x="167.1" y="50" width="0.8" height="50">"#),
            "{drawn}"
        );
        assert!(drawn.contains(r#"<rect x="166.1" y="0" width="0.8" height="100">"#));
        assert!(drawn.contains(r#"<rect x="24.1" y="98" width="0.8" height="2">"#));
        assert!(drawn.contains("<title>Mon 30 Nov, 01:00: 400 call-ins</title>"));
        assert!(drawn.contains("610 call-ins in 7 days, at most 400 an hour"));
        let row = r#"<th scope="row">Monday, 30 November</th><td class="number">600</td><td class="number">400</td>"#;
        assert!(drawn.contains(row), "{drawn}");
    }

    #[test]
    fn hours_outside_the_chart_and_no_hours_draw_nothing() {
        let old = [
            hour("2020-01-01T00:00:00Z", 5),
            hour("2030-01-01T00:00:00Z", 5),
        ];
        for hours in [&old[..], &[]] {
            let drawn = super::hours("Call-ins", "call-in", hours, now()).into_string();
            assert_eq!(drawn.matches("<rect").count(), 7, "{drawn}");
            assert_eq!(drawn.matches("<rect class=\"midnight\"").count(), 7);
        }
    }

    #[test]
    fn what_there_is_of_is_seen_and_nothing_is_longer_than_its_room() {
        assert_eq!(scaled(0, 10, 300), 0);
        assert_eq!(scaled(1, u64::MAX, 300), 1);
        assert_eq!(scaled(u64::MAX, 1, 300), 300);
        assert_eq!(scaled(5, 0, 300), 0);
    }
}
