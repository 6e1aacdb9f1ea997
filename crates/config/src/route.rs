//! `routes`: names that clients use as a model, and how what they stand for is picked.

pub(crate) mod demand;
pub(crate) mod patience;
pub(crate) mod score;
pub(crate) mod strategy;
pub(crate) mod target;
pub(crate) mod when;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::context::{Context, RouteMention};
use crate::declare::settings;
use crate::diagnostic::Complaint;
use crate::route::demand::Require;
use crate::route::patience::{DAY, Fallback, Hedge, RouteTimeouts, STEP, StreamRules};
use crate::route::strategy::Use;
use crate::route::when::Rule;
use crate::setting::{Fields, Place};

settings! {
    /// A model name of your own. A list of targets is short for `use` alone. What a route does not set holds as the route sets it that uses it as a branch.
    pub struct Route named name by refuse_name, shorthand "use", check Route::check {
        /// How it picks: a list of targets in order, or a strategy.
        branch as "use": Use => required;
        /// Conditions, tried in order before `use`; the first that is fulfilled counts.
        when: Vec<Rule>;
        /// What a request uses for which a condition cannot be evaluated.
        on_error: Option<Use> = None, shown "`use`";
        /// What is tried when all of that has failed.
        fallback: Fallback;
        /// What must hold of every target.
        require: Require;
        /// What happens to streams.
        stream: StreamRules;
        /// Whether a request that cannot be said in a target's dialect without a loss passes that target by.
        strict: Option<bool> = None, shown "`false`";
        /// A second attempt for the slowest.
        hedge: Option<Hedge> = None, shown "none";
        /// Further rounds over the targets after all of them have failed.
        retries: Option<u8> = None, shown "`1`", within Some(0)..=Some(10);
        /// Short for `timeouts: { attempt }`.
        attempt_timeout: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
        /// Short for `timeouts: { total }`.
        timeout: Option<Duration> = None, shown "none", within Some(STEP)..=Some(DAY);
        /// How long what may take.
        timeouts: RouteTimeouts;
        /// What is decided besides and written into the record, but not used.
        shadow: Option<Use> = None, shown "none";
    }
}

/// What is wrong with a route's name.
fn refuse_name(name: &str) -> Option<Complaint> {
    const LONGEST: usize = 128;
    if name.contains('/') {
        let complaint = Complaint::new("a route's name cannot contain \"/\"");
        return Some(complaint.hint("names with a slash are PROVIDER/MODEL"));
    }
    let good =
        (1..=LONGEST).contains(&name.len()) && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    (!good).then(|| Complaint::new(format!("a route's name has 1 to {LONGEST} bytes and no white space")))
}

impl Route {
    /// Judges what several fields decide together, and makes the long form of what was said in short.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        let pairs = [
            ("attempt_timeout", self.attempt_timeout, "attempt", &mut self.timeouts.attempt),
            ("timeout", self.timeout, "total", &mut self.timeouts.total),
        ];
        for (short, said, long, slot) in pairs {
            match said {
                Some(_) if slot.is_some() => cx.inside(Place::Key(short.to_owned()), |cx| {
                    let message = format!("says the same as timeouts.{long}");
                    cx.error(from.at(short), Complaint::new(message).hint("leave one of them out"));
                }),
                Some(_) => *slot = said,
                None => {}
            }
        }
        let mut names = HashSet::new();
        for (at, name) in
            self.when.iter().enumerate().filter_map(|(at, rule)| Some((at, rule.name.as_deref()?)))
        {
            if !names.insert(name) {
                let message = format!("rule {} has the name of a rule before it", at + 1);
                cx.inside(Place::Key("when".to_owned()), |cx| {
                    cx.error(from.at("when"), Complaint::new(message));
                });
            }
        }
    }
}

/// The mention that closes a circle, for each circle of routes that use each other: the first in the order of the file.
pub(crate) fn circles<'m>(routes: &[Route], mentions: &'m [RouteMention]) -> Vec<&'m RouteMention> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let number: HashMap<&str, usize> =
        routes.iter().enumerate().map(|(at, route)| (route.name.as_str(), at)).collect();
    let mut edges: Vec<Vec<(usize, &RouteMention)>> = vec![Vec::new(); routes.len()];
    for mention in mentions {
        if let (Some(from), Some(to)) = (number.get(mention.from.as_str()), number.get(mention.to.as_str())) {
            edges[*from].push((*to, mention));
        }
    }
    let mut marks = vec![Mark::New; routes.len()];
    let mut found = Vec::new();
    // Depth first, without recursion: a file may hold many routes.
    for start in 0..routes.len() {
        if marks[start] != Mark::New {
            continue;
        }
        let mut path = vec![(start, 0)];
        marks[start] = Mark::Open;
        while let Some((at, next)) = path.last_mut() {
            let Some((to, mention)) = edges[*at].get(*next).copied() else {
                marks[*at] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[to] {
                Mark::Done => {}
                Mark::Open => found.push(mention),
                Mark::New => {
                    marks[to] = Mark::Open;
                    path.push((to, 0));
                }
            }
        }
    }
    found
}
