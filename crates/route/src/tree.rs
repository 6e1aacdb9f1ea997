//! A route made ready: names resolved, wildcards spread out, settings inherited, circles cut.

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_core::decision::Fallback;
use lockgate_core::record::Target;
use lockgate_core::{Candidate, Upstream};

use crate::condition::Condition;
use crate::draw;
use crate::endpoint::{Endpoint, Registry};
use crate::policy::Policy;
use crate::rank::Node;
use crate::route::{Branch, Pick, Require, Route, RouteSettings};
use crate::strategy::Strategy;
use crate::view::{Knowledge, Scales};

/// A route made ready for requests.
#[derive(Debug)]
pub struct Tree {
    /// Every place where an endpoint stands in it; those of its own tree first, then those of its fallbacks.
    pub spots: Vec<Spot>,
    /// How many of the spots are of its own tree.
    pub own: usize,
    /// Its own spots as the candidates of a decision that excludes none of them.
    pub(crate) candidates: Arc<[Candidate]>,
    /// Itself.
    pub(crate) root: Ready,
    /// The tree on trial.
    pub(crate) shadow: Option<Node>,
    /// Its lists by class of failure.
    pub(crate) fallback: Vec<(Fallback, Vec<u16>)>,
    /// The benchmarks that scores are of.
    pub(crate) scales: Scales,
    /// The version of the catalogue.
    pub(crate) catalog: Arc<str>,
    pub(crate) policy: Option<Arc<dyn Policy>>,
    pub(crate) registry: Arc<Registry>,
    /// Whether anything in it weighs targets against each other, rather than taking them in an order given.
    pub(crate) weighs: bool,
    /// Whether a branch or a target stands in it more than once, so that an order can hold a target twice.
    pub(crate) repeats: bool,
    /// Whether it is one list of targets in order, and nothing else is asked.
    pub(crate) plain: bool,
}

/// An endpoint at a place in a tree.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// How it is called there.
    pub settings: Arc<RouteSettings>,
    /// What it must be there.
    pub require: Arc<Require>,
    /// Breaks ties; of its target alone.
    pub(crate) hash: u64,
    /// Whether its provider can be spoken to about it.
    pub(crate) spoken: bool,
}

/// The rules and the rest of one route, within another or on its own.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) name: Arc<str>,
    pub(crate) rules: Vec<ReadyRule>,
    pub(crate) then: Node,
    pub(crate) on_error: Option<Node>,
}

#[derive(Debug)]
pub(crate) struct ReadyRule {
    pub(crate) name: Arc<str>,
    pub(crate) condition: Arc<dyn Condition>,
    pub(crate) then: Node,
    pub(crate) on_error: Option<Node>,
}

/// What a tree is made of.
pub(crate) struct Grower<'a> {
    pub(crate) upstreams: &'a [Arc<Upstream>],
    pub(crate) routes: &'a HashMap<Arc<str>, Route>,
    pub(crate) knowledge: &'a dyn Knowledge,
    pub(crate) endpoint: &'a dyn Fn(&Arc<Upstream>, &str) -> Arc<Endpoint>,
    spots: Vec<Spot>,
    depth: usize,
    /// How many strategies there were so far.
    count: u64,
    scales: Scales,
    repeats: bool,
}

/// What is inherited downwards.
#[derive(Clone)]
struct Inherited {
    settings: Arc<RouteSettings>,
    require: Arc<Require>,
}

/// Routes and strategies that may stand in one another.
const DEEPEST: usize = 16;
/// Targets of one tree.
const MOST: usize = 4_096;

// === impl Tree ===

impl Tree {
    /// The endpoints of its own tree, in the order of the route, none twice.
    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(self.own);
        for spot in &self.spots[..self.own] {
            if !endpoints.iter().any(|known| known.target == spot.endpoint.target) {
                endpoints.push(Arc::clone(&spot.endpoint));
            }
        }
        endpoints
    }
}

// === impl Grower ===

