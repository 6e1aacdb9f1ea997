//! Recorded exchanges of embeddings, ranks and other operations: the client gets the provider's bytes, or the same
//! numbers in OpenAI's words, and what is booked is what the provider reported.

use bytes::Bytes;
use lockgate_core::Usage;
use lockgate_core::usage::Source;
use lockgate_dialect::operation::Operation;
use lockgate_testkit::Play;
use lockgate_testkit::vectors::{self, Exchange};
use serde_json::{Value, json};

use crate::errands::{ask, ask_named, speaking};
use crate::requests;
use crate::stage::{Heard, Set, Stage};

fn play(exchange: &Exchange) -> Play {
    let kind = exchange.response.headers.get("content-type").map_or("application/json", String::as_str);
    let mut play = Play::status(exchange.response.status.unwrap_or(200)).header("content-type", kind);
    for (name, value) in
        exchange.response.headers.iter().filter(|(name, _)| name.starts_with("x-amzn-bedrock"))
    {
        play = play.header(name, value);
    }
    play.piece(exchange.response.bytes())
}

fn stage_of(provider: &str, dialect: &'static str) -> Stage {
    Set::of([speaking(provider, &[dialect])]).patient().stage()
}

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn is_answer(exchange: &Exchange) -> bool {
    exchange.response.status.unwrap_or(200) == 200 && exchange.response.body_kind == "json"
}

/// The recorded request, or one that is made up, with the provider's name before the model's.
fn recorded(exchange: &Exchange, made_up: &Value) -> (String, String) {
    let body = match &exchange.request {
        Some(sent) => String::from_utf8(sent.bytes().to_vec()).unwrap(),
        None => made_up.to_string(),
    };
    let model = requests::model(&body);
    let named = Value::from(format!("{}/{model}", exchange.provider)).to_string();
    (requests::with(&body, "model", &named), model)
}

/// Asks, and checks that bytes pass in both directions.
async fn untouched(
    exchange: &Exchange,
    operation: Operation,
    dialect: &'static str,
    made_up: &Value,
) -> (Stage, Heard) {
    let stage = stage_of(&exchange.provider, dialect);
    let (body, model) = recorded(exchange, made_up);
    stage.script.then(&exchange.provider, play(exchange));
    // Some errors are tried again.
    stage.script.then(&exchange.provider, play(exchange));
    let heard = ask(operation, body.clone()).to(&stage).await;
    let name = &exchange.id;
    let sent = String::from_utf8(stage.script.take()[0].body.to_vec()).unwrap();
    requests::assert_only_spliced(&body, &sent, &model, false, name);
    assert_eq!(heard.status, exchange.response.status.unwrap_or(200), "{name}");
    assert_eq!(heard.body, exchange.response.bytes(), "{name}");
    (stage, heard)
}

fn booked(stage: &Stage) -> Option<Usage> {
    stage.record().usage
}

fn sum_reported(answer: &Value) -> Option<u64> {
    let usage = &answer["usage"];
    usage["prompt_tokens"].as_u64().or(usage["total_tokens"].as_u64())
}

#[tokio::test(start_paused = true)]
async fn embeddings_pass_and_are_booked_as_reported() {
    let Some(exchanges) = vectors::of("openai.embeddings") else { return };
    let (mut answers, mut errors) = (0, 0);
    for exchange in &exchanges {
        let made_up = json!({"model": "made-up", "input": "Hello"});
        let (stage, _) = untouched(exchange, Operation::Embeddings, "openai.chat", &made_up).await;
        if !is_answer(exchange) {
            errors += 1;
            continue;
        }
        let usage = booked(&stage).unwrap();
        match sum_reported(&tree(&exchange.response.bytes())) {
            Some(input) => {
                assert_eq!(usage, Usage { input, ..Usage::default() }, "{}", exchange.id);
            }
            None => assert_eq!(usage.source, Source::Estimated, "{}", exchange.id),
        }
        answers += 1;
    }
    println!("{answers} answers, {errors} errors");
    assert!(answers >= 20);
}

