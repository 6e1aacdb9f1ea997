//! A message posted over HTTP.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt as _;
use lockgate_config::AlertChannel;
use lockgate_core::port::{Call, Transport};
use lockgate_core::upstream::{Address, Http2, Reach, Timeouts};
use lockgate_core::{Error, Kind, Segments, Speech, Upstream};

use crate::{Door, unusable};

/// Where messages of a channel are posted.
pub(crate) struct Post {
    upstream: Arc<Upstream>,
    speech: Arc<Speech>,
    transport: Arc<dyn Transport>,
}

/// How long the other side may take in all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is looked at, in bytes.
const LONGEST: usize = 64;

impl Post {
    pub(crate) fn new(
        door: &Door,
        config: &AlertChannel,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, Error> {
        let bad = || unusable(door, "url", &"must be an absolute http or https URL");
        let uri: Uri = config.url.as_ref().and_then(|url| url.expose().parse().ok()).ok_or_else(bad)?;
        let scheme = uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS);
        let (scheme, authority) = scheme.cloned().zip(uri.authority().cloned()).ok_or_else(bad)?;
        let prefix = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let address = Address { scheme, authority, prefix, http2: Http2::Auto, ca: None, insecure: false };
        let timeouts =
            Timeouts { connect: PATIENCE, first_byte: PATIENCE, between_bytes: PATIENCE, total: PATIENCE };
        let upstream = Upstream {
            name: door.name.as_str().into(),
            catalog: "".into(),
            speaks: Vec::new(),
            credentials: Vec::new(),
            reach: Reach::Network(Box::new(address)),
            timeouts,
            max_answer: LONGEST,
            models: Vec::new(),
            claims: &[],
        };
        Ok(Self { upstream: Arc::new(upstream), speech: Arc::new(Speech::plain("")), transport })
    }

    /// Posts JSON, and returns the status of the answer.
    ///
    /// # Errors
    /// When there is no answer, or another than a 2xx.
    pub(crate) async fn send(&self, headers: HeaderMap, body: String) -> Result<String, Error> {
        let call = Call {
            upstream: Arc::clone(&self.upstream),
            speech: Arc::clone(&self.speech),
            method: Method::POST,
            prefix: None,
            path: Cow::Borrowed(""),
            headers,
            stream: false,
            body: Segments::one(Bytes::from(body)),
            first_byte: PATIENCE,
            total: PATIENCE,
        };
        let answered = self.transport.call(call).await;
        let mut answer = answered.map_err(|error| {
            let told = Error::upstream(error.kind(), "The receiver of the alerts did not answer.");
            told.detail(error.private().unwrap_or_else(|| error.public()).to_owned())
        })?;
        let mut said = Vec::new();
        while let Some(Ok(frame)) = answer.body.frame().await {
            said.extend(frame.into_data().unwrap_or_default());
            if said.len() > LONGEST {
                break;
            }
        }
        let status = answer.status;
        if status.is_success() {
            return Ok(status.to_string());
        }
        // Slack says what is wrong in a word. Anything longer could repeat the address, which is secret.
        let word = String::from_utf8(said).unwrap_or_default();
        let is_word =
            (1..=LONGEST).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let detail = if is_word { format!("{status}: {word}") } else { status.to_string() };
        Err(Error::upstream(Kind::UpstreamError, "The receiver of the alerts refused the message.")
            .detail(detail))
    }
}
