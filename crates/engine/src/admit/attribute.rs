//! On whose behalf a request runs.
//!
//! A dimension that the key itself fixes cannot be overridden. Otherwise the gateway's own header counts, then the
//! body's `user`.

use std::sync::Arc;

use http::HeaderMap;
use lockgate_core::{Attribution, Error, Kind, Payload, Principal};

/// The longest value of a dimension, in bytes.
const LONGEST: usize = 256;
/// The most tags of one request.
const MOST_TAGS: usize = 32;

/// The attribution of a request. `payload` is its body, where that has members.
///
/// # Errors
/// `InvalidRequest` when a header is not visible text or is too long.
pub fn attribute(
    principal: &Principal,
    headers: &HeaderMap,
    payload: Option<&Payload>,
) -> Result<Attribution, Error> {
    let fixed = &principal.key.metadata;
    let dimension = |name: &'static str, header: &'static str| match fixed.get(name) {
        Some(value) => Ok(Some(Arc::from(value.as_str()))),
        None => text(headers, header).map(|value| value.map(Arc::from)),
    };
    let mut attribution = Attribution {
        customer: dimension("customer", "x-lockgate-customer")?,
        project: dimension("project", "x-lockgate-project")?,
        user: dimension("user", "x-lockgate-user")?,
        feature: dimension("feature", "x-lockgate-feature")?,
        session: text(headers, "x-lockgate-session")?.map(Arc::from),
        tags: Vec::new(),
    };
    if attribution.user.is_none() {
        attribution.user =
            payload.and_then(|payload| payload.text("user")).filter(|user| fits(user)).map(Arc::from);
    }
    if let Some(tags) = text(headers, "x-lockgate-tags")? {
        attribution.tags = tags
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .take(MOST_TAGS)
            .map(Arc::from)
            .collect();
    }
    Ok(attribution)
}

fn fits(user: &str) -> bool {
    !user.is_empty() && user.len() <= LONGEST
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Error> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if text.len() <= LONGEST => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        _ => Err(Error::client(
            Kind::InvalidRequest,
            format!("The header \"{name}\" must be visible ASCII text of at most {LONGEST} bytes."),
        )
        .param(name)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lockgate_core::{Key, KeyHash};

    use super::*;

    fn attributed(
        metadata: &[(&str, &str)],
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Attribution, Error> {
        let key = Key {
            id: "key_1".into(),
            name: "n".into(),
            hint: String::new(),
            hash: KeyHash([0; 32]),
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            models: Vec::new(),
            metadata: metadata.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<BTreeMap<_, _>>(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let payload = Payload::parse(body.to_owned().into()).unwrap();
        attribute(&Principal { key: Arc::new(key) }, &map, Some(&payload))
    }

    #[test]
    fn what_the_key_fixes_stays() {
        let found = attributed(
            &[("customer", "acme")],
            &[("x-lockgate-customer", "evil"), ("x-lockgate-feature", "chat"), ("x-lockgate-tags", "a, b,,")],
            r#"{"user":"u7"}"#,
        )
        .unwrap();
        assert_eq!(found.customer.as_deref(), Some("acme"));
        assert_eq!(found.feature.as_deref(), Some("chat"));
        assert_eq!(found.user.as_deref(), Some("u7"));
        assert_eq!(found.tags.len(), 2);
    }

    #[test]
    fn a_header_that_cannot_be_read_is_an_error_that_names_it() {
        let long = "x".repeat(300);
        let error = attributed(&[], &[("x-lockgate-user", &long)], "{}").unwrap_err();
        assert_eq!(error.at(), Some("x-lockgate-user"));
    }
}
