//! Every interleaving of a few requests, two nodes and one store, with crashes, fences and lost answers: explored state by
//! state, with the real book, teller and vault, and the promises checked after each step.
//!
//! A state is reached by replaying its path from the start, so nothing needs to be cloned; a state that was seen before is not
//! gone on from. `LOCKGATE_EXPLORE=deep` explores with wider bounds.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "all of it is a test")]

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use lockgate_core::{Money, RequestId, Tick};
use lockgate_ledger::book::{Amount, Now, Settings};
use lockgate_ledger::port::{AccountFilter, LedgerStore as _, Reconcile};
use lockgate_ledger::rows::Answer;
use lockgate_ledger::{Book, Charge, Fences, Permit, Subject, Teller, Vault, sample};

/// The two budgets that every request counts on.
const LIMITS: [(&str, i64); 2] = [("a", 10), ("b", 8)];
const WALL: u64 = 1_795_400_000_000;

/// What one request does: what it holds, what it grows to, what the provider bills at first and in the end.
#[derive(Clone, Copy)]
struct Script {
    node: usize,
    hold: i64,
    grow: Option<i64>,
    first: i64,
    last: i64,
}

/// How much may go wrong in one path.
#[derive(Clone, Copy)]
struct Bounds {
    /// Exchanges of each node that reach the store.
    commits: u8,
    lost: u8,
    crashes: u8,
    fences: u8,
    expiries: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// A request reserves, or tries again.
    Reserve(usize),
    /// Its first part is sent and billed.
    Send(usize),
    Grow(usize),
    /// The answer is complete.
    Settle(usize),
    /// The client left.
    Drop(usize),
    /// A node's exchange reaches the store.
    Commit(usize),
    /// The answer reaches the node.
    Deliver(usize),
    /// It does not.
    Lose(usize),
    /// `kill -9`.
    Crash(usize),
    /// A new life.
    Restart(usize),
    /// The node's own fence passes.
    Expire(usize),
    /// Others fence it.
    Fence(usize),
    /// An administrator resolves what a dead node left, by the provider's bill.
    Reconcile(usize),
}

enum Request {
    New,
    /// Refused for want of a lease when so many exchanges were answered.
    Waiting(u64),
    Held(Permit),
    Sent(Permit, bool),
    Done,
}

struct Life {
    book: Arc<Book>,
    teller: Teller,
    /// What is under way from the store.
    answer: Option<Answer>,
    tick: Tick,
    /// What the provider billed for requests of this life and the journal may not have.
    billed: i64,
}

struct World {
    vault: Mutex<Vault>,
    scripts: Vec<Script>,
    requests: Vec<Request>,
    lives: Vec<Option<Life>>,
    /// Dead nodes that left something: what the provider billed for them in all.
    billed: i64,
    left: Bounds,
    commits: Vec<u8>,
    crashed: bool,
}

fn money(nanos: i64) -> Money {
    Money::from_nanos(nanos)
}

// === the world and its steps ===

impl World {
    fn new(scripts: &[Script], nodes: usize, bounds: Bounds) -> Self {
        let vault = Mutex::new(Vault::new());
        for (id, limit) in LIMITS {
            vault.put_budget(&sample::budget(id, limit)).unwrap();
        }
        let mut world = Self {
            vault,
            scripts: scripts.to_vec(),
            requests: scripts.iter().map(|_| Request::New).collect(),
            lives: Vec::new(),
            billed: 0,
            left: bounds,
            commits: vec![bounds.commits; nodes],
            crashed: false,
        };
        world.lives = (0..nodes).map(|_| Some(world.born())).collect();
        world
    }

