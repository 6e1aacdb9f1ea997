//! Checkpoints on a thread and a connection of their own: they wait for the disk, and records must not wait for them.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// Moves what is in the write-ahead log to the file whenever enough has come together.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// `None` when the thread is to end.
    signal: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Records written since the last signal.
    written: usize,
}

/// So many records are worth a checkpoint. Fewer and larger ones write a page that changes often to the file once.
const PORTION: usize = 65_536;

impl Checkpoints {
    /// Starts the thread.
    pub(super) fn spawn(connection: Connection) -> io::Result<Self> {
        let (signal, signals) = sync_channel(1);
        let thread = std::thread::Builder::new().name("checkpoints".into()).spawn(move || {
            run(&connection, &signals);
        })?;
        Ok(Self { signal: Some(signal), thread: Some(thread), written: 0 })
    }

    /// Takes note of records that were written.
    pub(super) fn written(&mut self, records: usize) {
        self.written += records;
        if self.written < PORTION {
            return;
        }
        match self.signal.as_ref().map(|signal| signal.try_send(())) {
            // One checkpoint is under way and one asked for: that one will take these records as well.
            Some(Err(TrySendError::Full(()))) => {}
            _ => self.written = 0,
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.signal = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, signals: &Receiver<()>) {
    while signals.recv().is_ok() {
        // Passive: it waits for nobody, and takes what it can. What it cannot take, the next one does; should they all
        // fail, the writer's own limit on the log makes the writer do it, and the writer's errors are reported.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}
