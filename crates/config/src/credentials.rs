//! `credentials` of a provider: what a cloud is called with in place of a key.

use std::path::PathBuf;

use lockgate_core::Secret;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::declare::settings;
use crate::diagnostic::Complaint;
use crate::document::{Node, Value};
use crate::scalar::warn_if_written;
use crate::setting::{Fields, Setting, Shape};

settings! {
    /// What a cloud is called with in place of a key: of Google `file` or `json`, of AWS the rest.
    pub struct Credentials, check Credentials::check {
        /// Google: the JSON file of a service account, or of a user as `gcloud auth application-default login` writes it.
        file: Option<PathBuf> = None, shown "none";
        /// Google: what would be in that file.
        json: Option<Document> = None, shown "none";
        /// AWS: the id of an access key.
        access_key_id: Option<String> = None, shown "none";
        /// AWS: the access key's secret.
        secret_access_key: Option<Secret> = None, shown "none";
        /// AWS: the token of a session, where the key is of one.
        session_token: Option<Secret> = None, shown "none";
    }
}

/// Keys for one provider; at least one. Written as one key, or as a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(Vec<Secret>);

/// A secret document: unlike a key it may have several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(Secret);

// === impl Credentials ===

impl Credentials {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        let google = ["file", "json"].into_iter().filter(|name| from.has(name)).count();
        let aws = ["access_key_id", "secret_access_key", "session_token"].map(|name| from.has(name));
        let some_aws = aws.contains(&true);
        let fault = match (google, some_aws) {
            (0, false) => {
                "is empty: give file or json (Google), or access_key_id and secret_access_key (AWS)"
            }
            (2, _) => "has both file and json: give one of them",
            (1, true) => "has both those of Google and those of AWS",
            (0, true) if !(aws[0] && aws[1]) => "needs both access_key_id and secret_access_key",
            _ => return,
        };
        cx.error(from.at("file"), Complaint::new(fault));
    }
}

// === impl Keys ===

impl Keys {
    /// The keys in the order of the file.
    pub fn all(&self) -> &[Secret] {
        &self.0
    }
}

impl From<Secret> for Keys {
    fn from(key: Secret) -> Self {
        Self(vec![key])
    }
}

impl Setting for Keys {
    fn shape() -> Shape {
        let key = json!({ "type": "string" });
        let list = json!({ "type": "array", "items": key, "minItems": 1 });
        Shape::plain("secret, or list of secrets", json!({ "anyOf": [key, list] }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if !matches!(node.value, Value::List(_)) {
            return Secret::read(node, cx).map(|key| Self(vec![key]));
        }
        let keys = Vec::<Secret>::read(node, cx)?;
        if keys.is_empty() {
            cx.error(node.at, Complaint::new("needs at least one key"));
        }
        if let Some(twice) = (1..keys.len()).find(|at| keys[..*at].contains(&keys[*at])) {
            let message = format!("key {} of this list is there already", twice + 1);
            cx.error(node.at, Complaint::new(message));
        }
        Some(Self(keys))
    }

    /// A secret is never spelled; none is a default either.
    fn spell(&self) -> Json {
        Json::Null
    }
}

// === impl Document ===

impl Document {
    /// The text itself. Call it where the secret is used, never where it could be stored or shown.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Setting for Document {
    fn shape() -> Shape {
        Shape::text("secret")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let scalar = cx.text(node, "a secret document")?;
        warn_if_written(scalar, node, cx);
        Some(Self(Secret::new(scalar.text.clone())))
    }

    /// A secret is never spelled; none is a default either.
    fn spell(&self) -> Json {
        Json::Null
    }
}
