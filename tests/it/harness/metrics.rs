//! What `/metrics` says, read by a real parser.

use std::time::{Duration, Instant};

use prometheus_parse::{Scrape, Value};

use super::{Daemon, get};

/// One reading of `/metrics`.
pub(crate) struct Reading(Scrape);

impl Reading {
    /// Fails the test if the text is not what Prometheus reads.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        Self(Scrape::parse(lines).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The sum of the samples of `name` (`engage_host_` is put in front) that have all `labels`;
    /// zero where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let name = format!("engage_host_{name}");
        let has_labels = |sample: &&prometheus_parse::Sample| {
            let value = |label| sample.labels.get(label);
            labels
                .iter()
                .all(|(name, wanted)| value(name) == Some(*wanted))
        };
        let samples = self.0.samples.iter();
        let sum: f64 = samples
            .filter(|sample| sample.metric == name)
            .filter(has_labels)
            .map(|sample| match &sample.value {
                Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => *value,
                other => panic!("{name} is {other:?}"),
            })
            .sum();
        assert!(sum >= 0.0 && sum.fract() == 0.0, "{name} is {sum}");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked"
        )]
        let sum = sum as u64;
        sum
    }

    /// The names of everything that has a sample.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.samples.iter().map(|it| it.metric.as_str()).collect();
        names.dedup();
        names
    }
}

impl Daemon {
    pub(crate) fn metrics(&mut self) -> Reading {
        let answer = get(self.admin(), "/metrics");
        assert_eq!(answer.status(), 200, "{}", answer.head);
        Reading::parse(std::str::from_utf8(&answer.body).unwrap())
    }

    /// Reads the metrics until the sum of `name` is at least `least`.
    pub(crate) fn wait_for_metric(&mut self, name: &str, labels: &[(&str, &str)], least: u64) {
        self.wait_until(
            &format!("{name}{labels:?} of at least {least}"),
            |reading| reading.sum(name, labels) >= least,
        );
    }

    /// Reads the metrics until no more than `most` connections are open on both ports.
    pub(crate) fn wait_for_open_connections(&mut self, most: u64) {
        self.wait_until(&format!("at most {most} open connections"), |reading| {
            reading.sum("open_connections", &[]) <= most
        });
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Reading) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(&self.metrics()) {
            assert!(Instant::now() < deadline, "the metrics do not show {what}");
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(30);
