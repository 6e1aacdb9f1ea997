//! Every fault, on a stream and on a whole answer, as a client sees it.

use super::*;

const PROMPT: &str = "one two three four";

/// Short waits, so that the faults of time are seen.
fn order(fault: Fault) -> String {
    format!("x-demo-fault: {};delay_ms=30\r\n", fault.name())
}

/// The status of a fault that is a whole answer of its own; 0 for the others.
fn status(fault: Fault) -> u16 {
    match fault {
        Fault::ContextLength | Fault::ContentPolicy => 400,
        Fault::InsufficientQuota => 429,
        Fault::HtmlError => 502,
        _ => fault.name().strip_prefix("status-").map_or(0, |rest| rest[..3].parse().unwrap()),
    }
}

/// Asks under a fault, and listens only briefly where nothing more is to come.
async fn suffer(upstream: &DemoUpstream, fault: Fault, stream: bool) -> Heard {
    let endless =
        matches!(fault, Fault::Silence | Fault::SilenceAfterHeaders | Fault::PingsOnly | Fault::Endless);
    let patience = if endless { Duration::from_millis(400) } else { PATIENCE };
    hear(&mut send(upstream, &ask("echo", stream, &order(fault))).await, patience).await
}

fn check_head(fault: Fault, heard: &Heard) {
    if status(fault) != 0 {
        assert_eq!((heard.status, heard.ending), (status(fault), Ending::Complete));
        let retry = matches!(fault, Fault::Status429RetryAfter | Fault::Status503RetryAfter);
        assert_eq!(heard.head.contains("retry-after: 1"), retry);
        assert_eq!(heard.json()["error"]["message"].is_string(), fault != Fault::HtmlError);
        return;
    }
    let expected = match fault {
        Fault::Silence | Fault::CloseAtOnce | Fault::ResetAtOnce => 0,
        _ => 200,
    };
    assert_eq!(heard.status, expected);
}

