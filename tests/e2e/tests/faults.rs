//! Every fault of a provider, alone and in a route with a healthy second target, streaming and not.
//!
//! What a client sees is written down in the table below, and from it, once it has been seen to be so, in
//! `docs/faults.md`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::{Fault as Domain, Kind};
use lockgate_demo::{DemoUpstream, Fault, Options, Pace, refused_addr};
use lockgate_e2e::{Answer, Ending, Gateway, PATIENCE, ask_for, docs, eventually};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a client sees of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sees {
    /// The answer, whole and right.
    Answer,
    /// The answer as the provider gave it, which does not say why it ended.
    Unfinished,
    /// An error instead of an answer.
    Error(u16, Kind, Domain),
    /// The beginning of the answer, then an error event of the gateway.
    ErrorEvent(Kind, Domain),
    /// The beginning of the answer, then the provider's own error event.
    OwnErrorEvent(Kind),
}

/// What clients see of a fault at the only target.
struct Row {
    fault: Fault,
    whole: Sees,
    stream: Sees,
}

use Domain::{Caller, Provider};
use Kind::*;
use Sees::{Answer as Good, Error as Fails, ErrorEvent, OwnErrorEvent, Unfinished};

const UNUSABLE: Sees = Fails(502, UpstreamBadAnswer, Provider);
const BROKEN: Sees = Fails(502, UpstreamBroken, Provider);
const LATE: Sees = Fails(504, UpstreamTimeout, Provider);
const BROKE_OFF: Sees = ErrorEvent(UpstreamBroken, Provider);

const TABLE: &[Row] = &[
    same(Fault::Silence, LATE),
    same(Fault::CloseAtOnce, BROKEN),
    same(Fault::ResetAtOnce, BROKEN),
    same(Fault::SilenceAfterHeaders, LATE),
    same(Fault::HeadersThenClose, BROKEN),
    same(Fault::HugeHeader, UNUSABLE),
    same(Fault::Status401, Fails(401, UpstreamAuth, Provider)),
    same(Fault::Status402, Fails(402, UpstreamCredit, Provider)),
    same(Fault::Status403, Fails(403, UpstreamAuth, Provider)),
    same(Fault::Status404, Fails(404, ModelNotFound, Caller)),
    same(Fault::Status408, Fails(408, UpstreamTimeout, Provider)),
    same(Fault::Status409, Fails(409, UpstreamError, Provider)),
    same(Fault::Status413, Fails(413, RequestTooLarge, Caller)),
    same(Fault::Status422, Fails(422, InvalidRequest, Caller)),
    same(Fault::Status429, Fails(429, UpstreamRateLimited, Provider)),
    same(Fault::Status429RetryAfter, Fails(429, UpstreamRateLimited, Provider)),
    same(Fault::Status500, Fails(500, UpstreamError, Provider)),
    same(Fault::Status502, Fails(502, UpstreamError, Provider)),
    same(Fault::Status503, Fails(503, UpstreamOverloaded, Provider)),
    same(Fault::Status503RetryAfter, Fails(503, UpstreamOverloaded, Provider)),
    same(Fault::Status504, Fails(504, UpstreamTimeout, Provider)),
    same(Fault::Status529, Fails(529, UpstreamOverloaded, Provider)),
    same(Fault::InsufficientQuota, Fails(429, UpstreamCredit, Provider)),
    same(Fault::ContextLength, Fails(400, ContextWindow, Caller)),
    same(Fault::ContentPolicy, Fails(400, ContentPolicy, Caller)),
    same(Fault::HtmlError, Fails(502, UpstreamError, Provider)),
    same(Fault::Html200, UNUSABLE),
    same(Fault::Empty200, UNUSABLE),
    same(Fault::WrongShape, UNUSABLE),
    each(Fault::InvalidJson, UNUSABLE, ErrorEvent(UpstreamBadAnswer, Provider)),
    same(Fault::WrongContentType, Good),
    same(Fault::BrokenGzip, UNUSABLE),
    same(Fault::WholeForStream, UNUSABLE),
    each(Fault::CloseMidEvent, BROKEN, BROKE_OFF),
    each(Fault::OneByteShort, BROKEN, BROKE_OFF),
    each(Fault::BadChunk, UNUSABLE, ErrorEvent(UpstreamBadAnswer, Provider)),
    each(Fault::ResetMidStream, BROKEN, BROKE_OFF),
    each(Fault::ErrorEvent, Fails(502, UpstreamError, Provider), OwnErrorEvent(UpstreamError)),
    each(Fault::NoFinish, Unfinished, BROKE_OFF),
    same(Fault::NoDone, Good),
    each(Fault::CloseBeforeUsage, BROKEN, BROKE_OFF),
    same(Fault::NoUsage, Good),
    same(Fault::CloseAfterAnswer, Good),
    same(Fault::DuplicateStart, Good),
    same(Fault::SplitArguments, Good),
    same(Fault::OneByteChunks, Good),
    same(Fault::CrlfComments, Good),
    same(Fault::LargeEvent, Good),
    same(Fault::PingsOnly, LATE),
    same(Fault::SlowFirstToken, LATE),
    each(Fault::Stall, LATE, ErrorEvent(UpstreamTimeout, Provider)),
    each(Fault::Endless, LATE, ErrorEvent(UpstreamTimeout, Provider)),
];

