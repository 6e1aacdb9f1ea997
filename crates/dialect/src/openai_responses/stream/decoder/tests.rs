use super::*;

/// What a stream comes to, in short words.
fn read(events: &[&str]) -> Result<Vec<String>, Error> {
    let mut decoder = ResponsesDecoder::new(&Origin("openai".into()));
    let mut seen = Vec::new();
    let mut sink = |delta: Delta<'_>| {
        seen.push(match delta {
            Delta::Start { id, .. } => format!("start {id}"),
            Delta::Open(Block::Text) => "open text".into(),
            Delta::Open(Block::Refusal) => "open refusal".into(),
            Delta::Open(Block::Reasoning { summary }) => format!("open thought {summary}"),
            Delta::Open(Block::Call { id, name, .. }) => format!("open call {id} {name}"),
            Delta::Open(Block::Native(native)) => format!("open native {}", native.name),
            Delta::Text(text) => format!("+{text}"),
            Delta::Seal(seal) => format!("seal {}", seal.data.len()),
            Delta::Citation(_) => "citation".into(),
            Delta::Logprobs(tokens) => format!("tokens {}", tokens.len()),
            Delta::Close => "close".into(),
            Delta::Usage(usage) => format!("usage {}", usage.output_total()),
            Delta::Tier(tier) => format!("tier {tier}"),
            Delta::Finish(finish) => format!("{finish:?}"),
            Delta::End => "end".into(),
        });
    };
    for event in events {
        decoder.event("", event.as_bytes(), &mut sink)?;
    }
    decoder.end(&mut sink)?;
    Ok(seen)
}

const CREATED: &str = r#"{"type":"response.created","response":{"id":"r1","model":"m","created_at":1}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":1,"output_tokens":2}}}"#;

#[test]
fn parallel_calls_that_come_mixed_are_given_one_after_the_other() {
    let seen = read(&[
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"a","name":"f","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"x\""}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"b","name":"g","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":":1}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"x\":1}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1}"}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"b","name":"g","arguments":"{}"}}"#,
        COMPLETED,
    ]);
    assert_eq!(
        seen.unwrap(),
        [
            "start r1",
            "open call a f",
            "+{\"x\"",
            "+:1}",
            "close",
            "open call b g",
            "+{}",
            "close",
            "usage 2",
            "Calls",
            "end"
        ]
    );
}

#[test]
fn a_thought_that_closes_behind_the_text_does_not_hold_the_text_back() {
    let mut decoder = ResponsesDecoder::new(&Origin("openrouter".into()));
    let mut texts = Vec::new();
    for event in [
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[]}}"#,
        r#"{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"hm"}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"message","content":[]}}"#,
        r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"4"}"#,
    ] {
        decoder
            .event("", event.as_bytes(), &mut |delta| {
                if let Delta::Text(text) = delta {
                    texts.push(text.into_owned());
                }
            })
            .unwrap();
    }
    assert_eq!(texts, ["hm", "4"]);
}

#[test]
fn what_came_in_no_piece_is_taken_from_the_end_of_its_item() {
    let seen = read(&[
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"g"}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"hi","annotations":[{"type":"url_citation","url":"u"}]}]}}"#,
        r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"custom_tool_call","call_id":"c","name":"t","input":"4 + 4"}}"#,
        r#"{"type":"response.output_item.done","output_index":3,"item":{"type":"web_search_call","id":"ws"}}"#,
        r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
    ])
    .unwrap();
    assert_eq!(seen[0], "start ");
    assert_eq!(seen[1..3], ["open thought true", "+s"]);
    assert!(seen[3].starts_with("seal "));
    assert_eq!(
        seen[4..],
        [
            "close",
            "open text",
            "+hi",
            "citation",
            "close",
            "open call c t",
            "+4 + 4",
            "close",
            "open native web_search_call",
            "close",
            "Length",
            "end"
        ]
    );
}

#[test]
fn an_answer_that_came_only_whole_is_read_whole() {
    let seen = read(&[
        r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}}"#,
    ]);
    assert_eq!(seen.unwrap(), ["start r", "open text", "+hi", "close", "Stop", "end"]);
}

#[test]
fn the_parts_of_a_summary_are_one_thought() {
    let delta = |at: u8, text: &str| {
        format!(
            r#"{{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":{at},"delta":"{text}"}}"#
        )
    };
    let seen = read(&[
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[]}}"#,
        &delta(0, "a"),
        &delta(1, "b"),
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[]}}"#,
        COMPLETED,
    ])
    .unwrap();
    assert_eq!(seen[1..5], ["open thought true", "+a", "+\n\n", "+b"]);
}

#[test]
fn a_stream_that_stops_early_is_broken_and_an_error_is_an_error() {
    assert_eq!(read(&[CREATED]).unwrap_err().kind(), Kind::UpstreamBroken);
    assert_eq!(read(&[]).unwrap_err().kind(), Kind::UpstreamBroken);
    let failed = read(&[CREATED, r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"m"}}"#]);
    assert_eq!(failed.unwrap_err().kind(), Kind::UpstreamRateLimited);
    assert_eq!(read(&["{"]).unwrap_err().kind(), Kind::UpstreamBadAnswer);
    let mut unknown = vec![CREATED, r#"{"type":"response.new","delta":{"a":1}}"#, r#"{"type":"keepalive"}"#];
    unknown.push(COMPLETED);
    assert!(read(&unknown).is_ok());
}
