//! A limit as somebody asks for it: in JSON and in arguments, in the same words. All that is wrong with it is found at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_core::key::{Key, find};
use serde::{Deserialize, Serialize};

use super::limit::{Count, Every, Limit};
use crate::budget::{Mistake, Selector};
use crate::draft::{Found, dimension, read_selector};
use crate::subject::Dimension;

/// A limit in words. Name, count and amount must be there, and `every` unless it counts what is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitDraft {
    /// What people call it; unique.
    pub name: Option<String>,
    /// `requests`, `input_tokens`, `output_tokens`, `tokens` or `concurrent`.
    pub count: Option<String>,
    /// How much of it.
    pub amount: Option<u64>,
    /// The time in which that comes back: `second`, `minute`, `hour` or `day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// How much may pass at once after a pause; the amount, if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Which requests it counts: values or patterns by dimension. Keys by id or name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, Vec<String>>,
    /// The dimension of which every value is counted by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
}

// === impl LimitDraft ===

impl LimitDraft {
    /// A limit in words.
    pub fn of(limit: &Limit) -> Self {
        let texts = |patterns: &[Arc<str>]| patterns.iter().map(ToString::to_string).collect();
        Self {
            name: Some(limit.name.to_string()),
            count: Some(limit.count.word().to_owned()),
            amount: Some(limit.amount),
            every: limit.every.map(|every| every.word().to_owned()),
            burst: (limit.burst != limit.amount).then_some(limit.burst),
            selector: limit
                .selector
                .iter()
                .map(|(dimension, patterns)| (dimension.code().to_owned(), texts(patterns)))
                .collect(),
            per: limit.per.map(|dimension| dimension.code().to_owned()),
        }
    }

    /// The limit, where keys that are not there fit nothing: they may have gone, or come later.
    ///
    /// # Errors
    /// Everything else that is wrong with it.
    pub fn limit_of_known(&self, keys: &[Key], wall_ms: u64) -> Result<Limit, Vec<Mistake>> {
        let mut others = self.clone();
        let named = others.selector.remove(Dimension::Key.code());
        let limit = others.limit(keys, wall_ms)?;
        let Some(named) = named else { return Ok(limit) };
        let id = |name: &String| match find(keys, name, wall_ms) {
            Some(key) if !name.ends_with('*') => Arc::clone(&key.id),
            _ => name.as_str().into(),
        };
        let own = (Dimension::Key, named.iter().map(id).collect());
        let others = limit.selector.iter().map(|(dimension, values)| (dimension, values.to_vec()));
        let selector = Selector::new(others.chain(std::iter::once(own)));
        Ok(Limit { selector, ..limit })
    }

    /// The limit.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn limit(&self, keys: &[Key], wall_ms: u64) -> Result<Limit, Vec<Mistake>> {
        let mut found = Found::default();
        let name = found.must("name", self.name.as_deref(), |text| Ok(text.into()));
        let count = found.must("count", self.count.as_deref(), Count::read);
        if self.amount.is_none() {
            found.0.push(Mistake { member: "amount", text: "is missing".to_owned() });
        }
        let amount = self.amount.unwrap_or(1);
        let every = found.may(self.every.as_deref(), Every::read);
        let limit = Limit {
            name: name.unwrap_or_else(|| "-".into()),
            count: count.unwrap_or(Count::Requests),
            amount,
            every,
            burst: self.burst.unwrap_or(amount),
            selector: read_selector(&self.selector, keys, wall_ms, &mut found),
            per: found.may(self.per.as_deref(), |text| dimension("per", text)),
        };
        // What could not be read says nothing further: its stand-in is none of the caller's. A wrong amount is one mistake, not
        // also one of the burst that follows from it.
        let unread: Vec<&str> = found.0.iter().map(|mistake| mistake.member).collect();
        let further: Vec<Mistake> = limit
            .mistakes()
            .into_iter()
            .filter(|mistake| match mistake.member {
                "every" if unread.contains(&"count") => false,
                "burst" => self.burst.is_some() && !unread.contains(&"count"),
                member => !unread.contains(&member),
            })
            .collect();
        found.0.extend(further);
        if found.0.is_empty() { Ok(limit) } else { Err(found.0) }
    }
}
