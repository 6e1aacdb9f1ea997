//! The cost that is booked for every recorded exchange with usage, against a calculation that shares no code with the
//! gateway: this file's own reading of the provider's JSON, its own look into the price data, its own arithmetic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use lockgate_catalog::Catalog;
use lockgate_core::{Clock as _, Upstream};
use lockgate_dialect::{by_name, operation::Operation};
use lockgate_engine::{Inbound, Snapshot, chat};
use lockgate_testkit::Play;
use lockgate_testkit::vectors::{self, Exchange};
use serde_json::{Value, json};

use crate::errands::{ask, speaking};
use crate::requests;
use crate::stage::{Set, Stage, hear};

const DATA: &str = include_str!("../../../catalog/data/models.jsonl");

/// Counts in the words of the price data.
type Counts = BTreeMap<&'static str, u64>;

/// What came of the exchanges of one dialect.
#[derive(Default)]
struct Tally {
    priced: usize,
    unpriced: usize,
    estimated: usize,
    nanos: u128,
}

/// The price data as it lies there.
struct Prices(BTreeMap<(String, String), Value>);

// === Reading ===

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

/// A count, whether written `3` or `3.0`.
fn count(value: &Value, path: &str) -> u64 {
    let found = at(value, path);
    found.as_u64().or_else(|| found.as_f64().map(|number| number as u64)).unwrap_or(0)
}

/// Parts of a whole, in this order; what is left of it is `rest`. Parts that overlap (sound that was cached) count once, a
/// part that exceeds the whole stands beside it.
fn split(whole: u64, rest: &'static str, parts: &[(&'static str, u64)], counts: &mut Counts) {
    let mut left = whole;
    for (name, part) in parts {
        let mine = if *part > whole { *part } else { left.min(*part) };
        if *part <= whole {
            left -= mine;
        }
        *counts.entry(name).or_default() += mine;
    }
    *counts.entry(rest).or_default() += left;
}

/// OpenAI's two forms, which differ in names only.
fn openai(usage: &Value, input: &str, output: &str) -> Option<Counts> {
    let ins = format!("{input}_details");
    let outs = format!("{output}_details");
    let said = |path: &str| !at(usage, path).is_null();
    if !said(input) && !said(output) {
        return None;
    }
    let detail = |of: &str, name: &str| count(usage, &format!("{of}.{name}"));
    let cached = ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"];
    let cached =
        cached.iter().map(|name| count(usage, name)).max().unwrap_or(0).max(detail(&ins, "cached_tokens"));
    let hour = count(usage, "cache_creation.ephemeral_1h_input_tokens");
    let written = match at(usage, &format!("{ins}.cache_write_tokens")) {
        Value::Null => count(usage, "cache_creation_input_tokens"),
        said => said.as_u64().unwrap_or(0),
    };
    let (prompt, completion) = (count(usage, input), count(usage, output));
    let mut counts = Counts::new();
    let parts = [
        ("cr", cached),
        ("cwh", hour),
        ("cw", written.saturating_sub(hour)),
        ("ain", detail(&ins, "audio_tokens")),
        ("iin", detail(&ins, "image_tokens")),
    ];
    split(prompt, "in", &parts, &mut counts);
    // What the total has on top was thought.
    let beyond = count(usage, "total_tokens").saturating_sub(prompt + completion);
    let named = detail(&outs, "reasoning_tokens").max(count(usage, "reasoning_tokens"));
    let within = if beyond > 0 && named == beyond { 0 } else { named };
    let parts =
        [("rs", within), ("aout", detail(&outs, "audio_tokens")), ("iout", detail(&outs, "image_tokens"))];
    split(completion, "out", &parts, &mut counts);
    *counts.entry("rs").or_default() += beyond;
    let searches = [
        "server_tool_use_details.web_search_requests",
        "server_tool_use.web_search_requests",
        "num_search_queries",
        "num_sources_used",
    ];
    let searches: u64 = searches.iter().map(|path| count(usage, path)).max().unwrap_or(0);
    let made = count(usage, "server_side_tool_usage_details.web_search_calls")
        + count(usage, "server_side_tool_usage_details.x_search_calls");
    counts.insert("srch", searches.max(made));
    Some(counts)
}

