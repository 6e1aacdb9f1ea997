//! The plain types a setting can have: truth values, numbers, text, addresses, paths, secrets.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderValue;
use lockgate_core::Secret;
use serde_json::{Value as Json, json};

use crate::context::Context;
use crate::diagnostic::Complaint;
use crate::document::{Node, Scalar, Value};
use crate::setting::{Bounds, Setting, Shape};

impl Shape {
    pub(crate) fn plain(word: impl Into<String>, schema: Json) -> Self {
        Self::Plain { word: word.into(), schema }
    }

    pub(crate) fn text(word: &str) -> Self {
        Self::plain(word, json!({ "type": "string" }))
    }
}

impl Setting for bool {
    fn shape() -> Shape {
        Shape::plain("`true`, `false`", json!({ "type": "boolean" }))
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        refuse_quotes(node, "true or false", cx)?;
        cx.choose(node, &[("true", true), ("false", false)])
    }

    fn spell(&self) -> Json {
        (*self).into()
    }
}

macro_rules! whole_numbers {
    ($($number:ty)+) => { $(
        impl Setting for $number {
            fn shape() -> Shape {
                Shape::plain("number", json!({ "type": "integer", "minimum": 0 }))
            }

            fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
                refuse_quotes(node, "a whole number", cx)?;
                let bounds = cx.bounds.clone().unwrap_or_else(|| Bounds::of(&(Self::MIN..=Self::MAX)));
                cx.parse(node, "a whole number", |text| {
                    let digits = text.strip_prefix('-').unwrap_or(text);
                    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                        return Err(Complaint::new("is not a whole number"));
                    }
                    text.parse().map_err(|_| bounds.complaint())
                })
            }

            fn spell(&self) -> Json {
                (*self).into()
            }
        }
    )+ };
}

whole_numbers!(u8 u16 u32);

/// A number or a truth value in quotes is text, unless the quotes are there for the sake of a variable.
pub(crate) fn refuse_quotes(node: &Node, expected: &str, cx: &mut Context<'_>) -> Option<()> {
    match &node.value {
        Value::Text(scalar) if scalar.quoted && scalar.variables.is_empty() => {
            cx.error(node.at, Complaint::new(format!("expected {expected}, found text in quotes")));
            None
        }
        _ => Some(()),
    }
}

impl Setting for String {
    fn shape() -> Shape {
        Shape::text("text")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.text(node, "text").map(|scalar| scalar.text.clone())
    }

    fn spell(&self) -> Json {
        self.as_str().into()
    }
}

impl Setting for PathBuf {
    fn shape() -> Shape {
        Shape::text("path")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.text(node, "a path").map(|scalar| Self::from(&scalar.text))
    }

    fn spell(&self) -> Json {
        self.to_string_lossy().into()
    }
}

impl Setting for SocketAddr {
    fn shape() -> Shape {
        Shape::text("address:port")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        cx.parse(node, "an IP address and a port", |text| {
            text.parse().map_err(|_| {
                Complaint::new("is not an IP address and a port")
                    .hint("write 127.0.0.1:4100, 0.0.0.0:4100 or [::1]:4100")
            })
        })
    }

    fn spell(&self) -> Json {
        self.to_string().into()
    }
}

/// A secret in a file gets copied with the file.
pub(crate) fn warn_if_written(secret: &Scalar, node: &Node, cx: &mut Context<'_>) {
    if !secret.from_environment {
        let complaint = Complaint::new("a secret is written in the file");
        cx.warn(node.at, complaint.hint("keep it in the environment and write ${NAME} here"));
    }
}

impl Setting for Secret {
    fn shape() -> Shape {
        Shape::text("secret")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let scalar = cx.text(node, "a secret")?;
        warn_if_written(scalar, node, cx);
        if HeaderValue::from_str(&scalar.text).is_err() {
            cx.error(
                node.at,
                Complaint::new("holds a character that no header may have")
                    .hint("look for a line break at its end, or a letter beyond ASCII"),
            );
        }
        Some(Self::new(scalar.text.clone()))
    }

    /// A secret is never spelled; none is a default either.
    fn spell(&self) -> Json {
        Json::Null
    }
}
