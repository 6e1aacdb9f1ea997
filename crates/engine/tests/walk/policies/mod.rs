//! Nothing outside policy reaches a provider: over ten thousand requests in worlds that are drawn, counted at the transport, and
//! judged by a second statement of what policies mean.

mod plain;
mod through;
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lockgate_catalog::Catalog;
use lockgate_core::port::{Answer, Call, Ready, Transport};
use lockgate_core::{Candidate, Error, Exclusion, Key, Standing};
use lockgate_engine::{Engine, KeyTable, Snapshot};
use lockgate_route::policy::Policies;
use lockgate_route::{Registry, Require, Route, Table};
use lockgate_testkit::{Play, Script, builder};

use crate::stage::{Set, Stage, hear};
use plain::{Whose, forbidden, key_may, unwished, within};
use world::{Draw, Fact, MODELS, PROVIDERS, Plain, ROUTES, Said, Truth, WORDS};

const WORLDS: u64 = 1_000;
/// Requests in each.
const REQUESTS: usize = 10;

/// A provider that fails in every way as often as it answers, and is remembered by whom was called for which model.
struct Moody {
    script: Arc<Script>,
    draw: Mutex<Draw>,
    called: Mutex<Vec<(String, String)>>,
}

/// A key with what it fixes.
struct Holder {
    key: Key,
    models: Vec<&'static str>,
    /// Project, customer, user, feature.
    fixed: [Option<&'static str>; 4],
    region: Option<&'static str>,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counted {
    calls: usize,
    answered: usize,
    /// Refused before any provider was called.
    refused: usize,
    /// Candidates that a policy excluded, and those that none did.
    excluded: usize,
    eligible: usize,
}

const FIXED: [&str; 4] = ["project", "customer", "user", "feature"];
const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const TOO_LONG: &str = r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#;
const REFUSED: &str = r#"{"error":{"message":"no","code":"content_filter"}}"#;
const EVENTS: [&str; 2] = [
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
];

impl Transport for Moody {
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let name = call.upstream.name.to_string();
            let body: serde_json::Value = serde_json::from_slice(&call.body.clone().join()).unwrap();
            let model = body["model"].as_str().unwrap_or_default().to_owned();
            self.called.lock().unwrap().push((name.clone(), model));
            let mood = self.draw.lock().unwrap().0.below(8);
            let play = match mood {
                0 => Play::json(503, "{}"),
                1 => Play::json(429, "{}"),
                2 => Play::json(400, TOO_LONG),
                3 => Play::json(400, REFUSED),
                4 if call.stream => Play::stream([Bytes::from(EVENTS[0])]).fail(builder::broken()),
                _ if call.stream => Play::stream(EVENTS.map(Bytes::from)),
                _ => Play::json(200, ANSWER),
            };
            self.script.then(&name, play);
            self.script.call(call).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_outside_policy_reaches_a_provider_over_ten_thousand_requests() {
    let stage = Set::of([builder::upstream("unused")]).patient().stage();
    let moody = Arc::new(Moody { script: Script::new(), draw: Draw::of(0).into(), called: Mutex::default() });
    let state = Arc::clone(&stage.engine.state);
    let stage = Stage { engine: Engine { state, transport: moody.clone() }, ..stage };
    let mut counted = Counted::default();
    for world in 0..WORLDS {
        let mut draw = Draw::of(world);
        let truth = draw.facts();
        let policies: Vec<Plain> = (0..draw.0.below(5)).map(|number| draw.policy(number)).collect();
        let routes = ROUTES.map(|name| draw.route(name));
        let holder = Holder::of(&mut draw);
        enter(&stage, &truth, &policies, &routes, &holder);
        for number in 0..REQUESTS {
            let model = draw.model();
            let said = draw.said(model);
            let case =
                Case { policies: &policies, truth: &truth, routes: &routes, holder: &holder, said: &said };
            let error = ask(&stage, &said).await;
            let called = std::mem::take(&mut *moody.called.lock().unwrap());
            moody.script.take();
            let record = stage.record();
            let looked_at = match (&record.decision, &error) {
                (Some(decision), _) => decision.candidates.to_vec(),
                (None, Some(error)) => error.looked_at().to_vec(),
                (None, None) => Vec::new(),
            };
            if let Err(wrong) = case.judge(&called, &looked_at, error.as_ref(), &mut counted) {
                panic!(
                    "world {world}, request {number}: {wrong}\n{said:#?}\n{:#?}\n{policies:#?}",
                    case.whose()
                );
            }
        }
    }
    println!("{counted:?}");
    // Neither may be a matter of chance: most worlds let something pass, and many do not.
    assert!(counted.answered > 2_000 && counted.refused > 2_000, "{counted:?}");
    assert!(counted.calls > 5_000 && counted.excluded > 5_000 && counted.eligible > 5_000, "{counted:?}");
}

/// Puts a world in force.
fn enter(stage: &Stage, truth: &Truth, policies: &[Plain], routes: &[Route], holder: &Holder) {
    let upstream = |(at, name): (usize, &&str)| {
        Arc::new(lockgate_core::Upstream { models: vec![MODELS[at].into()], ..builder::upstream(name) })
    };
    let upstreams = PROVIDERS.iter().enumerate().map(upstream).collect();
    let policies = Policies::new(policies.iter().map(Plain::rule));
    let table = Table::informed(
        1,
        upstreams,
        routes.iter().cloned(),
        Arc::new(Registry::default()),
        Arc::new(truth.clone()),
        Some(Arc::new(policies)),
    );
    stage.engine.state.snapshot.store(Arc::new(Snapshot {
        attribution: Arc::default(),
        table: Arc::new(table),
        keys: Arc::new(KeyTable::new([holder.key.clone()])),
        catalog: Arc::new(Catalog::empty()),
    }));
}

/// One request to its end; how it failed, if it did before an answer.
async fn ask(stage: &Stage, said: &Said) -> Option<Error> {
    let authorization = format!("Bearer {}", builder::KEY);
    let mut headers = vec![("authorization", authorization.as_str())];
    let names = ["x-lockgate-project", "x-lockgate-customer", "x-lockgate-user", "x-lockgate-feature"];
    headers.extend(names.iter().zip(&said.who[2..]).filter_map(|(name, value)| Some((*name, (*value)?))));
    let tags = said.tags.join(",");
    headers.push(("x-lockgate-tags", &tags));
    headers.extend(said.region.map(|region| ("x-lockgate-region", region)));
    match stage.chat_with(&headers, said.body()).await {
        Ok(reply) => {
            hear(Ok(reply)).await;
            None
        }
        Err(error) => Some(error),
    }
}

/// A request in its world.
struct Case<'a> {
    policies: &'a [Plain],
    truth: &'a Truth,
    routes: &'a [Route],
    holder: &'a Holder,
    said: &'a Said,
}

impl Case<'_> {
    fn judge(
        &self,
        called: &[(String, String)],
        looked_at: &[Candidate],
        error: Option<&Error>,
        counted: &mut Counted,
    ) -> Result<(), String> {
        counted.calls += called.len();
        counted.answered += usize::from(error.is_none());
        counted.refused += usize::from(called.is_empty());
        for (provider, model) in called {
            self.may_be_called(provider, model)
                .map_err(|why| format!("{provider}/{model} was called: {why}"))?;
        }
        let targets: BTreeSet<_> = called.iter().collect();
        if self.said.alone && targets.len() > 1 {
            return Err(format!("fallbacks were not wanted: {targets:?}"));
        }
        if !self.key_may() {
            return if called.is_empty() { Ok(()) } else { Err("the key may not use it".into()) };
        }
        for candidate in looked_at {
            let (provider, model) = (&*candidate.provider, &*candidate.model);
            let forbids = self
                .fact(provider, model)
                .and_then(|fact| forbidden(self.policies, &self.whose(), (provider, model), fact));
            match (candidate.standing, forbids) {
                (Standing::Excluded(Exclusion::NotAllowed), None) => {
                    return Err(format!(
                        "{provider}/{model} was refused, and nothing forbids it: {:?}",
                        candidate.note
                    ));
                }
                (Standing::Eligible, Some(policy)) => {
                    return Err(format!("{provider}/{model} counts as eligible against {policy}"));
                }
                (Standing::Excluded(Exclusion::NotAllowed), _) => counted.excluded += 1,
                (Standing::Eligible, _) => counted.eligible += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn may_be_called(&self, provider: &str, model: &str) -> Result<(), String> {
        let fact = self.fact(provider, model).ok_or("it is none that there is")?;
        if let Some(policy) = forbidden(self.policies, &self.whose(), (provider, model), fact) {
            return Err(format!("{policy} forbids it"));
        }
        if let Some(why) = unwished(self.said, &self.whose(), provider, fact) {
            return Err(format!("against the request's own wishes: {why}"));
        }
        let route = self.routes.iter().find(|route| *route.name == self.said.model);
        match route.filter(|route| !meets(fact, &route.require)) {
            Some(_) => Err("it is not what the route requires".into()),
            None => Ok(()),
        }
    }

    fn fact(&self, provider: &str, model: &str) -> Option<&Fact> {
        self.truth.0.iter().find(|((p, m), _)| *p == provider && *m == model).map(|(_, fact)| fact)
    }

    /// What the key fixes goes before what headers say.
    fn whose(&self) -> Whose {
        let mut who = self.said.who;
        (who[0], who[1]) = (Some(self.holder.name()), self.holder.team());
        for (own, fixed) in who[2..].iter_mut().zip(self.holder.fixed) {
            *own = fixed.or(*own);
        }
        Whose { who, tags: self.said.tags.clone(), region: self.holder.region.or(self.said.region) }
    }

    fn key_may(&self) -> bool {
        let name = &*self.said.model;
        let whole = match MODELS.iter().position(|model| *model == name) {
            Some(at) => format!("{}/{name}", PROVIDERS[at]),
            None => name.to_owned(),
        };
        key_may(&self.holder.models, name)
            || (!ROUTES.contains(&name) && key_may(&self.holder.models, &whole))
    }
}

fn meets(fact: &Fact, require: &Require) -> bool {
    (require.regions.is_empty() || require.regions.iter().any(|region| within(fact.region, region)))
        && (!require.zero_retention || fact.zero_retention == Some(true))
        && (!require.no_training || fact.trains == Some(false))
}

impl Holder {
    fn of(draw: &mut Draw) -> Self {
        let lists: [&[&'static str]; 5] =
            [&[], &[], &["*"], &["bot", "draft", "alpha/*"], &["large*", "gamma/vision", "archive"]];
        let models = draw.pick(&lists).to_vec();
        let fixed = FIXED.map(|_| draw.one_in(4).then(|| draw.pick(&WORDS)));
        let region = draw.one_in(8).then(|| draw.pick(&world::REGIONS));
        let mut key = Key {
            name: draw.pick(&WORDS).into(),
            models: models.iter().map(|model| (*model).into()).collect(),
            ..builder::key(builder::KEY)
        };
        let mut fix = |name: &str, value: Option<&str>| {
            value.map(|value| key.metadata.insert(name.into(), value.into()));
        };
        fix("team", draw.maybe(&WORDS));
        fix("region", region);
        FIXED.iter().zip(fixed).for_each(|(name, value)| fix(name, value));
        Self { key, models, fixed, region }
    }

    fn name(&self) -> &'static str {
        WORDS.into_iter().find(|word| *self.key.name == **word).unwrap()
    }

    fn team(&self) -> Option<&'static str> {
        let team = self.key.metadata.get("team")?;
        WORDS.into_iter().find(|word| team == word)
    }
}

impl Said {
    fn body(&self) -> String {
        let mut provider = serde_json::Map::new();
        for (name, list) in [("only", &self.only), ("ignore", &self.ignore), ("order", &self.order)] {
            if !list.is_empty() {
                provider.insert(name.into(), serde_json::json!(list));
            }
        }
        if self.alone {
            provider.insert("allow_fallbacks".into(), false.into());
        }
        if self.zero_retention {
            provider.insert("zdr".into(), true.into());
        }
        if self.no_training {
            provider.insert("data_collection".into(), "deny".into());
        }
        let mut body =
            format!(r#"{{"model":"{}","messages":[{{"role":"user","content":"Hello"}}]"#, self.model);
        if self.stream {
            body.push_str(r#","stream":true"#);
        }
        if !provider.is_empty() {
            let _ = write!(body, r#","provider":{}"#, serde_json::Value::Object(provider));
        }
        body + "}"
    }
}
