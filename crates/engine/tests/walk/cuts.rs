//! Every recorded stream, cut off at its bytes: by a failing connection, and by a provider that ends it as if that were
//! all. A client gets an error, or a stream whose last event is one, or a whole answer; never half an answer that looks
//! like a whole one, and never a wait without end.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http_body::Body;
use lockgate_core::{Error, Fault, Kind, Outcome, Record};
use lockgate_engine::Reply;
use lockgate_testkit::builder;
use lockgate_testkit::chunking::Dice;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::reading::{Facts, Scene};
use crate::recordings::{self, Recording};
use crate::stage::{Set, Stage, at_once};

/// A stream, and what an independent reader knows of it at each of its events.
struct Subject<'a> {
    recording: &'a Recording,
    scene: Scene,
    /// Before each event, and at the end.
    facts: Vec<Facts>,
}

/// How a stream is cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The connection fails behind so many bytes.
    Broken(usize),
    /// The provider ends the stream behind so many bytes.
    Ended(usize),
}

/// What a client got of a stream.
struct Got {
    /// Bytes that are the recording's.
    delivered: usize,
    /// What came behind them.
    tail: Vec<u8>,
}

#[derive(Default)]
struct Figures {
    streams: AtomicUsize,
    broken: AtomicU64,
    ended: AtomicU64,
    refused: AtomicU64,
    told: AtomicU64,
    whole: AtomicU64,
}

/// Longer streams are cut at every byte only if `LOCKGATE_EXHAUSTIVE` is set: the work grows with the square.
const LONG: usize = 16_000;
/// At both ends of a long stream every byte is cut all the same.
const EDGE: usize = 2_048;
/// In the middle of it every so many.
const STRIDE: usize = 13;
/// Every so many bytes a clean end; and wherever a brace or a line ends, as there a cut-off event may look whole.
const CLEAN_STRIDE: usize = 7;
const ASK: &str = r#"{"model":"one","messages":[{"role":"user","content":"Hello"}],"stream":true,"n":N,"stream_options":{"include_usage":true}}"#;

#[test]
fn a_stream_cut_at_any_byte_is_an_error_or_complete() {
    let Some(streams) = recordings::streams() else { return };
    let exhaustive = std::env::var_os("LOCKGATE_EXHAUSTIVE").is_some();
    let begun = tokio::time::Instant::now();
    let (figures, next) = (Figures::default(), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // For its timers alone: what is polled here is always ready.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let _inside = runtime.enter();
                while let Some(recording) = streams.get(next.fetch_add(1, Ordering::SeqCst)) {
                    Subject::new(recording).cut_everywhere(exhaustive, &figures);
                }
            });
        }
    });
    let all = |figure: &AtomicU64| figure.load(Ordering::SeqCst);
    let taken = begun.elapsed();
    println!(
        "{} streams of {} bytes: {} cuts by a failing connection, {} clean ends; {} refused, {} told in the stream, {} \
         complete; {taken:.1?} with {workers} threads{}",
        streams.len(),
        streams.iter().map(|it| it.answer.len()).sum::<usize>(),
        all(&figures.broken),
        all(&figures.ended),
        all(&figures.refused),
        all(&figures.told),
        all(&figures.whole),
        if exhaustive {
            ""
        } else {
            "; set LOCKGATE_EXHAUSTIVE=1 for every byte of the long streams as well"
        },
    );
    assert!(all(&figures.refused) > 0 && all(&figures.told) > 0 && all(&figures.whole) > 0);
}

/// Before its first content a stream that breaks off is passed over, and the client sees the second target's alone.
#[test]
fn a_stream_cut_before_its_content_is_another_targets() {
    let Some(streams) = recordings::streams() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let mut cuts = 0;
    for recording in &streams {
        let subject = Subject::new(recording);
        let Some(content) = subject.facts.iter().position(|facts| facts.content) else { continue };
        let whole = subject.facts.last().is_some_and(|facts| facts.complete() && !facts.error);
        if !whole {
            continue;
        }
        let stage = subject.stage();
        // The event that says something first is not whole before its blank line.
        let until = subject.scene.events[content - 1].end - 2;
        for at in (0..=until).step_by(if recording.answer.len() > LONG { STRIDE } else { 1 }) {
            let first = recording.play([recording.answer.clone()]).cut(at, Some(builder::broken()));
            stage.script.then("a", first);
            stage.script.then("b", recording.play([recording.answer.clone()]));
            let (answer, record) = subject.answer(&stage, "both");
            let Ok(got) = answer else { panic!("{} cut at {at}: an error", recording.name()) };
            assert!(got.delivered == recording.answer.len() && got.tail.is_empty(), "{}", recording.name());
            assert_eq!(record.outcome, Outcome::Ok);
            let attempts: Vec<_> =
                record.attempts.iter().map(|it| (&*it.target.provider, it.error.is_some())).collect();
            assert_eq!(attempts, [("a", true), ("b", false)], "{} cut at {at}", recording.name());
            assert_eq!(record.target.map(|target| target.provider).as_deref(), Some("b"));
            cuts += 1;
        }
    }
    println!("{cuts} cuts before the first content, all of them mended by the second target");
}

