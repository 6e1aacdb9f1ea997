//! Ten turns of signed thinking and tool use: what a provider signs comes back to it byte for byte, over any client's
//! dialect, and what goes to another provider is told as lost and leaves a request that is taken.

mod client;
mod provider;
mod rules;

use std::sync::Arc;

use lockgate_core::Outcome;
use lockgate_core::record::Target;
use lockgate_route::{Route, RouteSettings};
use lockgate_testkit::Play;
use serde_json::Value;

use self::client::{CLIENTS, Client};
use self::provider::{Provider, SIGNING, UNSIGNED};
use crate::stage::{Heard, Set, Stage};
use crate::tongues::ask_in;

const TURNS: usize = 10;
const BUSY: &str = r#"{"error":{"message":"busy","type":"overloaded_error"}}"#;

/// Asks with all that was said, hears the answer, and gives what each provider got, by name.
async fn exchange(stage: &Stage, client: &mut Client) -> Result<(Heard, Vec<(String, Value)>), String> {
    let (model, stream) = client.wants();
    let heard = ask_in(stage, client.dialect, (&model, stream), client.request()).await;
    ensure((heard.status, heard.error) == (200, None), || format!("{:?}: {:?}", heard.status, heard.body))?;
    client.hear(&heard.body);
    let calls = stage.script.take().into_iter().map(|seen| (seen.upstream, tree(&seen.body))).collect();
    Ok((heard, calls))
}

fn ensure(fine: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if fine { Ok(()) } else { Err(why()) }
}

/// Fails with what went wrong, the first of it.
fn report(results: &[Result<(), String>]) {
    let wrong: Vec<String> = results.iter().filter_map(|it| it.clone().err()).collect();
    let shown: Vec<String> = wrong.iter().take(12).map(|why| why.chars().take(1_500).collect()).collect();
    assert!(wrong.is_empty(), "{} of {} go wrong:\n{}", wrong.len(), results.len(), shown.join("\n"));
}

fn tree(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(body)))
}

fn lost(heard: &Heard) -> Vec<String> {
    let header = heard.headers.get("x-lockgate-losses").map(|value| value.to_str().unwrap().to_owned());
    header.iter().flat_map(|list| list.split(", ")).map(str::to_owned).collect()
}

