//! `/api/v1/budgets` and what is below: budgets, their accounts and increases, what is uncertain.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lockgate_core::{Error, Kind};
use lockgate_ledger::Budget;
use lockgate_ledger::draft::{Draft, IncreaseDraft, new_budget_id};
use lockgate_ledger::port::Budgets;
use lockgate_ledger::report::uncertain::{self, ReconcileDraft, wrong};
use lockgate_ledger::report::{self, BudgetReport, IncreaseReport};
use serde::Deserialize;

use super::{ADMIN, blocking, problem, read};
use crate::house::House;

/// Which accounts are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    after: Option<String>,
    value: Option<String>,
    limit: Option<usize>,
}

/// The most accounts of one answer.
const MOST: usize = 1_000;

// === budgets ===

pub(super) async fn list(State(house): State<Arc<House>>) -> Response {
    let answer = blocking(move || {
        let (store, now) = (&*house.ledger, house.state.clock.wall_ms());
        let budgets = store.budgets()?;
        budgets.budgets.iter().map(|budget| report::budget(store, &budgets, budget, now)).collect()
    });
    let answer: Result<Vec<BudgetReport>, Response> = answer.await;
    answer.map_or_else(
        |refused| refused,
        |budgets| Json(serde_json::json!({ "budgets": budgets })).into_response(),
    )
}

pub(super) async fn create(State(house): State<Arc<House>>, body: Bytes) -> Response {
    put(house, body, None, StatusCode::CREATED).await
}

pub(super) async fn replace(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    body: Bytes,
) -> Response {
    put(house, body, Some(named), StatusCode::OK).await
}

pub(super) async fn one(State(house): State<Arc<House>>, Path(named): Path<String>) -> Response {
    let answer = blocking(move || {
        let (store, now) = (&*house.ledger, house.state.clock.wall_ms());
        let budgets = store.budgets()?;
        report::budget(store, &budgets, find(&budgets, &named)?, now)
    });
    answer.await.map_or_else(|refused| refused, |budget| Json(budget).into_response())
}

pub(super) async fn remove(State(house): State<Arc<House>>, Path(named): Path<String>) -> Response {
    let answer = blocking(move || {
        let budgets = house.ledger.budgets()?;
        let budget = find(&budgets, &named)?;
        if house.ledger.remove_budget(&budget.id)? { Ok(()) } else { Err(unknown(&named)) }
    });
    answer.await.map_or_else(|refused| refused, |()| StatusCode::NO_CONTENT.into_response())
}

/// Makes a budget, or puts another in place of the one that is named.
async fn put(house: Arc<House>, body: Bytes, named: Option<String>, status: StatusCode) -> Response {
    let draft: Draft = match read(&body) {
        Ok(draft) => draft,
        Err(refused) => return refused,
    };
    let answer = blocking(move || {
        let (store, now) = (&*house.ledger, house.state.clock.wall_ms());
        let id = match &named {
            Some(named) => Arc::clone(&find(&store.budgets()?, named)?.id),
            None => new_budget_id(),
        };
        let keys = house.keys.keys()?;
        // The mistakes go into the answer one by one.
        let budget = match draft.budget(&id, &keys, now) {
            Ok(budget) => budget,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        store.put_budget(&budget)?;
        let budgets = store.budgets()?;
        report::budget(store, &budgets, find(&budgets, &id)?, now).map(Ok)
    });
    match answer.await {
        Ok(Ok(report)) => (status, Json(report)).into_response(),
        Ok(Err(mistakes)) => {
            super::mistaken(mistakes.into_iter().map(|mistake| (mistake.member, mistake.text)))
        }
        Err(refused) => refused,
    }
}

// === what belongs to a budget ===

pub(super) async fn accounts(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let wanted = match wanted {
        Ok(Query(wanted)) => wanted,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, "invalid_request", &rejection.body_text()),
    };
    let answer = blocking(move || {
        let (store, now) = (&*house.ledger, house.state.clock.wall_ms());
        let budgets = store.budgets()?;
        let most = wanted.limit.unwrap_or(100).clamp(1, MOST);
        let which = (wanted.after.as_deref(), wanted.value.as_deref());
        report::accounts(store, &budgets, find(&budgets, &named)?, which, most, now)
    });
    answer
        .await
        .map_or_else(|refused| refused, |list| Json(serde_json::json!({ "accounts": list })).into_response())
}

pub(super) async fn raise(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    body: Bytes,
) -> Response {
    let draft: IncreaseDraft = match read(&body) {
        Ok(draft) => draft,
        Err(refused) => return refused,
    };
    let answer = blocking(move || {
        let (store, now) = (&*house.ledger, house.state.clock.wall_ms());
        let budgets = store.budgets()?;
        let increase =
            draft.increase(find(&budgets, &named)?, ADMIN, now).map_err(|mistakes| wrong(&mistakes))?;
        store.put_increase(&increase)?;
        Ok(IncreaseReport::new(&increase, now))
    });
    answer.await.map_or_else(|refused| refused, |report| (StatusCode::CREATED, Json(report)).into_response())
}

pub(super) async fn lower(
    State(house): State<Arc<House>>,
    Path((named, increase)): Path<(String, String)>,
) -> Response {
    let answer = blocking(move || {
        let budgets = house.ledger.budgets()?;
        let budget = find(&budgets, &named)?;
        let is_its = budgets.increases.iter().any(|one| one.budget == budget.id && *one.id == *increase);
        if is_its && house.ledger.remove_increase(&increase)? {
            return Ok(());
        }
        Err(Error::client(Kind::NotFound, format!("The budget \"{}\" has no such increase.", budget.name)))
    });
    answer.await.map_or_else(|refused| refused, |()| StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn reconcile(
    State(house): State<Arc<House>>,
    Path(named): Path<String>,
    body: Bytes,
) -> Response {
    let draft: ReconcileDraft = match read(&body) {
        Ok(draft) => draft,
        Err(refused) => return refused,
    };
    let answer = blocking(move || {
        let (store, now) = (&*house.ledger, house.state.clock.wall_ms());
        uncertain::reconcile(store, &store.budgets()?, &named, &draft, ADMIN, now)
    });
    answer.await.map_or_else(|refused| refused, |done| Json(done).into_response())
}

fn find<'b>(budgets: &'b Budgets, named: &str) -> Result<&'b Budget, Error> {
    report::find(budgets, named).ok_or_else(|| unknown(named))
}

fn unknown(named: &str) -> Error {
    let named: String = named.chars().take(128).collect();
    Error::client(Kind::NotFound, format!("There is no budget \"{named}\"."))
}
