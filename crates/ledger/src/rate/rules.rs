//! The limits in force, so that those that count a request are found without looking at each.

use std::collections::HashMap;
use std::sync::Arc;

use lockgate_core::Tick;

use super::cell::{Cell, Scale};
use super::cells::{self, Cells};
use super::limit::Limit;
use crate::subject::{DIMENSIONS, Dimension, Subject};

/// A limit with its counters.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) limit: Limit,
    pub(super) scale: Scale,
    cells: Arc<Cells>,
}

/// All limits.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) all: Vec<Arc<Rule>>,
    /// Places of those that want one of certain values, by dimension and value.
    exact: [HashMap<Arc<str>, Vec<usize>>; DIMENSIONS.len()],
    /// Places of the others.
    rest: Vec<usize>,
}

// === impl Rule ===

impl Rule {
    fn new(limit: Limit) -> Self {
        let cells = Cells::new(cells::MOST, limit.per.is_some());
        Self { scale: Scale::of(&limit), cells: Arc::new(cells), limit }
    }

    /// A changed limit that goes on from where this one stands; `None` where the two do not count the same.
    fn changed(&self, limit: &Limit, now: Tick) -> Option<Self> {
        let same = (self.limit.count, self.limit.per) == (limit.count, limit.per);
        let scale = Scale::of(limit);
        let cells = || {
            if scale == self.scale {
                return Arc::clone(&self.cells);
            }
            Arc::new(self.cells.rescaled(self.scale, scale, now))
        };
        same.then(|| Self { cells: cells(), scale, limit: limit.clone() })
    }

    /// Hands out the counters that count a request.
    pub(super) fn cells(&self, subject: &Subject<'_>, now: Tick, mut each: impl FnMut(Arc<Cell>)) {
        let Some(dimension) = self.limit.per else { return each(self.cells.whole()) };
        let mut none = true;
        for value in subject.values(dimension) {
            none = false;
            each(self.cells.of(value, self.scale, now));
        }
        if none {
            each(self.cells.whole());
        }
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> usize {
        self.cells.len()
    }
}

// === impl Rules ===

impl Rules {
    /// These limits; those that were there before under the same name go on from where they stand.
    pub(super) fn new(limits: Vec<Limit>, before: &Self, now: Tick) -> Self {
        let known: HashMap<&str, &Rule> =
            before.all.iter().map(|rule| (&*rule.limit.name, &**rule)).collect();
        let mut rules = Self::default();
        for (place, limit) in limits.into_iter().enumerate() {
            match limit.selector.handle() {
                Some((dimension, values)) => {
                    let exact = &mut rules.exact[dimension as usize];
                    values.iter().for_each(|value| exact.entry(Arc::clone(value)).or_default().push(place));
                }
                None => rules.rest.push(place),
            }
            let changed = known.get(&*limit.name).and_then(|rule| rule.changed(&limit, now));
            rules.all.push(Arc::new(changed.unwrap_or_else(|| Rule::new(limit))));
        }
        rules
    }

    /// Those that count a request, each once.
    pub(super) fn fitting(&self, subject: &Subject<'_>, mut each: impl FnMut(&Arc<Rule>)) {
        let mut fit = |place: &usize| {
            if let Some(rule) = self.all.get(*place).filter(|rule| rule.limit.selector.fits(subject)) {
                each(rule);
            }
        };
        self.rest.iter().for_each(&mut fit);
        for (dimension, exact) in DIMENSIONS.into_iter().zip(&self.exact).filter(|(_, of)| !of.is_empty()) {
            if dimension == Dimension::Tag {
                // A limit of two tags that a request has both of is met twice.
                let mut places: Vec<usize> = subject
                    .values(dimension)
                    .filter_map(|value| exact.get(value))
                    .flatten()
                    .copied()
                    .collect();
                places.sort_unstable();
                places.dedup();
                places.iter().for_each(&mut fit);
            } else if let Some(places) = subject.get(dimension).and_then(|value| exact.get(value)) {
                places.iter().for_each(&mut fit);
            }
        }
    }
}
