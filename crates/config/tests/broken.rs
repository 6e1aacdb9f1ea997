//! All that is said about files that are wrong, word by word.

use lockgate_config::{Diagnostic, Known, Severity, load};

const KNOWN: Known<'_> = Known::providers(&["openai", "anthropic", "gemini", "demo"]);

fn env(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some("sk-hidden".to_owned()),
        "EMPTY" => Some(String::new()),
        "LINE" => Some("sk-hidden\n".to_owned()),
        _ => None,
    }
}

/// Files, and what is said about them.
const BROKEN: &[(&str, &str)] = &[
    (
        r"server: { listn: 127.0.0.1:1 }
sever: {}
",
        r#"1:11: error: unknown field "listn" in server
  hint: did you mean "listen"?
2:1: error: unknown field "sever"
  hint: did you mean "server"?"#,
    ),
    (
        r"providers:
  my-vllm:
    type: openai-compatible
    base_ulr: http://h/v1
    colour: red
",
        r#"2:3: error: providers.my-vllm: "base_url" is missing
4:5: error: unknown field "base_ulr" in providers.my-vllm
  hint: did you mean "base_url"?
5:5: error: unknown field "colour" in providers.my-vllm
  hint: the fields here are type, base_url, api_key, credentials, region, project, resource, account, zero_retention, training, headers, models, timeouts, http2, stream_usage, drop, rename, max_answer, tls"#,
    ),
    (
        r"server:
  listen: localhost:80
  workers: 2000
  metrics: admn
  drain: 5 parsecs
  limits:
    body: 10MB
    connections: -1
    header: 2MiB
",
        r#"2:11: error: server.listen: "localhost:80" is not an IP address and a port
  hint: write 127.0.0.1:4100, 0.0.0.0:4100 or [::1]:4100
3:12: error: server.workers: "2000" must be between 0 and 1024
4:12: error: server.metrics: "admn" is not admin or public
  hint: did you mean "admin"?
5:10: error: server.drain: "5 parsecs" is not a duration
  hint: write a whole number and a unit, such as 250ms, 5s, 2m, 1h or 30d
7:11: error: server.limits.body: "10MB" is not a size
  hint: write a whole number of bytes or one with a unit, such as 64KiB, 10MiB or 1GiB
8:18: error: server.limits.connections: "-1" must be between 1 and 1000000
9:13: error: server.limits.header: "2MiB" must be between 8KiB and 1MiB"#,
    ),
    (
        r#"server:
  workers: "4"
  listen:
  tls: { cert: a.pem }
  drain: [30s]
  limits: 5
"#,
        r#"2:12: error: server.workers: expected a whole number, found text in quotes
3:3: error: server.listen: has no value, expected an IP address and a port
  hint: leave the whole line out for the default
4:8: error: server.tls: "key" is missing
5:10: error: server.drain: expected a duration, found a list
6:11: error: server.limits: expected a mapping, found text"#,
    ),
    (
        r"server:
  workers: 99999999999999999999
  drain: 2h
  workers: 1
",
        r#"2:12: error: server.workers: "99999999999999999999" must be between 0 and 1024
3:10: error: server.drain: "2h" must be between 0s and 1h
4:3: error: the key "workers" is here twice (first in line 2)"#,
    ),
    (
        r"store: mysql://me:pw@h/db
records: { flush: 1ms, queue: 0, retention: 5m }
log: { level: loud, requests: yes }
",
        r#"1:8: error: store: this is not a store; "sqlite:PATH" and "postgres://USER@HOST/DATABASE" are what is supported
2:19: error: records.flush: "1ms" must be between 10ms and 10s
2:31: error: records.queue: "0" must be between 1 and 10000000
2:45: error: records.retention: must be at least 1h, or 0 to keep records for ever
3:15: error: log.level: "loud" is not error, warn, info or debug
3:31: error: log.requests: "yes" is not true or false"#,
    ),
    (
        r#"providers:
  openai: { api_key: "${NO_KEY}" }
  anthropic: { api_key: "${EMPTY}" }
  demo: { api_key: "${LINE}", models: ["${A}${B}"] }
"#,
        r"2:22: error: providers.openai.api_key: the environment variable NO_KEY is not set
  hint: set it, or write ${NO_KEY:-fallback}
3:25: error: providers.anthropic.api_key: is empty, expected a secret
  hint: EMPTY is set, but to nothing
4:20: error: providers.demo.api_key: holds a character that no header may have
  hint: look for a line break at its end, or a letter beyond ASCII
4:40: error: providers.demo.models[0]: the environment variable A is not set
  hint: set it, or write ${A:-fallback}
4:40: error: providers.demo.models[0]: the environment variable B is not set
  hint: set it, or write ${B:-fallback}",
    ),
    (
        r"providers:
  openai: { api_key: sk-1234 }
server:
  admin_token: ${NONE:-abc}
",
        r"2:22: warning: providers.openai.api_key: a secret is written in the file
  hint: keep it in the environment and write ${NAME} here
4:16: warning: server.admin_token: a secret is written in the file
  hint: keep it in the environment and write ${NAME} here",
    ),
    (
        r"providers:
  Open AI: { type: openai }
  opnai: {}
  mine: { base_url: http://h }
  vllm: { type: openai-compatible }
  x: { type: antropic }
  y: { type: zzz }
",
        r#"2:3: error: providers."Open AI": is not a name for a provider
  hint: use up to 64 of a-z, 0-9, ".", "_" and "-", with a letter or a digit at the start
3:10: error: providers.opnai: "type" is missing, and "opnai" is not a built-in provider
  hint: did you mean "openai"?
4:9: error: providers.mine: "type" is missing, and "mine" is not a built-in provider
  hint: add "type: openai-compatible"
5:9: error: providers.vllm: "base_url" is missing
6:14: error: providers.x.type: "antropic" is not a built-in provider
  hint: did you mean "anthropic"?
7:14: error: providers.y.type: "zzz" is not a built-in provider
  hint: the types are openai, anthropic, gemini, demo, openai-compatible, anthropic-compatible, gemini-compatible"#,
    ),
    (
        r#"providers:
  openai:
    base_url: api.openai.com/v1
    headers: { Host: a, x-a: b, X-A: c, 'b c': d, x-e: "a\nb" }
    models: gpt
    timeouts: { total: 0, connect: 1 }
    drop: [seed, '']
    rename: { seed: random_seed, salt: random_seed }
    tls: { insecure: true }
"#,
        r#"3:15: error: providers.openai.base_url: this is not a URL
  hint: write it like https://api.example.com/v1
4:16: error: providers.openai.headers.Host: is a header that the gateway sets itself
4:33: error: providers.openai.headers.X-A: is a header that is here twice
4:41: error: providers.openai.headers."b c": is not the name of a header
4:56: error: providers.openai.headers.x-e: holds a character that no header may have
5:13: error: providers.openai.models: expected a list, found text
6:24: error: providers.openai.timeouts.total: "0" must be between 1s and 1d
6:36: error: providers.openai.timeouts.connect: "1" is not a duration
  hint: write a whole number and a unit, such as 250ms, 5s, 2m, 1h or 30d
7:18: error: providers.openai.drop[1]: is empty, expected text
8:40: error: providers.openai.rename.salt: this is already the new name of "seed"
9:22: warning: providers.openai.tls.insecure: the certificate of this provider is not checked
  hint: name the provider's own authority with "ca" instead"#,
    ),
    (
        r"providers: { demo: }
routes:
  a/b: [demo/x]
  empty: []
  none:
  plain: [gpt-4.1, demo/, /x]
  text: demo/x
  strange: { use: { wieghted: [demo/x] }, retries: 11 }
  two: { use: { ordered: [demo/x], other: [] } }
  'w s': { use: [demo/x], timeout: 0 }
",
        r#"3:3: error: routes.a/b: a route's name cannot contain "/"
  hint: names with a slash are PROVIDER/MODEL
4:10: error: routes.empty.use: needs at least one target
5:3: error: routes.none: "use" is missing
6:11: error: routes.plain.use[0]: "gpt-4.1" is not a target
  hint: write PROVIDER/MODEL, such as openai/gpt-4.1; another route is { route: NAME }
6:20: error: routes.plain.use[1]: "demo/" is not a target
  hint: write PROVIDER/MODEL, such as openai/gpt-4.1; another route is { route: NAME }
6:27: error: routes.plain.use[2]: "/x" is not a target
  hint: write PROVIDER/MODEL, such as openai/gpt-4.1; another route is { route: NAME }
7:9: error: routes.text: expected a mapping or a list, found text
8:21: error: routes.strange.use: "wieghted" is not a strategy
  hint: did you mean "weighted"?
8:52: error: routes.strange.retries: "11" must be between 0 and 10
9:15: error: routes.two.use: expected one strategy
  hint: the strategies are: ordered, weighted, cost, latency, least-busy, score, complexity, sticky, route
10:3: error: routes."w s": a route's name has 1 to 128 bytes and no white space
10:36: error: routes."w s".timeout: "0" must be between 10ms and 1d"#,
    ),
    (
        r"providers: { demo: , my-vllm: { type: openai-compatible, base_url: http://h } }
routes:
  a: [demo/x, my-vlm/y, openai/z, q/z]
",
        r#"3:15: error: routes.a.use[1]: there is no provider "my-vlm"
  hint: did you mean "my-vllm"?
3:25: error: routes.a.use[2]: there is no provider "openai"
  hint: declare it ("providers: { openai: {} }") or set "discover: true"
3:35: error: routes.a.use[3]: there is no provider "q"
  hint: the providers are demo, my-vllm"#,
    ),
    (
        r"a: &a [1]
server: !!str { listen: ! x }
",
        r#"1:1: error: unknown field "a"
  hint: the fields here are server, store, records, log, discover, providers, routes, attribution, policies, limits, alerts, tests, catalog, models
2:9: error: YAML tags ("!...") have no meaning here
2:25: error: YAML tags ("!...") have no meaning here
2:25: error: server.listen: "x" is not an IP address and a port
  hint: write 127.0.0.1:4100, 0.0.0.0:4100 or [::1]:4100"#,
    ),
    (
        r"server: [1, 2
",
        r"2:1: error: this is not YAML: while parsing a flow sequence, expected ',' or ']'",
    ),
    (
        "server:\n\tlisten: x\n",
        r"2:2: error: this is not YAML: tabs disallowed within this context (block indentation)",
    ),
    ("- a\n{b", r"2:3: error: this is not YAML: simple key expected"),
    (r"just text", r"1:1: error: the file: expected a mapping, found text"),
    (r"[1, 2]", r"1:1: error: the file: expected a mapping, found a list"),
    (
        r"server: {}
---
log: {}
",
        r"2:1: error: the file holds more than one YAML document",
    ),
    (
        r"? [a]
: b
",
        r"1:3: error: a key must be plain text, not a list or a mapping",
    ),
    (
        r"a: &a [*a]
",
        r"1:8: error: this alias does not stand for a finished value",
    ),
    ("server: {}\0log: {}", r"1:11: error: a NUL character cannot be part of the file"),
    (
        r"server: &s { drain: 1s }
log:
  <<: *s
",
        r#"3:3: error: unknown field "<<" in log
  hint: merge keys are not supported; write the fields out"#,
    ),
    (
        r"providers: { demo: { drop: [seed], rename: { seed: random_seed } } }",
        r#"1:28: error: providers.demo.drop: "seed" is also renamed"#,
    ),
    (
        r"providers:
  openai:
    base_url: https://me:pw@h
  anthropic: { base_url: 'http://h?a=b' }
routes:
  - openai/x
",
        r"3:15: error: providers.openai.base_url: this holds a user or a password; use api_key or headers
  hint: write it like https://api.example.com/v1
4:26: error: providers.anthropic.base_url: this has a query or a fragment
  hint: write it like https://api.example.com/v1
5:1: error: routes: expected a mapping, found a list",
    ),
    (
        r#"server:
  limits: { body: "${OPENAI_API_KEY}", header: "${" }
  workers: ${1}
"#,
        r#"2:19: error: server.limits.body: the value with ${OPENAI_API_KEY} is not a size
  hint: write a whole number of bytes or one with a unit, such as 64KiB, 10MiB or 1GiB
2:48: error: server.limits.header: "${" has no closing "}"
  hint: write $$ for a dollar sign
3:12: error: server.workers: "${1}" is not a variable
  hint: write ${NAME} or ${NAME:-fallback}; write $$ for a dollar sign"#,
    ),
    (
        r#"server: { limits: { body: ${OPENAI_API_KEY}, header: "${" } }
"#,
        r#"1:28: error: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
  hint: inside { } and [ ] a variable needs quotes: "${NAME}""#,
    ),
    (
        r"catalog: { fil: a.jsonl }
models:
  gpt-4.1: { discount: 10% }
  OpenAI/gpt-4.1: {}
  openai/gpt-4.1:
    prices:
      inptu: 1
      input: -1
      output: 0.0000000001
      cache_read: 1e-3
      cache_write: '1.00'
      reasoning: 2.50 USD
      audio_input: 1000000001
      request: 0.0000000000000001
      batch: { input: free, flex: {} }
      above:
        200k: { input: 1 }
        0: { input: 1 }
        100000: { above: {}, output: }
    discount: 10
    margin: 2000%
    limits: { contxt: 1, output: 0 }
    capabilities: [tool]
    mode: chatt
  openai/o3: { free: true, discount: 5%, prices: { input: 1 } }
",
        r#"1:12: error: unknown field "fil" in catalog
  hint: did you mean "file"?
3:3: error: models."gpt-4.1": is not a model of a provider
  hint: write PROVIDER/MODEL, such as openai/gpt-4.1; * stands for any text, as in openai/*
4:3: error: models."OpenAI/gpt-4.1": is not a model of a provider
  hint: write PROVIDER/MODEL, such as openai/gpt-4.1; * stands for any text, as in openai/*
7:7: error: unknown field "inptu" in models."openai/gpt-4.1".prices
  hint: did you mean "input"?
8:14: error: models."openai/gpt-4.1".prices.input: "-1" is negative
  hint: write dollars per million tokens, such as 2.50, with at most 9 decimals
9:15: error: models."openai/gpt-4.1".prices.output: "0.0000000001" is finer than 9 decimals
  hint: write dollars per million tokens, such as 2.50, with at most 9 decimals
10:19: error: models."openai/gpt-4.1".prices.cache_read: "1e-3" is not a decimal number
  hint: write dollars per million tokens, such as 2.50, with at most 9 decimals
11:20: error: models."openai/gpt-4.1".prices.cache_write: expected a price, found text in quotes
12:18: error: models."openai/gpt-4.1".prices.reasoning: "2.50 USD" is not a decimal number
  hint: write dollars per million tokens, such as 2.50, with at most 9 decimals
13:20: error: models."openai/gpt-4.1".prices.audio_input: "1000000001" is more than any model costs
  hint: write dollars per million tokens, such as 2.50, with at most 9 decimals
14:16: error: models."openai/gpt-4.1".prices.request: "0.0000000000000001" is finer than 15 decimals
  hint: write dollars for one, such as 0.04, with at most 15 decimals
15:23: error: models."openai/gpt-4.1".prices.batch.input: "free" is not a decimal number
  hint: write dollars per million tokens, such as 2.50, with at most 9 decimals
15:29: error: unknown field "flex" in models."openai/gpt-4.1".prices.batch
  hint: the fields here are input, output, cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output, image_input, image_output, request, search, search_small, search_large, image_sent, image_made, second_sent, second_made, character_sent, character_made, page, above
17:9: error: models."openai/gpt-4.1".prices.above.200k: "200k" is not a number of tokens
  hint: write a whole number such as 200000
18:9: error: models."openai/gpt-4.1".prices.above.0: "0" is not a number of tokens
  hint: write a whole number such as 200000
19:19: error: unknown field "above" in models."openai/gpt-4.1".prices.above.100000
  hint: the fields here are input, output, cache_read, cache_write, cache_write_1h, reasoning, audio_input, audio_output, image_input, image_output, request, search, search_small, search_large, image_sent, image_made, second_sent, second_made, character_sent, character_made, page
19:30: error: models."openai/gpt-4.1".prices.above.100000.output: has no value, expected a price
  hint: leave the whole line out for the default
20:15: error: models."openai/gpt-4.1".discount: "10" is not a percentage
  hint: write it like 10% or 12.5%, with at most four decimals
21:13: error: models."openai/gpt-4.1".margin: "2000%" must be between 0% and 1000%
22:15: error: unknown field "contxt" in models."openai/gpt-4.1".limits
  hint: did you mean "context"?
22:34: error: models."openai/gpt-4.1".limits.output: "0" must be between 1 and 4294967295
23:20: error: models."openai/gpt-4.1".capabilities[0]: "tool" is not tools, parallel_tools, tool_choice, structured_output, system_messages, vision, reasoning, prompt_cache, web_search, pdf, audio_input, audio_output, video_input, computer_use or prefill
  hint: did you mean "tools"?
24:11: error: models."openai/gpt-4.1".mode: "chatt" is not chat, responses, completion, embedding, rerank, image, image_edit, speech, transcription, moderation, video, realtime, ocr, search or other
  hint: did you mean "chat"?
25:38: error: models.openai/o3.discount: a model that is free has none
  hint: leave out this or "free: true"
25:50: error: models.openai/o3.prices: a model that is free has none
  hint: leave out this or "free: true""#,
    ),
];

#[test]
fn every_mistake_is_reported_at_its_place() {
    for (text, expected) in BROKEN {
        let (config, diagnostics) = load(text, &env, &KNOWN);
        let said: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
        assert_eq!(said.join("\n"), *expected, "of:\n{text}");
        let usable = diagnostics.iter().all(|found| found.severity == Severity::Warning);
        assert_eq!(
            config.is_some(),
            usable,
            "a configuration is there exactly if nothing is an error:\n{text}"
        );
    }
}

#[test]
fn a_diagnostic_names_its_setting_for_programs() {
    let (_, diagnostics) = load("routes: { gpt-4.1: { use: [demo/x, nowhere/y] } }", &env, &KNOWN);
    let paths: Vec<&str> = diagnostics.iter().map(|found| found.path.as_str()).collect();
    assert_eq!(paths, [r#"routes."gpt-4.1".use[0]"#, r#"routes."gpt-4.1".use[1]"#]);
}

#[test]
fn discovery_lets_routes_name_built_in_providers() {
    let text = "discover: true\nroutes: { a: [gemini/x, nowhere/y] }";
    let (_, diagnostics) = load(text, &env, &KNOWN);
    let messages: Vec<&str> = diagnostics.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(messages, [r#"routes.a.use[1]: there is no provider "nowhere""#]);
}

/// Text that is too much in one way, and what is said about it.
#[test]
fn bounds_are_told() {
    let deep = format!("a: {}", "[".repeat(70));
    let many = format!("a: [{}]", "1,".repeat(260_000));
    let laughs: String = (1..9).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
        let before = vec![format!("*a{}", i - 1); 9];
        format!("{text}a{i}: &a{i} [{}]\n", before.join(", "))
    });
    for (text, expected) in [
        (deep, "more than 64 lists and mappings stand inside each other"),
        (many, "the file holds more than 250000 values, aliases followed"),
        (laughs, "the file holds more than 250000 values, aliases followed"),
        ("#".repeat(4 * 1024 * 1024 + 1), "the file is larger than 4MiB"),
    ] {
        let (config, diagnostics) = load(&text, &env, &KNOWN);
        assert!(config.is_none());
        assert_eq!(diagnostics.last().unwrap().message, expected);
    }
}
