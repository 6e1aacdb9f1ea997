//! Money under chaos: many clients, several gateways on one budget, `kill -9`, a database that is away. The provider's own bill decides.
//!
//! `LOCKGATE_CHAOS=SEED[,SEED...]` runs the long version for each seed: four gateways, 2,000 clients, the database away for 20 s.

#![cfg(test)]

mod bill;
mod nodes;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use lockgate_e2e::Connection;
use lockgate_store::exam::postgres::Schema;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use bill::Provider;
use nodes::{Installation, Node, Way};

/// How a storm is.
#[derive(Clone, Copy, Debug)]
struct Storm {
    seed: u64,
    nodes: usize,
    clients: usize,
    /// The budget, in dollars.
    limit: u32,
    lasts: Duration,
    /// Between two kills; zero: none.
    kills: Duration,
    /// How long the store is away, from a third of the time on.
    away: Duration,
    cancels: bool,
}

/// What is left of it, in nano-dollars.
#[derive(Debug)]
struct Left {
    billed: i64,
    settled: i64,
    /// Uncertain, or leased to a gateway that was killed and is not given up yet.
    uncertain: i64,
    answers: usize,
    refused: usize,
    kills: usize,
}

/// What clients see of the gateways.
struct Scene {
    addresses: Mutex<Vec<Option<SocketAddr>>>,
    over: AtomicBool,
    refused: AtomicUsize,
    key: String,
}

/// A source of numbers that is the same for a seed (Vigna's splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

fn config(provider: SocketAddr, store: &str) -> String {
    // Prices in dollars a million tokens: a hundredth of a cent for a token of output.
    let model = format!(
        "{{ prices: {{ input: 10, output: 100 }}, limits: {{ context: 32000, output: {} }} }}",
        bill::LONGEST
    );
    format!(
        "store: {store}\nproviders:\n  paid: {{ type: openai-compatible, base_url: \"http://{provider}/v1\", models: [small, large] }}\n\
         models:\n  paid/small: {model}\n  paid/large: {model}\n"
    )
}

async fn storm(storm: Storm, store: &str, way: Option<&Way>) -> Left {
    let provider = Provider::start().await.expect("a provider");
    let house = Arc::new(Installation::new(&config(provider.address, store)).await);
    let limit = storm.limit.to_string();
    house.run(&["budgets", "create", "all", "--limit", &limit, "--window", "lifetime"]).await;
    let mut running: Vec<Option<Node>> = Vec::new();
    for number in 0..storm.nodes {
        running.push(Some(house.start(number).await));
    }
    let addresses = running.iter().map(|node| node.as_ref().map(|node| node.address)).collect();
    let scene = Arc::new(Scene {
        addresses: Mutex::new(addresses),
        over: AtomicBool::new(false),
        refused: AtomicUsize::new(0),
        key: house.key.clone(),
    });
    let clients: Vec<_> = (0..storm.clients)
        .map(|number| {
            let chance = Chance(storm.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
            tokio::spawn(client(Arc::clone(&scene), chance, storm.cancels))
        })
        .collect();

    let begun = Instant::now();
    let mut chance = Chance(storm.seed);
    let (mut kills, mut number) = (0, storm.nodes);
    let mut next_kill = begun + storm.kills;
    let away = begun + storm.lasts / 3..begun + storm.lasts / 3 + storm.away;
    while begun.elapsed() < storm.lasts {
        sleep(Duration::from_millis(50)).await;
        if let Some(way) = way {
            way.cut(away.contains(&Instant::now()));
        }
        let is_away = away.contains(&Instant::now());
        if !storm.kills.is_zero() && Instant::now() >= next_kill && !is_away {
            next_kill = Instant::now() + storm.kills;
            let at = chance.next(storm.nodes as u64) as usize;
            scene.addresses.lock().expect("no panic")[at] = None;
            if let Some(node) = running[at].take() {
                node.kill().await;
            }
            kills += 1;
            let node = house.start(number).await;
            number += 1;
            scene.addresses.lock().expect("no panic")[at] = Some(node.address);
            running[at] = Some(node);
        }
    }
    if let Some(way) = way {
        way.cut(false);
    }
    scene.over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no client fails");
    }
    for node in running.into_iter().flatten() {
        node.stop().await;
    }
    let shown = house.run(&["budgets", "show", "all"]).await;
    let nanos = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("an amount in {shown}"));
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let part: i64 = format!("{part:0<9}").parse().expect("decimals");
        whole.parse::<i64>().expect("a number") * 1_000_000_000 + part
    };
    let account = &shown["accounts"][0];
    let left = Left {
        billed: provider.bill.total(),
        settled: nanos(&account["settled"]),
        uncertain: nanos(&account["uncertain"]) + nanos(&account["leased"]),
        answers: provider.bill.answers(),
        refused: scene.refused.load(Ordering::SeqCst),
        kills,
    };
    println!(
        "{storm:?}: of {} dollars {} are billed for {} answers, {} settled, {} uncertain; {} refusals, {} kills",
        storm.limit,
        dollars(left.billed),
        left.answers,
        dollars(left.settled),
        dollars(left.uncertain),
        left.refused,
        left.kills
    );
    left
}

fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// A client that asks again and again, at any of the gateways.
async fn client(scene: Arc<Scene>, mut chance: Chance, cancels: bool) {
    while !scene.over.load(Ordering::SeqCst) {
        let address = {
            let addresses = scene.addresses.lock().expect("no panic");
            addresses[chance.next(addresses.len() as u64) as usize]
        };
        let Some(address) = address else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (wanted, padding) = (1 + chance.next(200), chance.next(2_000) as usize);
        let mut ask = json!({
            "model": if chance.next(2) == 0 { "paid/small" } else { "paid/large" },
            "stream": chance.next(2) == 0,
            "messages": [{"role": "user", "content": format!("{wanted} {}", "x".repeat(padding))}],
        });
        if chance.next(2) == 0 {
            ask["max_tokens"] = json!(1 + chance.next(300));
        }
        let leaves = cancels && chance.next(5) == 0;
        let patience = if leaves { Duration::from_millis(chance.next(200)) } else { Duration::from_secs(60) };
        let asked = tokio::time::timeout(patience, one(address, &scene.key, &ask)).await;
        match asked {
            // It left, or it was answered; then it asks again.
            Err(_) | Ok(Some(200)) => {}
            Ok(status) => {
                if status == Some(429) {
                    scene.refused.fetch_add(1, Ordering::SeqCst);
                }
                sleep(Duration::from_millis(200 + chance.next(1_000))).await;
            }
        }
    }
}

/// One request and its whole answer: its status, if there was one.
async fn one(address: SocketAddr, key: &str, ask: &Value) -> Option<u16> {
    let connection = Connection::open(address).await.ok()?;
    let request = http::Request::post("/v1/chat/completions")
        .header("host", "gateway")
        .header("authorization", format!("Bearer {key}"))
        .body(Full::new(Bytes::from(ask.to_string())))
        .ok()?;
    let reply = connection.send_last(request).await.ok()?;
    let status = reply.status;
    reply.read(Duration::from_secs(60)).await;
    Some(status)
}

impl Left {
    /// What must hold whatever happened.
    fn holds(&self, limit: u32) {
        let limit = i64::from(limit) * 1_000_000_000;
        assert!(self.billed <= limit, "overshot: {self:?}");
        assert!(self.settled + self.uncertain >= self.billed, "something is missing: {self:?}");
        assert!(self.settled + self.uncertain <= limit, "more is charged than may be: {self:?}");
    }
}

const CALM: Storm = Storm {
    seed: 1,
    nodes: 1,
    clients: 100,
    limit: 4,
    lasts: Duration::from_secs(6),
    kills: Duration::ZERO,
    away: Duration::ZERO,
    cancels: false,
};

#[tokio::test(flavor = "multi_thread")]
async fn without_chaos_the_ledger_is_the_bill() {
    let left = storm(CALM, "sqlite:lockgate.db", None).await;
    left.holds(CALM.limit);
    assert_eq!((left.settled, left.uncertain), (left.billed, 0), "to the nano-dollar");
    assert!(left.refused > 0 && left.billed > 3_000_000_000, "the budget came to its end: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gateway_that_is_killed_never_overshoots() {
    let (kills, lasts) = (Duration::from_millis(1_500), Duration::from_secs(9));
    let wild = Storm { kills, lasts, limit: 8, cancels: true, ..CALM };
    storm(wild, "sqlite:lockgate.db", None).await.holds(wild.limit);
}

/// A storm over gateways that share PostgreSQL, by a way that can be cut; `None` where there is none.
async fn shared(wild: Storm) -> Option<Left> {
    let found = tokio::task::spawn_blocking(Schema::find).await.expect("no panic");
    let schema = found.map_err(|why| lockgate_testkit::skip(&why)).ok()?;
    let address = schema.address();
    let way = Way::to(address.host.clone(), address.port).await;
    let password = address.password.as_ref().map_or_else(String::new, |word| format!(":{}", word.expose()));
    let (user, database, name) = (&address.user, &address.database, &address.schema);
    let store = format!("postgres://{user}{password}@{}/{database}?schema={name}", way.address);
    let left = storm(wild, &store, Some(&way)).await;
    tokio::task::spawn_blocking(move || drop(schema)).await.expect("no panic");
    Some(left)
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_budget_never_overshoot_it() {
    let wild = Storm {
        nodes: 3,
        limit: 12,
        lasts: Duration::from_secs(12),
        kills: Duration::from_secs(2),
        away: Duration::from_secs(3),
        cancels: true,
        ..CALM
    };
    if let Some(left) = shared(wild).await {
        left.holds(wild.limit);
    }
}

/// The long version, for each seed that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn for_as_many_seeds_as_are_asked_for() {
    let seeds = std::env::var("LOCKGATE_CHAOS").unwrap_or_default();
    for seed in seeds.split(',').filter_map(|seed| seed.trim().parse().ok()) {
        let wild = Storm {
            seed,
            nodes: 4,
            clients: 2_000,
            limit: 50,
            lasts: Duration::from_secs(45),
            kills: Duration::from_secs(4),
            away: Duration::from_secs(20),
            cancels: true,
        };
        if let Some(left) = shared(wild).await {
            left.holds(wild.limit);
        }
        storm(Storm { nodes: 1, away: Duration::ZERO, ..wild }, "sqlite:lockgate.db", None)
            .await
            .holds(wild.limit);
    }
}
