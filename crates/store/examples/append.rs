//! What one record costs: `cargo run --release -p lockgate-store --example append [FOLDER]`.
//!
//! Time on the processor of this thread alone, as Linux counts it, so that a busy machine does not matter.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use lockgate_core::port::{Filter, RecordStore as _};
use lockgate_core::{Error, Kind, Record, RequestId};
use lockgate_store::{Hasher, Sqlite, exam};

const RECORDS: u64 = 200_000;

fn main() -> Result<(), Error> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("lockgate-append-{}", std::process::id()));
    for batch in [50, 1_000, 5_000] {
        let path = folder.join(format!("{batch}.db"));
        let store = Sqlite::open(&path)?;
        let mut spent = 0;
        for start in (0..RECORDS).step_by(batch as usize) {
            let records: Vec<_> = (start..start + batch).map(typical).collect();
            let before = on_processor()?;
            store.append(&records)?;
            spent += on_processor()? - before;
        }
        let nobody = Filter { customer: Some("nobody".to_owned()), latest: true, ..Filter::default() };
        let before = on_processor()?;
        black_box(store.find(&nobody)?);
        black_box(store.find(&Filter { provider: Some("groq".to_owned()), ..nobody })?);
        let search = (on_processor()? - before) / 2 / RECORDS;
        // The last to leave moves the write-ahead log into the file.
        drop(store);
        let bytes = fs::metadata(&path).map_or(0, |file| file.len());
        println!(
            "append, batches of {batch:>5}: {:.2} µs a record, {} bytes; a search through all: {search} ns a record",
            spent as f64 / RECORDS as f64 / 1e3,
            bytes / RECORDS
        );
    }
    let hasher = Hasher::new(&[7; 32]);
    let key = "lg-0123456789012345678901234567890123456789012";
    let before = on_processor()?;
    for _ in 0..RECORDS {
        black_box(hasher.hash(black_box(key)));
    }
    println!("hash of a key: {} ns", (on_processor()? - before) / RECORDS);
    fs::remove_dir_all(&folder)
        .map_err(|e| Error::gateway(Kind::Internal, "cannot clean up").detail(e.to_string()))
}

/// Records of a busy gateway: 50 in a millisecond, chance in their ids, some customers, arrivals slightly out of order.
fn typical(number: u64) -> Box<Record> {
    let mut record = exam::record(0);
    let id = RequestId::new(1_790_000_000_000 + number / 50 + lockgate_core::id::chance() % 20);
    record.id = id;
    record.attribution.customer = Some(Arc::from(format!("customer-{}", number % 1_000)));
    record.took_us += number as u32 % 100_000;
    record
}

fn on_processor() -> Result<u64, Error> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|number| number.parse().ok());
    nanos.ok_or_else(|| Error::gateway(Kind::Unavailable, "this system does not count a thread's time"))
}