#[tokio::test]
async fn every_fault_on_a_stream() {
    let upstream = upstream().await;
    for fault in Fault::ALL.iter().copied() {
        let heard = suffer(&upstream, fault, true).await;
        println!("{}: {:?} {}", fault.name(), heard.ending, heard.status);
        check_head(fault, &heard);
        if status(fault) != 0 {
            continue;
        }
        let usage = heard.events().iter().any(|event| event["usage"].is_object());
        let good = heard.ending == Ending::Complete
            && heard.content() == PROMPT
            && heard.finished()
            && heard.done()
            && usage
            && heard.events().iter().all(|event| !event.is_null());
        match fault {
            // The connection.
            Fault::Silence | Fault::SilenceAfterHeaders => assert_eq!(heard.ending, Ending::Unfinished),
            Fault::CloseAtOnce | Fault::HeadersThenClose => assert_eq!(heard.ending, Ending::Closed),
            Fault::ResetAtOnce => assert_eq!(heard.ending, Ending::Reset),
            // Bodies that are none.
            Fault::Html200 => assert!(heard.head.contains("text/html")),
            Fault::Empty200 => assert!(heard.ending == Ending::Complete && heard.body.is_empty()),
            Fault::WrongShape => {
                assert!(heard.ending == Ending::Complete && heard.events()[0]["choices"].is_null());
            }
            Fault::BrokenGzip => assert!(heard.head.contains("content-encoding: gzip")),
            Fault::WholeForStream => assert_eq!(heard.json()["object"], "chat.completion"),
            Fault::InvalidJson => {
                assert!(heard.ending == Ending::Complete && heard.done());
                assert_eq!(heard.events().iter().filter(|event| event.is_null()).count(), 1);
            }
            // Early ends.
            Fault::CloseMidEvent | Fault::ResetMidStream | Fault::BadChunk => {
                let ending = match fault {
                    Fault::CloseMidEvent => Ending::Closed,
                    Fault::BadChunk => Ending::BadChunk,
                    _ => Ending::Reset,
                };
                assert!(heard.ending == ending && !heard.finished());
                // A reset may overtake what was sent before it.
                assert!(
                    heard.content() == "one two" || fault == Fault::ResetMidStream,
                    "{}",
                    heard.content()
                );
            }
            Fault::OneByteShort => {
                assert_eq!(heard.ending, Ending::Closed);
                assert_eq!(heard.body.len() + 1, heard.chunks.iter().sum::<usize>());
            }
            Fault::ErrorEvent => {
                assert!(
                    heard.ending == Ending::Complete && heard.content() == "one two" && !heard.finished()
                );
                assert_eq!(heard.events().last().unwrap()["error"]["type"], "server_error");
            }
            Fault::NoFinish => {
                assert!(heard.ending == Ending::Complete && heard.content() == PROMPT);
                assert!(!heard.finished() && !heard.done() && !usage);
            }
            Fault::NoDone => {
                assert!(heard.ending == Ending::Complete && heard.finished() && usage && !heard.done());
            }
            Fault::NoUsage => assert!(heard.ending == Ending::Complete && heard.done() && !usage),
            Fault::CloseBeforeUsage => assert!(heard.ending == Ending::Closed && heard.finished() && !usage),
            // Good answers in another form.
            Fault::CloseAfterAnswer | Fault::HugeHeader | Fault::WrongContentType => {
                assert!(good);
                assert!(fault != Fault::HugeHeader || heard.head.len() > 1_000_000);
                assert!(fault != Fault::WrongContentType || heard.head.contains("text/plain"));
            }
            Fault::DuplicateStart => {
                let roles =
                    heard.events().iter().filter(|e| e["choices"][0]["delta"]["role"].is_string()).count();
                assert!(good && roles == 2);
            }
            Fault::OneByteChunks => assert!(good && heard.chunks.iter().all(|size| *size == 1)),
            Fault::CrlfComments => {
                let text = std::str::from_utf8(&heard.body).unwrap();
                let bare = text.split("\r\n").any(|line| line.contains('\n') && !line.contains("[DONE]"));
                assert!(good && !bare && text.contains(": comment\r\n"));
            }
            Fault::SplitArguments => {
                assert!(heard.ending == Ending::Complete && heard.done());
                assert!(heard.content().starts_with(PROMPT) && heard.content().contains('\u{6771}'));
            }
            Fault::LargeEvent => assert!(heard.done() && heard.content().len() > 1024 * 1024),
            // Time.
            Fault::SlowFirstToken | Fault::Stall => assert!(good && heard.took >= Duration::from_millis(30)),
            Fault::PingsOnly => {
                assert!(heard.ending == Ending::Unfinished && heard.body.starts_with(b": ping\n\n: ping"));
            }
            Fault::Endless => {
                assert!(
                    heard.ending == Ending::Unfinished
                        && heard.content().len() > PROMPT.len()
                        && !heard.finished()
                );
            }
            other => unreachable!("{} has a status", other.name()),
        }
    }
}

