//! Requests decided on without a provider: what `tests:` in a config and `lockgate explain --request` look at.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use lockgate_catalog::Catalog;
use lockgate_catalog::benchmark::Benchmarks;
use lockgate_config::{Case, CaseBreaker, CaseState, Config, Expect, Pairs, Target};
use lockgate_core::record::Target as Named;
use lockgate_core::{
    Attribution, Candidate, Decision, Exclusion, Key, KeyHash, Kind, Principal, Standing, Tick, Upstream,
};
use lockgate_engine::{Question, Verdict, decide};
use lockgate_route::health::{Ended, Sample};
use lockgate_route::{Registry, Settings, Table, Told};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::assemble;
use crate::kept::Kept;

/// A config that can be asked.
pub(crate) struct Trial {
    config: Config,
    upstreams: Vec<Arc<Upstream>>,
    catalog: Arc<Catalog>,
    scores: Arc<Benchmarks>,
}

/// A request as a file or a test has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) dialect: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) key: Option<String>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) attribution: Attribution,
    pub(crate) wall_ms: u64,
    pub(crate) seed: u64,
    /// What is known of it beside its body.
    pub(crate) told: Told,
    /// How targets do.
    pub(crate) state: Vec<(Target, CaseState)>,
}

/// How a test came out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) name: String,
    /// Whether everything is as expected.
    pub(crate) passed: bool,
    /// What is not.
    pub(crate) failures: Vec<String>,
    /// How the decision came about.
    pub(crate) reason: String,
    /// The targets in order.
    pub(crate) order: Vec<String>,
}

/// 2026-01-01T12:00:00Z: the hour of tests that name none.
const NOON: u64 = 1_767_268_800_000;
/// Enough for any breaker to open, and for averages to settle.
const OFTEN: usize = 100;
/// A moment after the start, so that there is a past.
const NOW: Tick = Tick(3_600_000_000_000);

// === impl Trial ===

impl Trial {
    /// A config whose providers are never called, so that keys and regions which only this machine lacks do not matter.
    ///
    /// # Errors
    /// When a provider cannot be made even so.
    pub(crate) fn new(config: Config, kept: &Kept) -> Result<Self, String> {
        let env = |name: &str| std::env::var(name).ok().or_else(|| Some("not-set".to_owned()));
        let mut upstreams = Vec::new();
        let mut wrong = Vec::new();
        for provider in &config.providers {
            match lockgate_provider::compile(provider, &env, &|path| std::fs::read(path)) {
                Ok(upstream) => upstreams.push(Arc::new(assemble::listed(&config, upstream))),
                Err(error) => wrong.push(error.to_string()),
            }
        }
        if config.discover {
            let found = lockgate_provider::discovered(&env).into_iter();
            let found =
                found.filter(|upstream| !config.providers.iter().any(|known| *known.name == *upstream.name));
            upstreams.extend(found.map(|upstream| Arc::new(assemble::listed(&config, upstream))));
        }
        if config.providers.is_empty() && !config.discover {
            upstreams.push(Arc::new(lockgate_provider::demo()));
        }
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        let catalog = assemble::catalog(&config, &upstreams)?;
        let scores = assemble::scores(&config, kept)?;
        Ok(Self { config, upstreams, catalog, scores })
    }

    /// What would become of a request.
    ///
    /// # Errors
    /// When the request cannot be put.
    pub(crate) fn decide(&self, request: &Request) -> Result<Verdict, String> {
        let registry = Arc::new(Registry::default());
        let settings = Settings::default();
        for (target, state) in &request.state {
            set(&registry, &settings, target, state);
        }
        let table = self.table(&registry, request.wall_ms);
        let dialect = lockgate_dialect::by_name(&request.dialect)
            .ok_or_else(|| format!("there is no dialect \"{}\"", request.dialect))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("\"{name}\" is no header"))?;
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("the header \"{name}\" is no text"))?;
            headers.insert(name, value);
        }
        let principal = Principal { key: Arc::new(key(request)) };
        let question = Question {
            dialect,
            body: request.body.clone().into(),
            headers: &headers,
            principal: &principal,
            attribution: Some(&request.attribution),
            rules: &assemble::attribution(&self.config),
            now: NOW,
            wall_ms: request.wall_ms,
            seed: request.seed,
            told: request.told.clone(),
        };
        Ok(decide(&table, &settings, &question))
    }

    fn table(&self, registry: &Arc<Registry>, wall_ms: u64) -> Table {
        let (catalog, scores) = (Arc::clone(&self.catalog), Arc::clone(&self.scores));
        let sources = assemble::Sources { catalog, scores, wall_ms };
        assemble::table(0, &self.config, self.upstreams.clone(), registry, &sources)
    }

    /// Runs every test of the config.
    pub(crate) fn run(&self) -> Vec<Report> {
        self.config.tests.iter().map(|case| self.test(case)).collect()
    }

    fn test(&self, case: &Case) -> Report {
        let mut report = Report {
            name: case.name.clone(),
            passed: false,
            failures: Vec::new(),
            reason: String::new(),
            order: Vec::new(),
        };
        let verdict = request(case).and_then(|request| self.decide(&request));
        match verdict {
            Ok(verdict) => {
                report.order = order(&verdict);
                report.reason = reason(&verdict);
                report.failures = compare(&case.expect, &verdict);
            }
            Err(why) => report.failures.push(why),
        }
        report.passed = report.failures.is_empty();
        report
    }
}

