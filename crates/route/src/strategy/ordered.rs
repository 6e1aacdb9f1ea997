//! `ordered`: as declared.

use super::Choose;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Its branches in the order of preference.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The branches.
    pub branches: Vec<Branch>,
}

impl Choose for Ordered {
    fn branches(&self) -> Vec<&Branch> {
        self.branches.iter().collect()
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        for node in &chooser.nodes {
            node.rank(scene, out);
        }
    }
}
