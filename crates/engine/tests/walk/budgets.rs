//! What budgets do to requests, and what requests leave on accounts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use lockgate_catalog::Catalog;
use lockgate_core::record::Target;
use lockgate_core::{Error, Kind, Money, Outcome, RequestId, Upstream};
use lockgate_engine::ledger::{Clerk, Pace, Purse};
use lockgate_ledger::budget::{AtLimit, Budget, Increase, Selector};
use lockgate_ledger::port::{AccountFilter, Adjustment, Budgets, LeaseRow, LedgerStore, NodeRow, Reconcile};
use lockgate_ledger::rows::{AccountRow, Answer, Crossing, Entry, Epoch, Exchange};
use lockgate_ledger::{Dimension, Vault, sample};
use lockgate_route::{Hedge, OnBreak, Route};
use lockgate_testkit::{Play, builder};
use serde_json::{Value, json};

use crate::stage::{Heard, Set, Stage, piece, route};

/// 15 cents a million tokens of input, 60 of output, answers of at most 16,384 tokens.
const SMALL: &str = "gpt-4o-mini";
/// $2.50 and $10.
const LARGE: &str = "gpt-4o";

/// A stage with a ledger behind it.
struct Bank {
    stage: Stage,
    purse: Arc<Purse>,
    store: Arc<Counting>,
    clerk: Arc<Mutex<Clerk>>,
}

/// A store that counts how often it is asked.
#[derive(Default)]
struct Counting {
    vault: Mutex<Vault>,
    calls: AtomicUsize,
    away: std::sync::atomic::AtomicBool,
}

fn provider(name: &str) -> Upstream {
    Upstream { catalog: "openai".into(), ..builder::upstream(name) }
}

fn bank(set: Set, budgets: &[Budget]) -> Bank {
    static CATALOG: LazyLock<Arc<Catalog>> =
        LazyLock::new(|| Arc::new(Catalog::built_in_of(&["openai"].into())));
    let purse = Purse::new();
    let stage = Set { catalog: CATALOG.clone(), purse: Some(purse.clone()), ..set.patient() }.stage();
    let store = Arc::new(Counting::default());
    for budget in budgets {
        store.put_budget(budget).unwrap();
    }
    let clerk = Clerk::new(
        purse.clone(),
        store.clone(),
        stage.events.clone(),
        stage.clock.clone(),
        "node".into(),
        Pace::default(),
    );
    let clerk = Arc::new(Mutex::new(clerk));
    clerk.lock().unwrap().step();
    let called = clerk.clone();
    purse.attended_by(Box::new(move || {
        called.lock().unwrap().step();
    }));
    Bank { stage, purse, store, clerk }
}

fn one(budgets: &[Budget]) -> Bank {
    bank(Set::of([provider("a")]), budgets)
}

fn budget(limit: i64) -> Budget {
    sample::budget("b", limit)
}