fn anthropic(usage: &Value) -> Option<Counts> {
    if usage["input_tokens"].is_null() && usage["output_tokens"].is_null() {
        return None;
    }
    let mut counts = Counts::new();
    let side = usage["iterations"].as_array().cloned().unwrap_or_default();
    let side = side.iter().filter(|pass| pass["type"] != "message");
    for (pass, main) in side.map(|pass| (pass, false)).chain([(usage, true)]) {
        let hour = count(pass, "cache_creation.ephemeral_1h_input_tokens");
        let written = count(pass, "cache_creation_input_tokens");
        let minutes = match at(pass, "cache_creation.ephemeral_5m_input_tokens") {
            Value::Null => written.saturating_sub(hour),
            said => said.as_u64().unwrap_or(0).max(written.saturating_sub(hour)),
        };
        let thought = count(pass, "output_tokens_details.thinking_tokens");
        let thought = if main { thought.min(count(pass, "output_tokens")) } else { 0 };
        for (name, n) in [
            ("in", count(pass, "input_tokens")),
            ("cr", count(pass, "cache_read_input_tokens")),
            ("cw", minutes),
            ("cwh", hour),
            ("rs", thought),
            ("out", count(pass, "output_tokens") - thought),
        ] {
            *counts.entry(name).or_default() += n;
        }
    }
    counts.insert("srch", count(usage, "server_tool_use.web_search_requests"));
    Some(counts)
}

fn gemini(usage: &Value) -> Option<Counts> {
    let names = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount"];
    if names.iter().all(|name| usage[*name].is_null()) {
        return None;
    }
    let of = |list: &str, modality: &str| -> u64 {
        let items = usage[list].as_array().cloned().unwrap_or_default();
        let mine = items.iter().filter(|item| item["modality"] == modality);
        mine.map(|item| count(item, "tokenCount")).sum()
    };
    let (prompt, cached) = (count(usage, "promptTokenCount"), count(usage, "cachedContentTokenCount"));
    let tools = count(usage, "toolUsePromptTokenCount");
    let fresh = if cached <= prompt { prompt - cached } else { prompt } + tools;
    let answer = count(usage, "candidatesTokenCount");
    let named = count(usage, "thoughtsTokenCount");
    let beyond = count(usage, "totalTokenCount").saturating_sub(prompt + answer + named + tools);
    let mut counts = Counts::from([("cr", cached), ("rs", named + beyond)]);
    let own = |modality| {
        of("promptTokensDetails", modality).saturating_sub(of("cacheTokensDetails", modality))
            + of("toolUsePromptTokensDetails", modality)
    };
    let (sound, pictures) = (own("AUDIO").min(fresh), own("IMAGE"));
    let pictures = pictures.min(fresh - sound);
    let heard = of("candidatesTokensDetails", "AUDIO").min(answer);
    let drawn = of("candidatesTokensDetails", "IMAGE").min(answer - heard);
    counts.extend([("ain", sound), ("iin", pictures), ("in", fresh - sound - pictures)]);
    counts.extend([("aout", heard), ("iout", drawn), ("out", answer - heard - drawn)]);
    Some(counts)
}

/// Gemini 3 charges each different query, older models a request that searched.
fn searches(tree: &Value, exchange: &Exchange) -> u64 {
    let candidates = tree["candidates"].as_array().cloned().unwrap_or_default();
    let queries = candidates
        .iter()
        .filter_map(|candidate| at(candidate, "groundingMetadata.webSearchQueries").as_array().cloned());
    let said: BTreeSet<String> = queries
        .flatten()
        .filter_map(|query| query.as_str().map(str::to_owned))
        .filter(|q| !q.is_empty())
        .collect();
    let model = exchange.model.as_deref().unwrap_or_default();
    let model = tree["modelVersion"].as_str().unwrap_or(model);
    let old = ["gemini-1", "gemini-2"].iter().any(|old| model.contains(old));
    if old { u64::from(!said.is_empty()) } else { said.len() as u64 }
}

fn bedrock(usage: &Value) -> Option<Counts> {
    if usage["inputTokens"].is_null() && usage["outputTokens"].is_null() {
        return None;
    }
    let either = |a: &str, b: &str| if usage[a].is_null() { count(usage, b) } else { count(usage, a) };
    let written = either("cacheWriteInputTokens", "cacheWriteInputTokenCount");
    let details = usage["cacheDetails"].as_array().cloned().unwrap_or_default();
    let hour =
        details.iter().filter(|detail| detail["ttl"] == "1h").map(|detail| count(detail, "inputTokens"));
    let hour = hour.sum::<u64>().min(written);
    Some(Counts::from([
        ("in", count(usage, "inputTokens")),
        ("cr", either("cacheReadInputTokens", "cacheReadInputTokenCount")),
        ("cw", written - hour),
        ("cwh", hour),
        ("out", count(usage, "outputTokens")),
    ]))
}

