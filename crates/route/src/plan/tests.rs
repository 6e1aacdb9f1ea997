use std::sync::Arc;

use lockgate_core::record::Target;
use lockgate_core::upstream::{Reach, Timeouts};
use lockgate_core::{Exclusion, Matched, Standing, Tick, Upstream};

use super::Plan;
use crate::{Registry, Route, Settings, Table};

fn upstream(name: &str, models: &[&str], claims: &'static [&'static str]) -> Arc<Upstream> {
    Arc::new(Upstream {
        name: name.into(),
        catalog: name.into(),
        speaks: Vec::new(),
        credentials: Vec::new(),
        reach: Reach::Demo,
        timeouts: Timeouts::default(),
        max_answer: 1 << 20,
        models: models.iter().map(|m| Arc::from(*m)).collect(),
        claims,
    })
}

fn table() -> Table {
    let target = |provider: &str| Target { provider: provider.into(), model: "m".into() };
    let route = Route::ordered("bot", [target("a"), target("b")]);
    let upstreams = vec![upstream("a", &["listed"], &[]), upstream("b", &["listed", "own"], &["claimed-*"])];
    Table::new(3, upstreams, [route], Arc::new(Registry::default()))
}

fn names(plan: &Plan) -> Vec<String> {
    plan.endpoints.iter().map(|e| format!("{}/{}", e.target.provider, e.target.model)).collect()
}

fn plan(table: &Table, name: &str) -> Option<Plan> {
    table.resolve(&name.into()).map(|found| Plan::ordered(&found, Tick(0), &Settings::default()))
}

#[test]
fn a_name_is_a_route_a_target_or_a_model() {
    let table = table();
    let found = |name: &str| plan(&table, name).map(|plan| (plan.decision.matched, names(&plan)));
    assert_eq!(found("bot"), Some((Matched::Route, vec!["a/m".into(), "b/m".into()])));
    assert_eq!(found("b/org/model"), Some((Matched::Direct, vec!["b/org/model".into()])));
    assert_eq!(found("listed"), Some((Matched::Plain, vec!["a/listed".into()])));
    assert_eq!(found("own"), Some((Matched::Plain, vec!["b/own".into()])));
    assert_eq!(found("claimed-7"), Some((Matched::Plain, vec!["b/claimed-7".into()])));
    assert_eq!(found("nobody"), None);
    assert_eq!(found("c/m"), None);
    assert_eq!(found("a/"), None);
}

#[test]
fn what_is_out_of_rotation_is_passed_over_and_said_to_be() {
    let (table, settings) = (table(), Settings::default());
    let found = table.resolve(&"bot".into()).unwrap();
    for _ in 0..5 {
        found.endpoints[0].breaker.failure(Tick(0), &settings);
    }
    let first = Plan::ordered(&found, Tick(1), &settings);
    assert_eq!(names(&first), ["b/m"]);
    assert_eq!(first.decision.candidates[0].standing, Standing::Excluded(Exclusion::BreakerOpen));
    assert_eq!(first.decision.candidates[1].standing, Standing::Eligible);
}

#[test]
fn when_all_are_out_the_one_that_returns_first_is_tried() {
    let (table, settings) = (table(), Settings::default());
    let found = table.resolve(&"bot".into()).unwrap();
    for _ in 0..5 {
        found.endpoints[0].breaker.failure(Tick(1), &settings);
        found.endpoints[1].breaker.failure(Tick(0), &settings);
    }
    assert_eq!(names(&Plan::ordered(&found, Tick(1), &settings)), ["b/m"]);
}

#[test]
fn health_outlives_a_snapshot() {
    let registry = Arc::new(Registry::default());
    let of = |version| Table::new(version, vec![upstream("a", &[], &[])], [], Arc::clone(&registry));
    let name = "a/m".into();
    let (old, new) = (of(1).resolve(&name).unwrap(), of(2).resolve(&name).unwrap());
    assert!(Arc::ptr_eq(&old.endpoints[0].breaker, &new.endpoints[0].breaker));
}
