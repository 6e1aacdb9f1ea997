//! The bounded queue between requests and the store. Requests never wait for it: what does not fit is counted and lost.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lockgate_core::port::{EventSink, RecordSink, RecordStore};
use lockgate_core::{Clock, Event, Record};

/// The queue. Handing a record over is one push under a lock that is held for nothing longer.
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    most: usize,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Box<Record>>,
    /// Records that were written. Those who hand in new ones free them: memory goes back to the thread that it came
    /// from, which allocators do well, while memory that wanders between threads piles up.
    spent: Vec<Box<Record>>,
    dropped: u64,
    closed: bool,
}

/// The thread that writes what the queue holds, in batches.
pub struct Writer {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

/// A batch that is larger gains little, and memory is what waits.
const PORTION: usize = 512;
/// Pause before the store is tried again after it failed.
const RETRY: Duration = Duration::from_millis(500);
/// How often a closing writer tries a store that fails.
const LAST_TRIES: usize = 5;

// === impl Queue ===

impl Queue {
    /// A queue of at most `most` records.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), wake: Condvar::new(), most: most.max(1) })
    }

    /// So many records are worth a batch before its time.
    fn portion(&self) -> usize {
        PORTION.min(self.most / 2).max(1)
    }

    /// How many records wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordSink for Queue {
    fn offer(&self, record: Box<Record>) {
        let mut inner = self.lock();
        if inner.waiting.len() >= self.most {
            inner.dropped += 1;
            return;
        }
        let spent = [inner.spent.pop(), inner.spent.pop()];
        inner.waiting.push(record);
        let waiting = inner.waiting.len();
        drop(inner);
        drop(spent);
        // The writer wakes by itself; a queue that fills faster than that calls it.
        if waiting.is_multiple_of(self.portion()) {
            self.wake.notify_one();
            // It may be waiting for this very core.
            std::thread::yield_now();
        }
    }
}

// === impl Writer ===

impl Writer {
    /// Starts the thread. It writes every `flush`, and deletes records older than `retention` once an hour (zero: never).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(
        queue: Arc<Queue>,
        store: Arc<dyn RecordStore>,
        events: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
        flush: Duration,
        retention: Duration,
    ) -> io::Result<Self> {
        let mine = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("records".into()).spawn(move || {
            Loop { queue: &mine, store: &*store, events: &*events, clock: &*clock, flush, retention }.run();
        })?;
        Ok(Self { queue, thread })
    }

    /// Writes what is left and ends the thread. Records offered after this are lost and counted.
    pub fn close(self) {
        self.queue.lock().closed = true;
        self.queue.wake.notify_one();
        // A panic in the thread was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

struct Loop<'a> {
    queue: &'a Queue,
    store: &'a dyn RecordStore,
    events: &'a dyn EventSink,
    clock: &'a dyn Clock,
    flush: Duration,
    retention: Duration,
}

const HOUR_MS: u64 = 3_600_000;

impl Loop<'_> {
    fn run(&self) {
        let mut forget_at = self.clock.wall_ms();
        loop {
            let (batch, dropped, closed) = self.take();
            if dropped > 0 {
                self.events.emit(&Event::RecordsDropped(dropped));
            }
            let written = batch.is_empty() || self.write(&batch, closed);
            if !written {
                self.events.emit(&Event::RecordsDropped(batch.len() as u64));
            }
            if closed {
                return;
            }
            let left_over = self.give_back(batch);
            drop(left_over);
            if !self.retention.is_zero() && self.clock.wall_ms() >= forget_at {
                forget_at = self.clock.wall_ms() + HOUR_MS;
                let oldest = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
                if let Err(error) = self.store.forget_before(self.clock.wall_ms().saturating_sub(oldest)) {
                    self.events.emit(&Event::StoreFailed { detail: &format!("{error:?}") });
                }
            }
        }
    }

    /// Leaves written records to be freed by those who hand in new ones; what is too much of that comes back.
    fn give_back(&self, mut batch: Vec<Box<Record>>) -> [Vec<Box<Record>>; 2] {
        let too_many = batch.split_off(batch.len().min(PORTION));
        [std::mem::replace(&mut self.queue.lock().spent, batch), too_many]
    }

    /// Waits for the flush interval, a half-full queue or the end, and takes all there is.
    fn take(&self) -> (Vec<Box<Record>>, u64, bool) {
        let mut inner = self.queue.lock();
        if !inner.closed && inner.waiting.len() < self.queue.portion() {
            inner = self.queue.wake.wait_timeout(inner, self.flush).unwrap_or_else(PoisonError::into_inner).0;
        }
        let room = inner.waiting.len().min(PORTION);
        let batch = std::mem::replace(&mut inner.waiting, Vec::with_capacity(room));
        (batch, std::mem::take(&mut inner.dropped), inner.closed)
    }

    /// Writes a batch, again and again until it succeeds. While it does not the queue fills and then counts what it
    /// loses. `false` when the process ends before the store takes it.
    fn write(&self, batch: &[Box<Record>], closing: bool) -> bool {
        let mut tries = 0;
        loop {
            let start = self.clock.now();
            match self.store.append(batch) {
                Ok(()) => {
                    let took_us = u64::from(self.clock.now().micros_since(start));
                    self.events.emit(&Event::RecordsWritten { count: batch.len() as u64, took_us });
                    return true;
                }
                Err(error) => self.events.emit(&Event::StoreFailed { detail: &format!("{error:?}") }),
            }
            tries += 1;
            if (closing || self.queue.lock().closed) && tries >= LAST_TRIES {
                return false;
            }
            let inner = self.queue.lock();
            // The lock is free again while this waits.
            drop(self.queue.wake.wait_timeout(inner, RETRY));
        }
    }
}
