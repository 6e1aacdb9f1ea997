//! What a decision costs: `cargo bench -p lockgate-route`. A scored choice among 200 candidates by 20 benchmarks, a direct
//! name, a route of three in order, and the kind of work of a prompt of 4 KB. The shortest of many runs, as other work on the
//! machine only ever adds to it.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_methods, reason = "this measures time")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use lockgate_core::decision::{Class, Task};
use lockgate_core::money::Price;
use lockgate_core::record::Target;
use lockgate_core::upstream::{Reach, Timeouts};
use lockgate_core::{Attribution, Key, KeyHash, Payload, Tick, Upstream};
use lockgate_route::strategy::{Mode, Score, Weigh};
use lockgate_route::view::{Card, Facts, Scale, Scales, Score as Value};
use lockgate_route::{
    Abilities, Ask, Branch, Knowledge, Moment, Plan, Registry, Route, Settings, Strategy, Table, Told,
};

const MODELS: usize = 200;
const BENCHMARKS: usize = 20;
const ROUNDS: usize = 400;

#[derive(Debug)]
struct Known;

impl Knowledge for Known {
    fn models(&self, _: &Upstream, _: &str) -> Vec<Arc<str>> {
        (0..MODELS).map(|at| format!("model-{at:03}").into()).collect()
    }

    fn facts(&self, _: &Upstream, model: &str) -> Facts {
        let number: usize = model.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let mix = |at: usize| ((number * 31 + at * 17) % 97) as f64 / 97.0;
        let price = Price(100_000_000 + number as u64 * 37_000_000);
        Facts {
            known: true,
            family: model.into(),
            cards: [Card { input: price, output: Price(price.0 * 4), ..Card::default() }].into(),
            context: Some(200_000),
            abilities: Some(Abilities::default()),
            scores: (0..BENCHMARKS)
                .map(|at| (at % 5 != number % 7).then(|| Value { value: mix(at), samples: None }))
                .collect(),
            ..Facts::default()
        }
    }

    fn scales(&self) -> Scales {
        let class = |at: usize| at.is_multiple_of(2).then_some(Class::Coding);
        let scale = |at| Scale { name: name(at), class: class(at), median: 0.5, spread: 0.3 };
        Scales { version: "b".into(), all: (0..BENCHMARKS).map(scale).collect() }
    }

    fn version(&self) -> Arc<str> {
        "c".into()
    }
}

fn name(at: usize) -> Arc<str> {
    format!("bench-{at:02}").into()
}

fn main() {
    let upstream = Arc::new(Upstream {
        name: "p".into(),
        catalog: "p".into(),
        speaks: Vec::new(),
        reach: Reach::Demo,
        timeouts: Timeouts::default(),
        max_answer: 1 << 20,
        models: Vec::new(),
        claims: &[],
        credentials: Vec::new(),
    });
    let target = |at: usize| Target { provider: "p".into(), model: format!("model-{at:03}").into() };
    let score = Score {
        candidates: vec![Branch::wildcard("p/*")],
        benchmarks: (0..BENCHMARKS).map(|at| (name(at), 1.0 + at as f64)).collect(),
        mode: Mode::Sum(Weigh { quality: 1.0, cost: 0.4, latency: 0.2, reliability: 0.3 }),
        ..Score::default()
    };
    let routes = [
        Route::of("scored", Branch::strategy(Strategy::Score(score))),
        Route::ordered("ordered", (0..3).map(target)),
    ];
    let registry = Arc::new(Registry::default());
    let table = Table::informed(1, vec![upstream], routes, registry, Arc::new(Known), None);
    let key = key();
    let attribution = Attribution::default();
    let settings = Settings::default();
    println!("{:<44} {:>10}", "decision", "us");
    let coding = Task { classes: vec![(Class::Coding, 700_000)], ..Task::default() };
    for (what, model, task) in [
        ("200 candidates by 20 benchmarks", "scored", Task::default()),
        ("the same, with the class of the request raised", "scored", coding),
        ("three in order", "ordered", Task::default()),
        ("a direct name", "p/model-001", Task::default()),
    ] {
        let resolution = table.resolve(&model.into()).expect("is known");
        let told = Told {
            input_tokens: Some(1_000),
            output_ceiling: Some(300),
            task: Some(task),
            ..Told::default()
        };
        let us = best(|seed| {
            let mut ask = Ask::new(model, &key, &attribution).told(told.clone());
            (ask.seed, ask.wall_ms) = (seed, 1_790_000_000_000);
            let moment = Moment { now: Tick(1_000), breakers: &settings, dry: false };
            black_box(Plan::make(&resolution, &ask, &moment)).ok().map_or(0, |plan| plan.endpoints.len())
        });
        println!("{what:<44} {us:>10.2}");
    }
    let body = body();
    let payload = Payload::parse(body.clone().into()).expect("is good");
    let headers = HeaderMap::new();
    let us = best(|_| {
        let ask = Ask::new("m", &key, &attribution).reads(&payload, body.len() as u64, &headers);
        black_box(ask.task()).classes.len()
    });
    println!("{:<44} {us:>10.2}", format!("the kind of work of {} bytes", body.len()));
    let us = best(|_| {
        let ask = Ask::new("m", &key, &attribution).reads(&payload, body.len() as u64, &headers);
        usize::from(black_box(ask.session()).is_some())
    });
    println!("{:<44} {us:>10.2}", "the session of it");
}

/// The shortest run, in microseconds.
fn best(mut run: impl FnMut(u64) -> usize) -> f64 {
    let mut best = f64::INFINITY;
    for seed in 0..ROUNDS as u64 {
        let start = Instant::now();
        black_box(run(seed));
        best = best.min(start.elapsed().as_secs_f64() * 1e6);
    }
    best
}

fn key() -> Key {
    Key {
        id: "key".into(),
        name: "bench".into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: BTreeMap::new(),
    }
}

/// A prompt of about 4 KB: prose, code, a question.
fn body() -> String {
    let prose = "The gateway decides which model answers, and says why it left the others out of the list. "
        .repeat(24);
    let code =
        "fn main() { let total: u64 = prices.iter().map(|p| p.nanos).sum(); println!(\\\"{total}\\\"); }\\n"
            .repeat(16);
    format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{prose} ```rust\n{code}``` Why does it not compile?"}}]}}"#
    )
}