    fn born(&self) -> Life {
        let book = Book::new(Settings::default());
        book.rule_by(&self.vault.budgets().unwrap());
        let epoch = self.vault.open_node("n", WALL).unwrap();
        let teller = Teller::new(Arc::clone(&book), epoch, Fences::default(), Tick(0));
        Life { book, teller, answer: None, tick: Tick(0), billed: 0 }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, request) in self.requests.iter().enumerate() {
            let script = &self.scripts[at];
            let Some(life) = &self.lives[script.node] else { continue };
            match request {
                Request::New => steps.push(Step::Reserve(at)),
                // It is woken by an answer.
                Request::Waiting(answered) if answers(life) > *answered => steps.push(Step::Reserve(at)),
                Request::Waiting(_) | Request::Done => {}
                Request::Held(_) => steps.extend([Step::Send(at), Step::Drop(at)]),
                Request::Sent(_, grown) => {
                    steps.extend([Step::Settle(at), Step::Drop(at)]);
                    if script.grow.is_some() && !grown {
                        steps.push(Step::Grow(at));
                    }
                }
            }
        }
        for (at, life) in self.lives.iter().enumerate() {
            let Some(life) = life else {
                steps.push(Step::Restart(at));
                continue;
            };
            match &life.answer {
                Some(_) => {
                    steps.push(Step::Deliver(at));
                    if self.left.lost > 0 {
                        steps.push(Step::Lose(at));
                    }
                }
                None if self.commits[at] > 0 => steps.push(Step::Commit(at)),
                None => {}
            }
            if self.left.crashes > 0 {
                steps.push(Step::Crash(at));
            }
            if self.left.expiries > 0 {
                steps.push(Step::Expire(at));
            }
            if self.left.fences > 0 {
                steps.push(Step::Fence(at));
            }
        }
        if self.crashed {
            let dead = self.vault.nodes().unwrap().into_iter().filter(|node| !node.alive);
            let mine = |epoch: i64| self.lives.iter().flatten().any(|life| life.teller.epoch().0 == epoch);
            steps.extend(dead.filter(|n| !mine(n.epoch.0)).map(|n| Step::Reconcile(n.epoch.0 as usize)));
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Reserve(at) => self.reserve(at),
            Step::Send(at) => {
                let Request::Held(mut permit) = std::mem::replace(&mut self.requests[at], Request::Done)
                else {
                    return;
                };
                let first = self.scripts[at].first;
                self.bill(at, first);
                permit.risk(Some(charge(first)));
                self.requests[at] = Request::Sent(permit, false);
            }
            Step::Grow(at) => {
                let node = self.scripts[at].node;
                let (Some(life), Request::Sent(permit, grown)) = (&self.lives[node], &mut self.requests[at])
                else {
                    return;
                };
                let more = self.scripts[at].grow.unwrap_or(0);
                *grown = true;
                // Refused or not: what is held covers what was billed, and the end is chosen by what is held.
                let _ = permit.grow(Amount::exactly(money(more)), &now(life));
            }
            Step::Settle(at) => {
                let Request::Sent(permit, _) = std::mem::replace(&mut self.requests[at], Request::Done)
                else {
                    return;
                };
                let script = self.scripts[at];
                // A stream that could not grow is ended within what it holds.
                let last = script.last.min(permit.held().nanos());
                self.bill(at, last - script.first);
                permit.settle(charge(last));
            }
            Step::Drop(at) => self.requests[at] = Request::Done,
            Step::Commit(at) => {
                let Some(life) = &mut self.lives[at] else { return };
                let exchange = life.teller.exchange(WALL, false).clone();
                life.answer = self.vault.exchange(&exchange).ok();
                self.commits[at] -= 1;
            }
            Step::Deliver(at) => {
                let Some(life) = &mut self.lives[at] else { return };
                if let Some(answer) = life.answer.take() {
                    life.teller.answered(&answer, life.tick, life.tick);
                }
            }
            Step::Lose(at) => {
                self.left.lost -= 1;
                if let Some(life) = &mut self.lives[at] {
                    life.answer = None;
                }
            }
            Step::Crash(at) => {
                self.left.crashes -= 1;
                self.crashed = true;
                for (script, request) in self.scripts.iter().zip(&mut self.requests) {
                    if script.node == at && !matches!(request, Request::New | Request::Waiting(_)) {
                        *request = Request::Done;
                    }
                }
                if let Some(life) = self.lives[at].take() {
                    self.billed += life.billed;
                }
            }
            Step::Restart(at) => {
                self.lives[at] = Some(self.born());
                self.commits[at] = self.commits[at].max(1);
            }
            Step::Expire(at) => {
                self.left.expiries -= 1;
                if let Some(life) = &mut self.lives[at] {
                    life.tick = life.tick.plus(Fences::default().own);
                }
            }
            Step::Fence(_) => {
                self.left.fences -= 1;
                self.vault.fence(WALL + 1, WALL).unwrap();
            }
            Step::Reconcile(epoch) => {
                let leases = self.vault.leases().unwrap();
                for lease in
                    leases.into_iter().filter(|lease| lease.epoch.0 as usize == epoch && lease.uncertain)
                {
                    // The administrator knows the provider's bill of all that died, and books it from what is uncertain.
                    let settled = self.row(&lease.account.budget).0;
                    let alive: i64 = self.lives.iter().flatten().map(|life| life.billed).sum();
                    let missing = (self.billed + alive - settled).clamp(0, lease.amount.nanos());
                    let reconcile = Reconcile {
                        account: lease.account,
                        epoch: lease.epoch,
                        spent: money(missing),
                        request: RequestId::from_u128(1_000 + epoch as u128),
                        at_ms: WALL,
                        reason: "by the bill".into(),
                    };
                    self.vault.reconcile(&reconcile).unwrap();
                }
            }
        }
    }

    fn reserve(&mut self, at: usize) {
        let Some(life) = &self.lives[self.scripts[at].node] else { return };
        let seats = life.book.seats(&Subject::new(), WALL, &[]);
        let id = RequestId::from_u128(at as u128);
        let amount = Amount::exactly(money(self.scripts[at].hold));
        self.requests[at] = match life.book.reserve(id, seats, amount, &now(life)) {
            Ok(permit) => Request::Held(permit),
            Err(_) => Request::Waiting(answers(life)),
        };
    }

    fn bill(&mut self, at: usize, amount: i64) {
        if let Some(life) = &mut self.lives[self.scripts[at].node] {
            life.billed += amount;
        }
    }

    /// Settled, leased and uncertain of a budget's account.
    fn row(&self, budget: &str) -> (i64, i64, i64) {
        let filter = AccountFilter { budget: Some(budget.into()), now_ms: WALL, ..AccountFilter::default() };
        let row = self.vault.accounts(&filter).unwrap().into_iter().next();
        row.map_or((0, 0, 0), |row| (row.settled.nanos(), row.leased.nanos(), row.uncertain.nanos()))
    }

    fn billed(&self) -> i64 {
        self.billed + self.lives.iter().flatten().map(|life| life.billed).sum::<i64>()
    }
}

