//! The start page: what runs, what can be asked for, a line to paste; after login the latest requests. It needs no
//! script and nothing from elsewhere. The dashboard will stand here.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use lockgate_core::port::Filter;
use lockgate_core::{Money, Outcome, Record, Usage};
use lockgate_engine::Snapshot;
use serde::Deserialize;

use crate::admin::{COOKIE, endpoints, is_authenticated, session};
use crate::house::House;

const STYLE: &str = include_str!("page.css");
/// Requests that the page shows.
const SHOWN: usize = 25;

/// The page and its login.
pub(crate) fn router(house: &Arc<House>) -> Router {
    Router::new()
        .route("/", get(start))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .with_state(Arc::clone(house))
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// Every model that can be asked for, with who has it: routes first, then what providers list.
pub(crate) fn models(snapshot: &Snapshot) -> Vec<(String, String)> {
    let routes =
        snapshot.table.routes().into_iter().map(|route| (route.name.to_string(), "lockgate".to_owned()));
    let listed = snapshot.table.upstreams().iter().flat_map(|upstream| {
        upstream
            .models
            .iter()
            .map(move |model| (format!("{}/{model}", upstream.name), upstream.name.to_string()))
    });
    routes.chain(listed).collect()
}

async fn start(State(house): State<Arc<House>>, headers: HeaderMap) -> Response {
    let records = if is_authenticated(&house, &headers) {
        let store = Arc::clone(&house.records);
        let latest = Filter { limit: SHOWN, latest: true, ..Filter::default() };
        tokio::task::spawn_blocking(move || store.find(&latest)).await.ok().and_then(Result::ok)
    } else {
        None
    };
    html(StatusCode::OK, &page(&house, records.as_deref(), None))
}

async fn login(State(house): State<Arc<House>>, Form(login): Form<Login>) -> Response {
    if !house.is_admin(login.token.trim()) {
        return html(StatusCode::UNAUTHORIZED, &page(&house, None, Some("This is not the admin token.")));
    }
    let Some(token) = house.sessions.open(house.state.clock.now()) else {
        return html(
            StatusCode::SERVICE_UNAVAILABLE,
            &page(&house, None, Some("No login can be opened now.")),
        );
    };
    let secure = if house.url.starts_with("https") { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn logout(State(house): State<Arc<House>>, headers: HeaderMap) -> Response {
    if let Some(token) = session(&headers) {
        house.sessions.close(token);
    }
    ([(SET_COOKIE, format!("{COOKIE}=; Path=/; Max-Age=0"))], Redirect::to("/")).into_response()
}

fn html(status: StatusCode, body: &str) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body.to_owned()).into_response()
}

fn page(house: &House, records: Option<&[Record]>, notice: Option<&str>) -> String {
    let snapshot = house.state.snapshot.load_full();
    let models = models(&snapshot);
    let mut out = String::with_capacity(16_384);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\
         <meta name=color-scheme content='light dark'><title>Lockgate</title><style>{STYLE}</style>\
         <header><h1>Lockgate</h1><p class=status>{} &middot; version {} &middot; config {}</p></header><main>",
        if house.drain.is_leaving() { "draining" } else { "serving" },
        env!("CARGO_PKG_VERSION"),
        snapshot.table.version(),
    );
    if let Some(notice) = notice {
        let _ = write!(out, "<p class=notice role=alert>{}</p>", escape(notice));
    }
    try_it(&mut out, house, models.first().map_or("demo/chat", |(name, _)| name));
    table(
        &mut out,
        "Models",
        &["Ask for", "From"],
        models.iter().map(|(name, from)| vec![name.clone(), from.clone()]),
    );
    let called = endpoints::all(house);
    if !called.is_empty() {
        table(
            &mut out,
            "Endpoints called",
            &["Provider", "Model", "Breaker"],
            called.iter().map(|e| vec![e.provider.to_string(), e.model.to_string(), e.breaker.to_owned()]),
        );
    }
    match records {
        Some(records) => {
            table(&mut out, "Latest requests", &COLUMNS, records.iter().rev().map(row));
            out.push_str("<form method=post action=/logout><button>Log out</button></form>");
        }
        None => out.push_str(
            "<section><h2>Latest requests</h2><form method=post action=/login><label for=token>Admin token</label>\
             <input id=token name=token type=password required autocomplete=current-password><button>Show</button></form></section>",
        ),
    }
    out.push_str("</main></html>");
    out
}

