use lockgate_core::upstream::{Credential, Reach, Timeouts};

use super::*;

const S: fn(u64) -> Tick = |seconds| Tick(seconds * 1_000_000_000);

fn upstream(name: &str, keys: &[&str]) -> Arc<Upstream> {
    let credentials = keys.iter().map(|key| Credential { name: (*key).into(), speaks: Vec::new() });
    Arc::new(Upstream {
        name: name.into(),
        catalog: name.into(),
        speaks: Vec::new(),
        credentials: credentials.collect(),
        reach: Reach::Demo,
        timeouts: Timeouts::default(),
        max_answer: 1 << 20,
        models: Vec::new(),
        claims: &[],
    })
}

fn endpoint(registry: &Registry, model: &str, keys: &[&str]) -> Endpoint {
    let target = Target { provider: "p".into(), model: model.into() };
    Endpoint::new(target, upstream("p", keys), Arc::default(), registry)
}

#[test]
fn a_host_that_refuses_connections_leaves_rotation_with_all_its_models() {
    let (registry, settings) = (Registry::default(), Settings::default());
    let [a, b] = ["a", "b"].map(|model| endpoint(&registry, model, &[]));
    for second in 0..2 {
        assert!(!a.failed(Kind::UpstreamUnreachable, S(second), &settings));
    }
    assert!(
        b.failed(Kind::UpstreamUnreachable, S(2), &settings),
        "the third in a row, whichever model it was for"
    );
    assert_eq!([&a, &b].map(|it| it.admit(S(3), &settings)), [State::Open(S(7)), State::Open(S(7))]);
    assert_eq!(a.admit(S(7), &settings), State::Probe);
    assert_eq!(b.admit(S(7), &settings), State::Open(S(8)), "one probe for the host");
    assert!(a.succeeded(S(7), &settings));
    assert_eq!(b.admit(S(7), &settings), State::Closed);
}

#[test]
fn another_failure_speaks_against_its_own_model_alone() {
    let (registry, settings) = (Registry::default(), Settings::default());
    let [a, b] = ["a", "b"].map(|model| endpoint(&registry, model, &[]));
    for _ in 0..5 {
        a.failed(Kind::UpstreamError, S(0), &settings);
    }
    assert_eq!(a.admit(S(1), &settings), State::Open(S(5)));
    assert_eq!(b.admit(S(1), &settings), State::Closed);
}

#[test]
fn credentials_keep_their_rest_across_a_reload() {
    let registry = Registry::default();
    let before = endpoint(&registry, "a", &["#1 x", "#2 y"]);
    let accounts = before.site.accounts.as_ref().unwrap();
    accounts.all()[1].refused(Kind::UpstreamCredit, None, S(1));
    let same = endpoint(&registry, "b", &["#1 x", "#2 y"]);
    assert!(Arc::ptr_eq(&before.site, &same.site));
    let after = endpoint(&registry, "a", &["#1 z", "#2 y", "#3 w"]);
    let rests = after.site.accounts.as_ref().unwrap().all().iter().map(|it| it.rests_until(S(2)).is_some());
    assert_eq!(rests.collect::<Vec<_>>(), [false, true, false]);
    assert!(endpoint(&registry, "a", &[]).site.accounts.is_none());
}
