//! `route`: another route, with its rules.

use std::sync::Arc;

use super::Choose;
use crate::rank::{Chooser, Scene};
use crate::route::Branch;

/// Another route. What it requires is added to what is required here, what it does not set is inherited.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name. A circle is refused when a config is read; here it is cut.
    pub route: Arc<str>,
}

impl Choose for Named {
    fn branches(&self) -> Vec<&Branch> {
        Vec::new()
    }

    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>) {
        for node in &chooser.nodes {
            node.rank(scene, out);
        }
    }
}
