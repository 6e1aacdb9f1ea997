//! Events turned into log lines.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use lockgate_core::record::Outcome;
use lockgate_core::{Clock, Error, Event, Fault, Kind, Record};
use prometheus_client::metrics::counter::Counter;

use crate::line::{Format, Level, Line};

/// The log: where it goes and what belongs in it.
pub(crate) struct Log {
    format: Format,
    level: Level,
    requests: bool,
    out: Mutex<Box<dyn Write + Send>>,
    clock: Arc<dyn Clock>,
    lost: Counter,
}

// === impl Log ===

impl Log {
    pub(crate) fn new(
        format: Format,
        level: Level,
        requests: bool,
        out: Box<dyn Write + Send>,
        clock: Arc<dyn Clock>,
        lost: Counter,
    ) -> Self {
        Self { format, level, requests, out: Mutex::new(out), clock, lost }
    }

    /// Writes what is to be said about an event.
    pub(crate) fn note(&self, event: &Event<'_>) {
        match *event {
            // What happens with every request or connection is counted, not told.
            Event::RequestStarted | Event::ConnectionOpened | Event::ConnectionClosed => {}
            Event::RequestRefused(error) => self.refused(error),
            Event::RequestFinished(record) => self.finished(record),
            Event::RecordsDropped(count) => {
                self.say(Level::Error, "records_dropped", |line| line.number("count", count));
            }
            Event::RecordsWritten { count, took_us } => self.say(Level::Debug, "records_written", |line| {
                line.number("count", count).number("took_us", took_us)
            }),
            Event::StoreFailed { detail } => {
                self.say(Level::Error, "store_failed", |line| line.text("detail", detail));
            }
            Event::BreakerChanged { provider, model, open } => {
                let (level, event) =
                    if open { (Level::Warn, "breaker_opened") } else { (Level::Info, "breaker_closed") };
                self.say(level, event, |line| line.text("provider", provider).text("model", model));
            }
            Event::CredentialRests { provider, credential, kind } => {
                self.say(Level::Warn, "credential_rests", |line| {
                    line.text("provider", provider).text("credential", credential).text("kind", kind.code())
                });
            }
            // A target that is passed over is in the request's record.
            Event::BudgetSpent { .. } | Event::BudgetRefused { .. } | Event::LimitRefused { .. } => {}
            Event::LedgerFailed { detail } => {
                self.say(Level::Error, "ledger_failed", |line| line.text("detail", detail));
            }
            Event::LedgerRecovered => self.say(Level::Info, "ledger_recovered", |line| line),
            Event::BudgetCrossed { budget, value, percent, spent, limit } => {
                self.say(Level::Warn, "budget_crossed", |line| {
                    line.text("budget", budget)
                        .maybe("value", Some(value).filter(|value| !value.is_empty()))
                        .number("percent", u64::from(percent))
                        .text("spent", &spent.to_string())
                        .text("limit", &limit.to_string())
                });
            }
            Event::HoldExceeded { provider, model, held, charged } => {
                self.say(Level::Warn, "hold_exceeded", |line| {
                    line.text("provider", provider)
                        .text("model", model)
                        .text("held", &held.to_string())
                        .text("charged", &charged.to_string())
                });
            }
            Event::NodeGivenUp { epoch } => {
                self.say(Level::Warn, "node_given_up", |line| line.number("epoch", epoch.unsigned_abs()));
            }
            Event::RoutingIncident { at, why } => {
                self.say(Level::Warn, "routing_incident", |line| line.text("at", at).text("why", why));
            }
            Event::AlertSent { channel } => {
                self.say(Level::Info, "alert_sent", |line| line.text("channel", channel));
            }
            Event::AlertFailed { channel, detail, lost } => {
                let (level, event) =
                    if lost { (Level::Error, "alert_lost") } else { (Level::Warn, "alert_failed") };
                self.say(level, event, |line| line.text("channel", channel).text("detail", detail));
            }
            Event::ConfigReloaded { version } => {
                self.say(Level::Info, "config_reloaded", |line| line.number("version", version));
            }
            // A line for each mistake: they can be read, and found again.
            Event::ConfigRejected { detail } => detail.lines().for_each(|mistake| {
                self.say(Level::Error, "config_rejected", |line| line.text("detail", mistake));
            }),
            Event::CertificateReloaded => self.say(Level::Info, "certificate_reloaded", |line| line),
            Event::CertificateRejected { detail } => {
                self.say(Level::Error, "certificate_rejected", |line| line.text("detail", detail));
            }
            Event::PanicCaught { detail } => {
                self.say(Level::Error, "panic_caught", |line| line.text("detail", detail));
            }
            Event::Started { address, .. } => {
                self.say(Level::Info, "started", |line| line.text("address", address));
            }
            Event::Draining { in_flight } => {
                self.say(Level::Info, "draining", |line| line.number("in_flight", in_flight));
            }
            Event::Stopped { cut_off } => {
                let level = if cut_off > 0 { Level::Warn } else { Level::Info };
                self.say(level, "stopped", |line| line.number("cut_off", cut_off));
            }
        }
    }

