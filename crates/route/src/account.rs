//! The credentials of a provider: which of them is shown next, and when one rests.
//!
//! Calls take turns over those that are awake. One that the provider refuses, that has no credit left or that is limited
//! rests; then one call a second tries it, until one succeeds. All of it is a few atomic operations without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use lockgate_core::{Kind, Tick};

/// One credential at a provider.
#[derive(Debug)]
pub struct Account {
    /// How it is called in records: its place and the end of its key, never the key.
    pub name: Arc<str>,
    /// It is not shown before this time.
    rests_until: AtomicU64,
    /// How often it was refused since it was last accepted.
    strikes: AtomicU32,
}

/// The credentials of a provider, in the order of the config; at least one.
#[derive(Debug)]
pub struct Accounts {
    list: Box<[Arc<Account>]>,
    turn: AtomicUsize,
}

/// First rest after a refusal that names no time; doubled with each further one.
const REST: Duration = Duration::from_secs(2);
/// The same where waiting rarely helps: a key that is wrong, an account without credit.
const LONG_REST: Duration = Duration::from_secs(30);
/// Longest rest.
const LONGEST: Duration = Duration::from_secs(900);
/// Time between two tries of one that was refused.
const TRY_EVERY: Duration = Duration::from_secs(1);

// === impl Account ===

impl Account {
    /// One that was never shown.
    pub fn new(name: Arc<str>) -> Self {
        Self { name, rests_until: AtomicU64::new(0), strikes: AtomicU32::new(0) }
    }

    /// When it may be shown again; `None` when it may be now.
    pub fn rests_until(&self, now: Tick) -> Option<Tick> {
        let until = Tick(self.rests_until.load(Ordering::Relaxed));
        (until > now).then_some(until)
    }

    /// How often it was refused since it was last accepted.
    pub fn strikes(&self) -> u32 {
        self.strikes.load(Ordering::Relaxed)
    }

    /// Whether it may be shown now. After a rest one call a second may, until one succeeds.
    fn admit(&self, now: Tick) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until > now.0 {
            return false;
        }
        // Whoever moves the time has the try; the others pass it over.
        self.strikes() == 0
            || self
                .rests_until
                .compare_exchange(until, now.plus(TRY_EVERY).0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The provider took it.
    pub fn accepted(&self) {
        if self.strikes() > 0 {
            self.strikes.store(0, Ordering::Relaxed);
            self.rests_until.store(0, Ordering::Relaxed);
        }
    }

    /// The provider refused it in a way that another credential may mend: it rests for as long as the provider asked
    /// for, else for a time that doubles. Returns whether it was awake.
    pub fn refused(&self, kind: Kind, wait: Option<Duration>, now: Tick) -> bool {
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).min(16);
        let first = if kind == Kind::UpstreamRateLimited { REST } else { LONG_REST };
        let rest = wait.unwrap_or_else(|| first.saturating_mul(1 << strikes)).min(LONGEST);
        let before = self.rests_until.fetch_max(now.plus(rest).0, Ordering::Relaxed);
        strikes == 0 || before <= now.0
    }
}

// === impl Accounts ===

impl Accounts {
    /// These accounts.
    pub fn new(list: impl IntoIterator<Item = Arc<Account>>) -> Self {
        Self { list: list.into_iter().collect(), turn: AtomicUsize::new(0) }
    }

    /// All of them, in the order of the config.
    pub fn all(&self) -> &[Arc<Account>] {
        &self.list
    }

    /// The place of the one that is to be shown next and was not `tried` for this request; when all of these rest, the
    /// one that wakes first is shown all the same if `insist`.
    pub fn next(&self, now: Tick, tried: &[usize], insist: bool) -> Option<usize> {
        let count = self.list.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let open = |place: &usize| !tried.contains(place);
        let turns = (0..count).map(|step| turn.wrapping_add(step) % count.max(1)).filter(open);
        let awake = turns.clone().find(|place| self.list[*place].admit(now));
        let first_back = || turns.min_by_key(|place| self.list[*place].rests_until(now));
        awake.or_else(|| if insist { first_back() } else { None })
    }
}

/// Whether another credential of the same provider may mend such a failure.
pub const fn is_of_credential(kind: Kind) -> bool {
    matches!(kind, Kind::UpstreamAuth | Kind::UpstreamCredit | Kind::UpstreamRateLimited)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: fn(u64) -> Tick = |seconds| Tick(seconds * 1_000_000_000);

    fn three() -> Accounts {
        Accounts::new(["a", "b", "c"].map(|name| Arc::new(Account::new(name.into()))))
    }

    #[test]
    fn they_take_turns() {
        let accounts = three();
        let places: Vec<_> = (0..6).filter_map(|_| accounts.next(S(1), &[], true)).collect();
        assert_eq!(places, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn one_that_is_limited_rests_as_long_as_the_provider_asks() {
        let accounts = three();
        let wait = Some(Duration::from_secs(9));
        assert!(accounts.all()[1].refused(Kind::UpstreamRateLimited, wait, S(1)));
        assert!((0..9).all(|_| accounts.next(S(2), &[], true) != Some(1)));
        assert_eq!(accounts.all()[1].rests_until(S(2)), Some(S(10)));
        let tries = (0..9).filter(|_| accounts.next(S(10), &[], true) == Some(1)).count();
        assert_eq!(tries, 1, "one call tries it");
        accounts.all()[1].accepted();
        let turns = (0..9).filter(|_| accounts.next(S(10), &[], true) == Some(1)).count();
        assert_eq!(turns, 3, "and then it takes its turns again");
    }

    #[test]
    fn a_key_that_stays_wrong_rests_longer_each_time() {
        let account = Account::new("a".into());
        let rests = [30, 60, 120, 240, 480, 900, 900];
        let mut now = S(0);
        for rest in rests {
            account.refused(Kind::UpstreamAuth, None, now);
            let until = now.plus(Duration::from_secs(rest));
            assert_eq!(account.rests_until(now), Some(until));
            now = until;
        }
    }

    #[test]
    fn when_all_rest_the_one_that_wakes_first_is_shown() {
        let accounts = three();
        for (place, seconds) in [(0, 30), (1, 10), (2, 20)] {
            let wait = Some(Duration::from_secs(seconds));
            accounts.all()[place].refused(Kind::UpstreamRateLimited, wait, S(0));
        }
        assert_eq!(accounts.next(S(1), &[], true), Some(1));
        assert_eq!(accounts.next(S(1), &[1], true), Some(2));
        assert_eq!(accounts.next(S(1), &[], false), None);
        assert_eq!(accounts.next(S(1), &[0, 1, 2], true), None);
    }

    proptest! {
        #[test]
        fn one_that_was_tried_is_never_shown_again(
            tried in prop::collection::vec(0_usize..3, 0..4), at in 0_u64..100, insist: bool
        ) {
            let accounts = three();
            if let Some(place) = accounts.next(S(at), &tried, insist) {
                prop_assert!(!tried.contains(&place));
            }
        }
    }
}
