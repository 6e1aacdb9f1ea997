//! Every recorded exchange through the gateway: the client gets the provider's bytes, the provider gets the client's,
//! and what is booked is what the provider reported.

use bytes::Bytes;
use lockgate_core::usage::Source;
use lockgate_core::{Fault, Outcome, Record, Usage};
use lockgate_testkit::{builder, chunking};

use crate::reading::{Counts, counts};
use crate::recordings::{self, Recording};
use crate::requests;
use crate::stage::{Heard, Stage};

#[tokio::test(start_paused = true)]
async fn recorded_exchanges_pass_untouched_and_their_usage_is_booked() {
    let Some(recordings) = recordings::all() else { return };
    let (mut whole, mut streams, mut errors, mut made_up) = (0, 0, 0, 0);
    for recording in &recordings {
        let (stage, heard) = replay(recording, [recording.answer.clone()]).await;
        check_request(recording, &stage);
        let record = stage.record();
        if is_answer(recording) {
            check_answer(recording, &heard, &record);
            *(if recording.is_stream() { &mut streams } else { &mut whole }) += 1;
        } else {
            check_error(recording, &heard, &record);
            errors += 1;
        }
        made_up += usize::from(recording.exchange.request.is_none());
    }
    println!(
        "replayed {} exchanges: {whole} whole answers, {streams} streams, {errors} errors; {made_up} of them with a \
         request that was made up",
        recordings.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_the_same_in_any_pieces() {
    let Some(streams) = recordings::streams() else { return };
    let mut pieces = 0;
    for recording in streams.iter().filter(|it| is_answer(it)) {
        let body = &recording.answer;
        let size = body.len() as u64;
        let mut ways = vec![chunking::every(1, body)];
        ways.extend((0..3).map(|seed| chunking::random(size + seed, 64, body)));
        ways.extend((0..3).map(|seed| chunking::random(size + seed, 2_048, body)));
        for way in ways {
            pieces += way.len();
            let (stage, heard) = replay(recording, way).await;
            check_answer(recording, &heard, &stage.record());
        }
    }
    println!("{} streams in {pieces} pieces", streams.len());
}

/// What the gateway asks for on its own account it keeps to itself, and books it.
#[tokio::test(start_paused = true)]
async fn usage_that_the_client_did_not_ask_for_is_withheld_and_booked() {
    let Some(mut streams) = recordings::streams() else { return };
    streams.retain(|it| it.exchange.request.is_some() && it.asks_for_usage());
    let mut withheld = 0;
    for recording in &mut streams {
        let scene = recording.scene();
        recording.ask = requests::with(&recording.ask, "stream_options", "null");
        if !recording.gateway_asks() {
            continue;
        }
        let (mut kept, mut from) = (Vec::new(), 0);
        for event in &scene.events {
            if event.is_usage_only() {
                withheld += 1;
            } else {
                kept.extend_from_slice(&recording.answer[from..event.end]);
            }
            from = event.end;
        }
        for pieces in [vec![recording.answer.clone()], chunking::every(1, &recording.answer)] {
            let (stage, heard) = replay(recording, pieces).await;
            check_request(recording, &stage);
            assert_eq!(text(&heard.body), text(&kept), "{}", recording.name());
            check_usage(&recording.name(), stage.record().usage, scene.facts().usage);
        }
    }
    assert!(withheld > 50, "{withheld} events");
    println!("withheld {withheld} events");
}

async fn replay(recording: &Recording, pieces: impl IntoIterator<Item = Bytes>) -> (Stage, Heard) {
    let stage = recording.stage();
    stage.script.then(&recording.exchange.provider, recording.play(pieces));
    // Some errors are tried again.
    stage.script.then(&recording.exchange.provider, recording.play([recording.answer.clone()]));
    let heard = stage.ask(recording.ask.clone()).await;
    (stage, heard)
}

/// Whether the recording holds an answer, and not an error or something else.
fn is_answer(recording: &Recording) -> bool {
    if recording.is_stream() {
        let facts = recording.scene().facts();
        return facts.complete() && !facts.error;
    }
    recording.status == 200 && requests::tree(text(&recording.answer))["choices"].is_array()
}

fn check_request(recording: &Recording, stage: &Stage) {
    let calls = stage.script.take();
    assert!(!calls.is_empty(), "{}", recording.name());
    for call in calls {
        assert_eq!(call.upstream, recording.exchange.provider);
        assert_eq!(call.path, "/chat/completions");
        assert_eq!(call.stream, requests::tree(&recording.ask)["stream"] == true);
        assert!(!text(&call.body).contains(builder::KEY), "the client's key stays here");
        let asked = recording.gateway_asks();
        requests::assert_only_spliced(
            &recording.ask,
            text(&call.body),
            &recording.model,
            asked,
            &recording.name(),
        );
    }
}

fn check_answer(recording: &Recording, heard: &Heard, record: &Record) {
    let name = recording.name();
    assert_eq!(heard.error, None, "{name}");
    assert_eq!(heard.status, recording.status, "{name}");
    assert_eq!(text(&heard.body), text(&recording.answer), "{name}");
    assert_eq!(heard.headers["content-type"], recording.content_type(), "{name}");
    assert_eq!((record.outcome, record.error), (Outcome::Ok, None), "{name}");
    assert_eq!(record.status, recording.status, "{name}");
    let reported = if recording.is_stream() {
        recording.scene().facts().usage
    } else {
        counts(&requests::tree(text(&recording.answer)))
    };
    check_usage(&name, record.usage, reported);
}

fn check_usage(name: &str, booked: Option<Usage>, reported: Option<Counts>) {
    let booked = booked.unwrap_or_else(|| panic!("{name}: no usage is booked"));
    let Some(reported) = reported else {
        assert_eq!(booked.source, Source::Estimated, "{name}");
        assert!(booked.input > 0, "{name}: what was asked has a length");
        return;
    };
    assert_eq!(booked.source, Source::Reported, "{name}");
    let booked = Counts {
        input: booked.input_total(),
        output: booked.output_total(),
        cached: booked.cache_read,
        reasoning: booked.reasoning,
    };
    assert_eq!(booked, reported, "{name}");
}

fn check_error(recording: &Recording, heard: &Heard, record: &Record) {
    let name = recording.name();
    if let Some((kind, fault)) = heard.error {
        assert!(matches!(fault, Fault::Provider | Fault::Caller), "{name}: {kind:?}");
        assert_eq!((record.outcome, record.error), (Outcome::Error, Some(kind)), "{name}");
        assert_eq!(record.status, heard.status, "{name}");
    } else {
        // The stream had begun: the provider's own error event ends it.
        assert!(recording.is_stream(), "{name}: no success");
        assert_eq!(record.outcome, Outcome::Broken, "{name}");
    }
    let foreign = !recording.is_stream() && requests::tree(text(&recording.answer)).get("error").is_none();
    if recording.status >= 400 || !foreign {
        assert_eq!(text(&heard.body), text(&recording.answer), "{name}");
        assert_eq!(heard.headers["content-type"], recording.content_type(), "{name}");
    }
    if recording.status >= 400 {
        assert_eq!(heard.status, recording.status, "{name}");
    } else if !recording.is_stream() {
        assert!(
            heard.status >= 400,
            "{name}: an error in a 200 is no success, but the client got {}",
            heard.status
        );
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
