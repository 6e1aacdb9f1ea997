//! One exam of behaviours for every backend: `store_exam!(make)` stamps it onto one.

pub mod documents;
pub mod ledger;
mod samples;

use std::path::Path;
use std::sync::Arc;

use lockgate_core::Kind;
use lockgate_core::key::Key;
use lockgate_core::port::{Filter, KeyStore, RecordStore};
use lockgate_core::record::Record;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::samples::{any_filter, any_key};
pub use self::samples::{any_record, key, record};
use crate::filter::fits;

/// Takes the exam with a backend, in a module of its own. The argument makes an empty store; it is handed a folder
/// that it may use.
#[macro_export]
macro_rules! store_exam {
    ($make:expr) => {
        $crate::store_exam!(@each $make,
            what_is_written_is_read_back,
            writing_twice_leaves_one,
            an_empty_batch_is_nothing,
            a_large_batch_is_whole,
            every_filter_means_the_same_everywhere,
            the_latest_come_in_ascending_order,
            following_misses_nothing,
            forgets_what_came_before,
            signs_in_a_filter_mean_themselves,
            every_key_there_can_be_survives,
            two_keys_of_one_name_are_refused,
            an_update_changes_what_may_change,
            the_revision_moves_with_every_change,
        );
    };
    (@each $make:expr, $($name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                $crate::exam::sit($make, $crate::exam::$name);
            }
        )+
    };
}

/// Both ports of a store.
pub trait Store: RecordStore + KeyStore {}

impl<S: RecordStore + KeyStore> Store for S {}

/// Holds one test with an empty store.
pub fn sit<S>(make: impl FnOnce(&Path) -> S, test: impl FnOnce(&S)) {
    let folder = tempfile::tempdir().expect("the machine has a folder for temporary files");
    test(&make(folder.path()));
}

/// The answer of a store that has no reason to fail.
trait Good<T> {
    fn good(self) -> T;
}

impl<T> Good<T> for Result<T, lockgate_core::Error> {
    #[track_caller]
    fn good(self) -> T {
        self.unwrap_or_else(|error| panic!("the store failed: {error:?}"))
    }
}

// === questions about records ===

/// Any record comes back equal, by its id and by a search.
pub fn what_is_written_is_read_back(store: &impl Store) {
    check(48, &any_record(), |record| {
        store.forget_before(u64::MAX).good();
        store.append(std::slice::from_ref(&record)).good();
        let (got, found) = (store.get(record.id).good(), store.find(&Filter::default()).good());
        prop_assert_eq!(got.as_ref(), Some(&*record));
        prop_assert_eq!(found, [*record]);
        Ok(())
    });
}

/// Writing is idempotent: within a batch, across batches, and mixed with what is new.
pub fn writing_twice_leaves_one(store: &impl Store) {
    let first: Vec<_> = (0..100).map(record).collect();
    store.append(&first).good();
    store.append(&first).good();
    let mixed: Vec<_> = (50..150).chain(50..150).map(record).collect();
    store.append(&mixed).good();
    let found = store.find(&Filter { limit: 1_000, ..Filter::default() }).good();
    let wanted: Vec<Record> = (0..150).map(|number| *record(number)).collect();
    assert_eq!(found, wanted);
}

/// Nothing is written, nothing is found.
pub fn an_empty_batch_is_nothing(store: &impl Store) {
    store.append(&[]).good();
    assert_eq!(store.find(&Filter::default()).good(), []);
    assert_eq!(store.get(record(1).id).good(), None);
}

/// A batch of any length arrives whole, whatever the order in it.
pub fn a_large_batch_is_whole(store: &impl Store) {
    let batch: Vec<_> = (0..2_111).rev().map(record).collect();
    store.append(&batch).good();
    let found = store.find(&Filter { limit: usize::MAX, ..Filter::default() }).good();
    assert_eq!(found.len(), 2_111);
    assert!(found.is_sorted_by_key(|record| record.id));
    assert_eq!(store.find(&Filter::default()).good().len(), 100, "the limit when none is given");
}

/// Every backend finds what the filter's meaning in plain words says.
pub fn every_filter_means_the_same_everywhere(store: &impl Store) {
    check(96, &(vec(any_record(), 0..12), any_filter()), |(records, filter)| {
        store.forget_before(u64::MAX).good();
        store.append(&records).good();
        let mut kept: Vec<&Record> = records.iter().map(|record| &**record).collect();
        kept.sort_by_key(|record| record.id);
        kept.dedup_by_key(|record| record.id);
        kept.retain(|record| fits(&filter, record));
        let limit = if filter.limit == 0 { 100 } else { filter.limit };
        if filter.latest {
            kept.drain(..kept.len().saturating_sub(limit));
        } else {
            kept.truncate(limit);
        }
        let found = store.find(&filter).good();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), kept);
        Ok(())
    });
}

/// The latest are the last ones, the oldest of them first.
pub fn the_latest_come_in_ascending_order(store: &impl Store) {
    store.append(&(0..10).map(record).collect::<Vec<_>>()).good();
    let ids = |latest| {
        let found = store.find(&Filter { limit: 3, latest, ..Filter::default() }).good();
        found.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(true), [7, 8, 9].map(|number| record(number).id));
    assert_eq!(ids(false), [0, 1, 2].map(|number| record(number).id));
}

