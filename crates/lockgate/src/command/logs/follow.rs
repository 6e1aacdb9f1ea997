//! Records shown as they come to be.
//!
//! An id tells when a request arrived, but its record is written when it ends, so new records can stand anywhere among
//! old ones. Every look therefore goes back over a short span, a wide look now and then over a long one, and what
//! was shown is remembered.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use lockgate_core::port::{Filter, RecordStore};
use lockgate_core::{Clock, Error, Record, RequestId};

use super::gently;
use crate::exit::Outcome;

const PAUSE: Duration = Duration::from_millis(250);
/// How far a look goes back: over requests that ended soon after they came, which are most.
const NEAR_MS: u64 = 3_000;
/// How far a wide look goes back: over the longest streams.
const WIDE_MS: u64 = 3_600_000;
/// What was shown is known for this much longer, so that a clock that is set right does not bring it back.
const SLACK_MS: u64 = 60_000;
/// A wide look comes after at least this time, and at least so many times the time that the last one took.
const WIDE_PAUSE: Duration = Duration::from_secs(1);
const WIDE_SHARE: u32 = 20;
/// Records that are read at once.
const PAGE: usize = 1_000;

/// Shows the latest records that fit, then each new one, until the reader goes away.
pub(super) fn follow(
    store: &dyn RecordStore,
    filter: &Filter,
    clock: &dyn Clock,
    mut print: impl FnMut(&[Record]) -> io::Result<()>,
) -> Outcome {
    let mut follower = Follower::start(store, filter, clock.wall_ms())?;
    // After the start, so that a record is either known or shown; one that is written between the two is shown.
    let latest = store.find(filter)?;
    follower.remember(&latest);
    let mut reading = gently(print(&latest))?;
    let mut next_wide = clock.now().plus(WIDE_PAUSE);
    while reading {
        #[expect(clippy::disallowed_methods, reason = "a command line tool that has nothing else to do")]
        std::thread::sleep(PAUSE);
        let before = clock.now();
        let is_wide = before >= next_wide;
        let fresh = follower.look(clock.wall_ms(), if is_wide { WIDE_MS } else { NEAR_MS })?;
        if is_wide {
            let now = clock.now();
            next_wide = now.plus(WIDE_PAUSE.max(now.since(before) * WIDE_SHARE));
        }
        if !fresh.is_empty() {
            reading = gently(print(&fresh))?;
        }
    }
    Ok(())
}

/// What was shown, and where to look for more.
struct Follower<'a> {
    store: &'a dyn RecordStore,
    filter: Filter,
    /// Nothing that arrived before this is wanted.
    since_ms: u64,
    /// Shown, or there before the start; of the span of a wide look only.
    known: BTreeSet<RequestId>,
}

impl<'a> Follower<'a> {
    /// Knows everything that is there.
    fn start(store: &'a dyn RecordStore, filter: &Filter, now_ms: u64) -> Result<Self, Error> {
        let since_ms = filter.arrived_ms.as_ref().map_or(0, |span| span.start);
        let filter = Filter { limit: PAGE, latest: false, ..filter.clone() };
        let mut follower = Self { store, filter, since_ms, known: BTreeSet::new() };
        let mut known = BTreeSet::new();
        follower.read(now_ms.saturating_sub(WIDE_MS), |record| {
            known.insert(record.id);
        })?;
        follower.known = known;
        Ok(follower)
    }

    fn remember(&mut self, records: &[Record]) {
        self.known.extend(records.iter().map(|record| record.id));
    }

    /// The records of the last `span_ms` that were not known, in the order of their ids; now they are known.
    fn look(&mut self, now_ms: u64, span_ms: u64) -> Result<Vec<Record>, Error> {
        let mut fresh = Vec::new();
        self.read(now_ms.saturating_sub(span_ms), |record| {
            if !self.known.contains(&record.id) {
                fresh.push(record);
            }
        })?;
        self.remember(&fresh);
        let oldest = RequestId::from_u128(u128::from(now_ms.saturating_sub(WIDE_MS + SLACK_MS)) << 80);
        self.known = self.known.split_off(&oldest);
        Ok(fresh)
    }