/// Faults of the connection, which a server cannot make: the provider's name here, and what is wrong.
const UNREACHABLE: [(&str, &str); 3] = [
    ("refused", "Nobody listens at the address."),
    ("dns", "The name does not resolve."),
    ("tls", "The server does not speak TLS."),
];

/// Faults that strike a stream after its content only, wherever they are told to.
const AFTER_CONTENT: [Fault; 4] =
    [Fault::OneByteShort, Fault::NoFinish, Fault::CloseBeforeUsage, Fault::Endless];

const fn each(fault: Fault, whole: Sees, stream: Sees) -> Row {
    Row { fault, whole, stream }
}

const fn same(fault: Fault, sees: Sees) -> Row {
    each(fault, sees, sees)
}

/// The longest that a case may take: the longest time-out of the config, a retry, and a busy machine.
const LIMIT: Duration = Duration::from_secs(15);
/// Cases under way at once.
const AT_ONCE: usize = 8;
const QUESTION: &str = "Which target answers this?";

/// The demo's model with a fault. An endless stream need not be fast.
fn model(fault: Fault, after: Option<u64>) -> String {
    let after = after.map_or_else(String::new, |events| format!(";after={events}"));
    let delay = if fault == Fault::Endless { ";delay_ms=20" } else { "" };
    format!("fault:{}{after}{delay}", fault.name())
}

fn provider(name: &str, base_url: &str) -> String {
    format!(
        "  {name}:\n    type: openai-compatible\n    base_url: {base_url}\n    \
         timeouts: {{ connect: 2s, first_byte: 400ms, between_bytes: 400ms, total: 3s }}\n"
    )
}

/// `paced` is slow enough that what precedes a fault in a stream comes before it, and not together with it.
async fn gateway(upstream: &DemoUpstream, paced: &DemoUpstream) -> Gateway {
    let mut config = "providers:\n".to_owned();
    for name in ["alone", "faulty", "healthy"] {
        config += &provider(name, &upstream.base_url());
    }
    config += &provider("paced", &paced.base_url());
    let refused = refused_addr().expect("a free port");
    config += &provider("refused", &format!("http://{refused}/v1"));
    config += &provider("dns", "http://demo.invalid/v1");
    config += &provider("tls", &format!("https://{}/v1", upstream.addr()));
    config += "routes:\n";
    for row in TABLE {
        let (name, model) = (row.fault.name(), model(row.fault, Some(0)));
        let _ =
            writeln!(config, "  {name}: {{ use: [\"faulty/{model}\", healthy/echo], attempt_timeout: 1s }}");
    }
    for (name, _) in UNREACHABLE {
        let _ = writeln!(config, "  no-{name}: [{name}/routed, healthy/echo]");
    }
    Gateway::start(&config).await
}