fn key(request: &Request) -> Key {
    Key {
        id: "key_of_a_test".into(),
        name: request.key.as_deref().unwrap_or("test").into(),
        hint: String::new(),
        hash: KeyHash([0; 32]),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: request.metadata.iter().cloned().collect(),
    }
}

/// Brings an endpoint into a state by what would bring it there.
fn set(registry: &Registry, settings: &Settings, target: &Target, state: &CaseState) {
    let target = Named { provider: target.provider.as_str().into(), model: target.model.as_str().into() };
    if state.breaker == CaseBreaker::Open {
        let breaker = registry.breaker(&target);
        // A breaker that has been open for long tries again after its longest pause, so it opens just now.
        for _ in 0..OFTEN {
            breaker.failure(NOW, settings);
        }
    }
    let health = registry.health(&target);
    for _ in 0..state.in_flight {
        health.began();
    }
    if state.rate_limited {
        registry.breaker(&target).limit(NOW.plus(Duration::from_secs(60)), NOW);
    }
    let measured =
        state.first_token.is_some() || state.tokens_per_second.is_some() || state.success.is_some();
    if !measured {
        return;
    }
    let good = state.success.map_or(OFTEN, |share| share.0 as usize * OFTEN / 1_000_000);
    for at in 0..OFTEN {
        let ok = at < good;
        let streamed = state.tokens_per_second.map(|speed| (u64::from(speed), Duration::from_secs(1)));
        health.saw(
            NOW,
            &Sample {
                ended: if ok { Ended::Well } else { Ended::Badly },
                input_tokens: 1_000,
                first: state.first_token.filter(|_| ok),
                streamed: streamed.filter(|_| ok),
            },
        );
    }
}

/// The request of a test.
fn request(case: &Case) -> Result<Request, String> {
    let text = |value: &Option<String>| value.as_deref().map(Arc::from);
    let Pairs(mut metadata) = case.metadata.clone();
    if let Some(team) = &case.team {
        metadata.push(("team".to_owned(), team.clone()));
    }
    let tags = case.tags.iter().map(|tag| tag.as_str().into()).collect();
    let mut attribution = Attribution { tags, ..Attribution::default() };
    attribution.customer = text(&case.customer);
    attribution.project = text(&case.project);
    attribution.user = text(&case.user);
    attribution.feature = text(&case.feature);
    attribution.session = text(&case.session);
    let wall_ms = match &case.at {
        None => NOON,
        Some(at) => moment(at)?,
    };
    Ok(Request {
        dialect: case.dialect.clone(),
        body: body(&case.dialect, &case.request.0).map_err(|error| error.to_string())?,
        headers: case.headers.0.clone(),
        key: case.key.clone(),
        metadata,
        attribution,
        wall_ms,
        seed: 0,
        told: Told::default(),
        state: case.state.0.clone(),
    })
}

/// The body as a client would send it: what a test leaves out is an empty conversation.
fn body(dialect: &str, written: &Map<String, Json>) -> serde_json::Result<Vec<u8>> {
    let said = match dialect {
        "gemini.generateContent" => "contents",
        "openai.responses" => "input",
        "openai.completions" => "prompt",
        _ => "messages",
    };
    let mut body = written.clone();
    body.entry(said).or_insert_with(|| if said == "prompt" { "".into() } else { Json::Array(Vec::new()) });
    serde_json::to_vec(&body)
}

fn moment(text: &str) -> Result<u64, String> {
    let at: Result<jiff::Timestamp, _> = text.parse();
    let ms = at.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    ms.ok_or_else(|| format!("\"{text}\" is not a time such as 2026-11-22T08:30:00Z"))
}