    /// Reads all that arrived from `from_ms` on, in portions.
    fn read(&self, from_ms: u64, mut each: impl FnMut(Record)) -> Result<(), Error> {
        let mut after = None;
        loop {
            let span = from_ms.max(self.since_ms)..u64::MAX;
            let page = self.store.find(&Filter { arrived_ms: Some(span), after, ..self.filter.clone() })?;
            after = page.last().map(|record| record.id);
            let is_last = page.len() < PAGE;
            page.into_iter().for_each(&mut each);
            if is_last {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lockgate_core::Attribution;
    use lockgate_core::record::Outcome;
    use lockgate_store::Memory;

    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn record(wall_ms: u64, key: &str) -> Box<Record> {
        Box::new(Record {
            id: RequestId::new(wall_ms),
            dialect: "openai.chat".into(),
            key: Arc::from("key_1"),
            key_name: key.into(),
            attribution: Attribution::default(),
            asked: "m".into(),
            stream: false,
            target: None,
            outcome: Outcome::Ok,
            status: 200,
            error: None,
            detail: None,
            usage: None,
            cost: None,
            took_us: 1,
            first_content_us: None,
            overhead_us: 1,
            decision: None,
            losses: Vec::new(),
            attempts: Vec::new(),
        })
    }

    fn times(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.id.wall_ms()).collect()
    }

    #[test]
    fn shows_each_new_record_once_however_late_it_is_written() {
        let store = Memory::new();
        store.append(&[record(NOW - 10, "a")]).unwrap();
        let mut follower = Follower::start(&store, &Filter::default(), NOW).unwrap();
        assert!(follower.look(NOW, NEAR_MS).unwrap().is_empty(), "what was there is not new");

        store.append(&[record(NOW + 5, "a")]).unwrap();
        assert_eq!(times(&follower.look(NOW + 10, NEAR_MS).unwrap()), [NOW + 5]);
        // One that came before it, but ended after it.
        store.append(&[record(NOW + 4, "a")]).unwrap();
        assert_eq!(times(&follower.look(NOW + 10, NEAR_MS).unwrap()), [NOW + 4]);
        // And one that took ten minutes.
        store.append(&[record(NOW - 600_000, "a")]).unwrap();
        assert!(follower.look(NOW + 20, NEAR_MS).unwrap().is_empty());
        assert_eq!(times(&follower.look(NOW + 20, WIDE_MS).unwrap()), [NOW - 600_000]);
        assert!(follower.look(NOW + 30, WIDE_MS).unwrap().is_empty());
    }

    #[test]
    fn keeps_to_the_filter_and_reads_more_than_one_page() {
        let store = Memory::new();
        let filter =
            Filter { key: Some("a".into()), arrived_ms: Some(NOW..u64::MAX), limit: 2, ..Filter::default() };
        let mut follower = Follower::start(&store, &filter, NOW).unwrap();
        let many = PAGE as u64 + 7;
        let mut records: Vec<_> = (0..many).map(|n| record(NOW + n, "a")).collect();
        records.push(record(NOW + 1, "b"));
        records.push(record(NOW - 1, "a"));
        store.append(&records).unwrap();
        assert_eq!(follower.look(NOW + 1_000, NEAR_MS).unwrap().len(), records.len() - 2);
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let store = Memory::new();
        let mut follower = Follower::start(&store, &Filter::default(), NOW).unwrap();
        store.append(&[record(NOW, "a")]).unwrap();
        follower.look(NOW, NEAR_MS).unwrap();
        assert_eq!(follower.known.len(), 1);
        follower.look(NOW + 3 * WIDE_MS, NEAR_MS).unwrap();
        assert!(follower.known.is_empty());
    }
}
