//! What passes through to a provider is under its policies too.

use std::sync::Arc;

use http::Method;
use lockgate_catalog::Catalog;
use lockgate_core::Kind;
use lockgate_core::decision::Incident;
use lockgate_engine::{KeyTable, Snapshot};
use lockgate_route::policy::{Audience, Policies, PolicyRule, Selection};
use lockgate_route::{Ask, Condition, Registry, Require, Table};
use lockgate_testkit::{Noted, Play, builder};

use crate::errands::{kept, through};
use crate::stage::{HELLO, Set, Stage};

/// A condition that cannot be evaluated.
#[derive(Debug)]
struct Broken;

impl Condition for Broken {
    fn evaluate(&self, _: &Ask<'_>) -> Result<bool, Incident> {
        Err(Incident { at: "p".into(), why: "no such key".into() })
    }
}

/// A stage with the providers `a` and `b`, under a policy that forbids these.
fn under(deny: Selection, condition: Option<Arc<dyn Condition>>) -> Stage {
    let stage = Set::of([builder::upstream("unused")]).patient().stage();
    let rule = PolicyRule {
        name: "p".into(),
        audience: Audience::default(),
        condition,
        allow: Selection::default(),
        deny,
        require: Require::default(),
        on_trial: false,
    };
    let upstreams = ["a", "b"].map(|name| Arc::new(builder::upstream(name))).into();
    let policies = Arc::new(Policies::new([rule]));
    let knowledge = Arc::new(lockgate_route::Nothing);
    let table = Table::informed(1, upstreams, [], Arc::new(Registry::default()), knowledge, Some(policies));
    stage.engine.state.snapshot.store(Arc::new(Snapshot {
        attribution: Arc::default(),
        table: Arc::new(table),
        keys: Arc::new(KeyTable::new([builder::key(builder::KEY)])),
        catalog: Arc::new(Catalog::empty()),
    }));
    stage
}

fn denying(models: &[&str], providers: &[&str]) -> Selection {
    let texts = |list: &[&str]| list.iter().map(|text| Arc::from(*text)).collect();
    Selection { models: texts(models), providers: texts(providers), regions: Vec::new() }
}

#[tokio::test]
async fn a_provider_that_is_denied_is_not_passed_through_to() {
    let whole = || denying(&[], &["a"]);
    let one_model = || denying(&["a/secret"], &[]);
    for deny in [whole(), one_model()] {
        let stage = under(deny, None);
        // Which model a file or a batch is for, the path does not say: in doubt, none of them.
        for sent in [
            through(Method::GET, "a", "/v1/anything", ""),
            kept(Method::GET, "/files").with("x-lockgate-provider", "a"),
        ] {
            let heard = sent.to(&stage).await;
            assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::PermissionDenied));
        }
        assert!(stage.script.take().is_empty());
        stage.script.then("b", Play::json(200, "{}"));
        assert_eq!(through(Method::GET, "b", "/v1/anything", "").to(&stage).await.status, 200);
        assert_eq!(stage.script.take().len(), 1);
    }
}

#[tokio::test]
async fn a_condition_that_fails_applies_its_policy_and_is_counted() {
    let stage = under(denying(&["a/*"], &[]), Some(Arc::new(Broken)));
    let heard = stage.ask(HELLO).await;
    assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::PermissionDenied));
    assert!(stage.script.take().is_empty());
    let counted = |it: &Noted| matches!(it, Noted::Other(text) if text.contains("RoutingIncident"));
    assert_eq!(stage.events.take().iter().filter(|it| counted(it)).count(), 1);
}
