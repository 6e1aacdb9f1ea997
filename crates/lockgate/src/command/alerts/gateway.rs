//! Asking a running gateway, with the admin token.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::BodyExt as _;
use lockgate_core::port::{Call, Transport as _};
use lockgate_core::upstream::{Address, Http2, Reach, Timeouts};
use lockgate_core::{Clock, Segments, Speech, Upstream};
use lockgate_demo::Demo;
use lockgate_provider::HttpTransport;
use serde_json::Value;

use crate::assemble::SystemClock;
use crate::exit::Failure;
use crate::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 << 20;

/// What the gateway answers at a path.
///
/// # Errors
/// When there is no token to show, nobody answers, or the answer is a refusal.
pub(super) fn get(settings: &Settings, url: Option<&str>, path: &'static str) -> Result<Value, Failure> {
    let server = &settings.config.server;
    let url = url.map_or_else(|| usual(server.listen, server.tls.is_some()), str::to_owned);
    let bad = || Failure::arguments(format!("--url {url}: is not an address such as http://127.0.0.1:4100"));
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let scheme = uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS);
    let (scheme, authority) = scheme.cloned().zip(uri.authority().cloned()).ok_or_else(bad)?;
    let token = server.admin_token.as_ref().ok_or_else(|| {
        Failure::new("the gateway asks for its admin token: set LOCKGATE_ADMIN_TOKEN, or server.admin_token in the config")
    })?;
    let mut shown = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| Failure::config("server.admin_token: holds a character that no header may have"))?;
    shown.set_sensitive(true);
    let prefix = uri.path().trim_end_matches('/').to_owned();
    let address = Address { scheme, authority, prefix, http2: Http2::Never, ca: None, insecure: false };
    let timeouts =
        Timeouts { connect: PATIENCE, first_byte: PATIENCE, between_bytes: PATIENCE, total: PATIENCE };
    let upstream = Upstream {
        name: "gateway".into(),
        catalog: "".into(),
        speaks: Vec::new(),
        credentials: Vec::new(),
        reach: Reach::Network(Box::new(address)),
        timeouts,
        max_answer: LONGEST,
        models: Vec::new(),
        claims: &[],
    };
    let call = Call {
        upstream: Arc::new(upstream),
        speech: Arc::new(Speech::plain("")),
        method: Method::GET,
        prefix: None,
        path: Cow::Borrowed(path),
        headers: HeaderMap::from_iter([(AUTHORIZATION, shown)]),
        stream: false,
        body: Segments::default(),
        first_byte: PATIENCE,
        total: PATIENCE,
    };
    let clock: Arc<dyn Clock> = SystemClock::start();
    let transport = HttpTransport::new(Demo::default(), clock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let none = |why: &str| Failure::new(format!("the gateway at {url} does not answer: {why}"));
    runtime.block_on(async {
        let mut answer = transport
            .call(call)
            .await
            .map_err(|error| none(error.private().unwrap_or_else(|| error.public())))?;
        let mut body = Vec::new();
        while let Some(frame) = answer.body.frame().await {
            let frame = frame.map_err(|error| none(error.public()))?;
            body.extend(frame.into_data().unwrap_or_default());
            if body.len() > LONGEST {
                return Err(none("its answer has no end"));
            }
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if answer.status.is_success() {
            return Ok(said);
        }
        let message = said["error"]["message"].as_str().unwrap_or_default();
        Err(Failure::new(format!("the gateway at {url} refused: {} {message}", answer.status)))
    })
}

/// Where a gateway is reached that listens there.
fn usual(listen: SocketAddr, tls: bool) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, listen.port()))
}
