//! How a route chooses among its branches. A strategy is one file with its options, its code and its tests, and one line in
//! the list below.

use crate::rank::{Chooser, Scene};
use crate::route::Branch;
use crate::tree::Spot;
use crate::view::Scales;

/// What each strategy does.
pub(crate) trait Choose {
    /// Its branches, in the order in which they are nodes of the [`Chooser`].
    fn branches(&self) -> Vec<&Branch>;

    /// Whether the models of a wildcard are branches of their own rather than one branch together.
    fn compares(&self) -> bool {
        false
    }

    /// Puts the eligible candidates of its nodes in order of preference behind what is in `out`.
    fn rank(&self, chooser: &Chooser, scene: &mut Scene<'_>, out: &mut Vec<u16>);
}

/// What a strategy works out once for a snapshot.
pub(crate) type Prepared = score::Table;

/// Declares the list: a module, a type of options and a name in the config for each.
macro_rules! strategies {
    ($($name:ident = $code:literal in $module:ident,)+) => {
        $(mod $module; pub use $module::$name;)+

        /// A way to choose, with its options.
        #[derive(Clone, Debug)]
        pub enum Strategy {
            $(#[doc = concat!("`", $code, "`.")] $name($name),)+
        }

        impl Strategy {
            /// The names of all of them, as a config writes them.
            pub const NAMES: &'static [&'static str] = &[$($code,)+];

            /// Its name in a config.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $code,)+ }
            }

            pub(crate) fn choose(&self) -> &dyn Choose {
                match self { $(Self::$name(options) => options,)+ }
            }
        }
    };
}

strategies! {
    Ordered = "ordered" in ordered,
    Weighted = "weighted" in weighted,
    Cost = "cost" in cost,
    Latency = "latency" in latency,
    LeastBusy = "least-busy" in least_busy,
    Score = "score" in score,
    Complexity = "complexity" in complexity,
    Sticky = "sticky" in sticky,
    Named = "route" in named,
}

pub use complexity::Tiers;
pub use score::{Dollars, Explore, Missing, Mode, Weigh};
pub use sticky::By;

impl Strategy {
    /// What it can work out once for these spots of a snapshot.
    pub(crate) fn prepare(&self, below: &[u16], spots: &[Spot], scales: &Scales) -> Option<Prepared> {
        match self {
            Self::Score(score) => Some(Prepared::of(score, below, spots, scales)),
            _ => None,
        }
    }
}
