//! What a good file means, and what is said of a bad one.

use std::time::Duration;

use lockgate_config::{
    Ability, AlertTopic, Config, Counted, Diagnostic, Fallback, Http2, Known, Limits, LogFormat, LogLevel,
    MailEncryption, Metrics, ModelLimits, ModelMode, Percent, PriceTier, ProviderType, Retention,
    RouteTimeouts, Severity, Size, Store, StreamUsage, Target, Timeouts, Use, load, locate, path_of,
};
use lockgate_core::Secret;

const KNOWN: Known<'_> = Known::providers(&["openai", "anthropic", "gemini", "demo"]);

fn env(name: &str) -> Option<String> {
    match name {
        "HOOK" => Some("https://hooks.example.com/hidden?team=ops".to_owned()),
        "ADMIN" => Some("let-me-in".to_owned()),
        "OPENAI_API_KEY" => Some("sk-hidden".to_owned()),
        "EMPTY" => Some(String::new()),
        "LINE" => Some("sk-hidden\n".to_owned()),
        "WORKERS" => Some("3".to_owned()),
        "TRICK" => Some("a: [b".to_owned()),
        _ => None,
    }
}

fn good(text: &str) -> Config {
    let (config, diagnostics) = load(text, &env, &KNOWN);
    assert_eq!(diagnostics, [], "{text}");
    config.expect("there is a configuration if nothing is wrong")
}

/// The diagnostics as they are printed; the configuration is there exactly if none of them is an error.
fn said(text: &str) -> String {
    let (config, diagnostics) = load(text, &env, &KNOWN);
    let usable = diagnostics.iter().all(|found| found.severity == Severity::Warning);
    assert_eq!(config.is_some(), usable, "{text}");
    diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}

fn branch(provider: &str, model: &str) -> Use {
    Use::Target(target(provider, model))
}

fn target(provider: &str, model: &str) -> Target {
    Target { provider: provider.into(), model: model.into() }
}

#[test]
fn an_empty_file_is_all_defaults() {
    for text in ["", "# nothing\n", "---\n", "{}", "server:\nproviders:\nroutes:\n", "\u{feff}"] {
        assert_eq!(good(text), Config::default(), "{text:?}");
    }
    let config = Config::default();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:4100");
    assert_eq!(config.server.workers, 0);
    assert_eq!(config.server.tls, None);
    assert_eq!(config.server.admin_token, None);
    assert_eq!(config.server.metrics, Metrics::Admin);
    assert_eq!(config.server.drain, Duration::from_secs(30));
    assert_eq!(
        config.server.limits,
        Limits {
            body: Size::mib(32),
            header: Size::kib(32),
            header_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            connections: 20_000,
        }
    );
    assert_eq!(config.store, Store::Sqlite(".lockgate/lockgate.db".into()));
    assert_eq!(config.records.flush, Duration::from_millis(100));
    assert_eq!(config.records.queue, 65_536);
    assert_eq!(config.records.retention, Retention::For(Duration::from_secs(30 * 24 * 3600)));
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.level, LogLevel::Info);
    assert!(!config.log.requests);
    assert!(!config.discover);
    assert!(config.providers.is_empty());
    assert!(config.routes.is_empty());
    assert_eq!(config.catalog.file, None);
    assert!(config.models.is_empty());
    assert!(config.policies.is_empty() && config.tests.is_empty());
}

#[test]
fn a_provider_and_a_route_have_defaults() {
    let config = good("providers: { demo: }\nroutes: { try: [demo/echo] }");
    let demo = &config.providers[0];
    assert_eq!(demo.name, "demo");
    assert_eq!(demo.kind, ProviderType::BuiltIn("demo".into()));
    assert_eq!(demo.base_url, None);
    assert_eq!(demo.api_key, None);
    assert!(
        demo.headers.is_empty() && demo.models.is_empty() && demo.drop.is_empty() && demo.rename.is_empty()
    );
    assert_eq!(
        demo.timeouts,
        Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            between_bytes: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    );
    assert_eq!(demo.http2, Http2::Auto);
    assert_eq!(demo.stream_usage, StreamUsage::Auto);
    assert_eq!(demo.max_answer, Size::mib(32));
    assert_eq!(demo.tls.ca, None);
    assert!(!demo.tls.insecure);
    let route = &config.routes[0];
    assert_eq!(route.name, "try");
    assert_eq!(route.branch, Use::Ordered(vec![branch("demo", "echo")]));
    assert_eq!((route.retries, &route.timeouts), (None, &RouteTimeouts::default()));
    assert_eq!((&route.when[..], &route.fallback), (&[][..], &Fallback::default()));
}