fn cohere(usage: &Value) -> Option<Counts> {
    let (billed, tokens) = (&usage["billed_units"], &usage["tokens"]);
    let said = |part: &Value| !part["input_tokens"].is_null() || !part["output_tokens"].is_null();
    let mut counts = Counts::from([("srch", count(billed, "search_units"))]);
    let pictures = count(tokens, "image_tokens");
    let (input, output) = if said(billed) {
        let input = count(billed, "input_tokens");
        split(input, "in", &[("iin", pictures.min(input))], &mut counts);
        (0, count(billed, "output_tokens"))
    } else if said(tokens) {
        let input = count(tokens, "input_tokens");
        let cached = count(usage, "cached_tokens").min(input);
        counts.extend([("iin", pictures), ("cr", cached)]);
        (input - cached, count(tokens, "output_tokens"))
    } else {
        return None;
    };
    *counts.entry("in").or_default() += input;
    split(output, "out", &[("rs", count(tokens, "reasoning_tokens").min(output))], &mut counts);
    Some(counts)
}

/// The events of an answer, or its one object.
fn trees(exchange: &Exchange) -> Vec<Value> {
    let bytes = exchange.response.bytes();
    if exchange.response.is_stream() {
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        return data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect();
    }
    if exchange.response.body_kind == "eventstream" {
        // The payloads of frames are JSON between other bytes.
        let starts = bytes.windows(2).enumerate().filter(|(_, two)| *two == b"{\"").map(|(at, _)| at);
        let objects = starts.filter_map(|at| {
            serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<Value>().next()?.ok()
        });
        return objects.filter(|object| object["usage"].is_object()).collect();
    }
    serde_json::from_slice(&bytes).into_iter().collect()
}

/// What an exchange's answer reports; `None` where it reports nothing.
fn reported(api: &str, exchange: &Exchange) -> Option<Counts> {
    let trees = trees(exchange);
    match api {
        "openai.chat" | "openai.completions" => {
            // The last report that has counts.
            let read = |tree: &Value| openai(&tree["usage"], "prompt_tokens", "completion_tokens");
            let own = trees.iter().filter_map(read).next_back();
            // Groq has it in a member of its own in streams.
            own.or_else(|| {
                let read =
                    |tree: &Value| openai(&tree["x_groq"]["usage"], "prompt_tokens", "completion_tokens");
                trees.iter().filter_map(read).next_back()
            })
        }
        "openai.responses" => {
            let answer = |tree: &Value| {
                if tree["response"].is_object() { tree["response"].clone() } else { tree.clone() }
            };
            let answer = trees.iter().map(answer).rfind(|answer| answer["usage"].is_object())?;
            let mut counts = openai(&answer["usage"], "input_tokens", "output_tokens")?;
            let tools = &answer["tool_usage"];
            if tools["web_search"]["num_requests"].is_u64() {
                counts.insert("srch", count(tools, "web_search.num_requests"));
            }
            *counts.entry("iin").or_default() += count(tools, "image_gen.input_tokens");
            *counts.entry("iout").or_default() += count(tools, "image_gen.output_tokens");
            Some(counts)
        }
        "anthropic.messages" => {
            let mut usage = json!({});
            for tree in &trees {
                let later = if tree["message"]["usage"].is_object() {
                    &tree["message"]["usage"]
                } else {
                    &tree["usage"]
                };
                let members = later.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
                let silent = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
                    .iter()
                    .all(|name| count(later, name) == 0);
                for (name, value) in members {
                    // Servers that count nothing at the end send zeros; the report at the start holds then.
                    let kept = name.contains("input_tokens") && silent && !usage[name].is_null();
                    let empty = name == "cache_creation"
                        && !usage[name].is_null()
                        && value
                            .as_object()
                            .is_some_and(|split| split.values().all(|n| n.as_u64() == Some(0)));
                    if !kept && !empty {
                        usage[name] = value.clone();
                    }
                }
            }
            anthropic(&usage)
        }
        "gemini.generateContent" => {
            let lists =
                trees.iter().flat_map(|tree| tree.as_array().cloned().unwrap_or_else(|| vec![tree.clone()]));
            let lists: Vec<Value> = lists.collect();
            let mut counts = lists.iter().filter_map(|tree| gemini(&tree["usageMetadata"])).next_back()?;
            counts.insert("srch", lists.iter().map(|tree| searches(tree, exchange)).max().unwrap_or(0));
            Some(counts)
        }
        "cohere.chat" => {
            let read = |tree: &Value| cohere(&tree["usage"]).or_else(|| cohere(&tree["delta"]["usage"]));
            trees.iter().filter_map(read).next_back()
        }
        "bedrock.converse" => trees.iter().filter_map(|tree| bedrock(&tree["usage"])).next_back(),
        _ => panic!("{api}: how it reports is not known here"),
    }
}