fn try_it(out: &mut String, house: &House, model: &str) {
    let _ = write!(
        out,
        "<section><h2>Try it</h2><pre><code>curl {}/v1/chat/completions \\\n  -H \"Authorization: Bearer $LOCKGATE_KEY\" \\\n  \
         -H \"Content-Type: application/json\" \\\n  -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'</code></pre>\
         <p>The key (<code>lg-&hellip;</code>) was printed at the start; <code>lockgate keys create</code> makes more. \
         In an SDK, set the base URL to <code>{}/v1</code>.</p></section>",
        escape(&house.url),
        escape(model),
        escape(&house.url),
    );
}

const COLUMNS: [&str; 9] = [
    "Time (UTC)",
    "Key",
    "Asked for",
    "Answered by",
    "Ended",
    "Tokens in / out",
    "Cost (USD)",
    "Took",
    "Request",
];

fn row(record: &Record) -> Vec<String> {
    let target = record.target.as_ref().map_or_else(String::new, |t| format!("{}/{}", t.provider, t.model));
    let ended = match (record.outcome, record.error) {
        (Outcome::Ok, _) => "ok".to_owned(),
        (outcome, Some(kind)) => format!("{}: {}", outcome.code(), kind.code()),
        (outcome, None) => outcome.code().to_owned(),
    };
    let tokens = record.usage.map_or_else(
        || "unknown".to_owned(),
        |u| format!("{}{} / {}", if u.reported() { "" } else { "≈ " }, u.input_total(), u.output_total()),
    );
    vec![
        clock_time(record.id.wall_ms()),
        record.key_name.to_string(),
        record.asked.to_string(),
        target,
        ended,
        tokens,
        cost(record.cost, record.usage, record.outcome),
        format!("{:.1} ms", f64::from(record.took_us) / 1_000.0),
        record.id.to_string(),
    ]
}

/// What a request cost. A request that was never answered cost nothing that is known of; an answer without a price
/// cost something that is not known.
fn cost(cost: Option<Money>, usage: Option<Usage>, outcome: Outcome) -> String {
    let estimated = usage.is_some_and(|usage| !usage.reported());
    match cost {
        Some(cost) => format!("{}{cost}", if estimated { "≈ " } else { "" }),
        None if usage.is_some() || outcome == Outcome::Ok => "unknown".to_owned(),
        None => String::new(),
    }
}

/// Time of day of a Unix time in milliseconds.
fn clock_time(ms: u64) -> String {
    let seconds = ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn table(out: &mut String, title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = write!(out, "<section><h2>{title}</h2><div class=scroll><table><thead><tr>");
    for column in columns {
        let _ = write!(out, "<th scope=col>{column}");
    }
    out.push_str("</thead><tbody>");
    let mut any = false;
    for row in rows {
        any = true;
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}", escape(&cell));
        }
    }
    if !any {
        let _ = write!(out, "<tr><td colspan={} class=none>none yet", columns.len());
    }
    out.push_str("</tbody></table></div></section>");
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_escaped() {
        assert_eq!(escape("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
        assert_eq!(clock_time(86_399_999), "23:59:59");
    }

    #[test]
    fn a_cost_that_is_not_known_is_said_and_never_zero() {
        let reported = Usage { input: 9, ..Usage::default() };
        let estimated = Usage { source: lockgate_core::usage::Source::Estimated, ..reported };
        let nanos = |nanos: i64| Some(Money::from_nanos(nanos));
        assert_eq!(cost(nanos(180), Some(reported), Outcome::Ok), "0.00000018");
        assert_eq!(cost(nanos(1_500_000_000), Some(estimated), Outcome::Cancelled), "≈ 1.50");
        assert_eq!(cost(None, Some(reported), Outcome::Ok), "unknown");
        assert_eq!(cost(None, None, Outcome::Ok), "unknown");
        assert_eq!(cost(None, None, Outcome::Error), "");
    }
}