// === impl Subject ===

impl<'a> Subject<'a> {
    fn new(recording: &'a Recording) -> Self {
        let scene = recording.scene();
        let mut facts = vec![Facts::default()];
        for event in &scene.events {
            let mut next = facts[facts.len() - 1].clone();
            next.add(event.data.as_deref());
            facts.push(next);
        }
        Self { recording, scene, facts }
    }

    /// A gateway with the routes `one` and `both` over two providers that never leave rotation.
    fn stage(&self) -> Stage {
        let unlike = |name| lockgate_core::Upstream {
            name: std::sync::Arc::from(name),
            ..recordings::upstream(&self.recording.exchange.provider)
        };
        Set::of([unlike("a"), unlike("b")])
            .route("one", &["a"], 0)
            .route("both", &["a", "b"], 0)
            .patient()
            .stage()
    }

    fn cut_everywhere(&self, exhaustive: bool, figures: &Figures) {
        let stage = self.stage();
        let body = &self.recording.answer;
        let mut dice = Dice(body.len() as u64);
        figures.streams.fetch_add(1, Ordering::Relaxed);
        for at in 0..body.len() {
            let edge = at < EDGE || at + EDGE >= body.len();
            let looks_whole = at > 0 && matches!(body[at - 1], b'}' | b'\n' | b'\r');
            let thorough = exhaustive || body.len() <= LONG || edge;
            if thorough || at % STRIDE == 0 {
                self.check(&stage, Cut::Broken(at), &mut dice, figures);
                figures.broken.fetch_add(1, Ordering::Relaxed);
            }
            if (thorough && looks_whole) || at % (CLEAN_STRIDE * if thorough { 1 } else { STRIDE }) == 0 {
                self.check(&stage, Cut::Ended(at), &mut dice, figures);
                figures.ended.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn check(&self, stage: &Stage, cut: Cut, dice: &mut Dice, figures: &Figures) {
        let (at, error) = match cut {
            Cut::Broken(at) => (at, Some(builder::broken())),
            Cut::Ended(at) => (at, None),
        };
        let body = self.recording.answer.slice(..at);
        let split = dice.below(at + 1);
        let play = self.recording.play([body.slice(..split), body.slice(split..)]);
        stage.script.then(
            "a",
            match error {
                Some(error) => play.fail(error),
                None => play,
            },
        );
        let (answer, record) = self.answer(stage, "one");
        let figure = match answer {
            Err(error) => {
                self.check_refusal(cut, &error, &record);
                &figures.refused
            }
            Ok(got) if got.tail.is_empty() => {
                self.check_silence(cut, &got, &record);
                &figures.whole
            }
            Ok(got) => {
                self.check_told(cut, &got, &record);
                &figures.told
            }
        };
        figure.fetch_add(1, Ordering::Relaxed);
    }

    /// An error before the answer: right as long as no event that says something had come whole.
    fn check_refusal(&self, cut: Cut, error: &Error, record: &Record) {
        let facts = self.facts_at(cut);
        assert!(!self.facts[self.ended_by(cut.at())].content, "{}", self.named(cut, "content was lost"));
        assert!(
            facts.error || error.fault() == Fault::Provider,
            "{}",
            self.named(cut, "somebody else is blamed")
        );
        assert_eq!((record.outcome, record.error), (Outcome::Error, Some(error.kind())));
    }

    /// The stream ended without a word of the gateway: right if it is complete, or the provider told of its error.
    fn check_silence(&self, cut: Cut, got: &Got, record: &Record) {
        let facts = if got.delivered == cut.at() {
            let rest = self.rest(cut);
            assert!(rest.is_some_and(is_whole), "{}", self.named(cut, "half an event passed"));
            self.facts_at(cut)
        } else {
            self.check_delivered(cut, got);
            self.facts[self.ended_by(cut.at())].clone()
        };
        if facts.error {
            assert_eq!(record.outcome, Outcome::Broken, "{}", self.named(cut, "an error was told"));
            assert!(record.error.is_some());
            return;
        }
        assert!(facts.complete(), "{}", self.named(cut, "half an answer passed as a whole one"));
        assert_eq!(
            (record.outcome, record.error),
            (Outcome::Ok, None),
            "{}",
            self.named(cut, "it was complete")
        );
    }

    /// The gateway told of an error: behind whole events, in an event of its own that says whose fault it is.
    fn check_told(&self, cut: Cut, got: &Got, record: &Record) {
        self.check_delivered(cut, got);
        let told = std::str::from_utf8(&got.tail).ok();
        let told = told.and_then(|tail| tail.strip_prefix("data: ")?.strip_suffix("\n\n"));
        let told: Value = told
            .and_then(|data| serde_json::from_str(data).ok())
            .unwrap_or_else(|| panic!("{}", self.named(cut, "the last event is no error event")));
        let kind = record.error.map(Kind::code);
        assert_eq!(told["error"]["code"].as_str(), kind, "{}", self.named(cut, "client and record differ"));
        let fault = told["error"]["fault"].as_str();
        assert!(
            fault == Some("provider") || self.facts_at(cut).error,
            "{}",
            self.named(cut, "somebody else is blamed")
        );
        assert_eq!((record.outcome, record.status), (Outcome::Broken, 200));
    }

    /// What came is whole events, and all of them.
    fn check_delivered(&self, cut: Cut, got: &Got) {
        let ended = self.ended_by(cut.at());
        let end = if ended == 0 { 0 } else { self.scene.events[ended - 1].end };
        // Of a blank line that ends in CRLF the LF may come with the next event.
        let half = ended > 0 && self.recording.answer[..end].ends_with(b"\r\n") && got.delivered == end - 1;
        assert!(got.delivered == end || half, "{}", self.named(cut, "not the whole events that came"));
    }

    /// How many events have ended within so many bytes. A blank line has ended with its CR.
    fn ended_by(&self, at: usize) -> usize {
        let body = &self.recording.answer;
        self.scene.events.partition_point(|event| {
            event.ended && event.end - usize::from(body[..event.end].ends_with(b"\r\n")) <= at
        })
    }

    /// What is known when a cut is made, an event included that is whole but for its blank line.
    fn facts_at(&self, cut: Cut) -> Facts {
        let mut facts = self.facts[self.ended_by(cut.at())].clone();
        if let (Cut::Ended(_), Some(rest)) = (cut, self.rest(cut).filter(|rest| is_whole(rest))) {
            Scene::read(rest.as_bytes()).events.iter().for_each(|event| facts.add(event.data.as_deref()));
        }
        facts
    }

    /// What came behind the last whole event. `None` when it ends inside a character.
    fn rest(&self, cut: Cut) -> Option<&str> {
        let ended = self.ended_by(cut.at());
        let from = if ended == 0 { 0 } else { self.scene.events[ended - 1].end.min(cut.at()) };
        std::str::from_utf8(&self.recording.answer[from..cut.at()]).ok()
    }

    /// What the client gets, and the record of it.
    fn answer(&self, stage: &Stage, route: &str) -> (Result<Got, Error>, Record) {
        let choices = self.facts.last().map_or(1, |facts| facts.choices.len().max(1));
        let ask = ASK.replace("one", route).replace('N', &choices.to_string());
        let answer = at_once(pin!(stage.chat(ask))).expect("what is ready is not waited for");
        let answer = answer.map(|reply| self.read(reply));
        (answer, stage.record())
    }

    fn read(&self, mut reply: Reply) -> Got {
        assert_eq!(reply.status, 200);
        let mut got = Got { delivered: 0, tail: Vec::new() };
        loop {
            let next = at_once(pin!(std::future::poll_fn(|cx| Pin::new(&mut reply.body).poll_frame(cx))));
            let Some(frame) = next.expect("what is ready is not waited for") else { return got };
            let piece: Bytes = frame.unwrap().into_data().unwrap();
            if got.tail.is_empty() && self.recording.answer[got.delivered..].starts_with(&piece) {
                got.delivered += piece.len();
            } else {
                got.tail.extend_from_slice(&piece);
            }
        }
    }

    fn named(&self, cut: Cut, what: &str) -> String {
        format!("{} {cut:?}: {what}", self.recording.name())
    }
}

// === impl Cut ===

impl Cut {
    const fn at(self) -> usize {
        match self {
            Self::Broken(at) | Self::Ended(at) => at,
        }
    }
}

/// Whether nothing is missing of an event but its blank line.
fn is_whole(rest: &str) -> bool {
    Scene::read(rest.as_bytes()).events.iter().all(|event| {
        let data = event.data.as_deref().map(str::trim);
        data.is_none_or(|it| it == "[DONE]" || serde_json::from_str::<&RawValue>(it).is_ok())
    })
}