/// A request of the test, and what is to come of it.
#[derive(Debug)]
struct Case {
    name: String,
    model: String,
    stream: bool,
    sees: Sees,
    /// Whether the second target has to answer, after the first failed in this way.
    falls_over: Option<Kind>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_told_rightly_and_a_second_target_hides_it() {
    for fault in Fault::ALL {
        assert!(TABLE.iter().any(|row| row.fault == *fault), "{fault:?} has no row");
    }
    let upstream = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let pace = Pace { tokens_per_second: 50.0, ..Pace::INSTANT };
    let paced = DemoUpstream::start(Options { pace, ..Options::default() }).await.expect("an upstream");
    let gateway = Arc::new(gateway(&upstream, &paced).await);
    let clean: Arc<str> = gateway.chat(&ask_for("alone/chat", QUESTION, false)).await.text().into();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for case in cases() {
        let (gateway, room, clean) = (Arc::clone(&gateway), Arc::clone(&room), Arc::clone(&clean));
        running.spawn(async move {
            let _turn = room.acquire().await;
            let wrong = judge(&gateway, &case, &clean).await.err();
            wrong.map(|wrong| {
                format!("{} ({}): {wrong}", case.name, if case.stream { "stream" } else { "whole" })
            })
        });
    }
    let mut wrong: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    docs("faults.md").must_be(&page());
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for stream in [false, true] {
        for row in TABLE {
            let sees = if stream { row.stream } else { row.whole };
            let name = row.fault.name();
            let in_mid_stream = matches!(sees, ErrorEvent(..) | OwnErrorEvent(_));
            let provider = if in_mid_stream { "paced" } else { "alone" };
            cases.push(Case {
                name: format!("{name} alone"),
                model: format!("{provider}/{}", model(row.fault, None)),
                stream,
                sees,
                falls_over: None,
            });
            let hidden = hidden_by(row, stream);
            cases.push(Case {
                name: format!("{name} in a route"),
                model: name.to_owned(),
                stream,
                sees: if hidden.is_some() { Good } else { sees },
                falls_over: hidden,
            });
        }
        for (name, _) in UNREACHABLE {
            let case = |model: String, sees, falls_over| Case {
                name: model.clone(),
                model,
                stream,
                sees,
                falls_over,
            };
            cases.push(case(format!("{name}/chat"), Fails(502, UpstreamUnreachable, Provider), None));
            cases.push(case(format!("no-{name}"), Good, Some(UpstreamUnreachable)));
        }
    }
    cases
}

/// With which kind of failure a fault that strikes before the first content makes way for a second target.
fn hidden_by(row: &Row, stream: bool) -> Option<Kind> {
    if stream && AFTER_CONTENT.contains(&row.fault) {
        return None;
    }
    match if stream { row.stream } else { row.whole } {
        Good | Unfinished => None,
        Fails(_, kind, _) | ErrorEvent(kind, _) | OwnErrorEvent(kind) => Some(kind),
    }
}

/// `clean` is what the demo says without a fault.
async fn judge(gateway: &Gateway, case: &Case, clean: &str) -> Result<(), String> {
    let reply = gateway.open_chat(&ask_for(&case.model, QUESTION, case.stream)).await;
    let answer = reply.map_err(|error| format!("no answer: {error}"))?.read(LIMIT).await;
    if answer.ending != Ending::Complete {
        return Err(format!("ended {:?} after {:?}", answer.ending, answer.took));
    }
    let seen = judge_answer(&answer, case, clean);
    let record = gateway.record(answer.id()).await;
    seen.and_then(|()| judge_record(&record, case)).map_err(|why| {
        let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(600)]).into_owned();
        format!("{why}\n    status {}, body {body:?}\n    record {record}", answer.status)
    })
}

fn judge_answer(answer: &Answer, case: &Case, clean: &str) -> Result<(), String> {
    let media = if case.stream { "text/event-stream" } else { "application/json" };
    match case.sees {
        Good | Unfinished => {
            must(answer.status == 200, "status is not 200")?;
            must(answer.header("content-type").starts_with(media), "the type is not that of an answer")?;
            must(answer.is_finished() == (case.sees == Good), "the answer is not finished")?;
            if case.falls_over.is_some() {
                must(answer.text() == QUESTION, "it is not the healthy target's answer")?;
                must(answer.header("x-lockgate-target") == "healthy/echo", "another target is named")?;
            } else {
                must(is_right(&case.name, &answer.text(), clean), "the answer is not what the model says")?;
            }
            let attempts = answer.header("x-lockgate-attempts");
            // What cannot be reached leaves rotation after few calls, and is then not called at all.
            let may_be_out = case.name.starts_with("no-");
            let wanted = if case.falls_over.is_some() { "2" } else { "1" };
            must(attempts == wanted || may_be_out && attempts == "1", "the number of attempts is wrong")
        }
        Fails(status, kind, domain) => {
            must(answer.status == status, "another status")?;
            must(answer.header("content-type").starts_with("application/json"), "the error is no JSON")?;
            must(answer.header("x-lockgate-error") == kind.code(), "x-lockgate-error is wrong")?;
            must(answer.header("x-lockgate-fault") == domain.code(), "x-lockgate-fault is wrong")?;
            must(
                case.model.ends_with("retry-after") == (answer.header("retry-after") == "1"),
                "retry-after is wrong",
            )?;
            error_object(&answer.json()["error"]).map(drop)
        }
        ErrorEvent(kind, domain) => {
            let error = last_error(answer)?;
            must(error["code"] == kind.code(), "the event's code is wrong")?;
            must(error["fault"] == domain.code(), "the event's fault is wrong")?;
            must(error["request_id"] == answer.id(), "the event names another request")
        }
        OwnErrorEvent(_) => {
            let error = last_error(answer)?;
            must(error.get("request_id").is_none(), "the event is not the provider's own")
        }
    }
}

