//! The queue between requests and the store: it never makes a request wait, and what it loses it counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use lockgate_core::port::{Filter, RecordSink, RecordStore};
use lockgate_core::{Error, Kind, Outcome, Record, RequestId};
use lockgate_engine::record::{Queue, Writer};
use lockgate_testkit::{HandClock, KeptEvents, Noted};

/// A store that refuses so many times, and then keeps everything.
struct Store {
    refusals: AtomicUsize,
    kept: Mutex<Vec<RequestId>>,
    more: Condvar,
}

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_millis(5);

impl Store {
    fn new(refusals: usize) -> Arc<Self> {
        Arc::new(Self { refusals: refusals.into(), kept: Mutex::default(), more: Condvar::new() })
    }

    /// Waits until so many records are kept; for ten seconds at most.
    fn wait_for(&self, count: usize) -> Vec<RequestId> {
        let kept = self.kept.lock().unwrap();
        let limit = Duration::from_secs(10);
        self.more.wait_timeout_while(kept, limit, |kept| kept.len() < count).unwrap().0.clone()
    }
}

impl RecordStore for Store {
    fn append(&self, records: &[Box<Record>]) -> Result<(), Error> {
        let refuses = |left: usize| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuses).is_ok() {
            return Err(Error::gateway(Kind::Internal, "The disk is full."));
        }
        self.kept.lock().unwrap().extend(records.iter().map(|record| record.id));
        self.more.notify_all();
        Ok(())
    }

    fn find(&self, _: &Filter) -> Result<Vec<Record>, Error> {
        Ok(Vec::new())
    }

    fn get(&self, _: RequestId) -> Result<Option<Record>, Error> {
        Ok(None)
    }

    fn forget_before(&self, _: u64) -> Result<u64, Error> {
        Ok(0)
    }
}

fn record(number: u128) -> Box<Record> {
    Box::new(Record {
        id: RequestId::from_u128(number),
        dialect: "openai.chat".into(),
        key: "key_tests".into(),
        key_name: "tests".into(),
        attribution: lockgate_core::Attribution::default(),
        asked: "a/m".into(),
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
        overhead_us: 0,
        decision: None,
        losses: Vec::new(),
        attempts: Vec::new(),
    })
}

fn spawn(queue: &Arc<Queue>, store: &Arc<Store>, flush: Duration) -> (Writer, Arc<KeptEvents>) {
    let events = Arc::new(KeptEvents::default());
    let clock = Arc::new(HandClock::new());
    let (queue, store) = (Arc::clone(queue), Arc::clone(store));
    (Writer::spawn(queue, store, events.clone(), clock, flush, Duration::ZERO).unwrap(), events)
}

fn offer(queue: &Queue, numbers: std::ops::Range<u128>) {
    numbers.for_each(|number| queue.offer(record(number)));
}

fn ids(numbers: std::ops::Range<u128>) -> Vec<RequestId> {
    numbers.map(RequestId::from_u128).collect()
}

#[test]
fn a_full_queue_takes_no_more_and_says_how_much_it_lost() {
    let (queue, store) = (Queue::new(4), Store::new(0));
    offer(&queue, 0..7);
    assert_eq!(queue.waiting(), 4);
    let (writer, events) = spawn(&queue, &store, HOUR);
    writer.close();
    assert_eq!(store.wait_for(4), ids(0..4));
    assert_eq!(events.take(), [Noted::Dropped(3), Noted::Written(4)]);
}

#[test]
fn closing_writes_what_waits_without_waiting_itself() {
    let (queue, store) = (Queue::new(1_000), Store::new(0));
    let (writer, events) = spawn(&queue, &store, HOUR);
    offer(&queue, 0..300);
    writer.close();
    assert_eq!(store.wait_for(300), ids(0..300));
    assert_eq!(queue.waiting(), 0);
    assert!(!events.take().iter().any(|event| matches!(event, Noted::Dropped(_))));
}

#[test]
fn records_are_written_at_every_flush_and_when_the_queue_is_half_full() {
    let (queue, store) = (Queue::new(1_000), Store::new(0));
    let (writer, _) = spawn(&queue, &store, SOON);
    offer(&queue, 0..1);
    assert_eq!(store.wait_for(1), ids(0..1), "at the flush");
    writer.close();

    let (queue, store) = (Queue::new(10), Store::new(0));
    let (writer, _) = spawn(&queue, &store, HOUR);
    offer(&queue, 0..5);
    assert_eq!(store.wait_for(5), ids(0..5), "half full, an hour before the flush");
    writer.close();
}

#[test]
fn a_store_that_fails_is_tried_again_and_nothing_is_lost() {
    let (queue, store) = (Queue::new(1_000), Store::new(2));
    let (writer, events) = spawn(&queue, &store, SOON);
    offer(&queue, 0..20);
    let mut kept = store.wait_for(20);
    offer(&queue, 20..30);
    writer.close();
    kept.extend(store.wait_for(30).into_iter().skip(kept.len()));
    assert_eq!(kept, ids(0..30), "each once, in order");
    let events = events.take();
    assert_eq!(events.iter().filter(|event| **event == Noted::StoreFailed).count(), 2);
    assert!(!events.iter().any(|event| matches!(event, Noted::Dropped(_))));
}

#[test]
fn a_store_that_fails_to_the_end_does_not_keep_the_process_and_the_loss_is_counted() {
    let (queue, store) = (Queue::new(1_000), Store::new(usize::MAX));
    let (writer, events) = spawn(&queue, &store, HOUR);
    offer(&queue, 0..6);
    writer.close();
    let events = events.take();
    assert!(events.iter().filter(|event| **event == Noted::StoreFailed).count() > 1, "{events:?}");
    assert_eq!(events.last(), Some(&Noted::Dropped(6)));
}

#[test]
fn many_requests_at_once_lose_nothing() {
    let (queue, store) = (Queue::new(100_000), Store::new(0));
    let (writer, _) = spawn(&queue, &store, SOON);
    std::thread::scope(|scope| {
        for thread in 0..4_u128 {
            let queue = &queue;
            scope.spawn(move || offer(queue, thread * 1_000..(thread + 1) * 1_000));
        }
    });
    writer.close();
    let mut kept = store.wait_for(4_000);
    kept.sort();
    assert_eq!(kept, ids(0..4_000));
}
