//! What Prometheus and Grafana are shipped with asks for metrics that exist, and points to what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::Value;

use crate::harness::{Daemon, Host, get, standard, tls_get, trusting};

const ANNOUNCEMENT: &str = "/swordfish/lock/certificates/current?sn=ASNFZ4mrze8=";

/// Each sample's labels, by its name.
type Samples = BTreeMap<String, Vec<BTreeMap<String, String>>>;

#[test]
fn every_metric_that_an_alert_or_a_panel_asks_for_exists_with_its_labels() {
    let samples = samples();
    for (place, expression) in rules().into_iter().chain(panels()) {
        let selectors = selectors(&expression);
        assert!(!selectors.is_empty(), "{place}: {expression}");
        let mut labels: BTreeSet<&str> = OF_PROMETHEUS.into_iter().collect();
        for Selector { name, matchers } in &selectors {
            if name == "up" {
                continue;
            }
            let found = samples.get(name);
            let found = found.unwrap_or_else(|| panic!("{place}: there is no {name}"));
            labels.extend(found.iter().flatten().map(|(label, _)| label.as_str()));
            for (label, operator, value) in matchers {
                assert_exists(&place, found, (label, operator, value));
            }
        }
        for label in grouped_by(&expression) {
            assert!(labels.contains(label.as_str()), "{place}: {label}");
        }
    }
}

