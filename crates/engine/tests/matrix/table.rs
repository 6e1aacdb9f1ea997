//! The table, and the page that is written from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lockgate_core::{Kind, Outcome, Prefill, Role, Usage};
use lockgate_demo::Fault;

use crate::clients::{self, Client, Heard};
use crate::house::{Came, Cut, House, Provider};

const QUESTION: &str = "Tell me about the river Elbe, please, and about its towns";

/// Answers that are good but not the plain one: they pass as they are.
const OTHER_WORDS: [Fault; 3] = [Fault::LargeEvent, Fault::SplitArguments, Fault::Endless];
/// Answers in awkward form: nothing is to be mended.
const AWKWARD: [Fault; 8] = [
    Fault::WrongContentType,
    Fault::HugeHeader,
    Fault::NoUsage,
    Fault::CloseAfterAnswer,
    Fault::DuplicateStart,
    Fault::OneByteChunks,
    Fault::CrlfComments,
    Fault::NoDone,
];

fn model(fault: Fault, after: u64) -> String {
    let delay = if fault == Fault::Endless { ";delay_ms=20" } else { "" };
    format!("fault:{};after={after}{delay}", fault.name())
}

async fn ask(house: &House, client: Client, model: &str, stream: bool, tool: bool) -> (Came, Heard) {
    let named = (client == Client::Gemini).then(|| (model.to_owned(), stream));
    let came = house.ask(client.dialect(), named, client.ask(model, QUESTION, stream, tool)).await;
    let heard = if stream { client.stream(&came.body) } else { client.whole(&came.body) };
    (came, heard)
}

/// What a healthy provider says to this client.
async fn clean(client: Client, stream: bool) -> Heard {
    let house = House::direct(&[("b", "chat")], Prefill::No);
    let (came, heard) = ask(&house, client, "bot", stream, false).await;
    assert_eq!((came.status, heard.errors, heard.wrong.len()), (200, 0, 0), "{client:?} {heard:?}");
    assert!(heard.text.len() > 80, "{client:?}: {}", heard.text);
    heard
}

/// What is wrong with an answer that should be whole, and how many targets it took.
fn judge(came: &Came, heard: &Heard, clean: &Heard, fault: Fault) -> Vec<String> {
    let mut wrong = heard.wrong.clone();
    let mut must = |is: bool, what: String| {
        if !is {
            wrong.push(what);
        }
    };
    must(came.status == 200, format!("status {}", came.status));
    must(heard.errors == 0, "an error".to_owned());
    // An end mark that the provider leaves out is left out: the answer is complete without it.
    must(heard.ends == 1 || fault == Fault::NoDone && heard.ends == 0, format!("{} ends", heard.ends));
    must(heard.starts == 1 || fault == Fault::DuplicateStart, format!("{} starts", heard.starts));
    let other = OTHER_WORDS.contains(&fault)
        && came.record.attempts.last().is_some_and(|it| it.role != Role::Usual || it.error.is_none());
    must(other || heard.text == clean.text, format!("it says {:?}", heard.text));
    must(came.record.outcome == Outcome::Ok, format!("recorded as {:?}", came.record.outcome));
    wrong.extend(unbalanced(came));
    wrong
}

/// Where several attempts had a share, the request's usage and cost are their sums.
fn unbalanced(came: &Came) -> Option<String> {
    let shares: Vec<&Usage> = came.record.attempts.iter().filter_map(|it| it.usage.as_ref()).collect();
    let cost: i64 =
        came.record.attempts.iter().filter_map(|it| it.cost).map(lockgate_core::Money::nanos).sum();
    let sum = shares.iter().fold(Usage::default(), |sum, usage| sum.plus(usage));
    let whole = came.record.usage?;
    if shares.is_empty() {
        return (came.record.cost.is_none()).then(|| "no cost".to_owned());
    }
    let same = sum.counts() == whole.counts() && came.record.cost.is_some_and(|whole| whole.nanos() == cost);
    (!same).then(|| {
        format!("{whole:?} and {:?} are not the sums of {:#?}", came.record.cost, came.record.attempts)
    })
}

