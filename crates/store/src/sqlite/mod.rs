//! Keys, records, documents and the ledger in one SQLite file, which several processes may have open at once.

mod checkpoint;
mod codec;
mod detail;
mod documents;
mod keys;
mod ledger;
mod migrations;
mod records;
mod shape;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockgate_core::port::{Filter, KeyStore, RecordStore};
use lockgate_core::{Error, Key, Kind, Record, RequestId};
use rusqlite::{Connection, ErrorCode};

use self::checkpoint::Checkpoints;
use self::records::Writer;
use crate::private;

/// The embedded store. Every call blocks on the disk, and calls on one of its connections wait for each other.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    /// Records come in here.
    writer: Mutex<Writer>,
    /// Records are read here. A search through all of them must not keep a key from being revoked.
    reader: Mutex<Connection>,
    /// Everything about keys and documents.
    keys: Mutex<Connection>,
    /// Everything about money.
    ledger: Mutex<Connection>,
}

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The length of the write-ahead log, in pages of 4 KiB, at which records wait for a checkpoint.
const MOST_LOG: u32 = 16_000;
/// How often to try to switch a new file to the write-ahead log while other processes open it as well.
const SWITCH_TRIES: usize = 20;

// === impl Sqlite ===

impl Sqlite {
    /// Opens the store, which is made if there is none: its folders (0700), the file (0600), its tables. A file of an
    /// older version is brought up to date.
    ///
    /// A commit survives the death of the process; the last ones may be lost when the machine loses power.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when a newer program wrote the file; [`Kind::Internal`] when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        make_file(path).map_err(|e| unopened(path, &e))?;
        let mut keys = connect(path)?;
        migrations::run(&mut keys)?;
        let [writer, reader, checkpoints, ledger] =
            [connect(path)?, connect(path)?, connect(path)?, connect(path)?];
        // What is leased or journaled must survive the machine, not only the process.
        ledger.pragma_update(None, "synchronous", "full").map_err(failure)?;
        // The writer makes a checkpoint itself only when the thread for that is far behind.
        writer.pragma_update(None, "wal_autocheckpoint", MOST_LOG).map_err(failure)?;
        writer.pragma_update(None, "cache_size", -1_024).map_err(failure)?;
        reader.pragma_update(None, "query_only", true).map_err(failure)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(Writer::new(
                writer,
                Checkpoints::spawn(checkpoints).map_err(|e| unopened(path, &e))?,
            )),
            reader: Mutex::new(reader),
            keys: Mutex::new(keys),
            ledger: Mutex::new(ledger),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl RecordStore for Sqlite {
    /// The first write makes the log beside the file and waits for the disk twice, which can take long on a busy machine.
    fn warm_up(&self) -> Result<(), Error> {
        lock(&self.writer).touch()
    }

    fn append(&self, records: &[Box<Record>]) -> Result<(), Error> {
        lock(&self.writer).append(records)
    }

    fn find(&self, filter: &Filter) -> Result<Vec<Record>, Error> {
        records::find(&lock(&self.reader), filter)
    }

    fn get(&self, id: RequestId) -> Result<Option<Record>, Error> {
        records::get(&lock(&self.reader), id)
    }

    fn forget_before(&self, wall_ms: u64) -> Result<u64, Error> {
        let mut forgotten = 0;
        // In portions, so that the writing of new records waits for one portion only.
        while let Some(count) = lock(&self.writer).forget_some(wall_ms)? {
            forgotten += count;
        }
        Ok(forgotten)
    }
}

impl KeyStore for Sqlite {
    fn keys(&self) -> Result<Vec<Key>, Error> {
        keys::all(&lock(&self.keys))
    }

    fn add(&self, key: &Key) -> Result<(), Error> {
        keys::add(&mut lock(&self.keys), key)
    }

    fn update(&self, key: &Key) -> Result<bool, Error> {
        keys::update(&mut lock(&self.keys), key)
    }

    fn revision(&self) -> Result<u64, Error> {
        keys::revision(&lock(&self.keys))
    }
}

/// A panic under the lock rolls its transaction back as it unwinds, so the connection behind a poisoned lock is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === opening ===

/// Makes an empty file if there is none. SQLite gives the files it puts beside it the same permissions.
fn make_file(path: &Path) -> io::Result<()> {
    private::make_parents(path)?;
    // An existing file must not even be opened: closing it would drop the locks that SQLite holds in this process.
    match private::owner_only(OpenOptions::new().write(true).create_new(true)).open(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path).map_err(|e| unopened(path, &e))?;
    prepare(&connection).map_err(|e| unopened(path, &e))?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    for _ in 0..SWITCH_TRIES {
        match connection.pragma_update(None, "journal_mode", "wal") {
            // The switch does not wait for others by itself; an empty transaction does.
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
            }
            done => {
                done?;
                break;
            }
        }
    }
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "mmap_size", 16 << 20)
}

// === failures ===

fn unopened(path: &Path, error: &dyn std::error::Error) -> Error {
    Error::gateway(Kind::Internal, "the store cannot be opened")
        .detail(format!("{}: {error}", path.display()))
}

/// What a failure of SQLite looks like to the rest of the house.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err, which gives values")]
fn failure(error: rusqlite::Error) -> Error {
    Error::gateway(Kind::Internal, "the store failed").detail(error.to_string())
}

/// A row that holds what this program never wrote.
fn damaged(what: &str) -> Error {
    Error::gateway(Kind::Internal, "the store is damaged").detail(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    mod exam {
        crate::store_exam!(|folder| crate::Sqlite::open(&folder.join("lockgate.db")).unwrap());
    }

    mod document_exam {
        crate::document_exam!(|folder| crate::Sqlite::open(&folder.join("lockgate.db")).unwrap());
    }

    mod ledger_exam {
        crate::ledger_exam!(|folder| crate::Sqlite::open(&folder.join("lockgate.db")).unwrap());
    }

    #[test]
    fn many_may_open_a_new_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Sqlite::open(&path).map(drop).unwrap());
            }
        });
    }

    #[test]
    fn what_one_process_writes_another_sees() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let (server, tool) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
        let before = server.revision().unwrap();
        tool.add(&crate::exam::key(1)).unwrap();
        assert_ne!(server.revision().unwrap(), before);
        assert_eq!(server.keys().unwrap(), [crate::exam::key(1)]);
    }

    #[test]
    fn what_was_written_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        let record = crate::exam::record(1);
        {
            let store = Sqlite::open(&path).unwrap();
            store.append(std::slice::from_ref(&record)).unwrap();
        }
        assert_eq!(Sqlite::open(&path).unwrap().get(record.id).unwrap(), Some(*record));
    }

    #[test]
    fn a_file_that_is_no_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lockgate.db");
        std::fs::write(
            &path,
            "this is a letter to my aunt, and long enough to be read as a header. ".repeat(20),
        )
        .unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert!(format!("{error:?}").contains("not a database"), "{error:?}");
        assert_eq!(error.public(), "the store cannot be opened");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_neither_folder_nor_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/lockgate.db");
        let store = Sqlite::open(&path).unwrap();
        store.append(&[crate::exam::record(1)]).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for file in ["lockgate.db", "lockgate.db-wal", "lockgate.db-shm"] {
            assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
        }
    }
}
