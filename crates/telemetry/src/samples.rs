//! What the tests of this crate share: one of each event, a clock that stands still, a log that can be read.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use lockgate_core::record::{Attempt, Outcome, Target};
use lockgate_core::{Attribution, Clock, Error, Event, Kind, Money, Record, RequestId, Tick, Usage};

pub(crate) fn record() -> Record {
    let target = |provider, model| Target { provider: Arc::from(provider), model: Arc::from(model) };
    let attempt = |target, status, error| Attempt { took_us: 9, status, error, ..Attempt::begun(target, 41) };
    Record {
        id: RequestId::from_u128(7),
        dialect: Arc::from("openai_chat"),
        key: Arc::from("key_0123456789abcdef"),
        key_name: Arc::from("support bot"),
        attribution: Attribution { customer: Some(Arc::from("acme")), ..Attribution::default() },
        asked: Arc::from("support-bot"),
        stream: true,
        target: Some(target("openai", "gpt-5-mini")),
        outcome: Outcome::Ok,
        status: 200,
        error: None,
        detail: None,
        usage: Some(Usage { input: 812, output: 154, ..Usage::default() }),
        cost: Some(Money::from_nanos(511_000)),
        took_us: 1_204_311,
        first_content_us: Some(310_220),
        overhead_us: 41,
        decision: None,
        losses: Vec::new(),
        attempts: vec![
            attempt(target("groq", "llama"), Some(503), Some(Kind::UpstreamOverloaded)),
            attempt(target("openai", "gpt-5-mini"), Some(200), None),
        ],
    }
}

/// Every event by name, once. A variant that is missing here does not compile.
pub(crate) fn every_event() -> Vec<(&'static str, Event<'static>)> {
    static RECORD: LazyLock<Record> = LazyLock::new(record);
    static ERROR: LazyLock<Error> = LazyLock::new(|| Error::client(Kind::Unauthenticated, "no key was sent"));
    macro_rules! all {
        ($($name:ident $event:expr,)+) => {{
            let _ = |event: &Event<'_>| match event { $(Event::$name { .. } => {})+ };
            vec![$((stringify!($name), $event)),+]
        }};
    }
    all![
        RequestStarted Event::RequestStarted,
        RequestRefused Event::RequestRefused(&ERROR),
        RequestFinished Event::RequestFinished(&RECORD),
        RecordsDropped Event::RecordsDropped(2),
        RecordsWritten Event::RecordsWritten { count: 9, took_us: 1_500 },
        StoreFailed Event::StoreFailed { detail: "disk full" },
        BreakerChanged Event::BreakerChanged { provider: "openai", model: "gpt-5", open: true },
        CredentialRests Event::CredentialRests { provider: "openai", credential: "#2 \u{2026}9f3a", kind: Kind::UpstreamRateLimited },
        LedgerFailed Event::LedgerFailed { detail: "connection refused" },
        LedgerRecovered Event::LedgerRecovered,
        BudgetSpent Event::BudgetSpent { budget: "support", spent: Money::from_nanos(12_500_000_000), limit: Money::from_nanos(50_000_000_000) },
        BudgetCrossed Event::BudgetCrossed { budget: "support", value: "acme", percent: 80, spent: Money::from_nanos(8_000_000_000), limit: Money::from_nanos(10_000_000_000) },
        BudgetRefused Event::BudgetRefused { budget: "support" },
        LimitRefused Event::LimitRefused { limit: "everybody" },
        HoldExceeded Event::HoldExceeded { provider: "openai", model: "gpt-5", held: Money::from_nanos(1_000_000), charged: Money::from_nanos(1_200_000) },
        NodeGivenUp Event::NodeGivenUp { epoch: 4 },
        RoutingIncident Event::RoutingIncident { at: "rule 1", why: "no such key" },
        AlertSent Event::AlertSent { channel: "on-call" },
        AlertFailed Event::AlertFailed { channel: "on-call", detail: "503 Service Unavailable", lost: false },
        ConfigReloaded Event::ConfigReloaded { version: 3 },
        ConfigRejected Event::ConfigRejected { detail: "lockgate.yaml:3:5: unknown" },
        CertificateReloaded Event::CertificateReloaded,
        CertificateRejected Event::CertificateRejected { detail: "expired" },
        PanicCaught Event::PanicCaught { detail: "index out of bounds" },
        ConnectionOpened Event::ConnectionOpened,
        ConnectionClosed Event::ConnectionClosed,
        Started Event::Started { address: "127.0.0.1:4100", version: 1 },
        Draining Event::Draining { in_flight: 4 },
        Stopped Event::Stopped { cut_off: 0 },
    ]
}

/// A clock that stands still at a time of day.
pub(crate) struct WoundClock(u64);

impl WoundClock {
    pub(crate) fn at(wall_ms: u64) -> Arc<dyn Clock> {
        Arc::new(Self(wall_ms))
    }
}

impl Clock for WoundClock {
    fn now(&self) -> Tick {
        Tick(0)
    }

    fn wall_ms(&self) -> u64 {
        self.0
    }
}

/// A log that can be read afterwards.
#[derive(Clone, Default)]
pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