#[tokio::test]
async fn every_fault_on_a_whole_answer() {
    let upstream = upstream().await;
    for fault in Fault::ALL.iter().copied() {
        let heard = suffer(&upstream, fault, false).await;
        println!("{}: {:?} {}", fault.name(), heard.ending, heard.status);
        check_head(fault, &heard);
        if status(fault) != 0 {
            continue;
        }
        let json = heard.json();
        let good = heard.ending == Ending::Complete
            && json["choices"][0]["message"]["content"] == PROMPT
            && json["choices"][0]["finish_reason"] == "stop"
            && json["usage"]["completion_tokens"] == 4;
        match fault {
            Fault::Silence | Fault::SilenceAfterHeaders => assert_eq!(heard.ending, Ending::Unfinished),
            Fault::CloseAtOnce | Fault::HeadersThenClose => assert_eq!(heard.ending, Ending::Closed),
            Fault::ResetAtOnce | Fault::ResetMidStream => assert_eq!(heard.ending, Ending::Reset),
            Fault::Html200 => assert!(heard.head.contains("text/html")),
            Fault::Empty200 => assert!(heard.ending == Ending::Complete && heard.body.is_empty()),
            Fault::WrongShape => assert!(json.is_object() && json["choices"].is_null()),
            Fault::BrokenGzip => assert!(heard.head.contains("content-encoding: gzip")),
            Fault::InvalidJson => assert!(heard.ending == Ending::Complete && json.is_null()),
            Fault::WholeForStream => assert!(heard.content() == PROMPT && heard.done()),
            Fault::CloseMidEvent => assert!(heard.ending == Ending::Closed && json.is_null()),
            Fault::BadChunk => assert_eq!(heard.ending, Ending::BadChunk),
            Fault::OneByteShort => {
                assert_eq!(heard.ending, Ending::Closed);
                assert!(heard.head.contains(&format!("content-length: {}", heard.body.len() + 1)));
            }
            Fault::CloseBeforeUsage => {
                let text = std::str::from_utf8(&heard.body).unwrap();
                assert!(
                    heard.ending == Ending::Closed
                        && text.contains("finish_reason")
                        && !text.contains("usage")
                );
            }
            Fault::ErrorEvent => assert_eq!(json["error"]["type"], "server_error"),
            Fault::NoFinish => {
                assert_eq!(json["choices"][0]["message"]["content"], PROMPT);
                assert!(json["choices"][0]["finish_reason"].is_null() && json["usage"].is_null());
            }
            Fault::NoUsage => {
                assert!(json["usage"].is_null() && json["choices"][0]["finish_reason"] == "stop");
            }
            Fault::SplitArguments => {
                let content = json["choices"][0]["message"]["content"].as_str().unwrap();
                assert!(
                    content.starts_with(PROMPT) && content.contains('\u{6771}') && heard.chunks.len() > 10
                );
            }
            Fault::LargeEvent => {
                assert_eq!(json["choices"][0]["message"]["content"].as_str().unwrap().len(), 1024 * 1024);
            }
            Fault::OneByteChunks => assert!(good && heard.chunks.iter().all(|size| *size == 1)),
            Fault::SlowFirstToken | Fault::Stall => assert!(good && heard.took >= Duration::from_millis(30)),
            Fault::PingsOnly => {
                assert!(heard.ending == Ending::Unfinished && heard.body.starts_with(b"\n\n"));
            }
            Fault::Endless => assert!(heard.ending == Ending::Unfinished && heard.body.len() > 100),
            Fault::CloseAfterAnswer
            | Fault::HugeHeader
            | Fault::WrongContentType
            | Fault::NoDone
            | Fault::DuplicateStart
            | Fault::CrlfComments => assert!(good),
            other => unreachable!("{} has a status", other.name()),
        }
    }
}

#[tokio::test]
async fn arguments_are_split_inside_escapes_and_characters() {
    let upstream = upstream().await;
    let mut body = body("chat", true);
    body["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    let request = request("POST", "/v1/chat/completions", &order(Fault::SplitArguments), &body.to_string());
    let heard = talk(&upstream, &request).await;
    let events = heard.events();
    let pieces: Vec<&str> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert!(pieces.contains(&"\\"), "an escape is cut in two");
    let arguments: Value = serde_json::from_str(&pieces.concat()).unwrap();
    assert!(arguments["city"].as_str().unwrap().contains("\"Z\u{fc}rich\"\n\u{6771}\u{4eac}"));
    let mut end = 0;
    let borders = heard.chunks.iter().map(|size| {
        end += size;
        std::str::from_utf8(&heard.body[..end]).is_err()
    });
    assert!(borders.filter(|inside| *inside).count() > 5, "chunks end inside characters");
}

#[tokio::test]
async fn faults_strike_after_the_told_number_of_events() {
    let upstream = upstream().await;
    for (after, content) in [(0, ""), (1, "one"), (3, "one two three"), (99, PROMPT)] {
        let heard = talk(&upstream, &ask(&format!("fault:close-mid-event@{after}"), true, "")).await;
        // The model that a fault stands for answers in prose; so the content is compared by its events.
        let events =
            heard.events().iter().filter(|e| e["choices"][0]["delta"]["content"].is_string()).count();
        assert_eq!(heard.ending, Ending::Closed);
        assert!(after > 90 || events == after + 1, "{events}");
        let header = format!("x-demo-fault: error-event;after={after}\r\n");
        assert_eq!(talk(&upstream, &ask("echo", true, &header)).await.content(), content);
    }
}

#[tokio::test]
async fn a_connection_closed_after_the_answer_said_nothing_before() {
    let upstream = upstream().await;
    let mut stream = send(&upstream, &ask("echo", false, &order(Fault::CloseAfterAnswer))).await;
    let heard = hear(&mut stream, PATIENCE).await;
    assert!(heard.ending == Ending::Complete && !heard.head.contains("connection"));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}