impl<'a> Grower<'a> {
    pub(crate) fn new(
        upstreams: &'a [Arc<Upstream>],
        routes: &'a HashMap<Arc<str>, Route>,
        knowledge: &'a dyn Knowledge,
        endpoint: &'a dyn Fn(&Arc<Upstream>, &str) -> Arc<Endpoint>,
    ) -> Self {
        let scales = knowledge.scales();
        Self {
            upstreams,
            routes,
            knowledge,
            endpoint,
            spots: Vec::new(),
            depth: 0,
            count: 0,
            scales,
            repeats: false,
        }
    }

    /// The tree of a route.
    pub(crate) fn grow(
        mut self,
        route: &Route,
        policy: Option<Arc<dyn Policy>>,
        registry: &Arc<Registry>,
    ) -> Tree {
        let top = Inherited { settings: Arc::default(), require: Arc::default() };
        let root = self.route(route, &top);
        let here = top.of(route);
        let own = self.spots.len();
        let shadow = route.shadow.as_ref().map(|branch| self.branch(branch, &here));
        let fallback = route.fallback.iter().map(|(class, branches)| {
            let mut nodes: Vec<Node> = Vec::new();
            for branch in branches {
                nodes.push(self.branch(branch, &here));
            }
            let mut spots = Vec::new();
            nodes.iter().for_each(|node| node.spots(&mut spots));
            (*class, spots)
        });
        let fallback = fallback.collect();
        let plain = route.when.is_empty()
            && route.shadow.is_none()
            && self.spots.iter().all(|spot| spot.require.is_nothing() && spot.settings == here.settings)
            && is_list(&root.then);
        let repeats = self.repeats || own != self.spots.len();
        let own_spots = self.spots[..own].iter();
        let candidates = own_spots.map(|spot| Candidate::eligible(&spot.endpoint.target)).collect();
        let weighs = root.weighs() || shadow.as_ref().is_some_and(Node::weighs);
        Tree {
            spots: self.spots,
            own,
            candidates,
            root,
            shadow,
            fallback,
            scales: self.scales,
            catalog: self.knowledge.version(),
            policy,
            registry: Arc::clone(registry),
            weighs,
            repeats,
            plain,
        }
    }

    fn route(&mut self, route: &Route, outer: &Inherited) -> Ready {
        let here = outer.of(route);
        let mut rules = Vec::with_capacity(route.when.len());
        for rule in &route.when {
            rules.push(ReadyRule {
                name: Arc::clone(&rule.name),
                condition: Arc::clone(&rule.condition),
                then: self.branch(&rule.then, &here),
                on_error: rule.on_error.as_ref().map(|branch| self.branch(branch, &here)),
            });
        }
        let then = self.branch(&route.then, &here);
        let on_error = route.on_error.as_ref().map(|branch| self.branch(branch, &here));
        Ready { name: Arc::clone(&route.name), rules, then, on_error }
    }

    fn branch(&mut self, branch: &Branch, outer: &Inherited) -> Node {
        let own = branch.settings.as_ref().map(|settings| Inherited {
            settings: Arc::new(settings.within(&outer.settings)),
            require: Arc::clone(&outer.require),
        });
        let here = own.as_ref().unwrap_or(outer);
        match &branch.pick {
            Pick::Target(target) => Node::group(self.target(target, here).into_iter().collect()),
            Pick::Wildcard(pattern) => Node::group(self.wildcard(pattern, here)),
            Pick::Strategy(strategy) => self.strategy(strategy, here),
        }
    }

    fn strategy(&mut self, strategy: &Strategy, here: &Inherited) -> Node {
        if self.depth >= DEEPEST {
            return Node::Group(Vec::new());
        }
        self.depth += 1;
        let node = if let Strategy::Named(named) = strategy {
            match self.routes.get(&named.route) {
                Some(route) => Node::Route(Box::new(self.route(route, here))),
                None => Node::Group(Vec::new()),
            }
        } else {
            let choose = strategy.choose();
            let mut nodes = Vec::new();
            for branch in choose.branches() {
                match self.branch(branch, here) {
                    Node::Group(spots) if choose.compares() => {
                        nodes.extend(spots.into_iter().map(Node::Leaf));
                    }
                    node => nodes.push(node),
                }
            }
            self.count += 1;
            Node::choose(strategy, nodes, &self.spots, &self.scales, self.count)
        };
        self.depth -= 1;
        node
    }

