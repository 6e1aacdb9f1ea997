//! Keys, providers and errors that need no thought.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue};
use lockgate_core::upstream::{Address, Http2, Reach, Timeouts};
use lockgate_core::{Error, Key, KeyHash, Kind, Quirks, Speech, StreamUsage, Upstream};

/// The key that tests show where it does not matter which.
pub const KEY: &str = "lg-test-key";

/// A hash for tests: it tells short texts apart and hides nothing.
pub fn hash(key: &str) -> KeyHash {
    let mut hash = [0_u8; 32];
    for (at, byte) in key.bytes().enumerate() {
        hash[at % 32] = hash[at % 32].wrapping_mul(31).wrapping_add(byte);
    }
    KeyHash(hash)
}

/// An active key that may use everything. Its name is `tests`, its id `key_tests`.
pub fn key(text: &str) -> Key {
    Key {
        id: "key_tests".into(),
        name: "tests".into(),
        hint: text.chars().skip(text.chars().count().saturating_sub(4)).collect(),
        hash: hash(text),
        created_ms: 0,
        expires_ms: None,
        revoked_ms: None,
        models: Vec::new(),
        metadata: BTreeMap::new(),
    }
}

/// A provider of the OpenAI chat dialect that must be asked for usage in streams, with the credential
/// `sk-NAME-secret`.
///
/// # Panics
/// When the name cannot stand in a header.
pub fn upstream(name: &str) -> Upstream {
    let mut headers = HeaderMap::new();
    let mut credential = HeaderValue::try_from(format!("Bearer sk-{name}-secret"))
        .expect("a test's provider has a plain name");
    credential.set_sensitive(true);
    headers.insert(HeaderName::from_static("authorization"), credential);
    Upstream {
        name: Arc::from(name),
        catalog: Arc::from(name),
        speaks: vec![Arc::new(Speech { headers, ..Speech::plain("openai.chat") })],
        credentials: Vec::new(),
        reach: Reach::Network(Box::new(Address {
            scheme: Scheme::HTTPS,
            authority: Authority::from_static("provider.invalid"),
            prefix: "/v1".into(),
            http2: Http2::Auto,
            ca: None,
            insecure: false,
        })),
        timeouts: Timeouts::default(),
        max_answer: 64 << 20,
        models: Vec::new(),
        claims: &[],
    }
}

/// The same with another way of treating usage in streams.
pub fn upstream_with(name: &str, stream_usage: StreamUsage) -> Upstream {
    speaking(upstream(name), |speech| speech.quirks = Quirks { stream_usage, ..Quirks::default() })
}

/// The same provider, spoken to in another way.
pub fn speaking(upstream: Upstream, how: impl Fn(&mut Speech)) -> Upstream {
    let speaks = upstream.speaks.iter().map(|speech| {
        let mut own = Speech {
            dialect: speech.dialect,
            models: speech.models.clone(),
            paths: speech.paths.clone(),
            headers: speech.headers.clone(),
            signer: speech.signer.clone(),
            quirks: speech.quirks.clone(),
        };
        how(&mut own);
        Arc::new(own)
    });
    let speaks = speaks.collect();
    Upstream { speaks, ..upstream }
}

/// What the transport says when a connection breaks off.
pub fn broken() -> Error {
    Error::upstream(Kind::UpstreamBroken, "The connection to the provider broke off.").detail("reset by peer")
}

/// What the transport says when there is no connection.
pub fn unreachable() -> Error {
    Error::upstream(Kind::UpstreamUnreachable, "The provider cannot be reached.").detail("refused")
}
