//! The exam of the documents' port.

use std::sync::{Arc, Barrier};

use lockgate_core::port::{Document, DocumentStore, Draft};
use lockgate_core::{Error, Kind};
use proptest::prelude::*;

use super::{Good as _, check};

/// Takes the exam of documents with a backend, as [`store_exam!`](crate::store_exam).
#[macro_export]
macro_rules! document_exam {
    ($make:expr) => {
        $crate::document_exam!(@each $make,
            versions_count_from_one_without_gaps,
            a_removal_is_a_version_and_the_name_goes_on_counting,
            a_change_of_what_has_changed_is_refused,
            what_is_not_there_cannot_be_removed,
            the_document_revision_moves_with_every_change,
            kinds_do_not_mix_and_names_are_in_order,
            any_text_is_kept_as_it_is,
            a_name_that_is_too_long_is_refused,
            two_that_put_at_once_make_two_versions,
            of_two_that_make_the_same_one_is_refused,
        );
    };
    (@each $make:expr, $($name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                $crate::exam::sit($make, $crate::exam::documents::$name);
            }
        )+
    };
}

fn draft(name: &str, after: Option<u64>, body: &str) -> Draft {
    Draft {
        kind: "route".into(),
        name: name.into(),
        after,
        body: (!body.is_empty()).then(|| body.into()),
        at_ms: 1_795_400_000_000,
        by: "ann".into(),
        reason: "because".into(),
    }
}

/// What a refused change is told.
#[track_caller]
fn refused(outcome: Result<u64, Error>) -> String {
    let error = outcome.expect_err("it had to be refused");
    assert_eq!(error.kind(), Kind::InvalidRequest, "{error:?}");
    error.public().to_owned()
}

fn names(store: &impl DocumentStore, kind: &str) -> Vec<String> {
    store.documents(kind).good().iter().map(|document| document.name.to_string()).collect()
}

