//! `latency`: the expected time, the shortest first.

use super::Choose;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Branches to compare by time. A branch is as fast as its first target.
#[derive(Clone, Debug)]
pub struct Latency {
    /// The branches.
    pub branches: Vec<Branch>,
    /// Whether the time to the first token counts alone; else that to the end of a typical answer.
    pub first_token: bool,
}

impl Choose for Latency {
    fn branches(&self) -> Vec<&Branch> {
        self.branches.iter().collect()
    }

    fn compares(&self) -> bool {
        true
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        scene.compare(&chooser.nodes, out, |scene, spot| {
            let estimate = scene.estimate(spot);
            let us = if self.first_token { estimate.first_us } else { estimate.whole_us };
            (us, -i64::try_from(us).unwrap_or(i64::MAX))
        });
    }
}