/// A value of a matcher is one that a sample has, so that a misspelt one does not match nothing for ever.
fn assert_exists(
    place: &str,
    samples: &[BTreeMap<String, String>],
    (label, operator, value): (&str, &str, &str),
) {
    if OF_PROMETHEUS.contains(&label) {
        return;
    }
    let alternatives = match operator {
        "=~" | "!~" => value.split('|').collect(),
        _ => vec![value],
    };
    for wanted in alternatives {
        let has =
            |sample: &BTreeMap<String, String>| sample.get(label).is_some_and(|it| it == wanted);
        assert!(samples.iter().any(has), "{place}: no {label}={wanted:?}");
    }
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_no_section_is_left_over() {
    let text = read("packaging/prometheus/engage-host.rules.yml");
    let runbook = read("docs/RUNBOOK.md");
    let sections: BTreeSet<_> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## EngageHost"))
        .map(|name| format!("engagehost{}", name.to_lowercase()))
        .collect();
    let links: Vec<_> = values(&text, "runbook_url")
        .into_iter()
        .map(|url| {
            let url = url.trim_matches('"');
            url.strip_prefix("docs/RUNBOOK.md#").unwrap().to_owned()
        })
        .collect();
    let alerts = values(&text, "- alert");
    assert!(alerts.len() > 15, "{alerts:?}");
    assert_eq!(links.len(), alerts.len());
    assert_eq!(values(&text, "summary").len(), alerts.len());
    assert_eq!(BTreeSet::from_iter(links), sections);
    let tests = read("packaging/prometheus/tests.yml");
    for alert in alerts {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n");
        let not = format!("alertname: {alert}\n        exp_alerts: []\n");
        assert!(tests.contains(&fires) && tests.contains(&not), "{alert}");
    }
    for severity in values(&text, "severity") {
        assert!(["critical", "warning"].contains(&severity.as_str()));
    }
}

#[test]
fn locks_that_called_in_lately_are_counted_by_site() {
    let host = Host::start("");
    call_in(&host);
    let mut host = counted(host);
    let labels = |within| [("site", "Main Office"), ("within", within)];
    host.daemon
        .wait_for_metric("devices_seen", &labels("26h"), 1);
    let reading = host.daemon.metrics();
    assert_eq!(reading.sum("devices_seen", &labels("30d")), 1);
    assert_eq!(reading.sum("devices_seen", &[("within", "26h")]), 1);
    let state = |state| reading.sum("store_state", &[("state", state)]);
    assert_eq!(
        [state("writable"), state("opening"), state("failing")],
        [1, 0, 0]
    );
}

#[test]
fn a_refused_reload_shows_until_one_succeeds() {
    let mut host = Host::start("");
    let successful = |host: &mut Host| host.daemon.metrics().sum("last_reload_successful", &[]);
    assert_eq!(successful(&mut host), 1);
    let key = fs::read(host.installation.path("pki/partner_server.key")).unwrap();
    host.installation.write("pki/partner_server.key", "no key");
    host.daemon.wait_for("reload refused");
    let failures = [("result", "failure")];
    host.daemon.wait_for_metric("reloads_total", &failures, 1);
    assert_eq!(successful(&mut host), 0);
    host.installation.write("pki/partner_server.key", key);
    host.daemon.wait_for("reloaded: new connections");
    host.daemon
        .wait_for_metric("last_reload_successful", &[], 1);
}

/// Of a daemon that has served, with a store, and has had its devices counted.
fn samples() -> Samples {
    let host = Host::start("");
    call_in(&host);
    let mut host = counted(host);
    get(host.daemon.http, ANNOUNCEMENT);
    tls_get(
        host.daemon.https,
        &trusting(&standard().root.der),
        ANNOUNCEMENT,
    );
    call_in(&host);
    host.daemon.wait_for_metric("devices_seen", &[], 1);
    let answer = get(host.daemon.admin(), "/metrics");
    let mut samples = Samples::new();
    for line in String::from_utf8(answer.body).unwrap().lines() {
        if !line.starts_with('#') {
            let Selector { name, matchers } = selector(line);
            let labels = matchers.into_iter().map(|(label, _, value)| (label, value));
            samples.entry(name).or_default().push(labels.collect());
        }
    }
    // Those that have no sample before it happens, by what the source says of them.
    for (name, label, values) in LATER {
        for value in values.split(' ') {
            let labels = BTreeMap::from([((*label).to_owned(), value.to_owned())]);
            samples.entry((*name).to_owned()).or_default().push(labels);
        }
    }
    samples
}

/// Devices are counted each minute, and at a start; what was seen of them is stored at a stop.
fn counted(host: Host) -> Host {
    let (installation, _) = host.stop();
    let daemon = Daemon::start(&installation);
    Host {
        installation,
        daemon,
    }
}

/// What only a receiver, a rotation or a refusal brings; their own tests show them.
const LATER: &[(&str, &str, &str)] = &[
    (
        "engage_host_webhook_deliveries_total",
        "result",
        "delivered",
    ),
    ("engage_host_rotation_devices", "state", "verified"),
    ("engage_host_refusals_total", "listener", "https"),
    ("engage_host_refusals_total", "limit", "hosts"),
    ("engage_host_requests_total", "route", "config"),
    ("engage_host_requests_total", "route", "alert"),
    ("engage_host_requests_total", "route", "database"),
];

/// What Prometheus adds to each sample.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

fn call_in(host: &Host) {
    let announced = get(host.daemon.http, ANNOUNCEMENT);
    assert_eq!(announced.status(), 200);
    let body = r#"{"asyncEvents":[{"event":"0B040001","time":"20261123021259"}]}"#;
    let answer = host.call("POST", "/swordfish/lock/audit?sn=ASNFZ4mrze8=", body);
    assert!((201..=202).contains(&answer.status()), "{}", answer.head);
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// The values of a key in YAML, of those on one line.
fn values(yaml: &str, key: &str) -> Vec<String> {
    yaml.lines()
        .filter_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(": "))
        .map(str::to_owned)
        .collect()
}

/// The expression of each alert, which is on one line or the indented lines below `expr: |`.
fn rules() -> Vec<(String, String)> {
    let text = read("packaging/prometheus/engage-host.rules.yml");
    let alerts: Vec<_> = text.split("- alert: ").skip(1).collect();
    alerts
        .into_iter()
        .map(|alert| {
            let (name, rest) = alert.split_once('\n').unwrap();
            let (_, rest) = rest.split_once("expr: ").unwrap();
            let lines = rest.lines().take_while(|line| {
                let key = line.trim_start();
                !key.starts_with("for: ") && !key.starts_with("labels:")
            });
            let lines: Vec<_> = lines.collect();
            (name.to_owned(), lines.join(" "))
        })
        .collect()
}

/// The expression of each target of each panel.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&read("packaging/grafana/engage-host.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array();
        for target in targets.into_iter().flatten() {
            let title = panel["title"].as_str().unwrap().to_owned();
            found.push((title, target["expr"].as_str().unwrap().to_owned()));
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// A metric's name with the matchers behind it, or a sample's labels.
#[derive(Debug)]
struct Selector {
    name: String,
    matchers: Vec<(String, String, String)>,
}

/// Every metric of an expression.
fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("engage_host_").or_else(|| rest.find("up{")) {
        rest = &rest[at..];
        found.push(selector(rest));
        rest = &rest[2..];
    }
    found
}

fn selector(text: &str) -> Selector {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let (name, mut rest) = text.split_at(text.find(|it| !is_name(it)).unwrap_or(text.len()));
    let mut matchers = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            rest = rest.trim_start_matches([',', ' ']);
            let (label, after) = rest.split_at(rest.find(|it| !is_name(it)).unwrap());
            let (operator, after) = after.split_once('"').unwrap();
            let (value, after) = after.split_once('"').unwrap();
            matchers.push((label.to_owned(), operator.to_owned(), value.to_owned()));
            rest = after;
        }
    }
    Selector {
        name: name.to_owned(),
        matchers,
    }
}

/// The labels of `by (..)`, `on (..)` and `ignoring(..)`.
fn grouped_by(expression: &str) -> Vec<String> {
    ["by ", "on ", "ignoring"]
        .into_iter()
        .flat_map(|word| expression.split(word).skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('(')?.split_once(')'))
        .flat_map(|(labels, _)| labels.split(','))
        .map(|label| label.trim().to_owned())
        .collect()
}
