//! `GET /v1/key`: what a key may know of itself: its name, until when it is good, what it fixes, and what is left of the budgets that
//! count it.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use lockgate_core::{Attribution, Error, Kind, RequestId};
use lockgate_engine::admit::{attribute, identify};
use lockgate_engine::{Reply, ReplyBody};
use lockgate_ledger::report::Moment;
use lockgate_ledger::report::key::{KeyBudget, seats};
use serde::Serialize;

use crate::data_plane::insert_id;
use crate::house::House;

#[derive(Serialize)]
struct KeyPage<'a> {
    name: &'a str,
    /// Its last four characters.
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
    /// What it may use; absent: all.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    models: &'a [String],
    /// What it fixes of every request's attribution.
    attribution: &'a Attribution,
    /// The budgets that count this request, were it for an answer: the attribution of its headers decides, as ever.
    budgets: Vec<KeyBudget>,
}

/// The page of the key that is shown.
///
/// # Errors
/// Without a good key, when a header cannot be read, when the budgets cannot be read.
pub(crate) async fn page(house: &Arc<House>, headers: &HeaderMap, id: RequestId) -> Result<Reply, Error> {
    let snapshot = house.state.snapshot.load_full();
    let principal = identify::identify(&house.state, &snapshot, headers)?;
    let whose = attribute::said(&snapshot.attribution, &principal, headers, None)?;
    let key = &principal.key;
    let page = KeyPage {
        name: &key.name,
        hint: &key.hint,
        expires_at: key.expires_ms.map(Moment),
        models: &key.models,
        attribution: &attribute::fixed(&principal),
        budgets: budgets(house, Arc::clone(&key.id), whose).await?,
    };
    let body = serde_json::to_vec(&page).map_err(|error| {
        Error::gateway(Kind::Internal, "The key cannot be shown.").detail(error.to_string())
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    insert_id(&mut headers, id);
    Ok(Reply { status: StatusCode::OK, headers, body: ReplyBody::whole(body.into()) })
}

/// How the budgets stand that count such requests of a key. By the store: it knows what was settled there, while a node may have
/// spent more of its lease for some hundred milliseconds.
async fn budgets(house: &Arc<House>, key: Arc<str>, whose: Attribution) -> Result<Vec<KeyBudget>, Error> {
    let (ledger, now) = (Arc::clone(&house.ledger), house.state.clock.wall_ms());
    let read = move || {
        let budgets = ledger.budgets()?;
        let seats = seats(&budgets, &key, &whose);
        seats.iter().map(|seat| seat.by_store(&*ledger, &budgets, now)).collect()
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|_| Err(Error::gateway(Kind::Internal, "The budgets could not be read.")))
}
