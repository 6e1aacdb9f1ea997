//! The register of metrics: each is described once, for Prometheus and for the reference.

use std::fmt::Write as _;

use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

/// Metrics being registered.
#[derive(Debug, Default)]
pub(crate) struct Book {
    registry: Registry,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    help: &'static str,
}

// === impl Book ===

impl Book {
    /// Registers a metric and gives it back. `help` is a sentence without its full stop.
    pub(crate) fn enter<M: Metric + TypedMetric + Clone>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
        metric: M,
    ) -> M {
        self.registry.register(name, help, metric.clone());
        self.rows.push(Row { name, kind: M::TYPE, labels, help });
        metric
    }

    pub(crate) fn close(self) -> Registry {
        self.registry
    }

    /// A table of all metrics in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for Row { name, kind, labels, help } in &self.rows {
            let (suffix, kind) = match kind {
                MetricType::Counter => ("_total", "counter"),
                MetricType::Gauge => ("", "gauge"),
                MetricType::Histogram => ("", "histogram"),
                MetricType::Info => ("_info", "info"),
                MetricType::Unknown => ("", "unknown"),
            };
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| `{name}{suffix}` | {kind} | {} | {help}. |", labels.join(", "));
        }
        table
    }
}
