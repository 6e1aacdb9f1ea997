//! A webhook: the alerts as JSON, signed.
//!
//! The signature is made as Stripe's ("Verify webhook signatures manually", docs.stripe.com/webhooks): the header holds the time and
//! the HMAC-SHA256 of `TIME.BODY`, `t=1767225600,v1=5257a8…`. Because the time is signed, a receiver can refuse a message that is old, so
//! one that was overheard is of no use later. Each try is signed anew.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue};
use lockgate_config::AlertChannel;
use lockgate_core::alert::{Alert, Channel};
use lockgate_core::port::{Ready, Transport};
use lockgate_core::{Clock, Digest, Error, Kind, Secret};
use ring::hmac;
use serde_json::json;

use crate::Door;
use crate::post::Post;

/// A server that is posted JSON.
pub(crate) struct Webhook {
    door: Door,
    post: Post,
    secret: Option<Secret>,
    clock: Arc<dyn Clock>,
}

const SIGNATURE: HeaderName = HeaderName::from_static("x-lockgate-signature");

impl Webhook {
    pub(crate) fn new(
        door: Door,
        config: &AlertChannel,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let post = Post::new(&door, config, transport)?;
        Ok(Self { door, post, secret: config.secret.clone(), clock })
    }
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        &self.door.name
    }

    fn wants(&self, alert: &Alert) -> bool {
        self.door.wants(alert)
    }

    fn send<'a>(&'a self, digest: &'a Digest) -> Ready<'a, Result<String, Error>> {
        Box::pin(async move {
            let body = body(digest);
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(secret) = &self.secret {
                let signed = signature(secret, self.clock.wall_ms() / 1_000, &body);
                let value = HeaderValue::try_from(signed).map_err(|error| {
                    Error::gateway(Kind::Internal, "The signature is no header.").detail(error.to_string())
                })?;
                headers.insert(SIGNATURE, value);
            }
            self.post.send(headers, body).await
        })
    }
}

/// What is posted.
fn body(digest: &Digest) -> String {
    json!({
        "id": digest.id,
        "gateway": digest.node,
        "at_ms": digest.at_ms,
        "severity": digest.gravity(),
        "text": digest.headline(),
        "alerts": digest.alerts.iter().map(|alert| json!({
            "kind": alert.topic,
            "severity": alert.gravity,
            "subject": alert.subject,
            "text": alert.text,
            "facts": alert.facts,
            "key": alert.key,
            "at_ms": alert.at_ms,
        })).collect::<Vec<_>>(),
        "left_out": digest.left_out,
    })
    .to_string()
}

/// The header's value for a body that is sent at this time, in Unix seconds.
fn signature(secret: &Secret, at: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_says() {
        // printf '1767225600.{"id":"alt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let signed = signature(&Secret::new("whsec_test".into()), 1_767_225_600, r#"{"id":"alt_1"}"#);
        assert_eq!(
            signed,
            "t=1767225600,v1=2ae5118f54e2c6948d6dafa1e7c116060b5221388266d99ea252be8e7d40f92c"
        );
    }
}
