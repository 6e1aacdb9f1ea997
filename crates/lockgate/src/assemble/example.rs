//! The example of the design, from its text to what is called: rules by customer tier, feature, region and use case.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use lockgate_core::{Clock as _, Key, RequestId};
use lockgate_dialect::openai_chat::OpenAiChat;
use lockgate_engine::{Engine, Inbound, KeyTable, State, chat};
use lockgate_route::Registry;
use lockgate_testkit::{HandClock, KeptEvents, KeptRecords, Play, Script, builder};

use crate::assemble::{self, Sources};
use crate::kept::Kept;
use crate::settings::diagnose;

const CONFIG: &str = r#"
providers:
  groq: { api_key: k, region: eu, zero_retention: true, training: false }
  openai: { api_key: k, region: eu, zero_retention: true, training: false }
  anthropic: { api_key: k, region: eu, zero_retention: true, training: false }
  google: { api_key: k, region: eu, zero_retention: true, training: false }
  mistral: { api_key: k, region: us, zero_retention: true, training: false }
routes:
  support-bot:
    when:
      - if: customer.tier == "free"
        use: { ordered: [groq/llama-3.3-70b-versatile, openai/gpt-4o-mini] }
      - if: request.input_tokens > 100000 || "long" in tags
        use: { route: long-context }
      - name: search in the EU
        if: feature == "search" && region == "eu"
        use: [openai/gpt-4o]
      - name: code
        if: project == "coding"
        use: [openai/gpt-4.1]
    use:
      score:
        candidates: ["anthropic/*", openai/gpt-5, google/gemini-2.5-pro]
        benchmarks: { swe-bench-verified: 0.5, gpqa-diamond: 0.3, my-evals: 0.2 }
        weigh: { quality: 1.0, cost: 0.4, latency: 0.2, reliability: 0.3 }
    fallback: { any: [mistral/mistral-large-latest, openai/gpt-4o], context_window: [google/gemini-2.5-pro], content_policy: [], budget: [groq/llama-3.3-70b-versatile] }
    require: { region: eu, zero_retention: true, capabilities: [tools] }
    stream: { on_break: continue }
  long-context: [google/gemini-2.5-flash]
"#;
const ANSWER: &str =
    r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

/// A gateway over the example whose providers say what they are told to, or cannot be reached.
struct Gateway {
    engine: Engine,
    script: Arc<Script>,
    clock: Arc<HandClock>,
}

impl Gateway {
    fn new() -> Self {
        let (config, found) = diagnose(CONFIG, &Kept::default());
        let config = config.unwrap_or_else(|| panic!("{found:#?}"));
        let upstreams = assemble::upstreams(&config, false).unwrap();
        let catalog = assemble::catalog(&config, &upstreams).unwrap();
        let scores = assemble::scores(&config, &Kept::default()).unwrap();
        let (clock, registry) = (Arc::new(HandClock::new()), Arc::new(Registry::default()));
        let sources = Sources { catalog, scores, wall_ms: clock.wall_ms() };
        let table = assemble::table(1, &config, upstreams, &registry, &sources);
        let key = |name: &str, metadata: &[(&str, &str)]| Key {
            metadata: metadata.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..builder::key(name)
        };
        let keys = KeyTable::new([key("lg-free", &[("tier", "free")]), key("lg-pro", &[("tier", "pro")])]);
        let script = Script::new();
        let state = State {
            snapshot: Arc::new(assemble::snapshot(table, keys, sources.catalog, Arc::default())).into(),
            registry,
            breakers: lockgate_route::Settings::default(),
            clock: clock.clone(),
            events: Arc::new(KeptEvents::default()),
            records: Arc::new(KeptRecords::default()),
            purse: None,
            limits: Arc::default(),
            hasher: Box::new(builder::hash),
        };
        Self { engine: Engine { state: Arc::new(state), transport: script.clone() }, script, clock }
    }

    /// Whom a request was brought to, in order.
    fn called(&self, key: &str, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        map.insert(http::header::AUTHORIZATION, format!("Bearer {key}").try_into().unwrap());
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let inbound = Inbound {
            id: RequestId::new(self.clock.wall_ms()),
            arrived: self.clock.now(),
            dialect: &OpenAiChat,
            named: None,
            headers: map,
        };
        let body = r#"{"model":"support-bot","messages":[{"role":"user","content":"Hello"}]}"#;
        let walk = chat(&self.engine, inbound, async { Ok(Bytes::from_static(body.as_bytes())) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = runtime.block_on(walk);
        self.script.clear();
        let seen = self.script.take().into_iter();
        let model = |body: &[u8]| {
            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
            body["model"].as_str().unwrap_or_default().to_owned()
        };
        seen.map(|seen| match model(&seen.body) {
            // Where the path names the model.
            none if none.is_empty() => format!("{}{}", seen.upstream, seen.path),
            model => format!("{}/{model}", seen.upstream),
        })
        .collect()
    }

    fn answers(&self, provider: &str) {
        self.script.then(provider, Play::json(200, ANSWER));
    }
}

#[test]
fn who_asks_and_for_what_decides_whom_it_is_brought_to() {
    let gateway = Gateway::new();
    gateway.answers("groq");
    assert_eq!(gateway.called("lg-free", &[]), ["groq/llama-3.3-70b-versatile"]);
    gateway.answers("openai");
    let fallen = gateway.called("lg-free", &[]);
    assert_eq!(fallen, ["groq/llama-3.3-70b-versatile", "openai/gpt-4o-mini"], "the next in order");
    gateway.answers("openai");
    let search = [("x-lockgate-feature", "search"), ("x-lockgate-region", "eu")];
    assert_eq!(gateway.called("lg-pro", &search), ["openai/gpt-4o"]);
    gateway.answers("openai");
    assert_eq!(gateway.called("lg-pro", &[("x-lockgate-project", "coding")]), ["openai/gpt-4.1"]);
    let long = gateway.called("lg-pro", &[("x-lockgate-tags", "long")]);
    assert!(long[0].starts_with("google") && long[0].contains("gemini-2.5-flash"), "{long:?}");
}

#[test]
fn where_no_rule_holds_the_scores_decide_and_nothing_leaves_the_region() {
    let gateway = Gateway::new();
    let called = gateway.called("lg-pro", &[]);
    // Nobody answers, so it goes through all that is allowed: the scored candidates, then the list for failures.
    let is_scored = |name: &String| {
        name.starts_with("anthropic/") || name == "openai/gpt-5" || name.starts_with("google/")
    };
    assert!(called.len() > 3 && called.iter().any(is_scored), "{called:?}");
    assert!(is_scored(&called[0]), "{called:?}");
    assert!(called.iter().any(|name| name == "openai/gpt-4o"), "the list for any failure: {called:?}");
    assert!(called.iter().all(|name| !name.starts_with("mistral")), "not in the EU: {called:?}");
    assert!(gateway.called("lg-pro", &[("x-lockgate-region", "us")]).is_empty(), "the route is the EU's");
}
