//! `cost`: what the request is expected to cost, the least first.

use lockgate_core::Money;

use super::Choose;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Branches to compare by cost. A branch is as dear as its first target; what has no known price comes last.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The branches.
    pub branches: Vec<Branch>,
}

impl Choose for Cost {
    fn branches(&self) -> Vec<&Branch> {
        self.branches.iter().collect()
    }

    fn compares(&self) -> bool {
        true
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        scene.compare(&chooser.nodes, out, |scene, spot| {
            let cost = scene.estimate(spot).cost.map_or(i64::MAX, Money::nanos);
            (cost, -cost)
        });
    }
}
