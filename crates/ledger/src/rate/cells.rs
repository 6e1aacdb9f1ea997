//! The cells of one limit, by the value of its `per`. Found by a hash; those that nobody uses are forgotten as new ones come.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockgate_core::Tick;

use super::cell::{Cell, Scale};

/// The cells of a limit.
#[derive(Debug)]
pub(super) struct Cells {
    /// The one of the empty value: the only one of a limit without `per`.
    whole: Arc<Cell>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    /// That of all values for which there is no room.
    rest: Arc<Cell>,
    most: usize,
}

#[derive(Debug, Default)]
struct Shard {
    by_value: HashMap<Arc<str>, Arc<Cell>>,
    /// Each cell once, in the order in which they are to be looked at.
    turn: VecDeque<Arc<Cell>>,
}

/// The most values of one limit that are told apart; those beyond count together. Values may come from clients.
pub(super) const MOST: usize = 1 << 20;
const SHARDS: usize = 64;
/// Cells that are looked at for each that comes: with two the idle ones go faster than new ones come.
const LOOKS: usize = 2;
/// Who has a cell that nobody uses: its map and its queue.
const OWNERS: usize = 2;

// === impl Cells ===

impl Cells {
    /// None but that of the empty value; with room for so many.
    pub(super) fn new(most: usize, many: bool) -> Self {
        let shards = if many { SHARDS } else { 0 };
        Self {
            whole: Arc::new(Cell::new(Arc::default())),
            hasher: RandomState::new(),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            rest: Arc::new(Cell::new(Arc::default())),
            most,
        }
    }

    /// The same cells as they stand, for another scale.
    pub(super) fn rescaled(&self, from: Scale, to: Scale, now: Tick) -> Self {
        let anew = |cell: &Arc<Cell>| Arc::new(cell.rescaled(from, to, now));
        let shard = |shard: &Mutex<Shard>| {
            let turn: VecDeque<_> = lock(shard).turn.iter().map(anew).collect();
            let by_value = turn.iter().map(|cell| (Arc::clone(&cell.value), Arc::clone(cell))).collect();
            Mutex::new(Shard { by_value, turn })
        };
        Self {
            whole: anew(&self.whole),
            hasher: self.hasher.clone(),
            shards: self.shards.iter().map(shard).collect(),
            rest: anew(&self.rest),
            most: self.most,
        }
    }

    /// The cell of the empty value.
    pub(super) fn whole(&self) -> Arc<Cell> {
        Arc::clone(&self.whole)
    }

    /// The cell of a value.
    pub(super) fn of(&self, value: &str, scale: Scale, now: Tick) -> Arc<Cell> {
        if value.is_empty() || self.shards.is_empty() {
            return self.whole();
        }
        let place = usize::try_from(self.hasher.hash_one(value) % self.shards.len() as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(place) else { return self.whole() };
        let mut shard = lock(shard);
        if let Some(cell) = shard.by_value.get(value) {
            return Arc::clone(cell);
        }
        shard.forget(scale, now);
        if shard.turn.len() >= self.most.div_ceil(self.shards.len()) {
            return Arc::clone(&self.rest);
        }
        let cell = Arc::new(Cell::new(value.into()));
        shard.by_value.insert(Arc::clone(&cell.value), Arc::clone(&cell));
        shard.turn.push_back(Arc::clone(&cell));
        cell
    }

    /// How many values there are beside the empty one.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).turn.len()).sum()
    }
}

// === impl Shard ===

impl Shard {
    /// Looks at the next few cells, and lets those go that stand as new ones would and that nobody has in hand.
    fn forget(&mut self, scale: Scale, now: Tick) {
        for _ in 0..LOOKS {
            let Some(cell) = self.turn.pop_front() else { return };
            // Cells are handed out under the lock that is held here, so nobody can come to have it meanwhile.
            if Arc::strong_count(&cell) <= OWNERS && cell.is_idle(scale, now) {
                self.by_value.remove(&cell.value);
            } else {
                self.turn.push_back(cell);
            }
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