/// Each change makes the next version; those before it stay; the newest is what counts.
pub fn versions_count_from_one_without_gaps(store: &impl DocumentStore) {
    assert_eq!(store.documents("route").good(), []);
    assert_eq!(store.versions("route", "a").good(), []);
    for number in 1..=12_u64 {
        assert_eq!(store.put_document(&draft("a", None, &format!("{{\"n\":{number}}}"))).good(), number);
    }
    let versions = store.versions("route", "a").good();
    assert_eq!(versions.iter().map(|one| one.version).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    assert_eq!(versions[4].body.as_deref(), Some("{\"n\":5}"));
    let wanted = Document {
        kind: "route".into(),
        name: "a".into(),
        version: 12,
        body: Some("{\"n\":12}".into()),
        at_ms: 1_795_400_000_000,
        by: "ann".into(),
        reason: "because".into(),
    };
    assert_eq!(store.documents("route").good(), [wanted]);
}

/// What was removed is no longer listed, its versions are, and who makes it anew goes on from there.
pub fn a_removal_is_a_version_and_the_name_goes_on_counting(store: &impl DocumentStore) {
    store.put_document(&draft("a", Some(0), "1")).good();
    assert_eq!(store.put_document(&draft("a", Some(1), "")).good(), 2);
    assert_eq!(store.documents("route").good(), []);
    let bodies = |store: &dyn DocumentStore| {
        let versions = store.versions("route", "a").good();
        versions.iter().map(|one| one.body.as_deref().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(bodies(store), [Some("1".to_owned()), None]);
    assert_eq!(store.put_document(&draft("a", Some(0), "3")).good(), 3, "there is none, so it may be new");
    store.put_document(&draft("a", None, "")).good();
    assert_eq!(store.put_document(&draft("a", Some(4), "5")).good(), 5, "or follow its removal");
    assert_eq!(store.documents("route").good()[0].version, 5);
}

/// Who changes what somebody else has changed meanwhile is told so, and nothing is written.
pub fn a_change_of_what_has_changed_is_refused(store: &impl DocumentStore) {
    store.put_document(&draft("a", Some(0), "1")).good();
    store.put_document(&draft("a", Some(1), "2")).good();
    let text = refused(store.put_document(&draft("a", Some(1), "3")));
    assert!(text.contains("route \"a\" is at version 2") && text.contains("for version 1"), "{text}");
    let text = refused(store.put_document(&draft("a", Some(0), "3")));
    assert!(text.contains("there is a route \"a\" already"), "{text}");
    let text = refused(store.put_document(&draft("b", Some(7), "3")));
    assert!(text.contains("there is no route \"b\""), "{text}");
    refused(store.put_document(&draft("a", Some(1), "")));
    refused(store.put_document(&draft("a", Some(3), "3")));
    assert_eq!((store.versions("route", "a").good().len(), names(store, "route")), (2, vec!["a".to_owned()]));
}

/// Neither what never was nor what was removed already.
pub fn what_is_not_there_cannot_be_removed(store: &impl DocumentStore) {
    let text = refused(store.put_document(&draft("a", None, "")));
    assert!(text.contains("there is no route \"a\""), "{text}");
    store.put_document(&draft("a", None, "1")).good();
    store.put_document(&draft("a", None, "")).good();
    refused(store.put_document(&draft("a", None, "")));
    refused(store.put_document(&draft("a", Some(2), "")));
    assert_eq!(store.versions("route", "a").good().len(), 2);
}

/// It tells that something changed, and a refused change is none.
pub fn the_document_revision_moves_with_every_change(store: &impl DocumentStore) {
    let mut seen = vec![store.document_revision().good()];
    for body in ["1", "2", "", "4"] {
        store.put_document(&draft("a", None, body)).good();
        seen.push(store.document_revision().good());
    }
    let last = seen.last().copied();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    refused(store.put_document(&draft("a", Some(1), "5")));
    store.documents("route").good();
    assert_eq!(Some(store.document_revision().good()), last);
}

/// A name of one kind says nothing about another kind; names come in the order of their bytes.
pub fn kinds_do_not_mix_and_names_are_in_order(store: &impl DocumentStore) {
    for name in ["b", "a", "Z", "é", "a b", "_"] {
        store.put_document(&draft(name, Some(0), "1")).good();
    }
    store.put_document(&Draft { kind: "limit".into(), ..draft("a", Some(0), "2") }).good();
    assert_eq!(names(store, "route"), ["Z", "_", "a", "a b", "b", "é"]);
    assert_eq!(names(store, "limit"), ["a"]);
    assert_eq!(names(store, "rout"), [""; 0]);
    assert_eq!(store.versions("limit", "a").good().len(), 1);
}

/// Kinds, names, bodies and notes come back as they were.
pub fn any_text_is_kept_as_it_is(store: &impl DocumentStore) {
    let name = || "[\\x00-\\x02a%_é'\\\\]{0,4}";
    let texts = (name(), name(), any::<String>(), any::<String>(), any::<String>(), any::<u64>());
    check(48, &texts, |(kind, name, body, by, reason, at_ms)| {
        let draft = Draft {
            kind: kind.as_str().into(),
            name: name.as_str().into(),
            after: None,
            body: Some(body.into()),
            at_ms,
            by: by.into(),
            reason: reason.into(),
        };
        let version = store.put_document(&draft).good();
        let last = store.versions(&kind, &name).good().pop();
        prop_assert_eq!(last, Some(crate::document::made(&draft, version)));
        let listed = store.documents(&kind).good();
        prop_assert!(listed.is_sorted_by(|a, b| a.name < b.name), "{:?}", listed);
        prop_assert!(listed.iter().any(|one| *one.name == *name && one.version == version));
        Ok(())
    });
}

/// 256 bytes go, more do not.
pub fn a_name_that_is_too_long_is_refused(store: &impl DocumentStore) {
    let (longest, longer) = ("é".repeat(128), "é".repeat(129));
    store.put_document(&Draft { kind: longest.as_str().into(), ..draft(&longest, None, "1") }).good();
    let text = refused(store.put_document(&draft(&longer, None, "1")));
    assert!(text.contains("258 bytes"), "{text}");
    refused(store.put_document(&Draft { kind: longer.as_str().into(), ..draft("a", None, "1") }));
    assert_eq!(names(store, &longest), [longest.as_str()]);
}

/// Threads that put the same name at the same moment, so many rounds.
fn at_once(store: &impl DocumentStore, after: Option<u64>, mut round: impl FnMut(Vec<Result<u64, Error>>)) {
    for number in 0..8 {
        let (name, start) = (Arc::<str>::from(format!("name {number}")), Barrier::new(2));
        let put = || {
            start.wait();
            store.put_document(&draft(&name, after, "1"))
        };
        round(std::thread::scope(|scope| {
            let threads = [scope.spawn(put), scope.spawn(put)];
            threads.map(|thread| thread.join().expect("no store panics")).into()
        }));
        let versions = store.versions("route", &name).good();
        let numbers: Vec<u64> = versions.iter().map(|one| one.version).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    }
}

/// Neither is lost, neither stands in the other's place.
pub fn two_that_put_at_once_make_two_versions(store: &impl DocumentStore) {
    at_once(store, None, |outcomes| {
        let mut versions: Vec<u64> = outcomes.into_iter().map(super::Good::good).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2]);
    });
}

/// Who says that it must be new is told when it is not.
pub fn of_two_that_make_the_same_one_is_refused(store: &impl DocumentStore) {
    at_once(store, Some(0), |outcomes| {
        let (made, others): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), others.len()), (1, 1));
        others.into_iter().for_each(|outcome| drop(refused(outcome)));
    });
}