#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    hidden: usize,
    went_on: usize,
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_hidden_before_the_first_content_and_gone_on_with_after_it() {
    let mut wrong = Vec::new();
    let mut tallies: BTreeMap<(usize, bool, bool), Tally> = BTreeMap::new();
    for client in clients::ALL {
        for stream in [true, false] {
            let clean = clean(client, stream).await;
            for (place, fault) in Fault::ALL.iter().enumerate() {
                // It never ends by itself: at its time limit it has said too much to be gone on with.
                if stream && *fault == Fault::Endless {
                    continue;
                }
                for (after, prefill) in [(0, Prefill::No), (5, Prefill::No), (5, Prefill::Last)] {
                    let model = model(*fault, after);
                    let house = House::direct(&[("a", &model), ("b", "chat")], prefill);
                    let (came, heard) = ask(&house, client, "bot", stream, false).await;
                    let found = judge(&came, &heard, &clean, *fault);
                    let name =
                        format!("{client:?} stream={stream} {} after={after} {prefill:?}", fault.name());
                    wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
                    let tally = tallies.entry((place, stream, after > 0)).or_default();
                    tally.cases += 1;
                    tally.went_on +=
                        usize::from(came.record.attempts.iter().any(|it| it.role == Role::Continuation));
                    tally.hidden += usize::from(
                        came.record.attempts.len() > 1
                            && came.record.attempts.iter().all(|it| it.role == Role::Usual),
                    );
                    let alone = AWKWARD.contains(fault) && came.record.attempts.len() != 1;
                    if alone {
                        wrong.push(format!(
                            "{name}: {} attempts for a good answer",
                            came.record.attempts.len()
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    page(&tallies);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_passed_untouched_is_joined_on_to_in_every_dialect() {
    let mut wrong = Vec::new();
    let mut went_on = 0;
    for client in clients::ALL {
        let clean = clean(client, true).await;
        for cut in [Cut::Reset, Cut::Clean, Cut::Silence] {
            for after in 1..=14 {
                let a = Provider {
                    name: "a",
                    dialect: client.dialect(),
                    prefill: Prefill::No,
                    cut: Some((after, cut)),
                };
                let b = Provider { name: "b", dialect: "openai.chat", prefill: Prefill::Last, cut: None };
                let house = House::new(vec![a, b], &[("a", "chat"), ("b", "chat")]);
                let (came, heard) = ask(&house, client, "bot", true, false).await;
                went_on += usize::from(came.record.attempts.iter().any(|it| it.role == Role::Continuation));
                let found = judge(&came, &heard, &clean, Fault::CloseMidEvent);
                wrong.extend(
                    found.into_iter().map(|what| format!("{client:?} {cut:?} after {after}: {what}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(went_on > 100, "{went_on} of 210 were gone on with");
}

#[tokio::test(start_paused = true)]
async fn inside_the_arguments_of_a_call_a_stream_ends_with_an_error_of_its_dialect() {
    let breaks = [
        Fault::CloseMidEvent,
        Fault::ResetMidStream,
        Fault::ErrorEvent,
        Fault::Stall,
        Fault::BadChunk,
        Fault::InvalidJson,
    ];
    for client in clients::ALL.into_iter().filter(|client| client.has_tools()) {
        for fault in breaks {
            let model = model(fault, 5);
            let house = House::direct(&[("a", &model), ("b", "chat")], Prefill::Last);
            let (came, heard) = ask(&house, client, "bot", true, true).await;
            let name = format!("{client:?} {}", fault.name());
            if client == Client::Gemini && heard.errors == 0 {
                // A call goes out whole in this dialect: until then nothing has gone to the client.
                continue;
            }
            assert_eq!((came.status, heard.errors, heard.ends), (200, 1, 0), "{name}: {heard:?}");
            assert_eq!(came.record.outcome, Outcome::Broken, "{name}");
            let kind = came.record.error;
            assert!(kind.is_some_and(Kind::counts_against_health), "{name}: {kind:?}");
            assert_eq!(came.record.attempts.len(), 1, "{name}: a call is not made twice");
        }
    }
}

/// Writes the page, or compares it.
fn page(tallies: &BTreeMap<(usize, bool, bool), Tally>) {
    let mut text = HEAD.to_owned();
    for (place, fault) in Fault::ALL.iter().enumerate() {
        let _ = write!(text, "| `{}` |", fault.name());
        for (stream, after) in [(false, false), (true, false), (true, true)] {
            let Some(tally) = tallies.get(&(place, stream, after)) else {
                text.push_str(" ends at its time limit |");
                continue;
            };
            let how = match tally {
                Tally { went_on, cases, .. } if went_on == cases => "goes on",
                Tally { hidden, cases, .. } if hidden == cases => "next target",
                Tally { went_on: 0, hidden: 0, .. } => "as it is",
                _ => "either",
            };
            let _ = write!(text, " {how} |");
        }
        text.push('\n');
    }
    let cases: usize = tallies.values().map(|tally| tally.cases).sum();
    let went_on: usize = tallies.values().map(|tally| tally.went_on).sum();
    let hidden: usize = tallies.values().map(|tally| tally.hidden).sum();
    let _ = write!(
        text,
        "\n{cases} cases: {hidden} were answered by the next target, {went_on} streams were gone on with, and no client saw a \
         failure.\n"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/faults.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, text).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "docs/reference/faults.md is not what the tests saw: run them with UPDATE_DOCS=1");
}

const HEAD: &str = "# Faults in a route

Written by `cargo test -p lockgate-engine --test matrix` from what it saw: every fault of the demo provider at the first of two
targets, in a route with `on_break: continue`, asked by clients of five dialects (chat, completions, responses, Anthropic messages,
Gemini), whole and as a stream. The second target is healthy. In every case the client gets the text that a healthy provider would
have given, once, with one end.

- *next target*: the first target's failure is seen in the record alone.
- *goes on*: the stream broke behind its fifth piece of content; the second target was handed what had come, and went on.
  Usage and cost are the sums of both attempts.
- *as it is*: the answer is good, if awkward; it passes.
- *either*: by dialect, as what counts as the first content differs.

What a client sees of a fault at its only target is in [faults](../faults.md). Inside the arguments of a call a stream is not gone on
with: it ends with an error of the client's dialect.

| fault | whole answer | stream, before the first content | stream, after it |
|---|---|---|---|
";
