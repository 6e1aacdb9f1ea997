//! What a node left uncertain when it died, found and resolved.

use std::sync::Arc;

use lockgate_core::{Error, Kind, Money, RequestId};
use serde::{Deserialize, Serialize};

use super::{Dollars, Moment, begin, find};
use crate::budget::Mistake;
use crate::draft::read_money;
use crate::port::{Budgets, LeaseRow, LedgerStore, Reconcile};

/// What was spent of something uncertain, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileDraft {
    /// The node that left it, by its number or its name.
    pub node: Option<Node>,
    /// The value of the budget's dimension, where more than one account has something of that node.
    pub value: Option<String>,
    /// How much of it was spent after all, in dollars.
    pub spent: Option<String>,
    /// Why that is known.
    pub reason: Option<String>,
}

/// A node in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Node {
    /// By the number of its life.
    Number(i64),
    /// By its name, or by its number as text.
    Name(String),
}

/// What was resolved.
#[derive(Clone, Debug, Serialize)]
pub struct Reconciled {
    /// The budget.
    pub budget: Arc<str>,
    /// The value of its dimension.
    pub value: Arc<str>,
    /// When the account's window began; absent for rolling windows and all time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<Moment>,
    /// The node.
    pub node: i64,
    /// How much was uncertain.
    pub uncertain: Dollars,
    /// How much of it was spent.
    pub spent: Dollars,
    /// Under which id this stands in the journal.
    pub request: String,
}

/// Resolves what a node left uncertain on one account of a budget, told by `by`.
///
/// # Errors
/// `NotFound` when there is no such budget or nothing uncertain; `InvalidRequest` with everything that is wrong, when the node is
/// alive, or when more than one account fits.
pub fn reconcile(
    store: &dyn LedgerStore,
    budgets: &Budgets,
    named: &str,
    draft: &ReconcileDraft,
    by: &str,
    now_ms: u64,
) -> Result<Reconciled, Error> {
    let budget = find(budgets, named)
        .ok_or_else(|| Error::client(Kind::NotFound, format!("there is no budget \"{named}\"")))?;
    let (node, spent, reason) = read(draft).map_err(|mistakes| wrong(&mistakes))?;
    let nodes = store.nodes()?;
    let name_of =
        |lease: &LeaseRow| nodes.iter().find(|node| node.epoch == lease.epoch).map(|node| node.name.as_str());
    let is_wanted = |lease: &&LeaseRow| {
        lease.account.budget == budget.id
            && lease.uncertain
            && (lease.epoch.0.to_string() == node || name_of(lease) == Some(&node))
            && draft.value.as_ref().is_none_or(|value| **value == *lease.account.value)
    };
    let leases = store.leases()?;
    let found: Vec<&LeaseRow> = leases.iter().filter(is_wanted).collect();
    let lease = match found.as_slice() {
        [lease] => *lease,
        [] => {
            let text = format!("node {node} has left nothing uncertain on the budget \"{}\"", budget.name);
            return Err(Error::client(Kind::NotFound, text).param("node"));
        }
        several => {
            let list: Vec<String> = several
                .iter()
                .map(|lease| {
                    format!("node {} of \"{}\": {} dollars", lease.epoch.0, lease.account.value, lease.amount)
                })
                .collect();
            let text =
                format!("that is more than one; name the node's number and the value: {}", list.join("; "));
            return Err(Error::client(Kind::InvalidRequest, text).param("value"));
        }
    };
    let request = RequestId::new(now_ms);
    let uncertain = store.reconcile(&Reconcile {
        account: lease.account.clone(),
        epoch: lease.epoch,
        spent,
        request,
        at_ms: now_ms,
        reason: format!("{reason} ({by})").into(),
    })?;
    Ok(Reconciled {
        budget: Arc::clone(&budget.id),
        value: Arc::clone(&lease.account.value),
        begins_at: begin(lease.account.start).map(Moment),
        node: lease.epoch.0,
        uncertain: Dollars(uncertain),
        spent: Dollars(spent),
        request: request.to_string(),
    })
}

fn read(draft: &ReconcileDraft) -> Result<(String, Money, &str), Vec<Mistake>> {
    let mut found = Vec::new();
    let mut lacks = |member| found.push(Mistake { member, text: "is missing".to_owned() });
    let node = match &draft.node {
        Some(Node::Number(number)) => number.to_string(),
        Some(Node::Name(name)) => name.clone(),
        None => {
            lacks("node");
            String::new()
        }
    };
    let reason = draft.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_none() {
        lacks("reason");
    }
    if draft.spent.is_none() {
        lacks("spent");
    }
    let spent = match draft.spent.as_deref().map(|text| read_money("spent", text)) {
        Some(Ok(spent)) => spent,
        Some(Err(mistake)) => {
            found.push(mistake);
            Money::ZERO
        }
        None => Money::ZERO,
    };
    match reason {
        Some(reason) if found.is_empty() => Ok((node, spent, reason)),
        _ => Err(found),
    }
}

/// Mistakes as one error; the first names the member.
pub fn wrong(mistakes: &[Mistake]) -> Error {
    let list: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
    let error = Error::client(Kind::InvalidRequest, list.join("; "));
    match mistakes.first() {
        Some(first) => error.param(first.member),
        None => error,
    }
}
