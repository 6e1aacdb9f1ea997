//! Events turned into Prometheus metrics.

use lockgate_core::{Event, Money};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::book::Book;
use crate::series::Targets;

type Budgets = Family<[(&'static str, String); 1], Gauge<f64, std::sync::atomic::AtomicU64>>;
type Labelled<M> = Family<[(&'static str, &'static str); 1], M>;

/// Every metric there is.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    targets: Targets,
    overhead: Histogram,
    refused: Labelled<Counter>,
    in_flight: Gauge,
    connections: Gauge,
    records_pending: Gauge,
    records_written: Counter,
    records_dropped: Counter,
    record_writes: Histogram,
    store_failures: Counter,
    credential_rests: Family<[(&'static str, String); 2], Counter>,
    ledger_failures: Counter,
    ledger_up: Gauge,
    budget_spent: Budgets,
    budget_limit: Budgets,
    budget_crossings: Family<[(&'static str, String); 2], Counter>,
    budget_refusals: Family<[(&'static str, String); 1], Counter>,
    limit_refusals: Family<[(&'static str, String); 1], Counter>,
    holds_exceeded: Family<[(&'static str, String); 2], Counter>,
    nodes_given_up: Counter,
    routing_incidents: Counter,
    alerts_sent: Family<[(&'static str, String); 1], Counter>,
    alerts_failed: Family<[(&'static str, String); 2], Counter>,
    config_reloads: Labelled<Counter>,
    config_version: Gauge,
    certificate_reloads: Labelled<Counter>,
    panics: Counter,
    draining: Gauge,
    lines_lost: Counter,
}

const ACCEPTED: [(&str, &str); 1] = [("result", "ok")];
const REJECTED: [(&str, &str); 1] = [("result", "rejected")];

/// The reference of all metrics: a table in Markdown.
pub fn reference() -> String {
    let mut book = Book::default();
    drop(register(&mut book, 0));
    book.table()
}

// === impl Metrics ===

impl Metrics {
    /// Everything at zero; the process started at `started_ms` (Unix milliseconds).
    pub(crate) fn new(started_ms: u64) -> Self {
        let mut book = Book::default();
        let metrics = register(&mut book, started_ms);
        Self { registry: book.close(), ..metrics }
    }

    /// Counts the log lines that could not be written.
    pub(crate) fn lines_lost(&self) -> Counter {
        self.lines_lost.clone()
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn note(&self, event: &Event<'_>) {
        match event {
            Event::RequestStarted => {
                self.in_flight.inc();
            }
            Event::RequestRefused(error) => {
                self.refused.get_or_create(&[("kind", error.kind().code())]).inc();
            }
            Event::RequestFinished(record) => {
                self.in_flight.dec();
                self.records_pending.inc();
                self.overhead.observe(f64::from(record.overhead_us) / 1e6);
                self.targets.finished(record);
            }
            Event::RecordsDropped(count) => {
                self.records_dropped.inc_by(*count);
                self.records_pending.dec_by(signed(*count));
            }
            Event::RecordsWritten { count, took_us } => {
                self.records_written.inc_by(*count);
                self.records_pending.dec_by(signed(*count));
                self.record_writes.observe(*took_us as f64 / 1e6);
            }
            Event::StoreFailed { .. } => {
                self.store_failures.inc();
            }
            Event::BreakerChanged { provider, model, open } => self.targets.breaker(provider, model, *open),
            Event::CredentialRests { provider, kind, .. } => {
                let labels = [("provider", (*provider).to_owned()), ("kind", kind.code().to_owned())];
                self.credential_rests.get_or_create(&labels).inc();
            }
            Event::LedgerFailed { .. } => {
                self.ledger_failures.inc();
                self.ledger_up.set(0);
            }
            Event::LedgerRecovered => {
                self.ledger_up.set(1);
            }
            Event::BudgetSpent { budget, spent, limit } => {
                let labels = [("budget", (*budget).to_owned())];
                self.budget_spent.get_or_create(&labels).set(dollars(*spent));
                self.budget_limit.get_or_create(&labels).set(dollars(*limit));
            }
            Event::BudgetCrossed { budget, percent, .. } => {
                let labels = [("budget", (*budget).to_owned()), ("percent", percent.to_string())];
                self.budget_crossings.get_or_create(&labels).inc();
            }
            Event::BudgetRefused { budget } => {
                self.budget_refusals.get_or_create(&[("budget", (*budget).to_owned())]).inc();
            }
            Event::LimitRefused { limit } => {
                self.limit_refusals.get_or_create(&[("limit", (*limit).to_owned())]).inc();
            }
            Event::HoldExceeded { provider, model, .. } => {
                let labels = [("provider", (*provider).to_owned()), ("model", (*model).to_owned())];
                self.holds_exceeded.get_or_create(&labels).inc();
            }
            Event::NodeGivenUp { .. } => {
                self.nodes_given_up.inc();
            }
            Event::RoutingIncident { .. } => {
                self.routing_incidents.inc();
            }
            Event::AlertSent { channel } => {
                self.alerts_sent.get_or_create(&[("channel", (*channel).to_owned())]).inc();
            }
            Event::AlertFailed { channel, lost, .. } => {
                let result = if *lost { "lost" } else { "again" };
                let labels = [("channel", (*channel).to_owned()), ("result", result.to_owned())];
                self.alerts_failed.get_or_create(&labels).inc();
            }
            Event::ConfigReloaded { version } => {
                self.config_reloads.get_or_create(&ACCEPTED).inc();
                self.config_version.set(signed(*version));
            }
            Event::ConfigRejected { .. } => {
                self.config_reloads.get_or_create(&REJECTED).inc();
            }
            Event::CertificateReloaded => {
                self.certificate_reloads.get_or_create(&ACCEPTED).inc();
            }
            Event::CertificateRejected { .. } => {
                self.certificate_reloads.get_or_create(&REJECTED).inc();
            }
            Event::PanicCaught { .. } => {
                self.panics.inc();
            }
            Event::ConnectionOpened => {
                self.connections.inc();
            }
            Event::ConnectionClosed => {
                self.connections.dec();
            }
            Event::Started { version, .. } => {
                self.config_version.set(signed(*version));
            }
            Event::Stopped { .. } => {}
            Event::Draining { .. } => {
                self.draining.set(1);
            }
        }
    }
}

/// All metrics, entered into a book. Their registry is still empty.
fn register(book: &mut Book, started_ms: u64) -> Metrics {
    let targets = Targets::new(book);
    let metrics = Metrics {
        targets,
        overhead: book.enter(
            "lockgate_overhead_seconds",
            &[],
            "Time that a request spent in the gateway itself before the first call to a provider",
            Histogram::new([
                0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.1, 1.0,
            ]),
        ),
        refused: book.enter(
            "lockgate_requests_refused",
            &["kind"],
            "Requests that were turned away before it was known whose they were, by the kind of the error",
            Labelled::<Counter>::default(),
        ),
        in_flight: book.enter("lockgate_requests_in_flight", &[], "Requests under way", Gauge::default()),
        connections: book.enter("lockgate_connections", &[], "Open connections of clients", Gauge::default()),
        records_pending: book.enter(
            "lockgate_records_pending",
            &[],
            "Records of ended requests that are neither written nor dropped yet",
            Gauge::default(),
        ),
        records_written: book.enter(
            "lockgate_records_written",
            &[],
            "Records that the store took",
            Counter::default(),
        ),
        records_dropped: book.enter(
            "lockgate_records_dropped",
            &[],
            "Records that were lost because the queue was full or the store failed until the end",
            Counter::default(),
        ),
        record_writes: book.enter(
            "lockgate_record_write_seconds",
            &[],
            "Time that the store took for a batch of records",
            Histogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
        ),
        store_failures: book.enter(
            "lockgate_store_failures",
            &[],
            "Times that the store refused records; they are tried again",
            Counter::default(),
        ),
        credential_rests: book.enter(
            "lockgate_credential_rests",
            &["provider", "kind"],
            "How often one of several credentials for a provider was refused and is not shown for a while",
            Family::default(),
        ),
        ledger_failures: book.enter(
            "lockgate_ledger_failures",
            &[],
            "Times that the ledger's store did not answer; requests go on with what they have leased",
            Counter::default(),
        ),
        ledger_up: book.enter(
            "lockgate_ledger_up",
            &[],
            "Whether the ledger's store answered when it was asked last",
            Gauge::default(),
        ),
        budget_spent: book.enter(
            "lockgate_budget_spent_dollars",
            &["budget"],
            "What was spent of a budget in its window, what is uncertain included: the number that enforcement goes by. \
             Budgets with an account for each value of a dimension have none here",
            Family::default(),
        ),
        budget_limit: book.enter(
            "lockgate_budget_limit_dollars",
            &["budget"],
            "The limit of a budget, increases included",
            Family::default(),
        ),
        budget_crossings: book.enter(
            "lockgate_budget_crossings",
            &["budget", "percent"],
            "Thresholds that spending reached, in per cent of the limit; 0 is the soft limit",
            Family::default(),
        ),
        budget_refusals: book.enter(
            "lockgate_budget_refusals",
            &["budget"],
            "Targets that were not called for want of money, by the budget that had too little",
            Family::default(),
        ),
        limit_refusals: book.enter(
            "lockgate_limit_refusals",
            &["limit"],
            "Requests that a rate limit refused, by the limit",
            Family::default(),
        ),
        holds_exceeded: book.enter(
            "lockgate_holds_exceeded",
            &["provider", "model"],
            "Attempts that cost more than they were held to at most; they are booked in full",
            Family::default(),
        ),
        nodes_given_up: book.enter(
            "lockgate_nodes_given_up",
            &[],
            "Nodes that gave no sign of life: what they had leased is uncertain",
            Counter::default(),
        ),
        routing_incidents: book.enter(
            "lockgate_routing_incidents",
            &[],
            "Conditions of rules and policies that could not be evaluated for a request; the log says which",
            Counter::default(),
        ),
        alerts_sent: book.enter(
            "lockgate_alerts_sent",
            &["channel"],
            "Messages with alerts that a channel took",
            Family::default(),
        ),
        alerts_failed: book.enter(
            "lockgate_alerts_failed",
            &["channel", "result"],
            "Tries to deliver a message with alerts that failed, by whether it is tried again (`again`) or not (`lost`)",
            Family::default(),
        ),
        config_reloads: book.enter(
            "lockgate_config_reloads",
            &["result"],
            "Changes of the config, by whether they came into force (`ok`) or were refused (`rejected`)",
            Labelled::<Counter>::default(),
        ),
        config_version: book.enter(
            "lockgate_config_version",
            &[],
            "The version of the snapshot in force, as decisions name it; 0 before the first reload",
            Gauge::default(),
        ),
        certificate_reloads: book.enter(
            "lockgate_certificate_reloads",
            &["result"],
            "Changes of the TLS certificate, by whether they came into force (`ok`) or were refused (`rejected`)",
            Labelled::<Counter>::default(),
        ),
        panics: book.enter(
            "lockgate_panics",
            &[],
            "Panics caught at the door: each is a fault of the gateway",
            Counter::default(),
        ),
        draining: book.enter(
            "lockgate_draining",
            &[],
            "Whether the process takes no new requests and waits for those under way",
            Gauge::default(),
        ),
        lines_lost: book.enter(
            "lockgate_log_lines_lost",
            &[],
            "Log lines that could not be written",
            Counter::default(),
        ),
        registry: Registry::default(),
    };
    let build = book.enter(
        "lockgate_build_info",
        &["version"],
        "Always 1; the version is that of the program",
        Labelled::<Gauge>::default(),
    );
    build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    let started = book.enter(
        "process_start_time_seconds",
        &[],
        "When the process started, in Unix seconds",
        Gauge::<f64, std::sync::atomic::AtomicU64>::default(),
    );
    started.set(started_ms as f64 / 1e3);
    // Series that alerts ask for exist from the start, at zero.
    metrics.ledger_up.set(1);
    for result in [&ACCEPTED, &REJECTED] {
        drop(metrics.config_reloads.get_or_create(result));
    }
    metrics
}

/// Gauges are numbers with a point; the exact amount is in the store and in the admin endpoints.
fn dollars(amount: Money) -> f64 {
    amount.nanos() as f64 / 1e9
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{every_event, record};

    /// The value of the one series whose line begins so.
    fn value(metrics: &Metrics, start: &str) -> f64 {
        let text = metrics.render();
        let mut lines = text.lines().filter(|line| line.starts_with(&format!("{start} ")));
        let line = lines.next().unwrap_or_else(|| panic!("no series {start} in\n{text}"));
        assert_eq!(lines.next(), None);
        line[start.len() + 1..].parse().unwrap()
    }

    #[test]
    fn a_request_is_counted_with_tokens_and_money() {
        let metrics = Metrics::new(0);
        metrics.note(&Event::RequestStarted);
        assert_eq!(value(&metrics, "lockgate_requests_in_flight"), 1.0);
        metrics.note(&Event::RequestFinished(&record()));
        assert_eq!(value(&metrics, "lockgate_requests_in_flight"), 0.0);
        let of = |name: &str, more: &str| {
            value(&metrics, &format!("lockgate_{name}{{provider=\"openai\",model=\"gpt-5-mini\"{more}}}"))
        };
        assert_eq!(of("requests_total", ",outcome=\"ok\",kind=\"none\""), 1.0);
        assert_eq!(of("tokens_total", ",bucket=\"input\""), 812.0);
        assert_eq!(of("tokens_total", ",bucket=\"output\""), 154.0);
        assert_eq!(of("cost_dollars_total", ""), 0.000_511);
        assert_eq!(of("unpriced_requests_total", ""), 0.0);
        assert_eq!(of("attempts_total", ",kind=\"none\""), 1.0);
        assert_eq!(of("request_duration_seconds_count", ""), 1.0);
        assert_eq!(of("first_content_seconds_sum", ""), 0.31022);
        let failed =
            "lockgate_attempts_total{provider=\"groq\",model=\"llama\",kind=\"upstream_overloaded\"}";
        assert_eq!(value(&metrics, failed), 1.0);
    }

    #[test]
    fn an_unknown_price_is_seen_as_such() {
        let metrics = Metrics::new(0);
        metrics.note(&Event::RequestFinished(&lockgate_core::Record { cost: None, ..record() }));
        let labels = "{provider=\"openai\",model=\"gpt-5-mini\"}";
        assert_eq!(value(&metrics, &format!("lockgate_unpriced_requests_total{labels}")), 1.0);
        assert_eq!(value(&metrics, &format!("lockgate_cost_dollars_total{labels}")), 0.0);
    }

    #[test]
    fn records_are_pending_until_written_or_dropped() {
        let metrics = Metrics::new(0);
        for _ in 0..5 {
            metrics.note(&Event::RequestFinished(&record()));
        }
        metrics.note(&Event::RecordsWritten { count: 3, took_us: 900 });
        metrics.note(&Event::RecordsDropped(1));
        assert_eq!(value(&metrics, "lockgate_records_pending"), 1.0);
        assert_eq!(value(&metrics, "lockgate_records_written_total"), 3.0);
        assert_eq!(value(&metrics, "lockgate_records_dropped_total"), 1.0);
    }

    #[test]
    fn a_breaker_shows_its_state() {
        let metrics = Metrics::new(0);
        let change = |open| metrics.note(&Event::BreakerChanged { provider: "openai", model: "gpt-5", open });
        let series = "lockgate_breaker_open{provider=\"openai\",model=\"gpt-5\"}";
        change(true);
        assert_eq!(value(&metrics, series), 1.0);
        change(false);
        assert_eq!(value(&metrics, series), 0.0);
    }

    #[test]
    fn process_and_build_are_named() {
        let metrics = Metrics::new(1_790_000_000_500);
        assert_eq!(value(&metrics, "process_start_time_seconds"), 1_790_000_000.5);
        assert!(metrics.render().contains(&format!("version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
        assert!(metrics.render().ends_with("# EOF\n"));
    }

    #[test]
    fn the_reference_names_every_series_with_its_labels() {
        let metrics = Metrics::new(0);
        every_event().iter().for_each(|(_, event)| metrics.note(event));
        let table = reference();
        let text = metrics.render();
        let mut names = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, labels) = line.split_once(['{', ' ']).unwrap();
            let name =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let row = table
                .lines()
                .find(|row| row.starts_with(&format!("| `{name}`")))
                .unwrap_or_else(|| panic!("{name}"));
            let documented: Vec<&str> =
                row.split('|').nth(3).unwrap().split('`').skip(1).step_by(2).collect();
            let shown: Vec<&str> = labels
                .split('}')
                .next()
                .unwrap()
                .split(',')
                .filter_map(|label| label.split_once("=\""))
                .map(|(label, _)| label)
                .filter(|label| *label != "le")
                .collect();
            assert_eq!(shown, documented, "{line}");
            names += 1;
        }
        assert!(names > 30);
        for row in table.lines().skip(2) {
            let name = row.split('`').nth(1).unwrap();
            assert!(text.contains(name), "no event moves {name}");
        }
    }
}
