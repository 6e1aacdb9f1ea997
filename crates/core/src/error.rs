//! The one error type. It says what went wrong, whose fault it is, whether trying again can help, what the client may
//! read, and what only the log may know. A dialect turns it into bytes, the door sends them; nobody else does.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::codes::codes;
use crate::decision::Candidate;

/// A failure. One pointer wide, so that results stay small on the good path.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    origin: Origin,
    retry: Retry,
    retry_after: Option<Duration>,
    public: Cow<'static, str>,
    detail: Option<String>,
    param: Option<Cow<'static, str>>,
    verbatim: Option<Verbatim>,
    headers: HeaderMap,
    candidates: Vec<Candidate>,
}

codes! {
    /// What went wrong. A kind exists only where some client or some retry rule treats it differently.
    pub enum Kind {
        /// The request is malformed or a value in it is refused.
        InvalidRequest = "invalid_request",
        /// No key, or one that is unknown, expired or revoked.
        Unauthenticated = "unauthenticated",
        /// The key is good but may not do this.
        PermissionDenied = "permission_denied",
        /// Nothing is served under this path or method.
        NotFound = "not_found",
        /// No route, provider or model has this name.
        ModelNotFound = "model_not_found",
        /// The request is larger than the limit.
        RequestTooLarge = "request_too_large",
        /// The client was too slow to send its request.
        RequestTimeout = "request_timeout",
        /// The client left before the answer was complete.
        ClientClosed = "client_closed",
        /// The input does not fit into the model's context window.
        ContextWindow = "context_window",
        /// The provider refused the content.
        ContentPolicy = "content_policy",
        /// A limit of requests, tokens or concurrency set in the gateway.
        RateLimited = "rate_limited",
        /// A budget set in the gateway is used up.
        BudgetExceeded = "budget_exceeded",
        /// A guardrail refused the content.
        GuardrailBlocked = "guardrail_blocked",
        /// The provider does not accept the gateway's credential.
        UpstreamAuth = "upstream_auth",
        /// The gateway's account at the provider has no credit.
        UpstreamCredit = "upstream_credit",
        /// The provider limits the gateway's rate.
        UpstreamRateLimited = "upstream_rate_limited",
        /// The provider says that it is overloaded.
        UpstreamOverloaded = "upstream_overloaded",
        /// The provider failed (5xx).
        UpstreamError = "upstream_error",
        /// No connection: refused, DNS, TLS, network.
        UpstreamUnreachable = "upstream_unreachable",
        /// The provider did not answer, or stopped answering, in time.
        UpstreamTimeout = "upstream_timeout",
        /// The provider's answer cannot be understood.
        UpstreamBadAnswer = "upstream_bad_answer",
        /// The provider's answer broke off.
        UpstreamBroken = "upstream_broken",
        /// No target was left to try.
        NoTarget = "no_target",
        /// The gateway is full or shutting down.
        Unavailable = "unavailable",
        /// A fault of the gateway itself.
        Internal = "internal",
    }
}

codes! {
    /// Whose fault a failure is.
    pub enum Fault {
        /// Whoever sent the request.
        Caller = "caller",
        /// A rule that the operator set.
        Policy = "policy",
        /// The provider behind the gateway.
        Provider = "provider",
        /// The gateway.
        Gateway = "gateway",
    }
}

codes! {
    /// Where a failure was seen first.
    pub enum Origin {
        /// On the client's connection or in its request.
        Client = "client",
        /// Inside the gateway.
        Gateway = "gateway",
        /// At the provider or on the way to it.
        Upstream = "upstream",
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never: every target would say the same.
    Never,
    /// At another target only; this one will say the same again for now.
    Elsewhere,
    /// At another target, or at the same one after a pause.
    Again,
}

/// A provider's own error answer, to be passed on untouched where the client speaks the same dialect.
#[derive(Clone, Debug)]
pub struct Verbatim {
    /// The provider's status.
    pub status: StatusCode,
    /// The provider's headers, those of its connection taken out.
    pub headers: HeaderMap,
    /// The provider's body.
    pub body: Bytes,
}

// === impl Kind ===

impl Kind {
    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        match self {
            Self::InvalidRequest
            | Self::Unauthenticated
            | Self::NotFound
            | Self::ModelNotFound
            | Self::RequestTooLarge
            | Self::RequestTimeout
            | Self::ClientClosed
            | Self::ContextWindow
            | Self::ContentPolicy => Fault::Caller,
            Self::PermissionDenied | Self::RateLimited | Self::BudgetExceeded | Self::GuardrailBlocked => {
                Fault::Policy
            }
            Self::UpstreamAuth
            | Self::UpstreamCredit
            | Self::UpstreamRateLimited
            | Self::UpstreamOverloaded
            | Self::UpstreamError
            | Self::UpstreamUnreachable
            | Self::UpstreamTimeout
            | Self::UpstreamBadAnswer
            | Self::UpstreamBroken => Fault::Provider,
            Self::NoTarget | Self::Unavailable | Self::Internal => Fault::Gateway,
        }
    }

    /// The HTTP status when the gateway words the answer itself.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::ContextWindow | Self::ContentPolicy | Self::GuardrailBlocked => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound | Self::ModelNotFound => StatusCode::NOT_FOUND,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout | Self::ClientClosed => StatusCode::REQUEST_TIMEOUT,
            Self::RateLimited | Self::BudgetExceeded | Self::UpstreamRateLimited => {
                StatusCode::TOO_MANY_REQUESTS
            }
            // In the gateway's own words never 401 or 402: the client's own key is fine. A provider's JSON error passes as
            // it came, with `x-lockgate-fault: provider` beside it.
            Self::UpstreamAuth
            | Self::UpstreamCredit
            | Self::UpstreamError
            | Self::UpstreamUnreachable
            | Self::UpstreamBadAnswer
            | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::UpstreamOverloaded | Self::NoTarget | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether trying again can help, unless the error says otherwise.
    pub const fn retry(self) -> Retry {
        match self {
            Self::UpstreamAuth
            | Self::UpstreamCredit
            | Self::UpstreamRateLimited
            | Self::ContextWindow
            | Self::ContentPolicy => Retry::Elsewhere,
            Self::UpstreamOverloaded
            | Self::UpstreamError
            | Self::UpstreamUnreachable
            | Self::UpstreamTimeout
            | Self::UpstreamBadAnswer
            | Self::UpstreamBroken => Retry::Again,
            _ => Retry::Never,
        }
    }

    /// Whether it speaks against the health of the endpoint that it came from.
    pub const fn counts_against_health(self) -> bool {
        matches!(
            self,
            Self::UpstreamAuth
                | Self::UpstreamCredit
                | Self::UpstreamOverloaded
                | Self::UpstreamError
                | Self::UpstreamUnreachable
                | Self::UpstreamTimeout
                | Self::UpstreamBadAnswer
                | Self::UpstreamBroken
        )
    }
}

