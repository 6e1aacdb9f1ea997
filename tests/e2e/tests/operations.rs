//! What is not a chat turn, over real sockets: what goes out byte by byte, what comes back, what is booked for it, and
//! errors in the client's own words. The SDKs of OpenAI, Anthropic and Google run the same by `clients/operations.py`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use lockgate_e2e::{Answer, Gateway, Heard, PATIENCE, Said, Upstream, eventually, program};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

/// The longest that all cases of the SDKs may take.
const LIMIT: Duration = Duration::from_secs(240);
/// One provider's key, so that one can see that it goes where it should.
const KEY: &str = "provider-key-4f9a1c";

const VECTORS: &str = r#"[[1.0,-2.0],[0.5,0.25]]"#;
/// The same two in single precision.
const PACKED: [&str; 2] = ["AACAPwAAAMA=", "AAAAPwAAgD4="];
const OF_OPENAI: &str = r#"{ "object":"list", "data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAMA="},{"object":"embedding","index":1,"embedding":"AAAAPwAAgD4="}],"model":"text-embedding-3-small","usage":{"prompt_tokens":9,"total_tokens":9}}"#;
const JUDGED: &str = r#"{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false,"categories":{},"category_scores":{},"category_applied_input_types":{}}]}"#;
const IMAGE: &str = r#"{"created":1,"data":[{"b64_json":"QUJD"}],"usage":{"total_tokens":4210,"input_tokens":50,"output_tokens":4160,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
const HEARD: &str = r#"{"text":"Grüße","usage":{"type":"duration","seconds":317}}"#;
const FILE: &str = r#"{"id":"file-1","object":"file","bytes":8,"created_at":1,"filename":"a.jsonl","purpose":"batch","status":"processed"}"#;
const BATCH: &str = r#"{"id":"batch_1","object":"batch","endpoint":"/v1/chat/completions","input_file_id":"file-1","completion_window":"24h","status":"validating","created_at":1}"#;
const UNKNOWN: &str = r#"{"error":{"message":"The model `no-such-model` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;