#[tokio::test(start_paused = true)]
async fn ranks_pass_and_are_booked_as_reported() {
    let Some(exchanges) = vectors::of("rerank") else { return };
    let mut answers = 0;
    for exchange in exchanges.iter().filter(|exchange| exchange.provider != "bedrock") {
        let dialect = match exchange.provider.as_str() {
            "cohere" => "cohere.rerank",
            "voyage" => "voyage.rerank",
            _ => "openai.chat",
        };
        let made_up = json!({"model": "made-up", "query": "q", "documents": vec!["d"; 10]});
        let (stage, _) = untouched(exchange, Operation::Rerank, dialect, &made_up).await;
        if !is_answer(exchange) {
            continue;
        }
        let answer = tree(&exchange.response.bytes());
        let usage = booked(&stage).unwrap();
        let searches = answer["meta"]["billed_units"]["search_units"].as_u64().unwrap_or(0);
        assert_eq!(
            (usage.searches, usage.input),
            (searches, sum_reported(&answer).unwrap_or(0)),
            "{}",
            exchange.id
        );
        assert!(usage.reported(), "{}", exchange.id);
        answers += 1;
    }
    println!("{answers} answers");
    assert!(answers >= 8);
}

#[tokio::test(start_paused = true)]
async fn ranks_in_another_form_have_the_same_scores() {
    let Some(exchanges) = vectors::of("rerank") else { return };
    for exchange in exchanges.iter().filter(|exchange| is_answer(exchange)) {
        let (dialect, own) = match exchange.provider.as_str() {
            "cohere" => ("cohere.rerank", "results"),
            "voyage" => ("voyage.rerank", "data"),
            "bedrock" => ("bedrock.converse", "results"),
            _ => ("jina.rerank", "results"),
        };
        // A client of the other form.
        let (top, other) = if own == "data" { ("top_n", "results") } else { ("top_k", "data") };
        let mut body =
            json!({"model": format!("{}/m", exchange.provider), "query": "q", "documents": vec!["d"; 10]});
        body[top] = json!(10);
        let stage = stage_of(&exchange.provider, dialect);
        stage.script.then(&exchange.provider, play(exchange));
        let heard = ask(Operation::Rerank, body.to_string()).to(&stage).await;
        assert_eq!(heard.status, 200, "{}", exchange.id);
        let (before, after) = (tree(&exchange.response.bytes()), tree(&heard.body));
        let scores = |list: &Value| -> Vec<(u64, String)> {
            let score =
                |rank: &Value| rank.get("relevance_score").unwrap_or(&rank["relevanceScore"]).to_string();
            list.as_array()
                .unwrap()
                .iter()
                .map(|rank| (rank["index"].as_u64().unwrap(), score(rank)))
                .collect()
        };
        assert_eq!(scores(&before[own]), scores(&after[other]), "{}", exchange.id);
    }
}

/// The vectors of an answer in any form.
fn vectors_of(answer: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if let Some(one) = answer.get("embedding") {
        return vec![one.get("values").unwrap_or(one).clone()];
    }
    if answer.get("predictions").is_some() {
        return list(&answer["predictions"]).iter().map(|one| one["embeddings"]["values"].clone()).collect();
    }
    let found = &answer["embeddings"];
    let found = list(found.get("float").unwrap_or(found));
    let inner = |one: &Value| one.get("values").or(one.get("embedding")).unwrap_or(one).clone();
    found.iter().map(inner).collect()
}

#[tokio::test(start_paused = true)]
async fn vectors_of_other_forms_are_the_same_numbers_in_openais_words() {
    let mut crossed = 0;
    for (api, dialect) in [
        ("gemini.embed", "gemini.generateContent"),
        ("cohere.embed", "cohere.embed"),
        ("bedrock.invoke", "bedrock.converse"),
    ] {
        let Some(exchanges) = vectors::of(api) else { return };
        for exchange in exchanges.iter().filter(|exchange| is_answer(exchange)) {
            let answer = tree(&exchange.response.bytes());
            let model = exchange.model.clone().unwrap_or_else(|| "m".into());
            let batch = answer.get("embeddings").is_some();
            if (api == "bedrock.invoke" && !model.contains("embed")) || (api == "gemini.embed" && !batch) {
                continue;
            }
            let stage = stage_of(&exchange.provider, dialect);
            stage.script.then(&exchange.provider, play(exchange));
            let body = json!({"model": format!("{}/{model}", exchange.provider), "input": "Hello, world!"});
            let heard = ask(Operation::Embeddings, body.to_string()).to(&stage).await;
            assert_eq!(heard.status, 200, "{}: {:?}", exchange.id, heard.body);
            let data = tree(&heard.body)["data"].clone();
            let got: Vec<Value> =
                data.as_array().unwrap().iter().map(|item| item["embedding"].clone()).collect();
            assert_eq!(got, vectors_of(&answer), "{}", exchange.id);
            let header = exchange.response.headers.get("x-amzn-bedrock-input-token-count");
            let billed = &answer["meta"]["billed_units"];
            let reported = answer["usageMetadata"]["promptTokenCount"]
                .as_u64()
                .or(answer["inputTextTokenCount"].as_u64())
                .or(billed["input_tokens"].as_u64())
                .or(header.and_then(|count| count.parse().ok()));
            let usage = booked(&stage).unwrap();
            match reported {
                Some(input) => assert_eq!((usage.input, usage.reported()), (input, true), "{}", exchange.id),
                None => assert_eq!(usage.source, Source::Estimated, "{}", exchange.id),
            }
            crossed += 1;
        }
    }
    println!("{crossed} answers");
    assert!(crossed >= 8);
}