// === impl Error ===

impl Error {
    fn new(kind: Kind, origin: Origin, public: Cow<'static, str>) -> Self {
        Self(Box::new(Inner {
            kind,
            origin,
            retry: kind.retry(),
            retry_after: None,
            public,
            detail: None,
            param: None,
            verbatim: None,
            headers: HeaderMap::new(),
            candidates: Vec::new(),
        }))
    }

    /// A failure in what the client sent or did.
    pub fn client(kind: Kind, public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, Origin::Client, public.into())
    }

    /// A failure or refusal of the gateway.
    pub fn gateway(kind: Kind, public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, Origin::Gateway, public.into())
    }

    /// A failure at or on the way to a provider.
    pub fn upstream(kind: Kind, public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, Origin::Upstream, public.into())
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names the member or header that is at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Overrides whether trying again can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says when trying again can help.
    #[must_use]
    pub fn retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// Lets headers of the answer be changed: those of the provider's own, where that is what the client gets.
    #[must_use]
    pub fn with_headers(mut self, change: impl FnOnce(&mut HeaderMap)) -> Self {
        change(match &mut self.0.verbatim {
            Some(own) => &mut own.headers,
            None => &mut self.0.headers,
        });
        self
    }

    /// Keeps the provider's own answer.
    #[must_use]
    pub fn verbatim(mut self, verbatim: Verbatim) -> Self {
        self.0.verbatim = Some(verbatim);
        self
    }

    /// For a client of another dialect than the provider's: the provider's own answer is not shown, its headers are
    /// (rate limits, ids, when to come back).
    #[must_use]
    pub fn in_other_words(mut self) -> Self {
        if let Some(mut own) = self.0.verbatim.take() {
            own.headers.remove(http::header::CONTENT_TYPE);
            self.0.headers = own.headers;
        }
        self
    }

    /// Lists the targets that were looked at, with why each was passed over.
    #[must_use]
    pub fn candidates(mut self, candidates: Vec<Candidate>) -> Self {
        self.0.candidates = candidates;
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.0.kind.fault()
    }

    /// Where it was seen.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Whether trying again can help.
    pub fn retry_advice(&self) -> Retry {
        self.0.retry
    }

    /// How long to wait before it can help.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the client may read.
    pub fn public(&self) -> &str {
        &self.0.public
    }

    /// What only the log may know.
    pub fn private(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The member or header at fault.
    pub fn at(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The provider's own answer, if that is what this error is.
    pub fn own_answer(&self) -> Option<&Verbatim> {
        self.0.verbatim.as_ref()
    }

    /// Headers that go with the error's own words.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The targets that were looked at.
    pub fn looked_at(&self) -> &[Candidate] {
        &self.0.candidates
    }

    /// The HTTP status that the client gets.
    pub fn status(&self) -> StatusCode {
        self.0.verbatim.as_ref().map_or_else(|| self.0.kind.status(), |own| own.status)
    }
}

/// For the log: the private detail is in it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.0.kind.code(), self.0.origin.code(), self.0.public)?;
        self.0.detail.as_ref().map_or(Ok(()), |detail| write!(f, " [{detail}]"))
    }
}

/// For the client: the public text alone.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.public)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_client_only_what_it_may_read() {
        let error = Error::upstream(Kind::UpstreamUnreachable, "the provider cannot be reached")
            .detail("connect 10.0.0.7:443: refused");
        assert_eq!(error.to_string(), "the provider cannot be reached");
        assert!(format!("{error:?}").contains("10.0.0.7"));
        assert_eq!(error.fault(), Fault::Provider);
    }

    #[test]
    fn codes_are_unique_and_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
        }
    }

    #[test]
    fn a_kind_that_is_the_callers_fault_is_never_tried_at_the_same_target_again() {
        for kind in Kind::ALL.iter().filter(|kind| kind.fault() == Fault::Caller) {
            assert_ne!(kind.retry(), Retry::Again, "{kind:?}");
        }
    }
}