/// All providers at one port, told apart by the first part of the path.
fn answer(heard: &Heard) -> Said {
    let path = heard.path.split('?').next().unwrap_or_default();
    if heard.json()["model"] == "no-such-model" {
        return Said::json(UNKNOWN).status(404);
    }
    let packed = heard.json()["encoding_format"] == "base64" || heard.json()["embedding_type"] == "base64";
    match (heard.method.as_str(), path) {
        ("POST", "/openai/v1/embeddings") => Said::json(OF_OPENAI),
        ("POST", "/openai/v1/moderations") => Said::json(JUDGED),
        ("POST", "/openai/v1/images/generations" | "/openai/v1/images/edits") => Said::json(IMAGE),
        ("POST", "/openai/v1/audio/transcriptions" | "/openai/v1/audio/translations") => Said::json(HEARD),
        ("POST", "/openai/v1/audio/speech") => {
            Said::bytes("audio/mpeg", &b"ID3\x00\xff-first"[..]).piece(&b"-second"[..])
        }
        ("POST", "/openai/v1/files") | ("GET", "/openai/v1/files/file-1") => Said::json(FILE),
        ("GET", "/openai/v1/files") => {
            Said::json(format!(r#"{{"object":"list","data":[{FILE}],"has_more":false}}"#))
        }
        ("GET", "/openai/v1/files/file-1/content") => Said::bytes("application/octet-stream", "{\"a\":1}\n"),
        ("DELETE", "/openai/v1/files/file-1") => {
            Said::json(r#"{"id":"file-1","object":"file","deleted":true}"#)
        }
        ("POST" | "GET", path) if path.starts_with("/openai/v1/batches") => Said::json(BATCH),
        ("HEAD", "/openai/v1/files/file-1/content") => {
            Said::bytes("application/octet-stream", "").header("content-length", "123456")
        }
        ("POST", "/anthropic/v1/messages/count_tokens") => Said::json(r#"{"input_tokens":14}"#),
        ("POST", path) if path.ends_with(":countTokens") => Said::json(r#"{"totalTokens":31}"#),
        ("POST", path) if path.ends_with(":batchEmbedContents") => Said::json(
            r#"{"embeddings":[{"values":[1.0,-2.0]},{"values":[0.5,0.25]}],"usageMetadata":{"promptTokenCount":8}}"#,
        ),
        ("POST", path) if path.ends_with(":predict") => Said::json(
            r#"{"predictions":[{"embeddings":{"values":[1.0,-2.0],"statistics":{"token_count":3}}},{"embeddings":{"values":[0.5,0.25],"statistics":{"token_count":4}}}]}"#,
        ),
        ("POST", "/cohere/v2/embed") => Said::json(format!(
            r#"{{"id":"e","embeddings":{{"float":{VECTORS}}},"texts":["a","b"],"meta":{{"billed_units":{{"input_tokens":2}}}}}}"#
        )),
        ("POST", "/cohere/v2/rerank") => Said::json(
            r#"{"id":"r","results":[{"index":1,"relevance_score":0.90000000001},{"index":0,"relevance_score":0.1}],"meta":{"billed_units":{"search_units":1}}}"#,
        ),
        ("POST", "/voyage/v1/embeddings" | "/jina/v1/embeddings") => {
            let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("vectors");
            let item = |at: usize| match packed {
                true => json!({"object": "embedding", "index": at, "embedding": PACKED[at]}),
                false => json!({"object": "embedding", "index": at, "embedding": vectors[at]}),
            };
            let usage = match path.starts_with("/voyage/") {
                true => json!({"total_tokens": 7}),
                false => json!({"prompt_tokens": 7, "total_tokens": 7}),
            };
            Said::json(
                json!({"object": "list", "data": [item(0), item(1)], "model": "m", "usage": usage})
                    .to_string(),
            )
        }
        ("POST", "/voyage/v1/rerank") => Said::json(
            r#"{"object":"list","data":[{"relevance_score":0.5,"index":1}],"model":"rerank-2.5","usage":{"total_tokens":43}}"#,
        ),
        ("POST", "/jina/v1/rerank") => Said::json(
            r#"{"model":"m","results":[{"index":1,"relevance_score":0.5}],"usage":{"total_tokens":21}}"#,
        ),
        ("POST", path) if path.starts_with("/bedrock/model/amazon.titan-embed") => {
            let vector = if heard.json()["inputText"] == "a" { "[1.0,-2.0]" } else { "[0.5,0.25]" };
            Said::json(format!(r#"{{"embedding":{vector},"inputTextTokenCount":5}}"#))
        }
        _ => Said::json(r#"{"error":{"message":"nothing is here","code":"not_found"}}"#).status(404),
    }
}

async fn house() -> (Upstream, Gateway) {
    let upstream = Upstream::start(answer).await.expect("an upstream");
    let mut config = "providers:\n".to_owned();
    for (name, path, more) in [
        ("openai", "/openai/v1", ""),
        ("anthropic", "/anthropic/v1", ""),
        ("google", "/google/v1beta", ""),
        ("cohere", "/cohere/v2", ""),
        ("voyage", "/voyage/v1", ""),
        ("jina", "/jina/v1", ""),
        ("bedrock", "/bedrock", ", region: us-east-1"),
        ("vertex", "", ", project: p"),
    ] {
        config +=
            &format!("  {name}: {{ base_url: \"{}{path}\", api_key: \"{KEY}\"{more} }}\n", upstream.url());
    }
    config += "routes:\n  meaning: [openai/no-such-model, voyage/voyage-3.5]\n";
    let gateway = Gateway::start(&config).await;
    (upstream, gateway)
}

/// Sends JSON.
async fn post(gateway: &Gateway, path: &str, body: &str) -> Answer {
    let json = [("content-type", "application/json")];
    gateway.send(Method::POST, path, &json, Bytes::copy_from_slice(body.as_bytes())).await
}

/// What `lockgate logs --json` shows of a request, as soon as it is there.
async fn logged(gateway: &Gateway, id: &str) -> Value {
    gateway.record(id).await;
    let shown = gateway.run_json(&["logs", "--limit", "1000"]).await;
    shown.into_iter().find(|record| record["id"] == id).unwrap_or_else(|| panic!("{id} is not in the log"))
}

/// The counts of a record's usage that are not zero.
fn counted(record: &Value) -> BTreeMap<String, u64> {
    let counts = record["usage"].as_object().into_iter().flatten();
    counts.filter_map(|(name, count)| Some((name.clone(), count.as_u64().filter(|n| *n > 0)?))).collect()
}

/// A request of one operation, and all that follows of it.
struct Case {
    path: &'static str,
    body: &'static str,
    /// Where it goes, and what goes there.
    to: &'static str,
    sent: &'static [&'static str],
    /// The answer: all of it, or the members named.
    got: Got,
    usage: &'static [(&'static str, u64)],
    /// In nano-dollars, by hand from the provider's price.
    cost: Option<i64>,
}

enum Got {
    Bytes(&'static str),
    Members(&'static [(&'static str, &'static str)]),
}

const OPENAI_VECTORS: Got = Got::Members(&[
    ("/data/0/embedding", "[1.0,-2.0]"),
    ("/data/1/embedding", "[0.5,0.25]"),
    ("/data/1/index", "1"),
    ("/object", "\"list\""),
]);

const CASES: &[Case] = &[
    // 9 tokens at 0.02 dollars a million.
    Case {
        path: "/v1/embeddings",
        body: r#"{ "input":["a", "b"] , "model":"openai/text-embedding-3-small","user":"u","x":{"y":1.50} }"#,
        to: "/openai/v1/embeddings",
        sent: &[r#"{ "input":["a", "b"] , "model":"text-embedding-3-small","user":"u","x":{"y":1.50} }"#],
        got: Got::Bytes(OF_OPENAI),
        usage: &[("input", 9)],
        cost: Some(180),
    },
    // By its plain name, which OpenAI claims.
    Case {
        path: "/openai/v1/embeddings",
        body: r#"{"input":[1,2],"model":"text-embedding-3-small"}"#,
        to: "/openai/v1/embeddings",
        sent: &[r#"{"input":[1,2],"model":"text-embedding-3-small"}"#],
        got: Got::Bytes(OF_OPENAI),
        usage: &[("input", 9)],
        cost: Some(180),
    },
    // 7 tokens at 0.06.
    Case {
        path: "/v1/embeddings",
        body: r#"{"model":"voyage/voyage-3.5","input":["a","b"],"dimensions":2,"input_type":"query"}"#,
        to: "/voyage/v1/embeddings",
        sent: &[r#"{"model":"voyage-3.5","input":["a","b"],"output_dimension":2,"input_type":"query"}"#],
        got: OPENAI_VECTORS,
        usage: &[("input", 7)],
        cost: Some(420),
    },
    // No price is known.
    Case {
        path: "/v1/embeddings",
        body: r#"{"model":"jina/jina-embeddings-v9","input":["a","b"],"encoding_format":"float"}"#,
        to: "/jina/v1/embeddings",
        sent: &[r#"{"model":"jina-embeddings-v9","input":["a","b"],"embedding_type":"float"}"#],
        got: OPENAI_VECTORS,
        usage: &[("input", 7)],
        cost: None,
    },
    // 2 at 0.12. By Cohere's own door, not by that in OpenAI's form.
    Case {
        path: "/v1/embeddings",
        body: r#"{"model":"cohere/embed-v4.0","input":["a","b"],"input_type":"query"}"#,
        to: "/cohere/v2/embed",
        sent: &[
            r#"{"model":"embed-v4.0","texts":["a","b"],"input_type":"search_query","embedding_types":["float"]}"#,
        ],
        got: OPENAI_VECTORS,
        usage: &[("input", 2)],
        cost: Some(240),
    },
    // 8 at 0.15. By Google's own door.
    Case {
        path: "/v1/embeddings",
        body: r#"{"model":"google/gemini-embedding-001","input":["a","b"],"dimensions":2}"#,
        to: "/google/v1beta/models/gemini-embedding-001:batchEmbedContents",
        sent: &[
            r#"{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"outputDimensionality":2}]}"#,
        ],
        got: OPENAI_VECTORS,
        usage: &[("input", 8)],
        cost: Some(1_200),
    },
    // 7 at 0.10.
    Case {
        path: "/v1/embeddings",
        body: r#"{"model":"vertex/text-embedding-005","input":["a","b"]}"#,
        to: "/v1/projects/p/locations/global/publishers/google/models/text-embedding-005:predict",
        sent: &[r#"{"instances":[{"content":"a"},{"content":"b"}]}"#],
        got: OPENAI_VECTORS,
        usage: &[("input", 7)],
        cost: Some(700),
    },
    // Two calls of 5 at 0.02.
    Case {
        path: "/v1/embeddings",
        body: r#"{"model":"bedrock/amazon.titan-embed-text-v2:0","input":["a","b"]}"#,
        to: "/bedrock/model/amazon.titan-embed-text-v2%3A0/invoke",
        sent: &[r#"{"inputText":"a"}"#, r#"{"inputText":"b"}"#],
        got: OPENAI_VECTORS,
        usage: &[("input", 10)],
        cost: Some(200),
    },
    // A search at 2 dollars a thousand.
    Case {
        path: "/v2/rerank",
        body: r#"{"model":"cohere/rerank-v3.5","query":"q","documents":["a","b"]}"#,
        to: "/cohere/v2/rerank",
        sent: &[r#"{"model":"rerank-v3.5","query":"q","documents":["a","b"]}"#],
        got: Got::Bytes(
            r#"{"id":"r","results":[{"index":1,"relevance_score":0.90000000001},{"index":0,"relevance_score":0.1}],"meta":{"billed_units":{"search_units":1}}}"#,
        ),
        usage: &[("searches", 1)],
        cost: Some(2_000_000),
    },
    // 43 at 0.05; asked in Cohere's form, answered in it.
    Case {
        path: "/v1/rerank",
        body: r#"{"model":"rerank-2.5","query":"q","documents":["a","b"],"top_n":1,"return_documents":true}"#,
        to: "/voyage/v1/rerank",
        sent: &[r#"{"model":"rerank-2.5","query":"q","documents":["a","b"],"top_k":1}"#],
        got: Got::Members(&[
            ("/results/0/index", "1"),
            ("/results/0/relevance_score", "0.5"),
            ("/results/0/document/text", "\"b\""),
        ]),
        usage: &[("input", 43)],
        cost: Some(2_150),
    },
    // 21 at 0.05.
    Case {
        path: "/v1/rerank",
        body: r#"{"model":"jina/jina-reranker-v2-base-multilingual","query":"q","documents":["a","b"],"top_n":1}"#,
        to: "/jina/v1/rerank",
        sent: &[
            r#"{"model":"jina-reranker-v2-base-multilingual","query":"q","documents":["a","b"],"top_n":1}"#,
        ],
        got: Got::Bytes(
            r#"{"model":"m","results":[{"index":1,"relevance_score":0.5}],"usage":{"total_tokens":21}}"#,
        ),
        usage: &[("input", 21)],
        cost: Some(1_050),
    },
    // Free, and said to be.
    Case {
        path: "/v1/moderations",
        body: r#"{"input":"hello","model":"omni-moderation-latest"}"#,
        to: "/openai/v1/moderations",
        sent: &[r#"{"input":"hello","model":"omni-moderation-latest"}"#],
        got: Got::Bytes(JUDGED),
        usage: &[],
        cost: Some(0),
    },
    // 10 of text at 5, 40 of images at 10, 4,160 of images out at 40.
    Case {
        path: "/v1/images/generations",
        body: r#"{"model":"openai/gpt-image-1","prompt":"a red circle","size":"1024x1024"}"#,
        to: "/openai/v1/images/generations",
        sent: &[r#"{"model":"gpt-image-1","prompt":"a red circle","size":"1024x1024"}"#],
        got: Got::Bytes(IMAGE),
        usage: &[("image_input", 40), ("image_output", 4_160), ("input", 10)],
        cost: Some(166_850_000),
    },
    // 5 characters at 15 a million.
    Case {
        path: "/v1/audio/speech",
        body: r#"{"model":"openai/tts-1","voice":"alloy","input":"Grüße"}"#,
        to: "/openai/v1/audio/speech",
        sent: &[r#"{"model":"tts-1","voice":"alloy","input":"Grüße"}"#],
        got: Got::Bytes("ID3\0\u{fffd}-first-second"),
        usage: &[],
        cost: Some(75_000),
    },
    // Counting is free of charge and has no price.
    Case {
        path: "/v1/messages/count_tokens",
        body: r#"{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}"#,
        to: "/anthropic/v1/messages/count_tokens",
        sent: &[r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}"#],
        got: Got::Bytes(r#"{"input_tokens":14}"#),
        usage: &[],
        cost: None,
    },
    Case {
        path: "/v1beta/models/google%2Fgemini-2.5-flash:countTokens",
        body: r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
        to: "/google/v1beta/models/gemini-2.5-flash:countTokens",
        sent: &[r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#],
        got: Got::Bytes(r#"{"totalTokens":31}"#),
        usage: &[],
        cost: None,
    },
];

#[tokio::test]
async fn every_operation_goes_out_and_comes_back_as_it_should_and_is_booked() {
    let (upstream, gateway) = house().await;
    for Case { path, body, to, sent, got, usage, cost } in CASES {
        let answer = post(&gateway, path, body).await;
        assert_eq!(answer.status, 200, "{body}: {:?}", answer.body);
        let heard = upstream.take();
        let went: Vec<&str> =
            heard.iter().map(|heard| std::str::from_utf8(&heard.body).expect("text")).collect();
        assert_eq!(went, *sent, "{body}");
        for heard in &heard {
            assert_eq!(heard.path, *to, "{body}");
            let shown = format!("{:?}", heard.headers);
            assert!(shown.contains(KEY), "{to} is shown its key: {shown}");
            assert!(!shown.contains(gateway.key()), "{to} is not shown the gateway's key");
        }
        match got {
            Got::Bytes(bytes) => assert_eq!(String::from_utf8_lossy(&answer.body), *bytes, "{body}"),
            Got::Members(members) => {
                for (pointer, wanted) in *members {
                    let wanted: Value = serde_json::from_str(wanted).expect("JSON");
                    let answer = answer.json();
                    assert_eq!(answer.pointer(pointer), Some(&wanted), "{body}: {pointer} of {answer}");
                }
            }
        }
        let record = logged(&gateway, answer.id()).await;
        let wanted: BTreeMap<String, u64> =
            usage.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(counted(&record), wanted, "{body}: {record}");
        assert_eq!(record["cost"].as_i64(), *cost, "{body}: {record}");
        assert_eq!((&record["outcome"], &record["status"]), (&json!("ok"), &json!(200)), "{body}");
    }
    println!("{} operations", CASES.len());
}

#[tokio::test]
async fn a_form_with_a_file_passes_byte_for_byte_but_for_the_model() {
    let (upstream, gateway) = house().await;
    let form = |model: &str| {
        let mut body = format!(
            "--XyZ\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--XyZ\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\ncontent-type: audio/wav\r\n\r\n"
        )
        .into_bytes();
        body.extend((0..70_000_u32).map(|n| (n % 251) as u8));
        body.extend_from_slice(b"\r\n--XyZ--\r\n");
        Bytes::from(body)
    };
    let kind = [("content-type", "multipart/form-data; boundary=XyZ")];
    let path = "/v1/audio/transcriptions";
    let answer = gateway.send(Method::POST, path, &kind, form("openai/whisper-1")).await;
    assert_eq!((answer.status, &answer.body[..]), (200, HEARD.as_bytes()));
    let heard = upstream.take();
    assert_eq!(heard[0].body, form("whisper-1"));
    assert_eq!(heard[0].header("content-type"), kind[0].1);
    // 317 seconds at 0.006 dollars a minute.
    let record = logged(&gateway, answer.id()).await;
    assert_eq!(
        (record["cost"].as_i64(), &record["dialect"]),
        (Some(31_700_000), &json!("openai.audio.transcriptions"))
    );
}

#[tokio::test]
async fn a_route_passes_on_to_a_provider_of_another_form() {
    let (upstream, gateway) = house().await;
    let answer = post(&gateway, "/v1/embeddings", r#"{"model":"meaning","input":["a","b"]}"#).await;
    assert_eq!((answer.status, answer.header("x-lockgate-target")), (200, "voyage/voyage-3.5"));
    let paths: Vec<String> = upstream.take().into_iter().map(|heard| heard.path).collect();
    assert_eq!(paths, ["/openai/v1/embeddings", "/voyage/v1/embeddings"]);
    let record = logged(&gateway, answer.id()).await;
    assert_eq!(record["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(record["cost"], 420);
}

#[tokio::test]
async fn files_batches_and_what_passes_through_keep_method_query_and_body() {
    let (upstream, gateway) = house().await;
    let keeper = [("x-lockgate-provider", "openai")];
    let none = Bytes::new;
    for (method, path, to) in [
        (Method::GET, "/v1/files?limit=2&after=x", "/openai/v1/files?limit=2&after=x"),
        (Method::GET, "/v1/files/file-1", "/openai/v1/files/file-1"),
        (Method::DELETE, "/v1/files/file-1", "/openai/v1/files/file-1"),
        (Method::GET, "/v1/batches/batch_1", "/openai/v1/batches/batch_1"),
        (Method::POST, "/v1/batches/batch_1/cancel", "/openai/v1/batches/batch_1/cancel"),
        (Method::GET, "/passthrough/openai/files/file-1?a=%20b", "/openai/v1/files/file-1?a=%20b"),
    ] {
        let answer = gateway.send(method.clone(), path, &keeper, none()).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        let heard = upstream.take();
        assert_eq!((&heard[0].method, heard[0].path.as_str()), (&method, to));
        let record = logged(&gateway, answer.id()).await;
        let operation = ["files", "batches", "passthrough"].into_iter().find(|name| path.contains(name));
        assert_eq!(
            record["dialect"].as_str(),
            if path.starts_with("/pass") { Some("passthrough") } else { operation }
        );
    }
    // A chat turn's worth of tokens that passes through is metered.
    let body = r#"{"model":"text-embedding-3-small","input":"a"}"#;
    let answer = post(&gateway, "/passthrough/openai/embeddings", body).await;
    assert_eq!(answer.body, OF_OPENAI);
    assert_eq!(upstream.take()[0].body, body);
    assert_eq!(logged(&gateway, answer.id()).await["cost"], 180);

    // A head alone, on a connection that goes on to be used.
    let path = "/passthrough/openai/files/file-1/content";
    for _ in 0..2 {
        let answer = gateway.send(Method::HEAD, path, &[], none()).await;
        assert_eq!((answer.status, answer.header("content-length")), (200, "123456"));
        assert!(answer.body.is_empty());
        assert_eq!(upstream.take()[0].method, Method::HEAD);
    }
    let answer = gateway.send(Method::HEAD, "/passthrough/openai/nothing", &[], none()).await;
    assert_eq!(answer.status, 404);
    let answer = gateway.send(Method::GET, path, &[], none()).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"a\":1}\n"[..]));
}

#[tokio::test]
async fn errors_are_worded_as_the_clients_sdk_reads_them() {
    let (upstream, gateway) = house().await;
    for (path, body, status, pointer, wanted) in [
        // The provider's own, untouched.
        (
            "/v1/embeddings",
            r#"{"model":"openai/no-such-model","input":"a"}"#,
            404,
            "/error/code",
            "model_not_found",
        ),
        ("/v1/embeddings", r#"{"model":"openai/text-embedding-3-small"}"#, 400, "/error/param", "input"),
        (
            "/v1/embeddings",
            r#"{"model":"nothing-of-this-name","input":"a"}"#,
            404,
            "/error/code",
            "model_not_found",
        ),
        (
            "/v1/rerank",
            r#"{"model":"anthropic/claude-sonnet-4-5","query":"q","documents":["a"]}"#,
            404,
            "/error/param",
            "model",
        ),
        (
            "/v1/chat/completions",
            r#"{"model":"voyage/voyage-3.5","messages":[]}"#,
            404,
            "/error/param",
            "model",
        ),
        (
            "/v1/messages/count_tokens",
            r#"{"model":"anthropic/claude-sonnet-4-5"}"#,
            400,
            "/error/type",
            "invalid_request_error",
        ),
        (
            "/v1beta/models/no%2Fsuch:embedContent",
            r#"{"content":{"parts":[]}}"#,
            404,
            "/error/status",
            "NOT_FOUND",
        ),
        (
            "/v1beta/models/google%2Fgemini-embedding-001:batchEmbedContents",
            "{}",
            400,
            "/error/status",
            "INVALID_ARGUMENT",
        ),
    ] {
        let answer = post(&gateway, path, body).await;
        let json = answer.json();
        assert_eq!(answer.status, status, "{path} {body}: {json}");
        assert_eq!(json.pointer(pointer).and_then(Value::as_str), Some(wanted), "{path} {body}: {json}");
        assert!(!answer.header("x-lockgate-error").is_empty() && !answer.id().is_empty());
        let record = logged(&gateway, answer.id()).await;
        assert_eq!((&record["outcome"], record["cost"].is_null()), (&json!("error"), true), "{record}");
    }
    assert!(upstream.take().iter().all(|heard| heard.path == "/openai/v1/embeddings"), "one call was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sdks_get_what_they_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    if program(&["python3"]).is_none() || !folder.join(".venv/.stamp").exists() {
        lockgate_testkit::skip("operations by SDKs: tests/e2e/clients/setup.sh python was not run");
        return;
    }
    let (upstream, gateway) = house().await;
    let mut command = Command::new(folder.join(".venv/bin/python"));
    command.arg(folder.join("operations.py")).env("BASE_URL", format!("{}/v1", gateway.url()));
    command.env("API_KEY", gateway.key()).kill_on_drop(true);
    for name in ["MODEL", "ECHO_MODEL", "FAULT_MODEL_PREFIX", "UNKNOWN_MODEL"] {
        command.env(name, "openai/no-such-model");
    }
    let output = timeout(LIMIT, command.output()).await.expect("the SDKs end").expect("they start");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    println!("{out}");
    assert!(out.lines().count() >= 10, "{out}");
    // Each call is recorded with what it was.
    let calls = upstream.take().len();
    let records = eventually(PATIENCE, "all records", || async {
        let records = gateway.records().await;
        (records.len() >= 28).then_some(records)
    })
    .await;
    assert!(calls >= records.len() - 4, "{calls} calls, {} records", records.len());
    let mut dialects: Vec<&str> = records.iter().filter_map(|record| record["dialect"].as_str()).collect();
    dialects.sort_unstable();
    dialects.dedup();
    for name in [
        "openai.embeddings",
        "openai.images.edits",
        "files",
        "batches",
        "anthropic.count_tokens",
        "gemini.countTokens",
    ] {
        assert!(dialects.contains(&name), "{name} is not among {dialects:?}");
    }
}
