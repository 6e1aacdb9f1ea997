//! What the end of a request costs on the thread that serves it: `cargo run --release -p lockgate-telemetry --example emit`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures and prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use lockgate_core::port::EventSink as _;
use lockgate_core::record::{Attempt, Outcome, Target};
use lockgate_core::{Attribution, Clock, Event, Money, Record, RequestId, Tick, Usage};
use lockgate_telemetry::{Format, Level, Telemetry};

const ROUNDS: u32 = 1_000_000;

struct Still;

impl Clock for Still {
    fn now(&self) -> Tick {
        Tick(0)
    }

    fn wall_ms(&self) -> u64 {
        1_790_000_000_000
    }
}

fn main() {
    for (name, requests) in [("metrics alone", false), ("metrics and a line to nowhere", true)] {
        let telemetry =
            Telemetry::new(Format::Text, Level::Info, requests, Box::new(std::io::sink()), Arc::new(Still));
        let records: Vec<Record> = (0..20).map(typical).collect();
        let start = Instant::now();
        for (_, record) in (0..ROUNDS).zip(records.iter().cycle()) {
            telemetry.emit(black_box(&Event::RequestFinished(record)));
        }
        println!("{name}: {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
    }
}

fn typical(number: u64) -> Record {
    let model = Arc::from(format!("model-{number}"));
    let target = Target { provider: Arc::from("openai"), model };
    Record {
        id: RequestId::new(1_790_000_000_000),
        dialect: Arc::from("openai_chat"),
        key: Arc::from("key_0123456789abcdef"),
        key_name: Arc::from("support bot"),
        attribution: Attribution::default(),
        asked: Arc::from("support-bot"),
        stream: true,
        target: Some(target.clone()),
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
        attempts: vec![Attempt { took_us: 9, status: Some(200), ..Attempt::begun(target, 41) }],
    }
}