fn now(life: &Life) -> Now {
    Now { tick: life.tick, wall_ms: WALL, outage: false }
}

fn charge(amount: i64) -> Charge {
    Charge { amount: money(amount), at_ms: WALL, price: "p".into(), estimated: false }
}

fn answers(life: &Life) -> u64 {
    life.book.accounts().iter().map(|account| account.answered()).max().unwrap_or(0)
}

// === the promises ===

impl World {
    fn check(&self) {
        for (budget, limit) in LIMITS {
            let (settled, leased, uncertain) = self.row(budget);
            assert!(settled >= 0 && leased >= 0 && uncertain >= 0, "{budget}: below zero");
            assert!(settled + leased + uncertain <= limit, "{budget}: more is given out than there is");
            assert!(self.billed() <= limit, "{budget}: the provider billed more than the limit");
            assert!(self.billed() <= settled + leased + uncertain, "{budget}: a bill is missing");
        }
        // What is leased is free, held, or spent and not journaled.
        for life in self.lives.iter().flatten() {
            for account in life.book.accounts() {
                let view = account.view();
                let back = life.teller.going_back(&account.key);
                let parts = view.free.nanos() + view.held.nanos() + view.unbooked.nanos() + back.nanos();
                assert_eq!(view.lease.nanos(), parts, "{:?}: money made or lost", account.key);
                assert!(view.free.nanos() >= 0 && view.held.nanos() >= 0, "{:?}: overspent", account.key);
            }
        }
    }

    /// Ends everything in good order.
    fn stop(mut self) {
        for at in 0..self.requests.len() {
            match &self.requests[at] {
                Request::Sent(..) => self.take(Step::Settle(at)),
                _ => self.take(Step::Drop(at)),
            }
        }
        self.check();
        for life in self.lives.iter_mut().flatten() {
            // An answer that is under way is lost; it is asked for again.
            life.answer = None;
            for _ in 0..4 {
                let exchange = life.teller.exchange(WALL, true).clone();
                let answer = self.vault.exchange(&exchange).unwrap();
                life.teller.answered(&answer, life.tick, life.tick);
            }
            assert!(life.teller.is_done(), "something is left: {:?}", life.teller);
            assert_eq!(life.book.places(), 0, "a place is still taken");
            self.vault.close_node(life.teller.epoch(), WALL).unwrap();
        }
        self.vault.fence(WALL + 1, WALL).unwrap();
        let billed = self.billed();
        for (budget, limit) in LIMITS {
            let (settled, leased, uncertain) = self.row(budget);
            assert_eq!(leased, 0, "{budget}");
            assert!(settled + uncertain >= billed && settled + uncertain <= limit, "{budget}");
            if !self.crashed {
                assert_eq!((settled, uncertain), (billed, 0), "{budget}: a clean stop is exact");
            }
        }
    }