#[tokio::test(start_paused = true)]
async fn geminis_recorded_requests_pass_to_gemini() {
    let Some(exchanges) = vectors::of("gemini.embed") else { return };
    for exchange in exchanges.iter().filter(|exchange| exchange.request.is_some()) {
        let sent = exchange.request.as_ref().unwrap().bytes();
        let model = exchange.model.clone().unwrap();
        let model = model.trim_start_matches("models/");
        let stage = stage_of("gemini", "gemini.generateContent");
        stage.script.then("gemini", play(exchange));
        let named = format!("gemini/{model}");
        let heard = ask_named(Operation::GeminiBatchEmbed, &named, sent.clone()).to(&stage).await;
        assert_eq!(heard.body, exchange.response.bytes(), "{}", exchange.id);
        assert_eq!(stage.script.take()[0].body, sent, "{}", exchange.id);
    }
}

#[tokio::test(start_paused = true)]
async fn images_sound_and_judgements_pass_untouched() {
    let mut passed = 0;
    for (api, operation, made_up) in [
        ("openai.images", Operation::Images, json!({"model": "m", "prompt": "an otter"})),
        ("openai.moderations", Operation::Moderations, json!({"model": "m", "input": "Hello"})),
    ] {
        let Some(exchanges) = vectors::of(api) else { return };
        for exchange in &exchanges {
            let own = |sent: &vectors::Sent| {
                sent.path.ends_with(operation.path())
                    && requests::tree(std::str::from_utf8(&sent.bytes()).unwrap()).get("model").is_some()
            };
            if exchange.request.as_ref().is_some_and(|sent| !own(sent)) {
                continue;
            }
            untouched(exchange, operation, "openai.chat", &made_up).await;
            passed += 1;
        }
    }
    let Some(exchanges) = vectors::of("openai.audio") else { return };
    let form = "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nPROVIDER/m\r\n--b1--\r\n";
    let mut reported = 0;
    for exchange in exchanges.iter().filter(|it| is_answer(it)) {
        let answer = tree(&exchange.response.bytes());
        if answer.get("text").is_none() {
            continue;
        }
        let recorded = exchange.request.as_ref().and_then(|sent| {
            // Some sources left the form out.
            let form = Some(sent.bytes()).filter(|form| form.starts_with(b"--"))?;
            Some((form, sent.headers.get("content-type")?.clone()))
        });
        let is_recorded = recorded.is_some();
        let made_up = (
            Bytes::from(form.replace("PROVIDER", &exchange.provider)),
            "multipart/form-data; boundary=b1".to_owned(),
        );
        let (body, kind) = recorded.unwrap_or(made_up);
        let stage = stage_of(&exchange.provider, "openai.chat");
        // A recorded form names the model alone.
        let mut upstream = speaking(&exchange.provider, &["openai.chat"]);
        upstream.claims = &["*"];
        let stage = if is_recorded { Set::of([upstream]).patient().stage() } else { stage };
        stage.script.then(&exchange.provider, play(exchange));
        let heard = ask(Operation::Transcriptions, body.clone()).with("content-type", &kind).to(&stage).await;
        assert_eq!(heard.body, exchange.response.bytes(), "{}: {:?}", exchange.id, heard.error);
        if is_recorded {
            assert_eq!(stage.script.take()[0].body, body, "{}", exchange.id);
        }
        let told = &answer["usage"];
        let input = told["input_tokens"].as_u64().or(told["prompt_tokens"].as_u64());
        let output = told["output_tokens"].as_u64().or(told["completion_tokens"].as_u64());
        if let (Some(input), Some(output)) = (input, output) {
            let usage = booked(&stage).unwrap();
            let beside =
                told["prompt_tokens_details"]["audio_tokens"].as_u64().filter(|audio| *audio > input);
            assert_eq!(usage.input_total(), input + beside.unwrap_or(0), "{}", exchange.id);
            assert_eq!(usage.output_total(), output, "{}", exchange.id);
            reported += 1;
        }
        passed += 1;
    }
    println!("{passed} exchanges, {reported} of them transcripts with tokens");
    assert!(passed >= 20 && reported >= 4);
}