// === Prices ===

impl Prices {
    fn read() -> Self {
        let rows = DATA.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
        let plain = rows.filter(|row| row["var"].is_null());
        let name = |row: &Value, member: &str| row[member].as_str().unwrap().to_owned();
        Self(plain.map(|row| ((name(&row, "p"), name(&row, "id")), row)).collect())
    }

    /// Nano-dollars, or `None` where a price is missing.
    fn cost(&self, (provider, id): (&str, &str), counts: &Counts, tier: &str, minute: u64) -> Option<u128> {
        let row = &self.0[&(provider.to_owned(), id.to_owned())];
        if row["free"] == true {
            return Some(0);
        }
        let cards: Vec<(&str, u64, Option<u64>, &Value)> = row
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(key, prices)| {
                let key = key.strip_prefix('$')?;
                let (key, window) = key.split_once('@').map_or((key, None), |(key, n)| (key, n.parse().ok()));
                let (tier, above) =
                    key.split_once('>').map_or((key, 0), |(tier, n)| (tier, n.parse().unwrap()));
                Some((tier, above, window, prices))
            })
            .collect();
        let here = |tier: &str| cards.iter().any(|card| card.0 == tier);
        if !here(tier) {
            return None;
        }
        let prompt: u64 =
            ["in", "cr", "cw", "cwh", "ain", "iin"].iter().filter_map(|name| counts.get(name)).sum();
        let above = cards.iter().map(|card| card.1).filter(|above| *above < prompt).max().unwrap_or(0);
        let at = |tier: &str| cards.iter().any(|card| card.0 == tier && card.1 == above);
        if above > 0 && !at(tier) && at("") {
            return None;
        }
        let windows = row["win"].as_array().cloned().unwrap_or_default();
        let within = |spans: &Value| {
            let spans = spans.as_array().cloned().unwrap_or_default();
            spans.iter().any(|span| (span[0].as_u64().unwrap()..span[1].as_u64().unwrap()).contains(&minute))
        };
        let window = windows.iter().position(within).map(|at| at as u64);
        let price = |name: &str| -> Option<u64> {
            // On the tier before the standard one, for long prompts before short ones, in the hours before at any time.
            let fits = |card: &&(&str, u64, Option<u64>, &Value)| {
                (card.0 == tier || card.0.is_empty())
                    && card.1 <= above
                    && (card.2.is_none() || card.2 == window)
                    && card.3[name].is_u64()
            };
            let rank = |card: &&(&str, u64, Option<u64>, &Value)| (card.0 == tier, card.1, card.2.is_some());
            cards.iter().filter(fits).max_by_key(rank).map(|card| card.3[name].as_u64().unwrap())
        };
        let mut sum = 0_u128;
        for (name, n) in counts.iter().filter(|(_, n)| **n > 0) {
            let stand_ins: &[&str] = match *name {
                "cr" | "cw" | "ain" | "iin" => &["in"],
                "cwh" => &["cw", "in"],
                "rs" | "aout" | "iout" => &["out"],
                _ => &[],
            };
            let found = price(name).or_else(|| stand_ins.iter().find_map(|name| price(name)))?;
            sum += u128::from(*n) * u128::from(found);
        }
        sum += u128::from(row["$"]["req"].as_u64().unwrap_or(0));
        Some((sum + 500_000) / 1_000_000)
    }
}

// === The walk ===