/// Losses of what was thought, as the dialects name them; how much to think is another matter.
fn of_thoughts(losses: &[String]) -> bool {
    let words = ["reasoning", "thinking", "signature"];
    let thought = |loss: &&String| words.iter().any(|word| loss.contains(word));
    losses.iter().filter(thought).any(|loss| !loss.starts_with("reasoning"))
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_signed_comes_back_to_it_byte_for_byte_over_ten_turns() {
    let mut results = Vec::new();
    for provider in SIGNING {
        for dialect in CLIENTS {
            for stream in [false, true] {
                let name = format!("{dialect} → {} (stream: {stream})", provider.dialect);
                results.push(loyal(provider, dialect, stream).await.map_err(|why| format!("{name}, {why}")));
            }
        }
    }
    report(&results);
}

async fn loyal(provider: Provider, dialect: &'static str, stream: bool) -> Result<(), String> {
    let stage = Set::of([provider.upstream("a")]).patient().stage();
    let mut client = Client::new(dialect, &format!("a/{}", provider.model), stream);
    let mut signed: Vec<Value> = Vec::new();
    for turn in 0..TURNS {
        let at = |why: String| format!("turn {turn}: {why}");
        client.speak(turn);
        stage.script.then("a", provider.play(turn, stream));
        let (heard, calls) = exchange(&stage, &mut client).await.map_err(at)?;
        let [(_, request)] = calls.as_slice() else { return Err(at(format!("{} calls", calls.len()))) };
        let back = provider.states(request);
        ensure(back == signed, || at(format!("came back {back:#?}, signed {signed:#?}")))?;
        rules::check(provider.dialect, request).map_err(|why| at(format!("{why}: {request}")))?;
        let record = stage.record();
        let mut losses: Vec<String> = record.losses.iter().map(ToString::to_string).collect();
        losses.extend(lost(&heard));
        ensure(!of_thoughts(&losses), || at(format!("{losses:?}")))?;
        ensure(record.outcome == Outcome::Ok, || at(format!("{record:?}")))?;
        signed.extend(provider.sent(turn));
    }
    ensure(signed.len() >= TURNS, || format!("only {} states", signed.len()))
}

#[tokio::test(start_paused = true)]
async fn in_its_own_dialect_a_turn_goes_back_as_the_very_bytes_that_came() {
    for provider in SIGNING.into_iter().filter(|provider| CLIENTS.contains(&provider.dialect)) {
        let stage = Set::of([provider.upstream("a")]).patient().stage();
        let mut client = Client::new(provider.dialect, &format!("a/{}", provider.model), false);
        let mut came: Vec<String> = Vec::new();
        for turn in 0..TURNS {
            let name = format!("{}, turn {turn}", provider.dialect);
            client.speak(turn);
            let odd = provider.oddly_written(turn);
            stage.script.then("a", Play::json(200, odd.clone()));
            let (model, stream) = client.wants();
            let heard = ask_in(&stage, client.dialect, (&model, stream), client.request()).await;
            assert_eq!(heard.body, odd, "{name}");
            client.hear(&heard.body);
            let sent = String::from_utf8(stage.script.take()[0].body.to_vec()).unwrap();
            for piece in &came {
                assert!(sent.contains(piece), "{name}: {piece} is not in {sent}");
            }
            came.extend(client.last_turns().map(str::to_owned));
        }
    }
}

/// A route over two providers with a model each.
fn route(a: Provider, b: Provider) -> Route {
    let target =
        |name: &str, provider: Provider| Target { provider: name.into(), model: Arc::from(provider.model) };
    Route {
        settings: RouteSettings { rounds: Some(0), ..RouteSettings::default() },
        ..Route::ordered("both", [target("a", a), target("b", b)])
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_route_moves_on_what_is_lost_is_told_and_the_request_is_still_taken() {
    let mut results = Vec::new();
    for a in SIGNING {
        for b in SIGNING.into_iter().chain([UNSIGNED]).filter(|b| *b != a) {
            for dialect in CLIENTS {
                for stream in [false, true] {
                    let name = format!("{dialect} → {} / {} (stream: {stream})", a.dialect, b.dialect);
                    let crossed = crossing(a, b, dialect, stream).await;
                    results.push(crossed.map_err(|why| format!("{name}, {why}")));
                }
            }
        }
    }
    report(&results);
}

/// Turns by `a`, then some by `b` in the midst of tool use, then by `a` again.
async fn crossing(a: Provider, b: Provider, dialect: &'static str, stream: bool) -> Result<(), String> {
    let mut set = Set::of([a.upstream("a"), b.upstream("b")]).patient();
    set.routes.push(route(a, b));
    let stage = set.stage();
    let mut client = Client::new(dialect, "both", stream);
    let (mut of_a, mut of_b): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let at = |why: String| format!("turn {turn}: {why}");
        let fails = (4..7).contains(&turn);
        client.speak(turn);
        if fails {
            stage.script.then("a", Play::json(529, BUSY));
            stage.script.then("b", b.play(turn, stream));
        } else {
            stage.script.then("a", a.play(turn, stream));
        }
        let (heard, calls) = exchange(&stage, &mut client).await.map_err(at)?;
        ensure(calls.len() == 1 + usize::from(fails), || at(format!("{} calls", calls.len())))?;
        for (upstream, request) in &calls {
            let (provider, own) = if upstream == "a" { (a, &of_a) } else { (b, &of_b) };
            let back = provider.states(request);
            ensure(back == *own, || at(format!("{upstream} got {back:#?}, its own are {own:#?}")))?;
            rules::check(provider.dialect, request)
                .map_err(|why| at(format!("to {upstream}: {why}: {request}")))?;
        }
        let other = if fails { &of_a } else { &of_b };
        let told = lost(&heard);
        ensure(of_thoughts(&told) || other.is_empty(), || at(format!("not told: {told:?}")))?;
        let record = stage.record();
        let kept = |loss: &String| record.losses.iter().any(|known| **known == **loss);
        ensure(told.iter().all(kept), || at(format!("{told:?} in the header, {:?} kept", record.losses)))?;
        ensure(record.attempts.len() == calls.len(), || at(format!("{:?}", record.attempts)))?;
        if fails { of_b.extend(b.sent(turn)) } else { of_a.extend(a.sent(turn)) }
    }
    Ok(())
}

/// A conversation with the outcome of a call that nobody made, in each client's dialect.
const ORPHANS: [(&str, &str); 4] = [
    (
        "anthropic.messages",
        r#"{"model":"a/M","max_tokens":900,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"gone","content":"7"}]}]}"#,
    ),
    (
        "openai.chat",
        r#"{"model":"a/M","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"tool","tool_call_id":"gone","content":"7"},{"role":"user","content":"and?"}]}"#,
    ),
    (
        "openai.responses",
        r#"{"model":"a/M","input":[{"role":"user","content":"q"},{"type":"function_call_output","call_id":"gone","output":"7"},{"role":"user","content":"and?"}]}"#,
    ),
    (
        "gemini.generateContent",
        r#"{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"text":"a"}]},{"role":"user","parts":[{"functionResponse":{"name":"look","response":{"n":7}}}]}]}"#,
    ),
];

#[tokio::test(start_paused = true)]
async fn an_outcome_without_its_call_is_told_as_lost_and_never_sent_as_one() {
    let mut results = Vec::new();
    for provider in SIGNING.into_iter().chain([UNSIGNED]) {
        for (dialect, body) in ORPHANS.into_iter().filter(|(dialect, _)| *dialect != provider.dialect) {
            let name = format!("{dialect} → {}", provider.dialect);
            let stage = Set::of([provider.upstream("a")]).patient().stage();
            stage.script.then("a", provider.play(2, false));
            let model = format!("a/{}", provider.model);
            let heard = ask_in(&stage, dialect, (&model, false), body.replace("a/M", &model)).await;
            let sent = stage.script.take();
            let taken = sent.first().ok_or_else(|| format!("not sent: {:?}", heard.body));
            let checked = taken.and_then(|seen| {
                let request = tree(&seen.body);
                rules::check(provider.dialect, &request).map_err(|why| format!("{why}: {request}"))
            });
            let told = ensure(!lost(&heard).is_empty(), || "nothing is told".to_owned());
            results.push(checked.and(told).map_err(|why| format!("{name}: {why}")));
        }
    }
    report(&results);
}
