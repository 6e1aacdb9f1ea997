//! `weighted`: a draw in proportion to weights, and the further order by further draws among the rest.

use super::Choose;
use crate::draw::{draw, share};
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Branches with weights.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// The branches, and how often each comes first in relation to the others. A weight of 0 comes last.
    pub branches: Vec<(Branch, u32)>,
}

impl Choose for Weighted {
    fn branches(&self) -> Vec<&Branch> {
        self.branches.iter().map(|(branch, _)| branch).collect()
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        // Each branch draws the time until it would come up at its rate; the earliest is first (Efraimidis and Spirakis
        // 2006). So the first is drawn in proportion to the weights, and each further one among those that are left.
        let mut drawn: Vec<_> = chooser
            .nodes
            .iter()
            .zip(&self.branches)
            .zip(1_u64..)
            .map(|((node, (_, weight)), place)| {
                let chance = share(draw(scene.ask.seed, chooser.number << 16 | place));
                let wait = if *weight == 0 { f64::INFINITY } else { -(1.0 - chance).ln() / f64::from(*weight) };
                (wait, node)
            })
            .collect();
        drawn.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        drawn.into_iter().for_each(|(_, node)| node.rank(scene, out));
    }
}