fn ask(model: &str, more: &Value) -> String {
    let mut body = json!({"model": format!("a/{model}"), "messages": [{"role": "user", "content": "Hello"}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn answer(input: u64, output: u64) -> Play {
    Play::json(
        200,
        json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}
        })
        .to_string(),
    )
}

fn event(text: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

impl Bank {
    /// Settled, leased, uncertain in all accounts of a budget, once all is journaled.
    fn sums(&self, budget: &str) -> (i64, i64, i64) {
        self.clerk.lock().unwrap().step();
        let filter = AccountFilter { budget: Some(budget.into()), ..AccountFilter::default() };
        let rows = self.store.accounts(&filter).unwrap();
        let sum = |of: fn(&AccountRow) -> Money| rows.iter().map(|row| of(row).nanos()).sum();
        (sum(|row| row.settled), sum(|row| row.leased), sum(|row| row.uncertain))
    }

    fn settled(&self) -> i64 {
        self.sums("b").0
    }

    /// What is held for requests under way.
    fn held(&self) -> i64 {
        self.purse.book().accounts().iter().map(|account| account.view().held.nanos()).sum()
    }

    async fn ask(&self, body: String) -> Heard {
        self.stage.ask(body).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_charged_once_and_the_rest_goes_back() {
    let bank = one(&[budget(1_000_000_000)]);
    bank.stage.script.then("a", answer(1_000, 200));
    let heard = bank.ask(ask(SMALL, &json!({}))).await;
    assert_eq!(heard.status, 200);
    assert!(!heard.headers.contains_key("x-lockgate-output-limit"));
    let record = bank.stage.record();
    // 1,000 x 15 cents and 200 x 60 cents a million.
    assert_eq!(record.cost, Some(Money::from_nanos(150_000 + 120_000)));
    assert_eq!((bank.settled(), bank.held()), (270_000, 0));
    let journal = bank.store.journal(record.id).unwrap();
    assert_eq!(journal.len(), 1);
    assert!(!journal[0].estimated && !journal[0].price.is_empty());
    assert_eq!(bank.settled(), 270_000, "once");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_paid_for_is_not_sent() {
    let bank = one(&[budget(10_000)]);
    let heard = bank.ask(ask(SMALL, &json!({"max_tokens": 500}))).await;
    assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::BudgetExceeded));
    assert_eq!(heard.status, 429);
    assert!(bank.stage.script.take().is_empty(), "nobody was called");
    let said = String::from_utf8_lossy(&heard.body).into_owned();
    assert!(said.contains("budget b"), "{said}");
    assert_eq!((bank.settled(), bank.held()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_as_long_as_can_be_paid_for() {
    let bank = one(&[budget(1_000_000)]);
    bank.stage.script.then("a", answer(20, 1_500));
    let body = ask(LARGE, &json!({}));
    let length = body.len() as i64;
    let heard = bank.ask(body).await;
    // $2.50 a million for each byte at most, and the rest buys output at $10.
    let affordable = (1_000_000 - length * 2_500) / 10_000;
    let limit: i64 = heard.headers["x-lockgate-output-limit"].to_str().unwrap().parse().unwrap();
    assert_eq!(limit, affordable);
    assert_eq!(heard.headers["x-lockgate-losses"], "max_completion_tokens");
    let seen = bank.stage.script.take().remove(0);
    let sent: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(sent["max_completion_tokens"], json!(limit));
    // The provider of this test does not keep to the limit. What it bills is booked all the same, and told.
    assert!(bank.settled() > 1_000_000);
    let events = bank.stage.events.take();
    assert!(events.iter().any(|event| format!("{event:?}").contains("HoldExceeded")), "{events:?}");
    let refused = bank.ask(ask(SMALL, &json!({"max_tokens": 1}))).await;
    assert_eq!(refused.status, 429, "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_forbids_losses_gets_none() {
    let bank = one(&[budget(1_000_000)]);
    let heard = bank.stage.ask_with(&[("x-lockgate-strict", "true")], ask(LARGE, &json!({}))).await;
    assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::InvalidRequest));
    assert!(bank.stage.script.take().is_empty());
    assert_eq!(bank.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_of_twelve_budgets_blocks_by_itself() {
    let by = [
        (Dimension::Key, "key_tests"),
        (Dimension::User, "u7"),
        (Dimension::Customer, "acme"),
        (Dimension::Project, "apollo"),
        (Dimension::Team, "search"),
        (Dimension::Organisation, "initech"),
        (Dimension::Feature, "mail"),
        (Dimension::Tag, "night"),
        (Dimension::Route, "a/gpt-4o-mini"),
        (Dimension::Model, SMALL),
        (Dimension::Provider, "a"),
    ];
    let named = |(dimension, value): (Dimension, &str), limit: i64| Budget {
        selector: Selector::new([(dimension, vec![value.into()])]),
        ..sample::budget(dimension.code(), limit)
    };
    for empty in 0..=by.len() {
        let limit = |at: usize| if at == empty { 100 } else { 1_000_000_000 };
        let mut budgets: Vec<Budget> =
            by.iter().enumerate().map(|(at, one)| named(*one, limit(at))).collect();
        budgets.push(sample::budget("all", limit(by.len())));
        let mut set = Set::of([provider("a")]);
        let fixed = [("team", "search"), ("organisation", "initech")];
        set.keys[0].metadata = fixed.map(|(name, value)| (name.into(), value.into())).into();
        let bank = bank(set, &budgets);
        bank.stage.script.then("a", answer(10, 10));
        let headers = [
            ("x-lockgate-customer", "acme"),
            ("x-lockgate-project", "apollo"),
            ("x-lockgate-feature", "mail"),
            ("x-lockgate-tags", "night,day"),
        ];
        let heard = bank.stage.ask_with(&headers, ask(SMALL, &json!({"user": "u7", "max_tokens": 50}))).await;
        let name = by.get(empty).map_or("all", |(dimension, _)| dimension.code());
        let said = String::from_utf8_lossy(&heard.body).into_owned();
        assert!(heard.status == 429 && said.contains(&format!("budget {name}")), "{name}: {said}");
        assert!(bank.stage.script.take().is_empty());
        assert_eq!(bank.held(), 0, "all or none");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dearer_target_is_passed_over() {
    let set = Set::of([provider("a"), provider("b")]);
    let targets = [("a", LARGE), ("b", SMALL)];
    let targets = targets.map(|(provider, model)| Target { provider: provider.into(), model: model.into() });
    let bank = bank(Set { routes: vec![Route::ordered("bot", targets)], ..set }, &[budget(300_000)]);
    bank.stage.script.then("b", answer(10, 10));
    let body = json!({"model": "bot", "max_tokens": 100, "messages": [{"role": "user", "content": "x".repeat(200)}]});
    let heard = bank.ask(body.to_string()).await;
    assert_eq!((heard.status, &heard.headers["x-lockgate-target"]), (200, &"b/gpt-4o-mini".parse().unwrap()));
    let record = bank.stage.record();
    assert_eq!(record.attempts[0].error, Some(Kind::BudgetExceeded));
    assert_eq!(bank.settled(), record.cost.unwrap().nanos());
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_sends_requests_to_a_cheaper_route() {
    let at_limit = AtLimit::Downgrade { route: "cheap".into() };
    let cheap = Route::ordered("cheap", [Target { provider: "a".into(), model: SMALL.into() }]);
    let set = Set { routes: vec![cheap], ..Set::of([provider("a")]) };
    let bank = bank(set, &[Budget { at_limit, ..budget(100_000) }]);
    bank.stage.script.then("a", answer(1_000, 1_000));
    let heard = bank.ask(ask(LARGE, &json!({"max_tokens": 1_000}))).await;
    assert_eq!(heard.headers["x-lockgate-target"], "a/gpt-4o-mini");
    // Counted by the budget, beyond its limit.
    assert_eq!(bank.settled(), 150_000 + 600_000);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_stops_every_target_of_the_dear_route() {
    let at_limit = AtLimit::Downgrade { route: "cheap".into() };
    let target = |provider: &str, model: &str| Target { provider: provider.into(), model: model.into() };
    let dear = Route::ordered("dear", [target("a", LARGE), target("b", LARGE)]);
    let cheap = Route::ordered("cheap", [target("a", SMALL)]);
    let set = Set { routes: vec![dear, cheap], ..Set::of([provider("a"), provider("b")]) };
    let bank = bank(set, &[Budget { at_limit, ..budget(100_000) }]);
    bank.stage.script.then("a", answer(10, 10));
    let heard = bank.ask(ask(LARGE, &json!({"model": "dear", "max_tokens": 1_000}))).await;
    assert_eq!(heard.headers["x-lockgate-target"], "a/gpt-4o-mini");
    assert_eq!(bank.stage.script.take().len(), 1, "the second of the dear route was not called either");
    assert_eq!(bank.settled(), 10 * 150 + 10 * 600);
}

#[tokio::test(start_paused = true)]
async fn a_slowed_budget_lets_one_pass_and_says_when_the_next_may() {
    let at_limit = AtLimit::Throttle { per_minute: 6 };
    let bank = one(&[Budget { at_limit, ..budget(100) }]);
    bank.stage.script.then("a", answer(10, 10));
    bank.stage.script.then("a", answer(10, 10));
    assert_eq!(bank.ask(ask(SMALL, &json!({"max_tokens": 100}))).await.status, 200);
    let heard = bank.ask(ask(SMALL, &json!({"max_tokens": 100}))).await;
    assert_eq!(heard.status, 429);
    bank.stage.clock.advance(Duration::from_secs(11));
    assert_eq!(bank.ask(ask(SMALL, &json!({"max_tokens": 100}))).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_only_alerts_counts_on() {
    let bank = one(&[Budget { at_limit: AtLimit::Alert, thresholds: vec![50, 100], ..budget(1_000) }]);
    bank.stage.script.then("a", answer(1_000, 200));
    assert_eq!(bank.ask(ask(SMALL, &json!({}))).await.status, 200);
    assert_eq!(bank.settled(), 270_000);
    let events = bank.stage.events.take();
    let crossed = events.iter().filter(|event| format!("{event:?}").contains("BudgetCrossed")).count();
    assert_eq!(crossed, 2, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_price_is_not_sent_where_a_limit_must_hold() {
    let bank = one(&[budget(1_000_000_000)]);
    let heard = bank.ask(ask("nobody-knows-this", &json!({}))).await;
    let said = String::from_utf8_lossy(&heard.body).into_owned();
    assert!(heard.status == 429 && said.contains("price of a/nobody-knows-this"), "{said}");
    let alert = one(&[Budget { at_limit: AtLimit::Alert, ..budget(1_000) }]);
    alert.stage.script.then("a", answer(10, 10));
    assert_eq!(alert.ask(ask("nobody-knows-this", &json!({}))).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_costs_nothing_and_silence_what_it_may_have_cost() {
    let set = || Set::of([provider("a"), provider("b")]);
    let both = || {
        let targets = ["a", "b"].map(|provider| Target { provider: provider.into(), model: SMALL.into() });
        Route { settings: route("x", &[], 0).settings, ..Route::ordered("both", targets) }
    };
    let body = || ask(SMALL, &json!({"model": "both", "max_tokens": 100}));
    let refused = bank(Set { routes: vec![both()], ..set() }, &[budget(1_000_000_000)]);
    refused.stage.script.then("a", Play::json(500, r#"{"error":{"message":"no"}}"#));
    refused.stage.script.then("b", answer(10, 10));
    assert_eq!(refused.ask(body()).await.status, 200);
    assert_eq!(refused.settled(), 10 * 150 + 10 * 600);

    let silent = bank(Set { routes: vec![both()], ..set() }, &[budget(1_000_000_000)]);
    silent.stage.script.then("a", Play::refuse(builder::broken()));
    silent.stage.script.then("b", answer(10, 10));
    assert_eq!(silent.ask(body()).await.status, 200);
    let record = silent.stage.record();
    // The first may have been read and answered: the request's own limit is what counts, as nothing was learned yet.
    let (first, second) = (record.attempts[0].cost.unwrap(), record.attempts[1].cost.unwrap());
    assert!(first.nanos() >= 100 * 600, "{first}");
    assert_eq!(second.nanos(), 10 * 150 + 10 * 600);
    assert_eq!(silent.settled(), record.cost.unwrap().nanos());
    assert_eq!(record.cost, first.checked_add(second));
    assert_eq!(silent.held(), 0);
    let estimated: Vec<bool> =
        silent.store.journal(record.id).unwrap().iter().map(|it| it.estimated).collect();
    assert_eq!(estimated, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_pays_for_what_came() {
    let bank = one(&[budget(1_000_000_000)]);
    let first = event(&"word ".repeat(100));
    bank.stage.script.then("a", Play::stream([first.into()]).hang());
    let body = ask(SMALL, &json!({"stream": true}));
    let mut reply = bank.stage.chat(body).await.unwrap();
    assert!(piece(&mut reply.body).await.is_some());
    assert!(bank.held() > 0);
    drop(reply);
    let record = bank.stage.record();
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert!(record.cost.unwrap().nanos() >= 125 * 600);
    assert_eq!((bank.settled(), bank.held()), (record.cost.unwrap().nanos(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_the_answer_pays_for_what_is_likely() {
    let bank = one(&[budget(1_000_000_000)]);
    bank.stage.script.then("a", Play::silence());
    let asking = bank.stage.chat(ask(SMALL, &json!({"max_tokens": 40})));
    assert!(tokio::time::timeout(Duration::from_secs(1), asking).await.is_err());
    let record = bank.stage.record();
    assert_eq!(record.usage.map(|usage| (usage.output, usage.reported())), Some((40, false)));
    assert_eq!((bank.settled(), bank.held()), (record.cost.unwrap().nanos(), 0));
}

#[tokio::test(start_paused = true)]
async fn every_part_of_a_stream_that_goes_on_elsewhere_is_paid_for() {
    let set = Set::of([provider("a"), provider("b")]);
    let targets = ["a", "b"].map(|provider| Target { provider: provider.into(), model: SMALL.into() });
    let mut both = Route::ordered("both", targets);
    both.settings.on_break = Some(OnBreak::Continue);
    let bank = bank(Set { routes: vec![both], ..set }, &[budget(1_000_000_000)]);
    bank.stage.script.then("a", Play::stream([event("Once upon ").into()]).fail(builder::broken()));
    let end = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}});
    let rest = format!("{}data: {end}\n\ndata: [DONE]\n\n", event("a time"));
    bank.stage.script.then("b", Play::stream([rest.into()]));
    let heard = bank.ask(ask(SMALL, &json!({"model": "both", "stream": true}))).await;
    assert!(String::from_utf8_lossy(&heard.body).contains("a time"));
    let record = bank.stage.record();
    assert_eq!(record.outcome, Outcome::Ok);
    let parts: i64 = record.attempts.iter().map(|attempt| attempt.cost.unwrap().nanos()).sum();
    assert_eq!((bank.settled(), bank.held()), (parts, 0));
    assert_eq!(record.cost.unwrap().nanos(), parts);
    assert_eq!(bank.store.journal(record.id).unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_beside_a_slow_one_is_paid_for() {
    let set = Set::of([provider("a"), provider("b")]);
    let targets = ["a", "b"].map(|provider| Target { provider: provider.into(), model: SMALL.into() });
    let mut both = Route::ordered("both", targets);
    both.settings.hedge = Some(Hedge::After(Duration::from_millis(50)));
    let bank = bank(Set { routes: vec![both], ..set }, &[budget(1_000_000_000)]);
    let end = "data: [DONE]\n\n";
    let stream = || Play::stream([format!("{}{end}", event("Hi")).into()]);
    // So many are earned before one may be spent.
    for _ in 0..30 {
        bank.stage.script.then("a", stream());
        let _ = bank.ask(ask(SMALL, &json!({"model": "both", "stream": true}))).await;
    }
    bank.stage.records.take();
    let before = bank.settled();
    bank.stage.script.then("a", stream().late(Duration::from_secs(5)));
    bank.stage.script.then("b", stream());
    let _ = bank.ask(ask(SMALL, &json!({"model": "both", "stream": true}))).await;
    let record = bank.stage.record();
    assert_eq!(record.attempts.len(), 2, "{record:#?}");
    let parts: i64 = record.attempts.iter().map(|attempt| attempt.cost.unwrap().nanos()).sum();
    assert_eq!((bank.settled() - before, bank.held()), (parts, 0));
}

#[tokio::test(start_paused = true)]
async fn a_steady_flow_of_requests_asks_no_store() {
    let bank = one(&[
        budget(1_000_000_000_000),
        Budget { per: Some(Dimension::User), ..sample::budget("c", 1_000_000_000) },
    ]);
    let go = async |count: usize| {
        for _ in 0..count {
            bank.stage.script.then("a", answer(10, 10));
            let heard = bank.ask(ask(SMALL, &json!({"user": "u", "max_tokens": 100}))).await;
            assert_eq!(heard.status, 200);
        }
    };
    // Between two exchanges there are always about as many; the first time that is learned.
    let calls = || bank.store.calls.load(Ordering::Relaxed);
    let mut asked = Vec::new();
    for _ in 0..12 {
        let before = calls();
        go(20).await;
        asked.push(calls() - before);
        bank.clerk.lock().unwrap().step();
    }
    assert_eq!(asked[2..], [0; 10], "leases are taken ahead of need");
    assert_eq!(bank.settled(), 240 * (1_500 + 6_000));
}

#[tokio::test(start_paused = true)]
async fn without_the_store_a_budget_does_what_it_says() {
    let open = lockgate_ledger::OnOutage::Open;
    for (on_outage, wanted) in [(lockgate_ledger::OnOutage::Closed, 503), (open, 200)] {
        let bank = one(&[Budget { on_outage, ..budget(1_000_000_000) }]);
        bank.stage.script.then("a", answer(10, 10));
        assert_eq!(bank.ask(ask(SMALL, &json!({"max_tokens": 10}))).await.status, 200);
        bank.store.away.store(true, Ordering::Relaxed);
        assert!(!bank.clerk.lock().unwrap().step());
        // More than the lease covers.
        bank.stage.script.then("a", answer(10, 10));
        let heard = bank.ask(ask(LARGE, &json!({"max_tokens": 16_000}))).await;
        assert_eq!(heard.status, wanted);
        bank.store.away.store(false, Ordering::Relaxed);
        assert!(bank.clerk.lock().unwrap().step());
        bank.stage.script.then("a", answer(10, 10));
        assert_eq!(bank.ask(ask(SMALL, &json!({"max_tokens": 10}))).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_closes_leaves_nothing_behind() {
    let bank = one(&[budget(1_000_000_000)]);
    bank.stage.script.then("a", answer(10, 10));
    let _ = bank.ask(ask(SMALL, &json!({}))).await;
    let Bank { stage, purse, store, clerk } = bank;
    drop((stage, purse));
    assert!(clerk.lock().unwrap().close());
    let rows = store.accounts(&AccountFilter::default()).unwrap();
    let sums: Vec<_> =
        rows.iter().map(|row| (row.settled.nanos(), row.leased.nanos(), row.uncertain.nanos())).collect();
    assert_eq!(sums, [(7_500, 0, 0)]);
    assert!(store.nodes().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn vectors_are_paid_for_as_well() {
    use lockgate_dialect::operation::Operation;
    use lockgate_engine::{Errand, Task, simple};
    let bank = one(&[budget(100)]);
    let errand = |stage: &Stage| Errand {
        id: RequestId::new(1),
        arrived: lockgate_core::Tick(0),
        task: Task::Model(Operation::Embeddings, None),
        method: http::Method::POST,
        query: None,
        headers: stage.inbound(&[("authorization", "Bearer lg-test-key")]).headers,
    };
    let body = json!({"model": "a/text-embedding-3-small", "input": "x".repeat(10_000)}).to_string();
    let reply = simple(&bank.stage.engine, errand(&bank.stage), async { Ok(body.into()) }).await;
    assert_eq!(reply.map(|_| ()).unwrap_err().kind(), Kind::BudgetExceeded);
    assert!(bank.stage.script.take().is_empty());
}

// === the store ===

impl Counting {
    fn asked(&self) -> Result<&Mutex<Vault>, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::gateway(Kind::Internal, "the store is away"));
        }
        Ok(&self.vault)
    }
}

impl LedgerStore for Counting {
    fn open_node(&self, name: &str, now_ms: u64) -> Result<Epoch, Error> {
        self.asked()?.open_node(name, now_ms)
    }
    fn exchange(&self, exchange: &Exchange) -> Result<Answer, Error> {
        self.asked()?.exchange(exchange)
    }
    fn close_node(&self, epoch: Epoch, now_ms: u64) -> Result<(), Error> {
        self.asked()?.close_node(epoch, now_ms)
    }
    fn fence(&self, silent_since_ms: u64, now_ms: u64) -> Result<Vec<Epoch>, Error> {
        self.asked()?.fence(silent_since_ms, now_ms)
    }
    fn reconcile(&self, reconcile: &Reconcile) -> Result<Money, Error> {
        self.asked()?.reconcile(reconcile)
    }
    fn adjust(&self, adjustment: &Adjustment) -> Result<bool, Error> {
        self.asked()?.adjust(adjustment)
    }
    fn budgets(&self) -> Result<Budgets, Error> {
        self.asked()?.budgets()
    }
    fn budget_revision(&self) -> Result<u64, Error> {
        self.asked()?.budget_revision()
    }
    fn put_budget(&self, budget: &Budget) -> Result<bool, Error> {
        self.asked()?.put_budget(budget)
    }
    fn remove_budget(&self, id: &str) -> Result<bool, Error> {
        self.asked()?.remove_budget(id)
    }
    fn put_increase(&self, increase: &Increase) -> Result<(), Error> {
        self.asked()?.put_increase(increase)
    }
    fn remove_increase(&self, id: &str) -> Result<bool, Error> {
        self.asked()?.remove_increase(id)
    }
    fn accounts(&self, filter: &AccountFilter) -> Result<Vec<AccountRow>, Error> {
        self.asked()?.accounts(filter)
    }
    fn leases(&self) -> Result<Vec<LeaseRow>, Error> {
        self.asked()?.leases()
    }
    fn nodes(&self) -> Result<Vec<NodeRow>, Error> {
        self.asked()?.nodes()
    }
    fn crossings(&self, after: i64, most: usize) -> Result<Vec<Crossing>, Error> {
        self.asked()?.crossings(after, most)
    }
    fn journal(&self, request: RequestId) -> Result<Vec<Entry>, Error> {
        self.asked()?.journal(request)
    }
    fn forget_ledger_before(&self, wall_ms: u64) -> Result<u64, Error> {
        self.asked()?.forget_ledger_before(wall_ms)
    }
}
