//! Snapshots that are swapped under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, StatusCode};
use lockgate_catalog::Catalog;
use lockgate_core::port::{Answer, Call, Ready, Transport};
use lockgate_core::{Error, Key};
use lockgate_engine::{Engine, KeyTable, Snapshot};
use lockgate_route::{Registry, Table};
use lockgate_testkit::{Play, Script, builder};

use crate::stage::{Set, hear, route};

const RELOADS: u64 = 1_000;
/// Requests under way at once.
const AT_ONCE: usize = 16;

/// Providers whose names say of which version they are: the first of a version fails, the second says its name.
struct Named(Arc<Script>);

impl Transport for Named {
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        Box::pin(async move {
            // Others come in between, and the next version too.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let name = call.upstream.name.to_string();
            if name.ends_with('a') {
                return Err(builder::unreachable());
            }
            let body = format!(r#"{{"choices":[{{"message":{{"content":"{name}"}}}}]}}"#);
            self.0.then(&name, Play::json(200, body));
            let Answer { body, .. } = self.0.call(call).await?;
            Ok(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body })
        })
    }
}

fn version(number: u64, registry: &Arc<Registry>) -> Snapshot {
    let names = [format!("v{number}a"), format!("v{number}b")];
    let upstreams = names.iter().map(|name| Arc::new(builder::upstream(name))).collect();
    let routes = [route("bot", &[&names[0], &names[1]], 0)];
    let key = Key { name: format!("k{number}").into(), ..builder::key(builder::KEY) };
    Snapshot {
        table: Arc::new(Table::new(number, upstreams, routes, Arc::clone(registry))),
        keys: Arc::new(KeyTable::new([key])),
        catalog: Arc::new(Catalog::empty()),
        attribution: Arc::default(),
    }
}

#[tokio::test]
async fn no_request_sees_a_mixture_of_two_versions_over_a_thousand_reloads() {
    let stage = Set::of([builder::upstream("a")]).patient().stage();
    let state = Arc::clone(&stage.engine.state);
    state.snapshot.store(Arc::new(version(1, &state.registry)));
    let transport = Arc::new(Named(Script::new()));
    let stage = crate::stage::Stage { engine: Engine { state: Arc::clone(&state), transport }, ..stage };
    let over = Arc::new(AtomicBool::new(false));
    let reloads = {
        let (state, over) = (Arc::clone(&state), Arc::clone(&over));
        std::thread::spawn(move || {
            for number in 2..=RELOADS {
                state.snapshot.store(Arc::new(version(number, &state.registry)));
                std::thread::yield_now();
            }
            over.store(true, Ordering::SeqCst);
        })
    };
    let mut seen = BTreeSet::new();
    let mut requests = 0;
    let ask = || async {
        let body = r#"{"model":"bot","messages":[{"role":"user","content":"Hello"}]}"#;
        hear(stage.chat(body).await).await
    };
    let mut last = false;
    while !last {
        last = over.load(Ordering::SeqCst);
        let mut asked: Vec<_> = (0..AT_ONCE).map(|_| Box::pin(ask())).collect();
        // All of them side by side on this thread; each poll of one may fall into another version.
        let mut heard = Vec::new();
        while !asked.is_empty() {
            let place = std::future::poll_fn(|cx| {
                let done = asked.iter_mut().position(|it| match it.as_mut().poll(cx) {
                    std::task::Poll::Ready(answer) => {
                        heard.push(answer);
                        true
                    }
                    std::task::Poll::Pending => false,
                });
                done.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
            })
            .await;
            drop(asked.swap_remove(place));
        }
        let records = stage.records.take();
        assert_eq!(records.len(), AT_ONCE);
        for record in &records {
            let number = record.decision.as_ref().unwrap().snapshot;
            let targets: Vec<_> = record.attempts.iter().map(|it| it.target.provider.to_string()).collect();
            assert_eq!(
                targets,
                [format!("v{number}a"), format!("v{number}b")],
                "both targets of its version"
            );
            assert_eq!(*record.key_name, *format!("k{number}"), "and its key");
            seen.insert(number);
        }
        assert!(heard.iter().all(|answer| answer.status == 200));
        requests += heard.len();
    }
    reloads.join().unwrap();
    assert!(seen.contains(&RELOADS), "the last version is in force");
    println!("{requests} requests saw {} of {RELOADS} versions", seen.len());
}
