//! What is to be delivered, was delivered or could not be, with every try. Time is handed in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::{Alert, Digest, Gravity, RequestId, Tick, Topic};
use lockgate_ledger::report::Moment;
use serde::Serialize;
use serde_json::Map;

/// The latest deliveries. Those that wait are tried again with growing pauses.
pub(super) struct Outbox {
    kept: VecDeque<Entry>,
}

struct Entry {
    delivery: Delivery,
    digest: Arc<Digest>,
    /// When it is tried next, and since when.
    due: Tick,
    since: Tick,
    under_way: bool,
}

/// A message for a channel, with every try to deliver it.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// The message's id.
    pub id: Arc<str>,
    /// The channel's name.
    pub channel: Arc<str>,
    /// What became of it.
    pub state: State,
    /// When the message was put together.
    pub at: Moment,
    /// What it says.
    pub alerts: Vec<Alert>,
    /// Alerts that are not in it, as there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// Every try, in order.
    pub tries: Vec<Try>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It will be tried (again).
    Waiting,
    /// The channel took it.
    Sent,
    /// It is not tried any more.
    Lost,
}

/// A try to deliver a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Try {
    /// When.
    pub at: Moment,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Whether the channel took it.
    pub ok: bool,
    /// What the other side said, or what went wrong.
    pub said: String,
}

/// Deliveries that are kept. Among them are those that wait, so this bounds both.
pub(super) const MOST: usize = 200;
/// The first pause; each is twice the one before it, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// After this time a message is not tried any more.
const GIVE_UP: Duration = Duration::from_secs(3_600);

// === impl Outbox ===

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { kept: VecDeque::new() }
    }

    /// Takes a message for a channel. Where there is no room one that is done goes, else the oldest that waits: its channel is
    /// returned.
    pub(super) fn put(&mut self, channel: &str, digest: &Arc<Digest>, now: Tick) -> Option<Arc<str>> {
        let delivery = Delivery::of(channel, digest);
        self.keep(Entry { delivery, digest: Arc::clone(digest), due: now, since: now, under_way: false })
    }

    /// Keeps a delivery that is done.
    pub(super) fn keep_done(&mut self, delivery: Delivery, digest: Arc<Digest>, now: Tick) {
        // One that is done takes the place of one that waits only where all wait: then it is not worth it.
        if self.kept.len() < MOST || self.kept.iter().any(|entry| entry.delivery.state != State::Waiting) {
            self.keep(Entry { delivery, digest, due: now, since: now, under_way: false });
        }
    }

    fn keep(&mut self, entry: Entry) -> Option<Arc<str>> {
        let mut lost = None;
        if self.kept.len() >= MOST {
            let done = self.kept.iter().position(|entry| entry.delivery.state != State::Waiting);
            let gone = self.kept.remove(done.unwrap_or(0));
            lost = gone.filter(|_| done.is_none()).map(|gone| gone.delivery.channel);
        }
        self.kept.push_back(entry);
        lost
    }

    /// A message whose time has come: from now on it is under way, until [`Outbox::done`].
    pub(super) fn next(&mut self, now: Tick) -> Option<(Arc<str>, Arc<Digest>)> {
        let due = |entry: &&mut Entry| entry.waits() && entry.due <= now;
        let entry = self.kept.iter_mut().find(due)?;
        entry.under_way = true;
        Some((Arc::clone(&entry.delivery.channel), Arc::clone(&entry.digest)))
    }

    /// When the next message is due; `None` when none waits.
    #[cfg(test)]
    pub(super) fn due(&self) -> Option<Tick> {
        self.kept.iter().filter(|entry| entry.waits()).map(|entry| entry.due).min()
    }

    /// Makes everything that waits due.
    pub(super) fn hurry(&mut self, now: Tick) {
        for entry in &mut self.kept {
            entry.due = entry.due.min(now);
        }
    }

    /// What a try came to; what has become of the message.
    pub(super) fn done(&mut self, channel: &str, id: &str, tried: Try, now: Tick) -> Option<State> {
        let is_it = |entry: &&mut Entry| &*entry.delivery.channel == channel && &*entry.delivery.id == id;
        let entry = self.kept.iter_mut().find(is_it)?;
        entry.under_way = false;
        let doublings = u32::try_from(entry.delivery.tries.len()).unwrap_or(u32::MAX).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        entry.due = now.plus(pause);
        entry.delivery.state = if tried.ok {
            State::Sent
        } else if entry.due > entry.since.plus(GIVE_UP) {
            State::Lost
        } else {
            State::Waiting
        };
        entry.delivery.tries.push(tried);
        Some(entry.delivery.state)
    }

    /// All that is kept, the newest first.
    pub(super) fn list(&self) -> Vec<Delivery> {
        self.kept.iter().rev().map(|entry| entry.delivery.clone()).collect()
    }
}

