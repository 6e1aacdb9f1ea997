//! What a stream cannot carry: told in the header while there is one, and in the record in any case.

use lockgate_core::{Kind, Outcome};
use lockgate_testkit::{Play, builder};
use serde_json::Value;

use crate::errands::speaking;
use crate::stage::{Set, Stage, route};
use crate::tongues::ask_in;

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#;
const SEARCH: &str = r#"{"type":"content_block_start","index":I,"content_block":{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}}"#;
const TEXT: &str = r#"{"type":"content_block_start","index":I,"content_block":{"type":"text","text":""}}"#;
const WORDS: &str =
    r#"{"type":"content_block_delta","index":I,"delta":{"type":"text_delta","text":"Hello"}}"#;
const STOP: &str = r#"{"type":"content_block_stop","index":I}"#;
const DONE: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}"#;
const END: &str = r#"{"type":"message_stop"}"#;

/// Events, one piece each; blocks are numbered by their starts.
fn stream(events: &[&str]) -> Play {
    let mut index = 0;
    let pieces = events.iter().map(|json| {
        let name = json.split('"').nth(3).unwrap();
        let event = format!(
            "event: {name}\ndata: {}\n\n",
            json.replace("\"index\":I", &format!("\"index\":{index}"))
        );
        index += usize::from(*json == STOP);
        event.into()
    });
    Play::stream(pieces.collect::<Vec<_>>())
}

fn stage(play: Play) -> Stage {
    let stage = Set::of([speaking("a", &["anthropic.messages"])]).patient().stage();
    stage.script.then("a", play);
    stage
}

const ASK: &str = r#"{"model":"a/m","messages":[{"role":"user","content":"Hello"}],"stream":true}"#;
const LOST: &str = "message.server_tool_use";

#[tokio::test(start_paused = true)]
async fn what_is_lost_before_the_first_content_stands_in_the_header_and_the_record() {
    let stage = stage(stream(&[START, SEARCH, STOP, TEXT, WORDS, STOP, DONE, END]));
    let heard = ask_in(&stage, "openai.chat", ("", true), ASK).await;
    assert_eq!(heard.headers["x-lockgate-losses"], LOST);
    let record = stage.record();
    assert_eq!(record.outcome, Outcome::Ok);
    assert_eq!(record.losses.iter().map(|it| &**it).collect::<Vec<_>>(), [LOST]);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_behind_it_stands_in_the_record_however_the_stream_ends() {
    let whole = [START, TEXT, WORDS, STOP, SEARCH, STOP, DONE, END];
    for (play, outcome) in
        [(stream(&whole), Outcome::Ok), (stream(&whole[..6]).fail(builder::broken()), Outcome::Broken)]
    {
        let stage = stage(play);
        let heard = ask_in(&stage, "openai.chat", ("", true), ASK).await;
        assert!(!heard.headers.contains_key("x-lockgate-losses"), "the head had gone");
        let record = stage.record();
        assert_eq!(record.outcome, outcome);
        assert_eq!(record.losses.iter().map(|it| &**it).collect::<Vec<_>>(), [LOST]);
    }
}

#[tokio::test(start_paused = true)]
async fn losses_of_the_request_and_of_the_stream_stand_together() {
    let stage = stage(stream(&[START, TEXT, WORDS, STOP, SEARCH, STOP, DONE, END]));
    let ask = ASK.replace("\"stream\"", "\"seed\":7,\"stream\"");
    let heard = ask_in(&stage, "openai.chat", ("", true), ask).await;
    assert_eq!(heard.headers["x-lockgate-losses"], "seed");
    assert_eq!(stage.record().losses.iter().map(|it| &**it).collect::<Vec<_>>(), ["seed", LOST]);
}

/// The numbers of the events of a stream of `openai.responses`.
fn numbers(body: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(body).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|json| serde_json::from_str::<Value>(json).unwrap()["sequence_number"].as_u64().unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_events_go_on_in_the_error_that_ends_a_stream() {
    let ask = r#"{"model":"a/m","input":"Hello","stream":true}"#;
    // Translated.
    let stage = stage(stream(&[START, TEXT, WORDS]).fail(builder::broken()));
    let heard = ask_in(&stage, "openai.responses", ("", true), ask).await;
    let counted = numbers(&heard.body);
    assert_eq!(counted, (0..counted.len() as u64).collect::<Vec<_>>());
    assert_eq!(stage.record().error, Some(Kind::UpstreamBroken));

    // Untouched.
    let own = [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress"}}"#,
        r#"{"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":"Hi"}"#,
    ];
    let stage = Set::of([speaking("a", &["openai.responses"])]).patient().stage();
    stage.script.then("a", stream(&own).fail(builder::broken()));
    let heard = ask_in(&stage, "openai.responses", ("", true), ask).await;
    assert_eq!(numbers(&heard.body), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_strict_lets_nothing_be_lost() {
    let ask = |model: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}],"seed":7}}"#)
    };
    let mut strict = route("bot", &["a"], 0);
    strict.settings.strict = Some(true);
    let mut set = Set::of([speaking("a", &["anthropic.messages"])]).patient();
    set.routes.push(strict);
    let stage = set.stage();
    let heard = stage.ask(ask("bot")).await;
    let text = stage.record().detail.unwrap_or_default();
    assert_eq!(heard.error.map(|(kind, _)| kind), Some(Kind::InvalidRequest));
    assert!(text.contains("seed"), "{text}");
    assert!(stage.script.take().is_empty(), "nobody was called");
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}"#;
    stage.script.then("a", Play::json(200, answer));
    assert_eq!(stage.ask(ask("a/m")).await.headers["x-lockgate-losses"], "seed");
}

#[tokio::test(start_paused = true)]
async fn preferences_that_are_not_heeded_are_told_and_not_sent() {
    let body = r#"{"model":"a/m","messages":[],"provider":{"sort":"price","quantizations":["fp8"]},"models":["b/m"]}"#;
    let stage = Stage::two();
    let answer = r#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#;
    stage.script.then("a", Play::json(200, answer));
    let heard = stage.ask(body).await;
    assert_eq!(heard.headers["x-lockgate-losses"], "models, provider.quantizations");
    assert_eq!(stage.record().losses.len(), 2);
    assert_eq!(stage.script.take()[0].body, r#"{"model":"m","messages":[]}"#);
    let heard = stage.ask_with(&[("x-lockgate-strict", "true")], body).await;
    assert_eq!(heard.error.unwrap().0, Kind::InvalidRequest);
    assert!(stage.script.take().is_empty(), "nobody was called");
}
