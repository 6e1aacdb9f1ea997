//! The language of routes, policies and their tests: what a good text means, and what is said of a bad one.

#![allow(clippy::unwrap_used, reason = "all of it is tests, also what stands beside their functions")]

use lockgate_config::{
    Ability, CaseBreaker, Condition, ConditionFault, Config, Diagnostic, Dollars, Factor, Known, Missing,
    OnBreak, Percent, PolicyMode, Score, ScoreMode, StickyBy, Target, Use, Wildcard, load, locate,
};
use lockgate_core::Kind;
use serde_json::json;

/// Stands for the language of conditions: refuses what holds the word "wrong".
fn conditions(text: &str) -> Vec<ConditionFault> {
    let fault =
        |at| ConditionFault { at, message: "this is wrong".to_owned(), hint: Some("be right".to_owned()) };
    text.find("wrong").map(fault).into_iter().collect()
}

const KNOWN: Known<'_> = Known {
    providers: &["openai", "anthropic", "gemini", "demo"],
    benchmarks: &["swe-bench-verified", "gpqa-diamond"],
    conditions,
};

fn env(name: &str) -> Option<String> {
    match name {
        "HOOK" => Some("https://hooks.example.com/hidden?team=ops".to_owned()),
        "ADMIN" => Some("let-me-in".to_owned()),
        "OPENAI_API_KEY" => Some("sk-hidden".to_owned()),
        "RULE" => Some("wrong".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> (Option<Config>, String) {
    let (config, found) = load(text, &env, &KNOWN);
    (config, found.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))
}

fn target(name: &str) -> Target {
    let (provider, model) = name.split_once('/').unwrap();
    Target { provider: provider.into(), model: model.into() }
}

fn branch(name: &str) -> Use {
    Use::Target(target(name))
}

fn full() -> Config {
    let (config, said) = read(include_str!("full.yaml"));
    assert_eq!(
        said,
        "90:67: warning: routes.support-bot.use.score.benchmarks.my-evals: no scores are known of a benchmark \"my-evals\"\n  hint: import them: lockgate evals import FILE --name my-evals"
    );
    config.unwrap()
}

#[test]
fn a_route_holds_rules_a_tree_of_strategies_fallbacks_and_demands() {
    let config = full();
    let [_, _, long, bot] = config.routes.as_slice() else { panic!() };
    let Use::Latency(latency) = &long.branch else { panic!() };
    let branches = &latency.candidates;
    assert_eq!(branches[0], branch("gemini/gemini-2.5-pro"));
    assert_eq!(branches[1], Use::LeastBusy(vec![branch("openai/gpt-4.1"), branch("backup/claude")]));

    let [free, large] = bot.when.as_slice() else { panic!() };
    assert_eq!((free.name.as_deref(), large.name.as_deref()), (Some("free tier"), None));
    assert_eq!(free.condition, Condition("customer.tier == \"free\"".into()));
    assert_eq!(free.on_error, Some(Use::Ordered(vec![branch("my-vllm/qwen3")])));
    assert_eq!(large.branch, Use::Route("long-context".into()));

    let Use::Score(score) = &bot.branch else { panic!() };
    let Score { candidates, benchmarks, weigh, mode, value, missing, .. } = &**score;
    assert_eq!(candidates[0], Use::Wildcard(Wildcard { provider: "backup".into(), model: "*".into() }));
    assert!(matches!(&candidates[2], Use::Weighted(shares) if shares[1].weight == Factor(500_000)));
    assert_eq!(benchmarks.0[0], ("swe-bench-verified".to_owned(), Factor(500_000)));
    assert_eq!((weigh.quality, *mode), (Factor(1_500_000), ScoreMode::Dollars));
    assert_eq!((*value, *missing), (Some(Dollars(250_000_000)), Missing::Impute));
    assert_eq!(score.exploration.share, Percent(10_000));

    assert_eq!(bot.fallback.content_policy, Some(Vec::new()));
    assert_eq!(bot.fallback.rate_limit, Some(vec![Use::Route("fast".into())]));
    assert_eq!(bot.require.region.0, ["eu", "us-east-1"]);
    assert_eq!(bot.require.capabilities, [Ability::Tools]);
    assert_eq!(bot.require.max_price.output, Some(Dollars(15_500_000_000)));
    assert_eq!(bot.stream.on_break, Some(OnBreak::Continue));
    assert_eq!(bot.strict, Some(true));
    assert!(bot.hedge.as_ref().is_some_and(|hedge| hedge.enabled));
    let Some(Use::Complexity(degrees)) = &bot.shadow else { panic!() };
    assert_eq!((degrees.simple_below, degrees.complex_from), (Factor(300_000), Factor(700_000)));
    assert!(matches!(&degrees.medium, Some(Use::Sticky(sticky)) if sticky.by == StickyBy::Customer));
}

#[test]
fn policies_and_tests_are_read_as_they_are_written() {
    let config = full();
    let [policy] = config.policies.as_slice() else { panic!() };
    assert_eq!(policy.audience.customers, ["acme", "bmw-*"]);
    assert_eq!(policy.allow.models[1].0, "*/gpt-4.1");
    assert_eq!(policy.allow.regions.0, ["eu"]);
    assert_eq!(policy.mode, PolicyMode::Shadow);
    assert!(policy.require.no_training);

    let [free, much] = config.tests.as_slice() else { panic!() };
    let body = json!({"model": "support-bot", "messages": [{"role": "user", "content": "Hi"}], "stream": true, "max_tokens": 100});
    assert_eq!(serde_json::Value::Object(free.request.0.clone()), body);
    assert_eq!(free.metadata.0, [("tier".to_owned(), "free".to_owned())]);
    assert_eq!(free.state.0[0].0, target("openai/gpt-4.1-mini"));
    assert_eq!(free.state.0[0].1.breaker, CaseBreaker::Open);
    assert_eq!(free.expect.winner, Some(target("my-vllm/qwen3")));
    assert_eq!(free.expect.excluded.0[0].1.map(lockgate_core::Exclusion::code), Some("breaker_open"));
    assert_eq!(free.expect.excluded.0[1].1, None);
    assert_eq!(much.expect.error.map(|kind| kind.0), Some(Kind::NoTarget));
}

#[test]
fn every_mistake_in_a_route_is_said_at_once_and_in_its_place() {
    let (config, said) = read(
        r#"providers: { demo: , openai: { api_key: "${OPENAI_API_KEY}" } }
routes:
  a:
    when:
      - if: wrong == 1
        use: demo/x
      - { if: "tags == wrong", use: { route: nowhere } }
      - { if: "${RULE}", use: demo/x, name: n }
      - { use: demo/x, name: n }
    use:
      score:
        candidates: [demo/*, opnai/gpt-5]
        benchmarks: { swe-bench-verfied: 0, own: 1 }
        weigh: { quality: -1 }
        value: 2
    fallback: { any: [x], contextwindow: [] }
    require: { region: e u, capabilities: [tool], max_price: { input: "1" } }
    timeout: 3s
    timeouts: { total: 4s }
  b: { use: { route: c } }
  c: { use: { ordered: [demo/x, { cost: [{ route: b }] }] } }
  d: { use: { weighted: { demo/x: 0, demo/y: 1 } } }
  e: { use: { complexity: { simple: demo/x, complex: demo/y, simple_below: 0.8 } }, require: { capabilities: [tool_choice] } }
  f: { use: { least_busy: [demo/x] } }
  g: { use: { weighted: {} } }
  h: { use: { route: h } }
"#,
    );
    assert!(config.is_none());
    assert_eq!(
        said,
        r#"4:5: error: routes.a.when: rule 4 has the name of a rule before it
5:13: error: routes.a.when[0].if: this is wrong
  hint: be right
7:24: error: routes.a.when[1].if: this is wrong
  hint: be right
7:46: error: routes.a.when[1].use.route: there is no route "nowhere"
8:15: error: routes.a.when[2].if: the value with ${RULE} is no condition
9:9: error: routes.a.when[3]: "if" is missing
12:30: error: routes.a.use.score.candidates[1]: there is no provider "opnai"
  hint: did you mean "openai"?
13:23: error: routes.a.use.score.benchmarks.swe-bench-verfied: no scores are known of a benchmark "swe-bench-verfied"
  hint: did you mean "swe-bench-verified"?
13:42: error: routes.a.use.score.benchmarks.swe-bench-verfied: a weight must be larger than 0
  hint: leave out what does not count
13:45: warning: routes.a.use.score.benchmarks.own: no scores are known of a benchmark "own"
  hint: import them: lockgate evals import FILE --name own
14:27: error: routes.a.use.score.weigh.quality: "-1" is negative
  hint: write it like 1 or 0.25, with at most 6 decimals
15:16: error: routes.a.use.score.value: has a meaning for "mode: dollars" only
  hint: set mode: dollars
16:23: error: routes.a.fallback.any[0]: "x" is not a target
  hint: write PROVIDER/MODEL, such as openai/gpt-4.1; another route is { route: NAME }
16:27: error: unknown field "contextwindow" in routes.a.fallback
  hint: did you mean "context_window"?
17:24: error: routes.a.require.region: "e u" is not a region
  hint: write it like eu, us or eu-west-1
17:44: error: routes.a.require.capabilities[0]: "tool" is not tools, parallel_tools, tool_choice, structured_output, system_messages, vision, reasoning, prompt_cache, web_search, pdf, audio_input, audio_output, video_input, computer_use or prefill
  hint: did you mean "tools"?
17:71: error: routes.a.require.max_price.input: expected dollars, found text in quotes
18:14: error: routes.a.timeout: says the same as timeouts.total
  hint: leave one of them out
21:51: error: routes.c.use.ordered[1].cost[0].route: route "c" would use itself by way of "b"
22:35: error: routes.d.use.weighted.demo/x: a weight must be larger than 0
  hint: leave out what is never to be used
23:76: error: routes.e.use.complexity.simple_below: simple_below is larger than complex_from
23:110: error: routes.e.require.capabilities: tool_choice cannot be demanded
  hint: the gateway says a request so that every model of conversation takes it
24:15: error: routes.f.use: "least_busy" is not a strategy
  hint: did you mean "least-busy"?
25:25: error: routes.g.use.weighted: needs at least one target
26:22: error: routes.h.use.route: route "h" would use itself by way of "h""#
    );
}

#[test]
fn mistakes_in_policies_and_tests_have_their_hints() {
    let (_, said) = read(
        r#"providers: { demo: }
policies:
  p: { for: { customers: [a] } }
  q: { allow: { models: [gpt-5] }, mode: off }
tests:
  t: { request: { model: x } }
  u: { request: { model: x }, expect: {} }
  v: { request: 5, expect: { winner: nope/x, excluded: { demo/y: breaker_opn }, error: no_targets } }
  w: { request: { model: x }, state: { demo/x: { breaker: ajar } }, expect: { rule: r } }
"#,
    );
    assert_eq!(
        said,
        r#"3:13: warning: policies.p: refuses nothing
  hint: add allow, deny or require
4:26: error: policies.q.allow.models[0]: "gpt-5" is not a model of a provider
  hint: write PROVIDER/MODEL, such as openai/*; of any provider: "*/gpt-5"
4:42: error: policies.q.mode: "off" is not enforce or shadow
6:6: error: tests.t: "expect" is missing
7:39: error: tests.u.expect: expects nothing
  hint: add winner, order, excluded, rule or error
8:17: error: tests.v.request: expected a mapping, found text
8:38: error: tests.v.expect.winner: there is no provider "nope"
  hint: the providers are demo
8:66: error: tests.v.expect.excluded.demo/y: "breaker_opn" is not the code of an exclusion
  hint: did you mean "breaker_open"?
8:88: error: tests.v.expect.error: "no_targets" is not a kind of error
  hint: did you mean "no_target"?
9:59: error: tests.w.state.demo/x.breaker: "ajar" is not closed or open"#
    );
}

#[test]
fn a_place_in_a_list_is_found() {
    let text = "routes:\n  a:\n    use:\n      - demo/x\n      - demo/*\n";
    assert_eq!(locate(text, &["routes", "a", "use", "[1]"]), Some((5, 9)));
    assert_eq!(locate(text, &["routes", "a", "use", "[2]"]), None);
}