#[test]
fn every_setting_is_read() {
    let config = good(include_str!("full.yaml"));
    let server = &config.server;
    assert_eq!(server.listen.to_string(), "0.0.0.0:8443");
    assert_eq!(server.workers, 2);
    let tls = server.tls.as_ref().unwrap();
    assert_eq!((tls.cert.to_str(), tls.key.to_str()), (Some("cert.pem"), Some("key.pem")));
    assert_eq!(server.admin_token.as_ref().unwrap().expose(), "let-me-in");
    assert_eq!(server.metrics, Metrics::Public);
    assert_eq!(server.drain, Duration::from_secs(45));
    assert_eq!(server.limits.body.bytes(), 64 << 20);
    assert_eq!(server.limits.header, Size::kib(32));
    assert_eq!(server.limits.header_timeout, Duration::from_secs(5));
    assert_eq!(server.limits.body_timeout, Duration::from_secs(120));
    assert_eq!(server.limits.write_timeout, Duration::from_secs(30));
    assert_eq!(server.limits.connections, 5000);
    assert_eq!(config.store, Store::Sqlite("/var/lib/lockgate/lockgate.db".into()));
    assert_eq!(config.records.flush, Duration::from_millis(250));
    assert_eq!(config.records.queue, 1000);
    assert_eq!(config.records.retention, Retention::Forever);
    assert_eq!(
        (config.log.format, config.log.level, config.log.requests),
        (LogFormat::Json, LogLevel::Debug, true)
    );
    assert!(config.discover);

    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["openai", "my-vllm", "backup", "claude-like", "cloud"], "in the order of the file");
    let [openai, vllm, backup, claude, cloud] = config.providers.as_slice() else { panic!() };
    assert_eq!(openai.kind, ProviderType::BuiltIn("openai".into()));
    assert_eq!(openai.api_key.as_ref().unwrap().all()[0].expose(), "sk-hidden");
    assert_eq!(vllm.kind, ProviderType::OpenAiCompatible);
    assert_eq!(vllm.base_url.as_ref().unwrap().as_str(), "http://localhost:8000/v1");
    let headers: Vec<_> = vllm.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-team", "search"), ("authorization", "Bearer sk-hidden")]);
    assert_eq!(vllm.models, ["qwen3", "org/llama"]);
    assert_eq!(vllm.timeouts.first_byte, Duration::from_secs(300));
    assert_eq!(vllm.timeouts.total, Duration::from_secs(3600));
    assert_eq!((vllm.http2, vllm.stream_usage), (Http2::Always, StreamUsage::Ask));
    assert_eq!(vllm.drop, ["logit_bias"]);
    assert_eq!(vllm.rename.iter().collect::<Vec<_>>(), [("max_completion_tokens", "max_tokens")]);
    assert_eq!(vllm.max_answer, Size::mib(1));
    assert_eq!(vllm.tls.ca.as_ref().unwrap().to_str(), Some("ca.pem"));
    assert_eq!(backup.kind, ProviderType::BuiltIn("anthropic".into()));
    assert_eq!(claude.kind, ProviderType::AnthropicCompatible);
    assert_eq!(cloud.kind, ProviderType::GeminiCompatible);
    let where_it_is = [&cloud.region, &cloud.project, &cloud.resource, &cloud.account].map(Option::as_deref);
    assert_eq!(where_it_is, ["us-east-1", "my-project", "my-resource", "my-account"].map(Some));
    let credentials = cloud.credentials.as_ref().expect("there are credentials");
    assert_eq!(credentials.access_key_id.as_deref(), Some("AKIA1"));
    assert_eq!(credentials.secret_access_key.as_ref().map(Secret::expose), Some("sk-hidden"));
    assert_eq!(credentials.session_token.as_ref().map(Secret::expose), Some("let-me-in"));
    assert_eq!((&credentials.file, &credentials.json), (&None, &None));
    assert_eq!(backup.timeouts, vllm.timeouts, "an alias stands for what its anchor marks");

    let [fast, best, ..] = config.routes.as_slice() else { panic!() };
    assert_eq!(fast.name, "fast");
    assert_eq!(
        fast.branch,
        Use::Ordered(vec![branch("openai", "gpt-4.1-mini"), branch("my-vllm", "org/llama")])
    );
    assert_eq!(best.name, "best.of");
    assert_eq!(
        best.branch,
        Use::Ordered(vec![branch("backup", "claude"), branch("gemini", "gemini-2.5-pro")])
    );
    assert_eq!(best.retries, Some(3));
    assert_eq!(best.timeouts.attempt, Some(Duration::from_secs(20)));
    assert_eq!(best.timeouts.total, Some(Duration::from_secs(90)));
    assert_eq!((vllm.zero_retention, vllm.training), (Some(true), Some(false)));

    assert_eq!(config.catalog.file.as_ref().unwrap().to_str(), Some("models.jsonl"));
    let [gpt, own] = config.models.as_slice() else { panic!() };
    assert_eq!((gpt.model(), own.model()), (("openai", "gpt-4.1"), ("my-vllm", "*")));
    let prices: Vec<_> = gpt.prices.iter().map(|p| (p.tier, p.above, p.counted, p.nanos)).collect();
    assert_eq!(
        prices,
        [
            (PriceTier::Standard, 0, Counted::Input, 1_800_000_000),
            (PriceTier::Standard, 0, Counted::Output, 7_200_000_000),
            (PriceTier::Standard, 0, Counted::CacheRead, 450_000_000),
            // A cent for one search is ten thousand dollars for a million of them.
            (PriceTier::Standard, 0, Counted::Search, 10_000_000_000_000),
            (PriceTier::Batch, 0, Counted::Input, 900_000_000),
            (PriceTier::Batch, 100_000, Counted::Input, 1_000_000_000),
            (PriceTier::Standard, 200_000, Counted::Input, 3_600_000_000),
        ]
    );
    assert!(gpt.prices.has(Counted::Output) && !gpt.prices.has(Counted::Reasoning));
    assert_eq!((gpt.discount, gpt.margin), (Some(Percent(125_000)), Some(Percent(50_000))));
    let limits = ModelLimits { context: Some(1_000_000), input: Some(900_000), output: Some(32_768) };
    assert_eq!(gpt.limits, limits);
    assert_eq!(gpt.capabilities.as_deref(), Some(&[Ability::Tools, Ability::Vision][..]));
    assert_eq!((gpt.mode, gpt.free), (Some(ModelMode::Responses), None));
    assert!(own.free == Some(true) && own.prices.is_empty() && own.capabilities.is_none());
}