    fn wildcard(&mut self, pattern: &str, here: &Inherited) -> Vec<u16> {
        let Some((provider, model)) = pattern.split_once('/') else { return Vec::new() };
        let mut spots = Vec::new();
        for upstream in self.upstreams.iter().filter(|upstream| fits(provider, &upstream.name)) {
            let mut models = self.knowledge.models(upstream, model);
            let listed =
                upstream.models.iter().filter(|listed| fits(model, listed) && !models.contains(listed));
            let listed: Vec<_> = listed.cloned().collect();
            models.extend(listed);
            for model in models {
                spots.extend(self.spot(upstream, &model, here));
            }
        }
        spots
    }

    fn target(&mut self, target: &Target, here: &Inherited) -> Option<u16> {
        let upstream = self.upstreams.iter().find(|upstream| upstream.name == target.provider)?;
        self.spot(upstream, &target.model, here)
    }

    /// The spot of an endpoint; one that stands there already under the same terms is that one.
    fn spot(&mut self, upstream: &Arc<Upstream>, model: &str, here: &Inherited) -> Option<u16> {
        let same = |spot: &Spot| {
            *spot.endpoint.target.model == *model
                && spot.endpoint.target.provider == upstream.name
                && spot.settings == here.settings
                && spot.require == here.require
        };
        let at = match self.spots.iter().position(same) {
            Some(at) => {
                self.repeats = true;
                at
            }
            None if self.spots.len() >= MOST => return None,
            None => {
                let hash = draw::hash(&[upstream.name.as_bytes(), model.as_bytes()]);
                self.repeats |= self.spots.iter().any(|spot| spot.hash == hash);
                let speaks = &upstream.speaks;
                self.spots.push(Spot {
                    hash,
                    // The demo and the providers of tests speak whatever they are asked in.
                    spoken: speaks.is_empty() || upstream.speech("", model).is_some(),
                    endpoint: (self.endpoint)(upstream, model),
                    settings: Arc::clone(&here.settings),
                    require: Arc::clone(&here.require),
                });
                self.spots.len() - 1
            }
        };
        u16::try_from(at).ok()
    }
}

// === impl Inherited ===

impl Inherited {
    fn of(&self, route: &Route) -> Self {
        let settings = Arc::new(route.settings.within(&self.settings));
        let require = Arc::new(route.require.and(&self.require));
        Self { settings, require }
    }
}

// === impl Ready ===

impl Ready {
    pub(crate) fn weighs(&self) -> bool {
        let rules = self.rules.iter().flat_map(|rule| [Some(&rule.then), rule.on_error.as_ref()]);
        rules.chain([Some(&self.then), self.on_error.as_ref()]).flatten().any(Node::weighs)
    }
}

/// Whether a node is targets in order, and nothing else.
fn is_list(node: &Node) -> bool {
    match node {
        Node::Leaf(_) | Node::Group(_) => true,
        Node::Route(ready) => ready.rules.is_empty() && is_list(&ready.then),
        Node::Choose(choose) => {
            matches!(choose.strategy, Strategy::Ordered(_)) && choose.nodes.iter().all(is_list)
        }
    }
}

/// Whether a text fits a pattern in which `*` stands for any text. Takes at most length times length, no recursion.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), text.get(seen)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                at += 1;
                retry = Some((at, seen));
            }
            (Some(wanted), Some(byte)) if wanted == byte => (at, seen) = (at + 1, seen + 1),
            (_, None) => return false,
            _ => {
                let Some((star, from)) = retry else { return false };
                (at, seen) = (star, from + 1);
                retry = Some((star, from + 1));
            }
        }
    }
}
