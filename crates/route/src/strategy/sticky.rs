//! `sticky`: the target that served before, as long as it may.

use std::time::Duration;

use lockgate_core::decision::{Held, Sticky as Decided};

use super::Choose;
use crate::ask::Ask;
use crate::draw;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Keeps a session, user or customer with its target.
#[derive(Clone, Debug)]
pub struct Sticky {
    /// What keeps together.
    pub by: By,
    /// How long after its last request; `None`: as long as the provider's prompt cache keeps a prompt, or five minutes.
    pub keep: Option<Duration>,
    /// What chooses at first, and when the former target may not be used.
    pub branch: Branch,
}

/// What keeps together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The conversation: see [`crate::Ask::session`].
    #[default]
    Session,
    /// The person or account at the end.
    User,
    /// The customer.
    Customer,
    /// The key.
    Key,
}

impl Sticky {
    /// Stands for what keeps together.
    fn session(&self, ask: &Ask<'_>) -> Option<u64> {
        let of = |what: &str, name: &str| draw::hash(&[what.as_bytes(), name.as_bytes()]);
        match self.by {
            By::Session => ask.session(),
            By::User => ask.attribution.user.as_deref().map(|user| of("user", user)),
            By::Customer => ask.attribution.customer.as_deref().map(|customer| of("customer", customer)),
            By::Key => Some(of("key", &ask.key.id)),
        }
    }
}

impl Choose for Sticky {
    fn branches(&self) -> Vec<&Branch> {
        vec![&self.branch]
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        let mut order = Vec::new();
        chooser.nodes.iter().for_each(|node| node.rank(scene, &mut order));
        let session = self.session(scene.ask);
        scene.remember.extend(session);
        if let Some(memory) = session.and_then(|session| scene.recall(session, self.keep)) {
            let tree = scene.tree;
            let is = |spot: &u16| tree.spots[usize::from(*spot)].endpoint.target == memory.target;
            let before = order.iter().position(is);
            let held = if before.is_some() { Held::Kept } else { Held::Excluded };
            let spot = before.map(|at| order.remove(at));
            let any = || (0..).zip(&tree.spots).find(|(spot, _)| is(spot)).map(|(spot, _)| spot);
            if let Some(candidate) = spot.or_else(any) {
                scene.choice.sticky = Some(Decided { candidate, held, needed: 0 });
            }
            out.extend(spot);
        }
        out.extend(order);
    }
}