    /// Everything that decides what can happen next, as a number.
    fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.vault.lock().unwrap()).hash(&mut hasher);
        for life in &self.lives {
            let Some(life) = life else {
                0.hash(&mut hasher);
                continue;
            };
            let mut accounts = life.book.accounts();
            accounts.sort_by(|a, b| a.key.cmp(&b.key));
            format!("{accounts:?} {:?} {:?} {} {}", life.teller, life.answer, life.tick.0, life.billed)
                .hash(&mut hasher);
            life.book.has_settled().hash(&mut hasher);
        }
        for request in &self.requests {
            match request {
                Request::New => "new".hash(&mut hasher),
                Request::Waiting(answered) => ("waiting", answered).hash(&mut hasher),
                Request::Held(permit) => ("held", permit.held().nanos()).hash(&mut hasher),
                Request::Sent(permit, grown) => ("sent", permit.held().nanos(), grown).hash(&mut hasher),
                Request::Done => "done".hash(&mut hasher),
            }
        }
        let Bounds { lost, crashes, fences, expiries, .. } = self.left;
        (lost, crashes, fences, expiries, &self.commits, self.crashed, self.billed).hash(&mut hasher);
        hasher.finish()
    }
}

// === the exploration ===

struct Explorer<'a> {
    scripts: &'a [Script],
    nodes: usize,
    bounds: Bounds,
    seen: HashSet<u64>,
    steps: u64,
    refused: u64,
}

impl Explorer<'_> {
    fn replay(&self, path: &[Step]) -> World {
        let mut world = World::new(self.scripts, self.nodes, self.bounds);
        path.iter().for_each(|step| world.take(*step));
        world
    }

    fn run(&mut self) {
        let mut open: Vec<Vec<Step>> = vec![Vec::new()];
        while let Some(path) = open.pop() {
            let world = self.replay(&path);
            self.steps += 1;
            let told = std::panic::AssertUnwindSafe(|| world.check());
            if let Err(panic) = std::panic::catch_unwind(told) {
                eprintln!("after {path:?}");
                std::panic::resume_unwind(panic);
            }
            if !self.seen.insert(world.print()) {
                continue;
            }
            self.refused += u64::from(world.requests.iter().any(|r| matches!(r, Request::Waiting(_))));
            let steps = world.steps();
            let told = std::panic::AssertUnwindSafe(|| world.stop());
            if let Err(panic) = std::panic::catch_unwind(told) {
                eprintln!("stopped after {path:?}");
                std::panic::resume_unwind(panic);
            }
            open.extend(steps.into_iter().map(|step| path.iter().copied().chain([step]).collect()));
        }
    }
}

fn explore(name: &str, scripts: &[Script], nodes: usize, bounds: Bounds) {
    let mut explorer = Explorer { scripts, nodes, bounds, seen: HashSet::new(), steps: 0, refused: 0 };
    explorer.run();
    let Explorer { seen, steps, refused, .. } = explorer;
    println!("{name}: {} states, {steps} steps, {refused} states with a request that waits", seen.len());
    assert!(seen.len() > 100 && refused > 0, "the bounds are too narrow to say anything");
}

fn deep() -> bool {
    std::env::var_os("LOCKGATE_EXPLORE").is_some()
}

const PLAIN: Script = Script { node: 0, hold: 4, grow: None, first: 1, last: 4 };
const CALM: Bounds = Bounds { commits: 2, lost: 0, crashes: 0, fences: 0, expiries: 0 };

#[test]
fn two_requests_on_one_node_share_two_accounts() {
    let grows = Script { hold: 3, grow: Some(6), last: 6, ..PLAIN };
    let bounds = Bounds { commits: 3, lost: 1, ..CALM };
    explore("one node", &[PLAIN, grows], 1, bounds);
}

#[test]
fn a_node_that_dies_leaves_no_bill_behind() {
    let bounds = Bounds { commits: 2, crashes: 1, fences: 1, lost: u8::from(deep()), ..CALM };
    explore("crash", &[PLAIN, Script { hold: 6, last: 5, ..PLAIN }], 1, bounds);
}

#[test]
fn two_nodes_do_not_spend_the_same_money() {
    let other = Script { node: 1, hold: 6, grow: None, first: 2, last: 5 };
    let bounds = Bounds { commits: 2, fences: 1, lost: u8::from(deep()), ..CALM };
    explore("two nodes", &[PLAIN, other], 2, bounds);
}

#[test]
fn a_node_that_dies_beside_one_that_lives() {
    let other = Script { node: 1, hold: 5, grow: None, first: 2, last: 5 };
    let commits = if deep() { 3 } else { 1 };
    explore("crash of one of two", &[PLAIN, other], 2, Bounds { commits, crashes: 1, fences: 1, ..CALM });
}

#[test]
fn a_node_that_is_cut_off_stops_and_returns() {
    let bounds = Bounds { commits: 3, expiries: 1, fences: 1, lost: 1, ..CALM };
    explore("cut off", &[PLAIN], 1, bounds);
}