// === comparing ===

fn name(candidate: &Candidate) -> String {
    format!("{}/{}", candidate.provider, candidate.model)
}

/// The targets in the order in which they would be called.
pub(crate) fn order(verdict: &Verdict) -> Vec<String> {
    match (&verdict.decision, &verdict.error) {
        (Some(decision), None) => decision.ranked().map(name).collect(),
        _ => Vec::new(),
    }
}

fn excluded(decision: &Decision, target: &Target) -> Option<Option<Exclusion>> {
    let found =
        decision.candidates.iter().find(|c| *c.provider == *target.provider && *c.model == *target.model)?;
    Some(match found.standing {
        Standing::Excluded(why) => Some(why),
        Standing::Eligible => None,
    })
}

/// The rule that was fulfilled, if any.
fn rule(decision: &Decision) -> Option<&str> {
    let choice = decision.choice.as_ref()?;
    let fired =
        choice.rules.iter().find(|fired| fired.verdict == lockgate_core::decision::Verdict::Matched)?;
    Some(&fired.rule)
}

/// How a decision came about, in a line.
fn reason(verdict: &Verdict) -> String {
    if let Some(error) = &verdict.error {
        return format!("{}: {}", error.kind().code(), error.public());
    }
    let Some(decision) = &verdict.decision else { return String::new() };
    let mut parts = Vec::new();
    if let Some(rule) = rule(decision) {
        parts.push(format!("rule \"{rule}\""));
    }
    if let Some(choice) = &decision.choice {
        parts.extend(choice.path.last().map(|last| format!("by {last}")));
        parts.extend(
            choice.incidents.iter().map(|incident| format!("incident at {}: {}", incident.at, incident.why)),
        );
        parts.extend(choice.fallback.map(|class| format!("fallback for {}", class.code())));
    }
    for candidate in decision.candidates.iter() {
        if let Standing::Excluded(why) = candidate.standing {
            let note = candidate.note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
            parts.push(format!("without {}: {}{note}", name(candidate), why.code()));
        }
    }
    parts.join("; ")
}

/// Everything that is not as expected.
fn compare(expect: &Expect, verdict: &Verdict) -> Vec<String> {
    let mut wrong = Vec::new();
    let order = order(verdict);
    let ended = verdict.error.as_ref().map(|error| (error.kind(), error.public().to_owned()));
    match (expect.error.map(|kind| kind.0), &ended) {
        (Some(wanted), Some((kind, _))) if wanted == *kind => {}
        (Some(wanted), Some((kind, text))) => {
            wrong.push(format!("expected the error {}, found {}: {text}", wanted.code(), kind.code()));
        }
        (Some(wanted), None) => {
            wrong.push(format!("expected the error {}, found {}", wanted.code(), list(&order)));
        }
        (None, Some((kind, text))) if asks_for_a_target(expect) || *kind == Kind::InvalidRequest => {
            wrong.push(format!("it ends in {}: {text}", kind.code()));
            return wrong;
        }
        (None, _) => {}
    }
    if let Some(winner) = &expect.winner
        && order.first() != Some(&winner.to_string())
    {
        wrong.push(format!("expected the winner {winner}, found {}", list(&order)));
    }
    let wanted: Vec<String> = expect.order.iter().map(ToString::to_string).collect();
    if !order.starts_with(&wanted) {
        wrong.push(format!("expected the order {}, found {}", list(&wanted), list(&order)));
    }
    for (target, code) in &expect.excluded.0 {
        let standing = verdict.decision.as_ref().and_then(|decision| excluded(decision, target));
        match (standing, code) {
            (None, _) if !order.contains(&target.to_string()) && code.is_none() => {}
            (None, _) => wrong.push(format!("expected {target} to be excluded, but it was not looked at")),
            (Some(None), _) => wrong.push(format!("expected {target} to be excluded, but it is eligible")),
            (Some(Some(why)), Some(code)) if why != *code => {
                wrong.push(format!(
                    "expected {target} to be excluded by {}, found {}",
                    code.code(),
                    why.code()
                ));
            }
            (Some(Some(_)), _) => {}
        }
    }
    if let Some(wanted) = &expect.rule {
        let found = verdict.decision.as_ref().and_then(|decision| rule(decision)).unwrap_or("none");
        if found != wanted {
            wrong.push(format!("expected the rule \"{wanted}\", found \"{found}\""));
        }
    }
    wrong
}

fn asks_for_a_target(expect: &Expect) -> bool {
    expect.winner.is_some() || !expect.order.is_empty()
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