/// Whether the text is what the demo says, where two faults make it say more than it does without one.
fn is_right(case: &str, text: &str, clean: &str) -> bool {
    match case.split(' ').next() {
        Some("large-event") => text.len() >= 1 << 20,
        Some("split-arguments") => text.strip_prefix(clean) == Some(" \"Zürich\"\n東京 🗼\\"),
        _ => text == clean,
    }
}

/// The error object in the last event of a stream that began well.
fn last_error(answer: &Answer) -> Result<Value, String> {
    must(answer.status == 200, "status is not 200")?;
    let events = answer.events();
    must(!answer.text().is_empty(), "no content came before the error")?;
    must(!events.contains(&json!("[DONE]")), "a broken stream says [DONE]")?;
    must(answer.body.ends_with(b"\n\n"), "the last event is not ended")?;
    must(!events.iter().any(Value::is_null), "an event is no JSON")?;
    let last = events.last().map(|event| event["error"].clone()).unwrap_or_default();
    error_object(&last).cloned()
}

/// What every SDK looks for in an error.
fn error_object(error: &Value) -> Result<&Value, String> {
    must(error["message"].as_str().is_some_and(|text| !text.is_empty()), "the error has no message")?;
    must(error["type"].is_string(), "the error has no type")?;
    must(error.get("code").is_some(), "the error has no code")?;
    Ok(error)
}

fn judge_record(record: &Value, case: &Case) -> Result<(), String> {
    let attempts = record["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    match case.sees {
        Good | Unfinished => {
            must(record["outcome"] == "ok" && record["error"].is_null(), "the record says that it failed")?;
            must(record["usage"].is_object() || !case.stream, "a stream has no usage")?;
        }
        Fails(status, kind, _) => {
            must(record["outcome"] == "error", "the record's outcome is not error")?;
            must(record["status"] == status, "the record has another status")?;
            must(record["error"] == kind.code(), "the record has another kind")?;
        }
        ErrorEvent(kind, _) | OwnErrorEvent(kind) => {
            must(record["outcome"] == "broken", "the record's outcome is not broken")?;
            must(record["error"] == kind.code(), "the record has another kind")?;
            must(
                record["usage"]["output"].as_u64().is_some_and(|tokens| tokens > 0),
                "what came was not booked",
            )?;
        }
    }
    if let Some(kind) = case.falls_over {
        let first = &record["decision"]["candidates"][0]["standing"];
        if attempts.len() == 1 && case.name.starts_with("no-") {
            return must(
                first["excluded"] == "breaker_open",
                "the first target was not called, without a reason",
            );
        }
        must(attempts.len() == 2, "the record has not two attempts")?;
        must(attempts[0]["error"] == kind.code(), "the first attempt failed in another way")?;
        must(attempts[1]["error"].is_null(), "the second attempt failed")?;
    }
    Ok(())
}

