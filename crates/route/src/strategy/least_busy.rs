//! `least-busy`: the fewest calls under way.

use super::Choose;
use crate::draw::draw;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Branches to compare by calls under way. A branch is as busy as its first target; equals are drawn.
#[derive(Clone, Debug)]
pub struct LeastBusy {
    /// The branches.
    pub branches: Vec<Branch>,
}

impl Choose for LeastBusy {
    fn branches(&self) -> Vec<&Branch> {
        self.branches.iter().collect()
    }

    fn compares(&self) -> bool {
        true
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        scene.compare(&chooser.nodes, out, |scene, spot| {
            let calls = scene.estimate(spot).in_flight;
            // Among equals not always the same: on a quiet gateway all are equal.
            let chance = draw(scene.ask.seed, chooser.number << 16 | u64::from(spot));
            ((calls, chance), -i64::from(calls))
        });
    }
}