/// The provider's name in the catalogue.
fn listed(provider: &str) -> &str {
    match provider {
        "gemini" => "google",
        "vercel-gateway" => "vercel",
        "github-copilot" => "github",
        other => other,
    }
}

/// A stage with this provider and the built-in prices, which are read once for all.
fn stage_of(upstream: Upstream) -> Stage {
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::built_in()));
    let stage = Set::of([upstream]).patient().stage();
    let before = stage.engine.state.snapshot.load_full();
    stage.engine.state.snapshot.store(Arc::new(Snapshot {
        table: Arc::clone(&before.table),
        keys: Arc::clone(&before.keys),
        catalog: Arc::clone(&CATALOG),
        attribution: Arc::default(),
    }));
    stage
}

fn made_up(api: &str) -> Value {
    match api {
        "openai.responses" => json!({"model": "made-up", "input": "Hello"}),
        "openai.completions" => json!({"model": "made-up", "prompt": "Hello"}),
        "anthropic.messages" => json!({"model": "made-up", "max_tokens": 9, "messages": []}),
        "gemini.generateContent" => json!({"contents": [{"parts": [{"text": "Hello"}]}]}),
        "bedrock.converse" => json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}),
        _ => json!({"model": "made-up", "messages": [{"role": "user", "content": "Hello"}]}),
    }
}

/// Asks what was recorded, and lets the provider answer what was recorded.
async fn play(api: &'static str, exchange: &Exchange) -> (Stage, Value) {
    let provider = &exchange.provider;
    let streams = exchange.response.is_stream() || exchange.response.body_kind == "eventstream";
    let recorded = exchange.request.as_ref().map(vectors::Sent::bytes);
    let recorded = recorded.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let request = recorded.filter(Value::is_object).unwrap_or_else(|| made_up(api));
    let model = exchange.model.clone().unwrap_or_else(|| "made-up".into());
    let in_path = matches!(api, "gemini.generateContent" | "bedrock.converse");
    let mut body = request.clone();
    if !in_path {
        body["model"] = format!("{provider}/{model}").into();
        body["stream"] = streams.into();
    }
    let upstream = Upstream { catalog: listed(provider).into(), ..speaking(provider, &[api]) };
    let stage = stage_of(upstream);
    let usual = match exchange.response.body_kind.as_str() {
        "eventstream" => "application/vnd.amazon.eventstream",
        _ if streams => "text/event-stream",
        _ => "application/json",
    };
    let kind = exchange.response.headers.get("content-type").map_or(usual, String::as_str);
    stage
        .script
        .then(provider, Play::status(200).header("content-type", kind).piece(exchange.response.bytes()));
    let named = in_path.then(|| (format!("{provider}/{model}"), streams));
    let inbound = Inbound {
        dialect: by_name(api).unwrap(),
        named,
        ..stage.inbound(&[("authorization", "Bearer lg-test-key")])
    };
    let body = Bytes::from(body.to_string());
    hear(chat(&stage.engine, inbound, async { Ok(body) }).await).await;
    (stage, request)
}

/// The minute of the week of a moment. The first of January 1970 was a Thursday.
fn minute(wall_ms: u64) -> u64 {
    (wall_ms / 60_000 + 3 * 24 * 60) % (7 * 24 * 60)
}