#[test]
fn a_session_can_only_be_required_of_who_may_say_it() {
    assert_eq!(good("attribution: { required: [session, team] }").attribution.required.len(), 2);
    let found = said("attribution: { from_client: [user], required: [session] }");
    assert!(
        found.contains("attribution.required") && found.contains("add session to from_client"),
        "{found}"
    );
    let found = said("attribution: { from_client: [usr] }");
    assert!(found.contains("user"), "{found}");
}

#[test]
fn variables_are_values_never_structure() {
    assert_eq!(good("server: { workers: \"${WORKERS}\" }").server.workers, 3);
    assert_eq!(good("server: { workers: \"${NONE:-4}\" }").server.workers, 4);
    let config = good("providers: { demo: { models: [\"${TRICK}\", $$x] } }");
    assert_eq!(config.providers[0].models, ["a: [b", "$x"]);
}

#[test]
fn a_setting_is_located_by_its_keys() {
    let text = include_str!("full.yaml");
    let line = |key: &str| text.lines().position(|line| line.trim_start().starts_with(key)).unwrap() + 1;
    let found = locate(text, &["models", "my-vllm/*"]).unwrap();
    assert_eq!(found, (u32::try_from(line("my-vllm/*")).unwrap(), 3));
    assert_eq!(locate(text, &["models", "openai/gpt-4.1", "prices", "outpt"]), None);
    assert_eq!(locate(text, &["models", "openai/gpt-4.1", "discount", "deeper"]), None);
    assert_eq!(path_of(&["models", "a/gpt-4.1", "free"]), "models.\"a/gpt-4.1\".free");
    assert_eq!((locate(text, &[]), locate("[", &["a"]), locate("", &["a"])), (None, None, None));
}

#[test]
fn a_price_that_looks_like_that_of_one_token_is_doubted() {
    let shown =
        said("models: { openai/x: { prices: { input: 0.0000025, image_made: 0.00001, output: 0 } } }");
    assert_eq!(
        shown,
        "1:40: warning: models.openai/x.prices.input: this is a very low price for a million tokens\n  \
         hint: if it is the price of one token, move the point by six places"
    );
}

