//! `complexity`: a branch for each of three degrees.

use super::Choose;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Branches by how hard a request looks. Behind the branch of its degree come the harder ones, then the easier.
#[derive(Clone, Debug)]
pub struct Complexity {
    /// For each degree.
    pub tiers: Tiers<Branch>,
    /// Up to this complexity, in millionths, a request is simple. Default 330,000.
    pub simple_below: u32,
    /// From this complexity on, in millionths, a request is complex. Default 660,000.
    pub complex_from: u32,
}

/// Something for each of three degrees. Without one for the medium, the complex one is taken.
#[derive(Clone, Debug)]
pub struct Tiers<T> {
    /// For simple requests.
    pub simple: T,
    /// For those between.
    pub medium: Option<T>,
    /// For complex requests.
    pub complex: T,
}

impl Choose for Complexity {
    fn branches(&self) -> Vec<&Branch> {
        let Tiers { simple, medium, complex } = &self.tiers;
        [Some(simple), medium.as_ref(), Some(complex)].into_iter().flatten().collect()
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        let task = scene.ask.task().clone();
        let complexity = task.complexity;
        scene.choice.task = Some(task);
        let last = chooser.nodes.len().saturating_sub(1);
        let tier = match complexity {
            simple if simple < self.simple_below => 0,
            complex if complex >= self.complex_from => last,
            // With a branch of its own the medium one stands between the others, without it is the complex one.
            _ => 1,
        };
        let (easier, harder) = chooser.nodes.split_at(tier.min(last));
        harder.iter().chain(easier.iter().rev()).for_each(|node| node.rank(scene, out));
    }
}