    fn refused(&self, error: &Error) {
        let level = weight(Some(error.kind()));
        if self.wants_request(level) {
            self.say(level, "request_refused", |line| {
                line.text("error", error.kind().code())
                    .text("message", error.public())
                    .maybe("detail", error.private())
            });
        }
    }

    fn finished(&self, record: &Record) {
        let level = if record.outcome == Outcome::Ok { Level::Info } else { weight(record.error) };
        if self.wants_request(level) {
            self.say(level, "request", |line| describe(line, record));
        }
    }

    /// Failures that are not the caller's doing are told even when requests are not.
    fn wants_request(&self, level: Level) -> bool {
        self.requests || level < Level::Info
    }

    fn say(&self, level: Level, event: &str, fill: impl FnOnce(Line) -> Line) {
        if level > self.level {
            return;
        }
        let line = fill(Line::new(self.format, self.clock.wall_ms(), level, event)).end();
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // One call a line, so that lines stay whole where several processes share a pipe.
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.lost.inc();
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("format", &self.format)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// How much a request that did not go well matters.
fn weight(error: Option<Kind>) -> Level {
    match error.map(Kind::fault) {
        Some(Fault::Gateway) => Level::Error,
        Some(Fault::Provider) => Level::Warn,
        Some(Fault::Caller | Fault::Policy) | None => Level::Info,
    }
}

fn describe(line: Line, record: &Record) -> Line {
    let whose = &record.attribution;
    let target = record.target.as_ref();
    let mut line = line
        .text("id", record.id.text().as_str())
        .text("key", &record.key_name)
        .text("model", &record.asked)
        .maybe("provider", target.map(|target| &*target.provider))
        .maybe("answered_by", target.map(|target| &*target.model))
        .text("outcome", record.outcome.code())
        .number("status", record.status)
        .maybe("error", record.error.map(Kind::code))
        .maybe("detail", record.detail.as_deref())
        .number("stream", record.stream)
        .number("took_us", record.took_us);
    if let Some(first) = record.first_content_us {
        line = line.number("first_content_us", first);
    }
    line = line.number("overhead_us", record.overhead_us).number("attempts", record.attempts.len());
    if let Some(usage) = &record.usage {
        line = line.number("input", usage.input_total()).number("output", usage.output_total());
    }
    if let Some(cost) = record.cost {
        // The decimals of money are exact, and a JSON number may have as many.
        line = line.number("cost_usd", cost);
    }
    line.maybe("organisation", whose.organisation.as_deref())
        .maybe("team", whose.team.as_deref())
        .maybe("customer", whose.customer.as_deref())
        .maybe("project", whose.project.as_deref())
        .maybe("user", whose.user.as_deref())
        .maybe("feature", whose.feature.as_deref())
        .maybe("session", whose.session.as_deref())
}

#[cfg(test)]
mod tests {
    use std::io;

    use lockgate_core::port::EventSink as _;

    use super::*;
    use crate::Telemetry;
    use crate::samples::{Paper, WoundClock, record};

    fn told(format: Format, level: Level, requests: bool, event: &Event<'_>) -> String {
        let paper = Paper::default();
        let out = Box::new(paper.clone());
        Telemetry::new(format, level, requests, out, WoundClock::at(1_790_000_000_007)).emit(event);
        paper.text()
    }

    fn failed(kind: Kind) -> Record {
        Record { outcome: Outcome::Error, error: Some(kind), ..record() }
    }

    #[test]
    fn a_request_says_all_in_one_line() {
        let text = told(Format::Text, Level::Info, true, &Event::RequestFinished(&record()));
        assert_eq!(
            text,
            "2026-09-21T14:13:20.007Z info  request id=req_00000000000000000000000007 key=\"support bot\" \
             model=support-bot provider=openai answered_by=gpt-5-mini outcome=ok status=200 stream=true \
             took_us=1204311 first_content_us=310220 overhead_us=41 attempts=2 input=812 output=154 \
             cost_usd=0.000511 customer=acme\n"
        );
        let json = told(Format::Json, Level::Info, true, &Event::RequestFinished(&record()));
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["key"], "support bot");
        assert_eq!(object["stream"], true);
        assert_eq!(object["cost_usd"].to_string(), "0.000511");
    }

    #[test]
    fn requests_are_told_only_if_wanted_but_failures_are() {
        let level = |requests, record: &Record| {
            let text = told(Format::Json, Level::Info, requests, &Event::RequestFinished(record));
            serde_json::from_str(&text)
                .ok()
                .map(|line: serde_json::Value| line["level"].as_str().unwrap().to_owned())
        };
        for requests in [true, false] {
            assert_eq!(level(requests, &failed(Kind::Internal)).as_deref(), Some("error"));
            assert_eq!(level(requests, &failed(Kind::UpstreamTimeout)).as_deref(), Some("warn"));
            let told = requests.then_some("info");
            assert_eq!(level(requests, &failed(Kind::InvalidRequest)).as_deref(), told);
            assert_eq!(level(requests, &failed(Kind::BudgetExceeded)).as_deref(), told);
            assert_eq!(level(requests, &record()).as_deref(), told);
        }
    }

    #[test]
    fn what_is_below_the_level_is_not_told() {
        let closed = Event::BreakerChanged { provider: "p", model: "m", open: false };
        assert_eq!(told(Format::Text, Level::Warn, true, &closed), "");
        let opened = Event::BreakerChanged { provider: "p", model: "m", open: true };
        assert!(
            told(Format::Text, Level::Warn, true, &opened).contains(" breaker_opened provider=p model=m")
        );
    }

    #[test]
    fn each_mistake_of_a_config_has_its_line() {
        let event = Event::ConfigRejected { detail: "lockgate.yaml:3:5: unknown\nlockgate.yaml:9:1: unset" };
        let text = told(Format::Text, Level::Info, false, &event);
        assert_eq!(text.lines().filter(|line| line.contains(" config_rejected detail=")).count(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let telemetry = Telemetry::new(Format::Text, Level::Info, true, Box::new(Full), WoundClock::at(0));
        telemetry.emit(&Event::CertificateReloaded);
        assert!(telemetry.render().contains("lockgate_log_lines_lost_total 1"));
    }

    #[test]
    fn lines_of_many_threads_stay_whole() {
        let paper = Paper::default();
        let out = Box::new(paper.clone());
        let telemetry = Telemetry::new(Format::Json, Level::Info, true, out, WoundClock::at(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| telemetry.emit(&Event::RequestFinished(&record()))));
            }
        });
        let text = paper.text();
        assert_eq!(text.lines().count(), 400);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
