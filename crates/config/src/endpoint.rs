//! The parts of a provider's address: base URL, private headers, renamed parameters.

use std::fmt;

use http::{HeaderName, HeaderValue, Uri, header};
use lockgate_core::Secret;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::diagnostic::{Complaint, quoted};
use crate::document::Node;
use crate::scalar::warn_if_written;
use crate::setting::{Place, Setting, Shape};

/// The address that a provider's paths are appended to: `http` or `https`, no query, no user, no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Headers added to every request to a provider. Their values are secrets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Headers(Vec<(HeaderName, Secret)>);

/// Parameters of a request body that go out under another name. No two of them get the same name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renames(Vec<(String, String)>);

/// Headers that describe the connection or the message; the gateway sets them itself.
const RESERVED: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

// === impl BaseUrl ===

impl BaseUrl {
    /// The address as text, such as `https://api.openai.com/v1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, Complaint> {
        let fault = |message| Err(Complaint::new(message).hint("write it like https://api.example.com/v1"));
        let Ok(uri) = text.parse::<Uri>() else { return fault("is not a URL") };
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return fault("is not an absolute http or https URL");
        };
        if authority.as_str().contains('@') {
            return fault("holds a user or a password; use api_key or headers");
        }
        if authority.host().is_empty() {
            return fault("has no host");
        }
        if authority.port_u16().is_none() && authority.as_str().len() > authority.host().len() {
            return fault("has a port that is not a number up to 65535");
        }
        if text.contains(['?', '#']) {
            return fault("has a query or a fragment");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for BaseUrl {
    fn shape() -> Shape {
        Shape::text("URL")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        // The text is not shown: a user, a password or a query in it may be secret.
        let scalar = cx.text(node, "a URL")?;
        Self::parse(&scalar.text)
            .map_err(|complaint| {
                let message = format!("this {}", complaint.message);
                cx.error(node.at, Complaint { message, ..complaint });
            })
            .ok()
    }

    fn spell(&self) -> Json {
        self.0.as_str().into()
    }
}

// === impl Headers ===

impl Headers {
    /// Names (in lower case) and values, in the order of the file. A value is a valid header value; whoever sends
    /// it marks it sensitive.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &Secret)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Setting for Headers {
    fn shape() -> Shape {
        let schema = json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" } });
        Shape::plain("mapping of header to secret", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut headers: Vec<(HeaderName, Secret)> = Vec::new();
        for entry in cx.named(node)? {
            cx.inside(Place::Key(entry.key.clone()), |cx| {
                let name = HeaderName::from_bytes(entry.key.as_bytes());
                let fault = match &name {
                    Err(_) => Some("is not the name of a header"),
                    Ok(name) if RESERVED.contains(name) => Some("is a header that the gateway sets itself"),
                    Ok(name) if headers.iter().any(|(other, _)| other == name) => {
                        Some("is a header that is here twice")
                    }
                    Ok(_) => None,
                };
                if let Some(fault) = fault {
                    cx.error(entry.at, Complaint::new(fault));
                }
                let Ok(name) = name else { return };
                if let Some(value) = header_value(&name, &entry.value, cx) {
                    headers.push((name, value));
                }
            });
        }
        Some(Self(headers))
    }

    fn spell(&self) -> Json {
        json!({})
    }
}

/// The value of a header. It may be plain text in the file, unless the header is a usual place for a key.
fn header_value(name: &HeaderName, node: &Node, cx: &mut Context<'_>) -> Option<Secret> {
    let scalar = cx.text(node, "text")?;
    if matches!(
        name.as_str(),
        "api-key" | "authorization" | "cookie" | "proxy-authorization" | "x-api-key" | "x-goog-api-key"
    ) {
        warn_if_written(scalar, node, cx);
    }
    if HeaderValue::from_str(&scalar.text).is_err() {
        cx.error(node.at, Complaint::new("holds a character that no header may have"));
        return None;
    }
    Some(Secret::new(scalar.text.clone()))
}

// === impl Renames ===

impl Renames {
    /// Pairs of the parameter's name and the name it goes out under, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(from, to)| (from.as_str(), to.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Setting for Renames {
    fn shape() -> Shape {
        let schema = json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" } });
        Shape::plain("mapping of parameter to parameter", schema)
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut renames: Vec<(String, String)> = Vec::new();
        for entry in cx.named(node)? {
            cx.inside(Place::Key(entry.key.clone()), |cx| {
                let Some(to) = String::read(&entry.value, cx) else { return };
                if let Some((other, _)) = renames.iter().find(|(_, taken)| *taken == to) {
                    let message = format!("this is already the new name of {}", quoted(other));
                    cx.error(entry.value.at, Complaint::new(message));
                }
                renames.push((entry.key.clone(), to));
            });
        }
        Some(Self(renames))
    }

    fn spell(&self) -> Json {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<String, String> {
        BaseUrl::parse(text).map(|url| url.0).map_err(|complaint| complaint.message)
    }

    #[test]
    fn base_urls_are_absolute_and_end_without_a_slash() {
        assert_eq!(url("https://api.openai.com/v1/").unwrap(), "https://api.openai.com/v1");
        assert_eq!(url("http://localhost:8000").unwrap(), "http://localhost:8000");
        assert_eq!(url("http://[::1]:8000//").unwrap(), "http://[::1]:8000");
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in
            ["", "api.openai.com", "localhost:8000", "/v1", "ftp://x/y", "unix:/run/x", "https://", "a b"]
        {
            assert!(url(text).is_err(), "{text}");
        }
        assert_eq!(url("https://h/v1?key=1").unwrap_err(), "has a query or a fragment");
        assert_eq!(url("https://h/v1#x").unwrap_err(), "has a query or a fragment");
        assert_eq!(
            url("https://me:pw@h/").unwrap_err(),
            "holds a user or a password; use api_key or headers"
        );
        assert_eq!(url("https://h:99999/").unwrap_err(), "has a port that is not a number up to 65535");
    }
}