fn must(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// A mistake of the caller is told at once: no second target could mend it.
#[tokio::test]
async fn a_bad_request_is_not_tried_elsewhere() {
    let upstream = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let config = provider("demo", &upstream.base_url());
    let gateway =
        Gateway::start(&format!("providers:\n{config}routes:\n  both: [demo/chat, demo/echo]\n")).await;
    let mut body = ask_for("both", QUESTION, false);
    body["max_tokens"] = json!(0);
    let answer = gateway.chat(&body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        (answer.header("x-lockgate-error"), answer.header("x-lockgate-fault")),
        ("invalid_request", "caller")
    );
    assert_eq!(answer.json()["error"]["param"], "max_tokens", "the provider's own words");
    assert_eq!(upstream.stats().requests, 1);
    assert_eq!(gateway.record(answer.id()).await["attempts"].as_array().map(Vec::len), Some(1));
}

/// Five failures in a row take a target out of rotation; after a pause of five seconds a probe brings it back.
#[tokio::test]
async fn a_breaker_spares_clients_the_failing_target_until_it_is_well() {
    let first = DemoUpstream::start(Options::instant().fault(Fault::Status500)).await.expect("an upstream");
    let second = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let providers = provider("first", &first.base_url()) + &provider("second", &second.base_url());
    let config = format!("providers:\n{providers}routes:\n  both: [first/echo, second/echo]\n");
    let gateway = Gateway::start(&config).await;
    let body = ask_for("both", QUESTION, false);

    for _ in 0..5 {
        let answer = gateway.chat(&body).await;
        assert_eq!((answer.status, answer.header("x-lockgate-attempts")), (200, "2"));
    }
    let opened = Instant::now();
    for _ in 0..10 {
        let answer = gateway.chat(&body).await;
        assert_eq!((answer.status, answer.header("x-lockgate-attempts")), (200, "1"));
        assert_eq!(answer.header("x-lockgate-target"), "second/echo");
    }
    assert_eq!(first.stats().requests, 5, "an open breaker lets nothing pass");
    let answer = gateway.chat(&body).await;
    let record = gateway.record(answer.id()).await;
    assert_eq!(
        record["decision"]["candidates"][0]["standing"],
        json!({ "excluded": "breaker_open" }),
        "{record}"
    );
    assert!(gateway.log().contains("breaker_opened provider=first model=echo"), "{}", gateway.log());

    first.heal();
    eventually(PATIENCE, "a probe brings the first target back", || async {
        let answer = gateway.chat(&body).await;
        assert_eq!(answer.status, 200);
        (answer.header("x-lockgate-target") == "first/echo").then_some(())
    })
    .await;
    let away = opened.elapsed();
    assert!(away > Duration::from_millis(4_500), "it was back after {away:?}");
    assert!(gateway.log().contains("breaker_closed provider=first model=echo"), "{}", gateway.log());
}

/// `docs/faults.md`
fn page() -> String {
    let mut page = "\
# What clients see when a provider fails

Produced by `tests/e2e/tests/faults.rs`, which makes each of these faults over real sockets and compares: run it with
`UPDATE_DOCS=1` after a change. The time limits are short there; a limit of the config ends every wait.

*Alone* means that the model has one target. An error has the status and the kind shown (`x-lockgate-error` in the head, `code` in
the errors that the gateway words itself), and `x-lockgate-fault` says whose fault it is. An error of the provider that is JSON
passes as it came. A stream that fails after its first content ends with an event `data: {\"error\": ...}` and without `[DONE]`.

*With a second target* means a route with a healthy target behind the failing one. *Hidden* means that the client gets the
second target's answer, and the record shows both attempts and why the first failed; `attempt_timeout` of the route ends an answer
that trickles without an end, before the time for the whole request is used up. The same holds for a stream up to its first
content; behind it the client has read a part of one answer and must not get another.

| fault | what the provider does | alone, whole | alone, stream | with a second target, whole | with a second target, stream |
|---|---|---|---|---|---|
"
    .to_owned();
    for (name, about) in UNREACHABLE {
        let sees = spell(Fails(502, UpstreamUnreachable, Provider));
        let _ = writeln!(page, "| {name} | {about} | {sees} | {sees} | hidden | hidden |");
    }
    for row in TABLE {
        let route = |stream| match hidden_by(row, stream) {
            Some(_) => "hidden",
            None => "as alone",
        };
        let (name, about) = (row.fault.name(), row.fault.about());
        let (whole, stream) = (spell(row.whole), spell(row.stream));
        let _ =
            writeln!(page, "| {name} | {about} | {whole} | {stream} | {} | {} |", route(false), route(true));
    }
    page
}

fn spell(sees: Sees) -> String {
    match sees {
        Good => "the answer".to_owned(),
        Unfinished => "the answer, without a finish reason".to_owned(),
        Fails(status, kind, domain) => format!("{status} `{}` ({})", kind.code(), domain.code()),
        ErrorEvent(kind, domain) => format!("error event `{}` ({})", kind.code(), domain.code()),
        OwnErrorEvent(kind) => format!("the provider's own error event (`{}`)", kind.code()),
    }
}