#[test]
fn there_are_not_too_many_models() {
    let text = |n: usize| -> String {
        let lines = (0..n).map(|i| format!("  openai/{i}: {{ discount: 1% }}\n"));
        format!("models:\n{}", lines.collect::<String>())
    };
    assert_eq!(good(&text(1_000)).models.len(), 1_000);
    assert!(said(&text(1_001)).contains("models: more than 1000 entries"));
}

#[test]
fn secrets_are_never_shown() {
    let (config, _) = load(include_str!("full.yaml"), &env, &KNOWN);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hidden") && !shown.contains("let-me-in"), "{shown}");

    // A key in a wrong place, by a variable or written, must not travel on in a diagnostic.
    for field in ["listen", "workers", "drain", "metrics", "tls", "limits", "admin_token", "no_such"] {
        let shown = said(&format!("server: {{ {field}: \"${{OPENAI_API_KEY}} \\n\" }}"));
        assert!(!shown.is_empty() && !shown.contains("sk-hidden"), "{shown}");
    }
    for field in
        ["type", "base_url", "api_key", "headers", "models", "timeouts", "http2", "rename", "max_answer"]
    {
        let text =
            format!("providers: {{ openai: {{ {field}: \"https://me:${{OPENAI_API_KEY}}@h?\\n\" }} }}");
        let shown = said(&text);
        assert!(!shown.is_empty() && !shown.contains("sk-hidden"), "{shown}");
    }
    for text in [
        "providers: { openai: sk-hidden }",
        "providers: { openai: { api_key: [sk-hidden] } }",
        "store: postgres://me:sk-hidden@h/db",
        "routes: { a: ['${OPENAI_API_KEY}', '${OPENAI_API_KEY}/x'] }",
        "providers: { demo: { drop: ['${OPENAI_API_KEY}'], rename: { a: '${OPENAI_API_KEY}', b: '${OPENAI_API_KEY}' } } }",
        "providers: { openai: { api_key: 'sk-hidden' } }",
        "providers: { openai: { headers: { x-api-key: sk-hidden } } }",
        "providers: { openai: { base_url: 'https://me:sk-hidden@h' } }",
    ] {
        let shown = said(text);
        assert!(!shown.is_empty() && !shown.contains("sk-hidden"), "{shown}");
    }
}

#[test]
fn credentials_are_those_of_one_cloud() {
    let of = |fields: &str| {
        said(&format!("providers:\n  mine:\n    type: anthropic\n    credentials: {{{fields}}}"))
    };
    assert_eq!(of("file: key.json"), "");
    assert_eq!(of("json: '${LINE}'"), "", "a document may have several lines");
    assert_eq!(of("access_key_id: A, secret_access_key: '${OPENAI_API_KEY}'"), "");
    assert!(of("").contains("is empty: give file or json (Google)"));
    assert!(of("file: a, json: '${LINE}'").contains("has both file and json"));
    assert!(of("file: a, access_key_id: A").contains("has both those of Google and those of AWS"));
    assert!(of("access_key_id: A").contains("needs both access_key_id and secret_access_key"));
    let written = of("json: '{\"type\":\"hidden\"}'");
    assert!(written.contains("a secret is written in the file") && !written.contains("hidden"), "{written}");
}

#[test]
fn channels_for_alerts_are_read_and_judged_by_their_type() {
    let config = good(include_str!("full.yaml"));
    let names: Vec<&str> = config.alerts.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["on-call", "chat", "mail"]);
    let [hook, chat, mail] = config.alerts.channels.as_slice() else { panic!("three") };
    assert_eq!(hook.topics, [AlertTopic::Budget, AlertTopic::Outage]);
    assert_eq!(chat.topics.len(), 7, "all of them");
    assert_eq!((mail.port, mail.encryption, mail.to.len()), (2525, MailEncryption::Tls, 2));

    let shown = said(
        "alerts:\n  channels:\n    a b: { type: webhook, url: \"${NO:-ftp://x}\", host: h }\n    m: { type: email, host: h, user: u, from: nobody, to: [] }\n",
    );
    for part in [
        "is not a name for a channel",
        "not an absolute http or https URL",
        "host: is not a setting of a channel of type webhook",
        "\"password\" is missing",
        "is not an address such as ops@example.com",
        "needs at least one address",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let unsigned = said("alerts: { channels: { a: { type: webhook, url: \"${NO:-http://x}\" } } }");
    assert!(unsigned.contains("anybody can forge them"), "{unsigned}");
}