/// Who reads on after the last record seen gets each record once, also within one millisecond.
pub fn following_misses_nothing(store: &impl Store) {
    store.append(&(0..20).map(record).collect::<Vec<_>>()).good();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let found = store.find(&Filter { after, limit: 2, ..Filter::default() }).good();
        let Some(last) = found.last() else { break };
        after = Some(last.id);
        seen.extend(found.iter().map(|record| record.id));
    }
    assert_eq!(seen, (0..20).map(|number| record(number).id).collect::<Vec<_>>());
}

/// Forgetting takes what arrived before, and nothing else.
pub fn forgets_what_came_before(store: &impl Store) {
    store.append(&(0..30).map(record).collect::<Vec<_>>()).good();
    let border = record(12).id.wall_ms();
    assert_eq!(store.forget_before(border).good(), 12);
    assert_eq!(store.forget_before(border).good(), 0);
    assert_eq!(store.get(record(11).id).good(), None);
    let left = store.find(&Filter::default()).good();
    assert_eq!(left.first().map(|record| record.id), Some(record(12).id));
    assert_eq!(store.forget_before(u64::MAX).good(), 18);
}

/// What a query language might take for a command is taken for itself.
pub fn signs_in_a_filter_mean_themselves(store: &impl Store) {
    let named = |number, asked: &str| Box::new(Record { asked: Arc::from(asked), ..*record(number) });
    store
        .append(&[
            named(1, "a_b"),
            named(2, "axb"),
            named(3, "a%"),
            named(4, "A_B"),
            named(5, "a\0b"),
            named(6, "ab/c"),
        ])
        .good();
    let found = |model: &str| {
        let filter = Filter { model: Some(model.to_owned()), ..Filter::default() };
        store.find(&filter).good().iter().map(|record| record.asked.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found("a_*"), ["a_b"]);
    assert_eq!(found("a%*"), ["a%"]);
    assert_eq!(found("a\0*"), ["a\0b"]);
    assert_eq!(found("ab*"), ["ab/c"], "the star crosses slashes");
    assert_eq!(found("a'; DROP TABLE record; --"), [""; 0]);
    assert_eq!(found("*").len(), 6);
}

// === questions about keys ===

/// Any key comes back equal.
pub fn every_key_there_can_be_survives(store: &impl Store) {
    let mut count: u32 = 0;
    check(32, &any_key(), |mut key| {
        count += 1;
        key.id = Arc::from(format!("key_{count}"));
        key.name = Arc::from(format!("{} {count}", key.name));
        store.add(&key).good();
        let keys = store.keys().good();
        prop_assert_eq!(keys.last(), Some(&key));
        prop_assert_eq!(keys.len() as u32, count, "the order is that of their making");
        Ok(())
    });
}

/// A name is in use until its key is revoked.
pub fn two_keys_of_one_name_are_refused(store: &impl Store) {
    let (first, second) = (key(1), Key { name: key(1).name, ..key(2) });
    store.add(&first).good();
    let refusal = store.add(&second).expect_err("the name is in use");
    assert_eq!(refusal.kind(), Kind::InvalidRequest);
    assert!(refusal.public().contains("key 1"), "{refusal}");
    assert_eq!(store.keys().good(), std::slice::from_ref(&first));

    let revoked = Key { revoked_ms: Some(5), ..first.clone() };
    assert!(store.update(&revoked).good());
    store.add(&second).good();
    let refusal = store.update(&first).expect_err("the name went to another key");
    assert_eq!(refusal.kind(), Kind::InvalidRequest);
    assert_eq!(store.keys().good(), [revoked, second]);

    let twin = Key { name: Arc::from("other"), ..key(1) };
    assert_eq!(store.add(&twin).expect_err("the id is in use").kind(), Kind::Internal);
}

/// An update leaves id, name and time of making as they are.
pub fn an_update_changes_what_may_change(store: &impl Store) {
    assert!(!store.update(&key(1)).good(), "there is no such key");
    store.add(&key(1)).good();
    store.add(&key(2)).good();
    let changed = Key { id: key(1).id, ..key(9) };
    assert!(store.update(&changed).good());
    let wanted = Key { name: key(1).name, created_ms: key(1).created_ms, ..changed };
    assert_eq!(store.keys().good(), [wanted, key(2)]);
}

/// The revision tells that something changed, and nothing else moves it.
pub fn the_revision_moves_with_every_change(store: &impl Store) {
    let start = store.revision().good();
    store.add(&key(1)).good();
    let added = store.revision().good();
    assert_ne!(added, start);
    store.update(&Key { hint: "new1".to_owned(), ..key(1) }).good();
    let updated = store.revision().good();
    assert_ne!(updated, added);
    store.append(&[record(1)]).good();
    assert!(!store.update(&key(7)).good());
    store.add(&Key { id: key(7).id, ..key(1) }).expect_err("the name is in use");
    assert_eq!(store.revision().good(), updated);
}

/// Holds a property for so many cases.
fn check<T: Strategy>(cases: u32, any: &T, property: impl FnMut(T::Value) -> Result<(), TestCaseError>) {
    // proptest wants `Fn`; the tests of one store run one after the other.
    let property = std::cell::RefCell::new(property);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    if let Err(failure) = runner.run(any, |value| (property.borrow_mut())(value)) {
        panic!("{failure}");
    }
}