#[tokio::test(start_paused = true)]
async fn what_is_booked_is_what_another_calculation_says_to_the_nano_dollar() {
    let (prices, catalog) = (Prices::read(), Catalog::built_in());
    let mut all = 0;
    let mut wrong = Vec::new();
    for (api, of, least) in [
        ("openai.chat", "openai.chat", 600),
        ("openai.responses", "openai.responses", 300),
        ("openai.completions", "openai.completions", 1),
        ("anthropic.messages", "anthropic.messages", 350),
        ("gemini.generateContent", "gemini.generateContent", 350),
        ("bedrock.converse", "bedrock.converse", 80),
        ("bedrock.converse", "bedrock.converse-stream", 20),
        ("cohere.chat", "cohere.chat", 40),
    ] {
        let Some(exchanges) = vectors::of(of) else { return };
        let mut tally = Tally::default();
        for exchange in exchanges.iter().filter(|it| it.response.status.unwrap_or(200) == 200) {
            let Some(counts) = reported(api, exchange) else { continue };
            let (stage, request) = play(api, exchange).await;
            let mut records = stage.records.take();
            let Some(record) = records.pop() else { continue };
            let Some(usage) = record.usage else { continue };
            let name = format!("{} {} {:?}", exchange.id, exchange.provider, exchange.model);
            if !usage.reported() {
                // Broken off before its report, or refused: what came is counted, and says that it is no report.
                tally.estimated += 1;
                continue;
            }
            let Some(target) = &record.target else { continue };
            let found = catalog.find(listed(&exchange.provider), &target.model);
            let tier = match request["service_tier"].as_str() {
                Some("flex") => "flex",
                Some("priority") => "prio",
                Some("batch") => "batch",
                _ => "",
            };
            let independent = found.and_then(|found| {
                let row = (&*found.model.provider, &*found.model.id);
                prices.cost(row, &counts, tier, minute(stage.clock.wall_ms()))
            });
            let booked = record.cost.map(|cost| {
                // As a plain figure, by the same way that records take to files.
                u128::from(serde_json::to_value(cost).unwrap().as_u64().unwrap())
            });
            if booked != independent {
                wrong.push(format!(
                    "{api} {name}: booked {booked:?}, {independent:?} by {counts:?}, not {usage:?}"
                ));
            }
            match independent {
                Some(nanos) => {
                    tally.priced += 1;
                    tally.nanos += nanos;
                }
                None => tally.unpriced += 1,
            }
        }
        println!(
            "{of}: {} priced alike ({} nano-dollars), {} without a price on both sides, {} estimated",
            tally.priced, tally.nanos, tally.unpriced, tally.estimated
        );
        assert!(tally.priced >= least, "{of}: {}", tally.priced);
        all += tally.priced;
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    println!("{all} costs");
}

#[tokio::test(start_paused = true)]
async fn embeddings_and_ranks_cost_what_another_calculation_says() {
    let (prices, catalog) = (Prices::read(), Catalog::built_in());
    let mut priced = 0;
    for (operation, dialect, of) in [
        (Operation::Embeddings, "openai.chat", "openai.embeddings"),
        (Operation::Rerank, "cohere.rerank", "rerank"),
    ] {
        let Some(exchanges) = vectors::of(of) else { return };
        for exchange in exchanges.iter().filter(|it| it.response.status.unwrap_or(200) == 200) {
            let answer: Value = serde_json::from_slice(&exchange.response.bytes()).unwrap_or_default();
            let tokens = count(&answer, "usage.prompt_tokens").max(count(&answer, "usage.total_tokens"));
            let searches = count(&answer, "meta.billed_units.search_units");
            let Some(model) = exchange.model.clone().filter(|_| tokens + searches > 0) else { continue };
            let provider = &exchange.provider;
            let body = match operation {
                Operation::Rerank => json!({"model": "m", "query": "q", "documents": vec!["d"; 20]}),
                _ => json!({"model": "m", "input": "Hello"}),
            };
            let body =
                requests::with(&body.to_string(), "model", &json!(format!("{provider}/{model}")).to_string());
            let upstream = Upstream { catalog: listed(provider).into(), ..speaking(provider, &[dialect]) };
            let stage = stage_of(upstream);
            stage.script.then(provider, Play::json(200, exchange.response.bytes()));
            ask(operation, body).to(&stage).await;
            let record = stage.record();
            let booked = record.cost.map(|cost| serde_json::to_value(cost).unwrap().as_u64().unwrap());
            let Some(found) = catalog.find(listed(provider), &model) else {
                assert_eq!(booked, None, "{}", exchange.id);
                continue;
            };
            // A row that is sold by the search has no price for tokens.
            let row = &prices.0[&(found.model.provider.to_string(), found.model.id.to_string())];
            let by_tokens = u128::from(row["$"]["in"].as_u64().unwrap_or(0)) * u128::from(tokens);
            let by_search = u128::from(row["$"]["req"].as_u64().unwrap_or(0)) * u128::from(searches.max(1));
            let nanos = (by_tokens + by_search + 500_000) / 1_000_000;
            assert_eq!(
                booked.map(u128::from),
                (nanos > 0 || row["free"] == true).then_some(nanos),
                "{}",
                exchange.id
            );
            priced += usize::from(nanos > 0);
        }
    }
    println!("{priced} costs of embeddings and ranks");
    assert!(priced >= 15, "{priced}");
}
