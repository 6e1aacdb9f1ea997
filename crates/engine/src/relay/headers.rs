//! The headers of an answer.

use http::{HeaderMap, HeaderName, HeaderValue};
use lockgate_core::RequestId;
use lockgate_dialect::Losses;

use crate::admit::rate;
use crate::record::Ticket;

/// What belongs to the provider's connection or its site and not to the answer.
fn is_not_passed(name: &str) -> bool {
    matches!(
        name,
        "alt-svc"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "date"
            | "keep-alive"
            | "nel"
            | "proxy-connection"
            | "report-to"
            | "server"
            | "set-cookie"
            | "strict-transport-security"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    ) || name.starts_with(OURS)
}

/// A provider must not speak in the gateway's name.
const OURS: &str = "x-lockgate-";

/// The provider's headers less what is not the client's, and the gateway's own.
pub(crate) fn for_client(
    mut headers: HeaderMap,
    ticket: &Ticket,
    id: RequestId,
    losses: &Losses,
) -> HeaderMap {
    strip(&mut headers);
    identify(&mut headers, id);
    if let Some(target) = ticket.target()
        && let Ok(value) = HeaderValue::try_from(format!("{}/{}", target.provider, target.model))
    {
        headers.insert("x-lockgate-target", value);
    }
    if !losses.is_empty()
        && let Ok(value) = HeaderValue::try_from(listed(losses))
    {
        headers.insert("x-lockgate-losses", value);
    }
    if let Some(cost) = ticket.cost()
        && let Ok(value) = HeaderValue::try_from(cost.to_string())
    {
        headers.insert("x-lockgate-cost-usd", value);
    }
    if let Some(tokens) = ticket.output_limit() {
        headers.insert("x-lockgate-output-limit", HeaderValue::from(tokens));
    }
    if let Some(standings) = ticket.standings() {
        rate::tell(&standings, &mut headers);
    }
    headers.insert("x-lockgate-attempts", HeaderValue::from(ticket.attempts()));
    headers.insert("x-lockgate-overhead-us", HeaderValue::from(ticket.overhead_us()));
    headers
}

fn listed(losses: &Losses) -> String {
    let names: Vec<&str> = losses.iter().map(|loss| &*loss.what).collect();
    names.join(", ")
}

/// Takes out what is not the client's.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| is_not_passed(name.as_str())).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// Puts the request's id in.
pub(crate) fn identify(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.text().as_str()) {
        headers.insert("x-lockgate-request-id", value);
    }
}
