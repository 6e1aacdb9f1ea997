//! What is asked of a model and is not a chat turn.

use bytes::Bytes;
use http_body::Body as _;
use lockgate_core::usage::Source;
use lockgate_core::{Key, Kind, Outcome};
use lockgate_dialect::operation::Operation;
use lockgate_testkit::{Play, builder};
use serde_json::{Value, json};

use crate::errands::{ask, ask_named, priced, speaking, with_prices};
use crate::stage::{Set, Stage, hear, piece};

const VECTORS: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-2e-3]}],
  "model":"text-embedding-3-small","usage":{"prompt_tokens":9,"total_tokens":9}}"#;

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

/// One call, one answer.
fn alone(upstream: lockgate_core::Upstream, play: Play) -> Stage {
    let name = upstream.name.to_string();
    let stage = priced([upstream]);
    stage.script.then(&name, play);
    stage
}

#[tokio::test(start_paused = true)]
async fn embeddings_pass_untouched_but_for_the_models_name_and_are_paid_for() {
    let stage = alone(builder::upstream("openai"), Play::json(200, VECTORS).header("x-request-id", "p1"));
    let body = r#"{ "input":["a"], "model":"openai/text-embedding-3-small","dimensions":2 ,"user":"u7"}"#;
    let heard = ask(Operation::Embeddings, body).to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, VECTORS.as_bytes()));
    assert_eq!(heard.headers["x-request-id"], "p1");
    assert_eq!(heard.headers["x-lockgate-target"], "openai/text-embedding-3-small");
    assert_eq!(heard.headers["x-lockgate-cost-usd"], "0.00000018");
    let calls = stage.script.take();
    assert_eq!(calls[0].path, "/embeddings");
    assert_eq!(calls[0].body, body.replace("openai/", ""));
    let record = stage.record();
    assert_eq!((&*record.dialect, record.outcome, record.status), ("openai.embeddings", Outcome::Ok, 200));
    assert_eq!((record.usage.unwrap().input, record.cost.unwrap().nanos()), (9, 180));
    assert_eq!(record.attribution.user.as_deref(), Some("u7"));
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_one_provider_is_asked_of_the_next_in_its_own_form() {
    let set = Set::of([builder::upstream("a"), speaking("b", &["gemini.generateContent"])]).route(
        "both",
        &["a", "b"],
        0,
    );
    let stage = set.stage();
    stage.script.then("a", Play::json(500, r#"{"error":{"message":"down"}}"#));
    stage.script.then("b", Play::json(200, r#"{"embeddings":[{"values":[1,0.50]}]}"#));
    let body = r#"{"model":"both","input":"a","user":"u","encoding_format":"float"}"#;
    let heard = ask(Operation::Embeddings, body).to(&stage).await;
    assert_eq!(heard.status, 200);
    assert_eq!(heard.headers["x-lockgate-losses"], "user");
    assert_eq!(heard.headers["x-lockgate-estimate"], "true");
    assert!(String::from_utf8_lossy(&heard.body).contains("[1,0.50]"), "numbers stay as they are written");
    assert_eq!(tree(&heard.body)["usage"]["prompt_tokens"], 1);
    let calls = stage.script.take();
    assert_eq!(calls[1].path, "/models/m:batchEmbedContents");
    let record = stage.record();
    assert_eq!((record.attempts.len(), record.usage.unwrap().source), (2, Source::Estimated));
    assert_eq!(record.losses.len(), 1);
    assert_eq!(record.cost, None, "no price is known");
}

#[tokio::test(start_paused = true)]
async fn strict_lets_nothing_be_lost() {
    let stage = alone(speaking("b", &["cohere.embed"]), Play::json(200, "{}"));
    let body = r#"{"model":"b/m","input":"a","user":"u"}"#;
    let heard = ask(Operation::Embeddings, body).with("x-lockgate-strict", "true").to(&stage).await;
    assert_eq!(heard.error.unwrap().0, Kind::InvalidRequest);
    assert!(stage.script.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_are_held_to_their_models() {
    let mut set = Set::of([builder::upstream("a")]);
    set.keys.push(Key { models: vec!["a/small".into()], ..builder::key("lg-narrow") });
    let stage = set.stage();
    let narrow = |model: &str| {
        let body = format!(r#"{{"model":"{model}","input":"x"}}"#);
        ask(Operation::Embeddings, body).with("authorization", "Bearer lg-narrow")
    };
    let heard = narrow("a/large").to(&stage).await;
    assert_eq!((heard.status, heard.error.unwrap().0), (403, Kind::PermissionDenied));
    assert_eq!(stage.record().error, Some(Kind::PermissionDenied));
    stage.script.then("a", Play::json(200, VECTORS));
    assert_eq!(narrow("a/small").to(&stage).await.status, 200);
    let heard = ask(Operation::Embeddings, "{}").with("authorization", "Bearer lg-none").to(&stage).await;
    assert_eq!(heard.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_the_operation_is_passed_over() {
    let stage = Set::of([speaking("a", &["anthropic.messages"]), builder::upstream("b")])
        .route("both", &["a", "b"], 0)
        .stage();
    stage.script.then("b", Play::json(200, VECTORS));
    let heard = ask(Operation::Embeddings, r#"{"model":"both","input":"a"}"#).to(&stage).await;
    assert_eq!(heard.status, 200);
    let heard = ask(Operation::Embeddings, r#"{"model":"a/m","input":"a"}"#).to(&stage).await;
    assert_eq!((heard.status, heard.error.unwrap().0), (404, Kind::ModelNotFound));
}

#[tokio::test(start_paused = true)]
async fn the_gateways_credential_never_reaches_a_client() {
    let leak = r#"{"error":{"message":"Incorrect API key provided: sk-a-secret","code":401}}"#;
    for status in [200, 400, 401] {
        for dialects in [&["openai.chat"][..], &["cohere.embed"]] {
            let stage = alone(speaking("a", dialects), Play::json(status, leak));
            let heard = ask(Operation::Embeddings, r#"{"model":"a/m","input":"a"}"#).to(&stage).await;
            assert!(heard.status >= 400, "{status} {dialects:?}");
            let text = String::from_utf8(heard.body.to_vec()).unwrap();
            assert!(!text.contains("sk-a-secret"), "{status} {dialects:?}: {text}");
            assert!(text.contains("\"error\""), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_error_passes_untouched_in_the_same_form_alone() {
    let own = r#"{"error":{"message":"too many inputs","type":"invalid_request_error"}}"#;
    let body = r#"{"model":"a/m","input":"a"}"#;
    let stage = alone(builder::upstream("a"), Play::json(400, own));
    let heard = ask(Operation::Embeddings, body).to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (400, own.as_bytes()));
    let stage = alone(speaking("a", &["cohere.embed"]), Play::json(400, r#"{"message":"no"}"#));
    let heard = ask(Operation::Embeddings, body).to(&stage).await;
    assert_eq!((heard.status, tree(&heard.body)["error"]["code"].as_str()), (400, Some("invalid_request")));
}

#[tokio::test(start_paused = true)]
async fn a_form_goes_on_byte_for_byte_with_the_targets_model() {
    let form = "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n\0\r\n--x\r\n\
                --b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper-1\r\n--b1--\r\n";
    let answer = r#"{"text":"Hello","usage":{"type":"duration","seconds":317}}"#;
    let stage = alone(builder::upstream("openai"), Play::json(200, answer));
    let kind = "multipart/form-data; boundary=b1";
    let heard = ask(Operation::Transcriptions, form).with("content-type", kind).to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, answer.as_bytes()));
    let calls = stage.script.take();
    assert_eq!(
        (&*calls[0].path, &calls[0].headers["content-type"]),
        ("/audio/transcriptions", &kind.parse().unwrap())
    );
    assert_eq!(calls[0].body, form.replace("openai/whisper-1", "whisper-1"));
    let record = stage.record();
    // 0.006 dollars a minute.
    assert_eq!((record.usage, record.cost.unwrap().nanos()), (None, 317 * 100_000));

    let stage = alone(
        builder::upstream("openai"),
        Play::status(200).header("content-type", "text/plain").piece("Hi\n"),
    );
    let heard = ask(Operation::Transcriptions, form).with("content-type", kind).to(&stage).await;
    assert_eq!(
        (heard.body.as_ref(), &heard.headers["content-type"]),
        (&b"Hi\n"[..], &"text/plain".parse().unwrap())
    );
    assert_eq!(stage.record().cost, None, "a length that nobody reports is not known");

    let heard = ask(Operation::Transcriptions, "--b2--").with("content-type", kind).to(&stage).await;
    assert_eq!((heard.status, heard.error.unwrap().0), (400, Kind::InvalidRequest));
}

#[tokio::test(start_paused = true)]
async fn events_of_a_transcript_pass_and_their_usage_is_booked() {
    let events = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\n\
        data: {\"type\":\"transcript.text.done\",\"text\":\"Hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\
        \"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14},\"output_tokens\":45,\"total_tokens\":59}}\n\n";
    let form = "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/gpt-4o-transcribe\r\n\
                --b1\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--b1--\r\n";
    let pieces = events.as_bytes().chunks(11).map(Bytes::copy_from_slice);
    let stage = alone(builder::upstream("openai"), Play::stream(pieces));
    let kind = "multipart/form-data; boundary=b1";
    let heard = ask(Operation::Transcriptions, form).with("content-type", kind).to(&stage).await;
    assert_eq!(heard.body, events);
    assert!(stage.script.take()[0].stream);
    let record = stage.record();
    let usage = record.usage.unwrap();
    assert_eq!((usage.audio_input, usage.output, record.outcome), (14, 45, Outcome::Ok));
    assert_eq!(record.cost.unwrap().nanos(), 14 * 6_000 + 45 * 10_000);
}

#[tokio::test(start_paused = true)]
async fn speech_passes_as_it_comes_and_a_break_is_no_end() {
    let body = r#"{"model":"openai/tts-1","input":"Grüße","voice":"alloy"}"#;
    let sound =
        || Play::status(200).header("content-type", "audio/mpeg").piece("\u{1}one").pause().piece("two");
    let stage = alone(builder::upstream("openai"), sound());
    let mut reply = ask(Operation::Speech, body).begin(&stage).await.unwrap();
    assert!(!reply.body.is_end_stream());
    assert_eq!(piece(&mut reply.body).await.unwrap(), "\u{1}one");
    assert_eq!(stage.script.open(), 1, "the rest is not waited for");
    assert_eq!(piece(&mut reply.body).await.unwrap(), "two");
    assert!(reply.body.is_end_stream());
    let record = stage.record();
    // Five characters at 15 dollars a million.
    assert_eq!((record.outcome, record.cost.unwrap().nanos()), (Outcome::Ok, 75_000));

    let stage = alone(builder::upstream("openai"), sound().fail(builder::broken()));
    let mut reply = ask(Operation::Speech, body).begin(&stage).await.unwrap();
    let mut last = None;
    while let Some(frame) =
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut reply.body).poll_frame(cx)).await
    {
        last = Some(frame.map(|_| ()));
    }
    assert!(last.unwrap().is_err(), "half of a sound is not taken for the whole");
    let record = stage.record();
    assert_eq!((record.outcome, record.cost.unwrap().nanos()), (Outcome::Broken, 75_000));

    let stage = alone(builder::upstream("openai"), sound());
    drop(ask(Operation::Speech, body).begin(&stage).await.unwrap());
    let record = stage.record();
    assert_eq!((record.outcome, record.cost.unwrap().nanos()), (Outcome::Cancelled, 75_000));
}

#[tokio::test(start_paused = true)]
async fn sound_that_never_begins_is_asked_of_the_next() {
    let set = Set::of([builder::upstream("a"), builder::upstream("b")]).route("both", &["a", "b"], 0);
    let stage = set.stage();
    stage.script.then("a", Play::status(200).header("content-type", "audio/mpeg").fail(builder::broken()));
    stage.script.then("b", Play::status(200).header("content-type", "audio/mpeg").piece("x"));
    let heard = ask(Operation::Speech, r#"{"model":"both","input":"a"}"#).to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, &b"x"[..]));
}

#[tokio::test(start_paused = true)]
async fn images_are_paid_by_what_is_reported_or_one_by_one() {
    let tokens = r#"{"created":1,"data":[{"b64_json":"AA=="}],"usage":{"total_tokens":4210,"input_tokens":50,
        "output_tokens":4160,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
    let stage = alone(builder::upstream("openai"), Play::json(200, tokens));
    let body = r#"{"model":"openai/gpt-image-1.5","prompt":"an otter"}"#;
    let heard = ask(Operation::Images, body).to(&stage).await;
    assert_eq!(heard.body, tokens);
    assert_eq!(stage.record().cost.unwrap().nanos(), 10 * 5_000 + 40 * 8_000 + 4_160 * 32_000);

    let two = r#"{"created":1,"data":[{"url":"a"},{"url":"b"}]}"#;
    let stage = alone(builder::upstream("google"), Play::json(200, two));
    let body = r#"{"model":"google/imagen-3.0-generate-001","prompt":"an otter"}"#;
    ask(Operation::Images, body).to(&stage).await;
    assert_eq!(stage.record().cost.unwrap().nanos(), 2 * 40_000_000);
}

#[tokio::test(start_paused = true)]
async fn ranks_cross_and_searches_are_paid_for() {
    let answer = r#"{"id":"i","results":[{"index":1,"relevance_score":0.86303437},{"index":0,"relevance_score":0.1}],
        "meta":{"billed_units":{"search_units":1}}}"#;
    let stage = alone(speaking("cohere", &["cohere.chat"]), Play::json(200, answer));
    let body = r#"{"model":"cohere/rerank-v3.5","query":"q","documents":["a","b"],"top_k":1}"#;
    let heard = ask(Operation::Rerank, body).to(&stage).await;
    let call = &stage.script.take()[0];
    assert_eq!(call.path, "/rerank");
    let sent = json!({"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"], "top_n": 1});
    assert_eq!(tree(&call.body), sent);
    assert_eq!(tree(&heard.body)["data"], json!([{"index": 1, "relevance_score": 0.863_034_37}]));
    let record = stage.record();
    assert_eq!((record.usage.unwrap().searches, record.cost.unwrap().nanos()), (1, 2_000_000));
}

#[tokio::test(start_paused = true)]
async fn moderation_needs_no_model_and_costs_nothing() {
    let answer = r#"{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false}]}"#;
    let mut upstream = builder::upstream("openai");
    upstream.models = vec!["omni-moderation-latest".into()];
    let stage = alone(upstream, Play::json(200, answer));
    let heard = ask(Operation::Moderations, r#"{"input":"Hello"}"#).to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, answer.as_bytes()));
    assert_eq!(tree(&stage.script.take()[0].body)["model"], "omni-moderation-latest");
    assert_eq!(stage.record().cost.unwrap().nanos(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_text_a_call_is_one_answer_and_what_a_half_cost_is_booked() {
    let stage = priced([speaking("bedrock", &["bedrock.converse"])]);
    let one = |n: u64| Play::json(200, format!(r#"{{"embedding":[{n}.5],"inputTextTokenCount":{n}}}"#));
    stage.script.then("bedrock", one(3));
    stage.script.then("bedrock", one(4));
    let body = r#"{"model":"bedrock/amazon.titan-embed-text-v2:0","input":["a","b"]}"#;
    let heard = ask(Operation::Embeddings, body).to(&stage).await;
    assert_eq!(tree(&heard.body)["data"][1]["embedding"], json!([4.5]));
    assert_eq!(stage.script.take()[1].path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
    let whole = stage.record();
    assert_eq!(whole.usage.unwrap().input, 7);

    stage.script.then("bedrock", one(3));
    stage.script.then("bedrock", Play::json(400, r#"{"message":"too long"}"#));
    let heard = ask(Operation::Embeddings, body).to(&stage).await;
    assert_eq!(heard.status, 400);
    let half = stage.record();
    assert_eq!((half.outcome, half.usage.unwrap().input), (Outcome::Error, 3));
    assert!(half.cost.unwrap().nanos() > 0 && half.cost < whole.cost);
}

#[tokio::test(start_paused = true)]
async fn geminis_own_embeddings_pass() {
    let answer = r#"{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":8}}"#;
    let stage = alone(speaking("google", &["gemini.generateContent"]), Play::json(200, answer));
    let body = r#"{"model":"models/google/gemini-embedding-001","content":{"parts":[{"text":"a"}]}}"#;
    let heard = ask_named(Operation::GeminiEmbed, "google/gemini-embedding-001", body).to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, answer.as_bytes()));
    let call = &stage.script.take()[0];
    assert_eq!(call.path, "/models/gemini-embedding-001:embedContent");
    assert_eq!(call.body, body.replace("google/", ""));
    let record = stage.record();
    assert_eq!((record.usage.unwrap().input, record.cost.unwrap().nanos()), (8, 8 * 150));
    let stage = alone(builder::upstream("a"), Play::json(200, answer));
    let heard = ask_named(Operation::GeminiEmbed, "a/m", r#"{"content":{}}"#).to(&stage).await;
    assert_eq!(heard.status, 404, "no other form is known for it");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_by_the_provider_or_by_the_gateway_and_then_it_says_so() {
    let answer = r#"{"input_tokens":43}"#;
    let stage = alone(speaking("a", &["anthropic.messages"]), Play::json(200, answer));
    let body =
        r#"{"model":"a/claude","messages":[{"role":"user","content":"What is the capital of France?"}]}"#;
    let heard =
        ask(Operation::CountTokens, body).with("anthropic-beta", "b").with("x-other", "x").to(&stage).await;
    assert_eq!((heard.status, heard.body.as_ref()), (200, answer.as_bytes()));
    assert!(!heard.headers.contains_key("x-lockgate-estimate"));
    let call = &stage.script.take()[0];
    assert_eq!((&*call.path, call.headers.len()), ("/messages/count_tokens", 1));
    assert_eq!(call.headers["anthropic-beta"], "b");
    assert_eq!(call.body, body.replace("a/claude", "claude"));
    assert_eq!((stage.record().usage, stage.record_is_gone()), (None, true));

    let stage = with_prices(Stage::two());
    let heard = ask(Operation::CountTokens, body.replace("a/claude", "both")).to(&stage).await;
    assert_eq!((heard.status, &heard.headers["x-lockgate-estimate"]), (200, &"true".parse().unwrap()));
    let counted = tree(&heard.body)["input_tokens"].as_u64().unwrap();
    assert!((8..=24).contains(&counted), "{counted}");
    assert!(stage.script.take().is_empty(), "nobody is asked");
    let record = stage.record();
    assert_eq!((&*record.dialect, record.outcome), ("anthropic.count_tokens", Outcome::Ok));
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"Hello there"}]}]}"#;
    let heard = ask_named(Operation::GeminiCountTokens, "a/m", body).to(&stage).await;
    assert!(tree(&heard.body)["totalTokens"].as_u64().unwrap() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_body_is_refused_before_anyone_is_called() {
    let stage = Stage::two();
    for (operation, body) in [
        (Operation::Embeddings, "["),
        (Operation::Embeddings, r#"{"model":"a/m"}"#),
        (Operation::Embeddings, r#"{"model":"a/m","model":"b/m","input":"a"}"#),
        (Operation::Rerank, r#"{"model":"a/m","query":"q"}"#),
        (Operation::Images, r#"{"model":"","prompt":"a"}"#),
        (Operation::Images, r#"{"model":"nobody/m","prompt":"a"}"#),
    ] {
        let heard = hear(ask(operation, body).begin(&stage).await).await;
        assert!((400..500).contains(&heard.status), "{body}");
        assert_eq!(stage.record().outcome, Outcome::Error, "{body}");
    }
    assert!(stage.script.take().is_empty());
}

impl Stage {
    fn record_is_gone(&self) -> bool {
        self.records.take().is_empty()
    }
}