impl Entry {
    fn waits(&self) -> bool {
        self.delivery.state == State::Waiting && !self.under_way
    }
}

// === impl Delivery ===

impl Delivery {
    /// One that waits.
    pub(super) fn of(channel: &str, digest: &Digest) -> Self {
        Self {
            id: Arc::clone(&digest.id),
            channel: channel.into(),
            state: State::Waiting,
            at: Moment(digest.at_ms),
            alerts: digest.alerts.clone(),
            left_out: digest.left_out,
            tries: Vec::new(),
        }
    }
}

/// A message that only shows that messages arrive.
pub fn test_digest(node: &str, now_ms: u64) -> Digest {
    let alert = Alert {
        topic: Topic::Test,
        gravity: Gravity::Info,
        subject: "test".into(),
        text: format!("This is a test of the alerts of {node}. Nothing has happened."),
        facts: Map::new(),
        key: format!("test:{now_ms}"),
        at_ms: now_ms,
    };
    Digest { id: new_id(now_ms), node: node.into(), at_ms: now_ms, alerts: vec![alert], left_out: 0 }
}

/// The id of a new message.
pub(super) fn new_id(now_ms: u64) -> Arc<str> {
    let id = RequestId::new(now_ms).to_string();
    format!("alt_{}", id.trim_start_matches("req_")).into()
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Arc<Digest> {
        Arc::new(test_digest("node", 7))
    }

    fn tried(ok: bool) -> Try {
        Try { at: Moment(0), took_ms: 1, ok, said: String::new() }
    }

    const START: Tick = Tick(0);

    #[test]
    fn a_message_is_tried_with_growing_pauses_for_an_hour() {
        let mut outbox = Outbox::new();
        let digest = digest();
        assert_eq!(outbox.put("hook", &digest, START), None);
        let (mut now, mut pauses) = (START, Vec::new());
        loop {
            assert!(outbox.next(now).is_some());
            assert!(outbox.next(now).is_none(), "it is under way");
            let state = outbox.done("hook", &digest.id, tried(false), now).unwrap();
            if state == State::Lost {
                break;
            }
            let due = outbox.due().unwrap();
            pauses.push(due.since(now).as_secs());
            now = due;
        }
        assert_eq!(pauses[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(pauses.iter().sum::<u64>(), 3_511, "the next would be after the hour");
        assert_eq!(outbox.due(), None);
        assert_eq!(outbox.list()[0].tries.len(), pauses.len() + 1);
    }

    #[test]
    fn what_was_taken_is_not_sent_again() {
        let mut outbox = Outbox::new();
        let digest = digest();
        outbox.put("hook", &digest, START);
        outbox.next(START);
        assert_eq!(outbox.done("hook", &digest.id, tried(true), START), Some(State::Sent));
        outbox.hurry(START);
        assert!(outbox.next(Tick(u64::MAX)).is_none());
    }

    #[test]
    fn what_is_kept_has_a_bound_and_what_is_done_goes_first() {
        let mut outbox = Outbox::new();
        for n in 0..MOST {
            assert_eq!(outbox.put("hook", &Arc::new(test_digest("node", n as u64)), START), None);
        }
        let (_, first) = outbox.next(START).unwrap();
        outbox.done("hook", &first.id, tried(true), START);
        assert_eq!(outbox.put("hook", &digest(), START), None, "in the place of the one that is done");
        assert_eq!(
            outbox.put("hook", &digest(), START).as_deref(),
            Some("hook"),
            "all wait: the oldest is lost"
        );
        assert_eq!(outbox.list().len(), MOST);
    }

    #[test]
    fn at_the_end_everything_is_due() {
        let mut outbox = Outbox::new();
        let digest = digest();
        outbox.put("hook", &digest, START);
        outbox.next(START);
        outbox.done("hook", &digest.id, tried(false), START);
        assert!(outbox.next(START).is_none());
        outbox.hurry(START);
        assert!(outbox.next(START).is_some());
    }
}
