//! A provider as the gateway reaches it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::uri::{Authority, Scheme};

use crate::port::Signer;

/// A provider that is configured and ready to be called. Compiled once, shared by all requests.
pub struct Upstream {
    /// Its name in the config.
    pub name: Arc<str>,
    /// The name under which the catalogue has its models and their prices.
    pub catalog: Arc<str>,
    /// The dialects that it speaks, the preferred one first.
    pub speaks: Vec<Arc<Speech>>,
    /// Its credentials, where there are several; calls take turns. Empty where `speaks` says all there is.
    pub credentials: Vec<Credential>,
    /// Where it is.
    pub reach: Reach,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// The longest answer that is read whole, in bytes.
    pub max_answer: usize,
    /// Models that are listed and found by their plain name.
    pub models: Vec<Arc<str>>,
    /// Plain model names that are this provider's, as patterns with `*` at the end.
    pub claims: &'static [&'static str],
}

/// One of several credentials for a provider.
#[derive(Clone, Debug)]
pub struct Credential {
    /// How it is called in records: its place in the config and the end of its key, such as `#2 …9f3a`.
    pub name: Arc<str>,
    /// The same dialects in the same order, spoken with this credential.
    pub speaks: Vec<Arc<Speech>>,
}

/// A dialect as a provider speaks it.
pub struct Speech {
    /// The dialect's name.
    pub dialect: &'static str,
    /// Models that it is spoken for, as patterns with `*` at the end; empty is all.
    pub models: Vec<String>,
    /// Where its calls go, if not to the dialect's own path behind the address' prefix.
    pub paths: Paths,
    /// Sent with every call: credentials (marked sensitive) and the operator's own headers.
    pub headers: HeaderMap,
    /// Signs calls, where a fixed header is not enough.
    pub signer: Option<Arc<dyn Signer>>,
    /// Where the provider departs from the dialect.
    pub quirks: Quirks,
}

/// Where the calls of a dialect go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// What stands before every path in place of the address' own prefix.
    pub prefix: Option<String>,
    /// The path of a whole answer behind that, with its query, in place of the dialect's; `{model}` stands for the
    /// model, percent-encoded.
    pub whole: Option<String>,
    /// The same for a streamed answer.
    pub stream: Option<String>,
}

/// How an upstream is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Over the network.
    Network(Box<Address>),
    /// In this process: the demo provider.
    Demo,
}

/// A place on the network.
#[derive(Clone, Debug)]
pub struct Address {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// What stands before every path, without a slash at its end.
    pub prefix: String,
    /// Which HTTP to speak.
    pub http2: Http2,
    /// Further certificate authorities to trust, in PEM.
    pub ca: Option<Arc<[u8]>>,
    /// Whether any certificate is accepted. For tests on one machine; `lockgate check` warns of it.
    pub insecure: bool,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// What TLS negotiates; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// HTTP/2 only, also without TLS.
    Always,
}

/// Where a provider departs from its dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Whether a stream must be asked for its usage.
    pub stream_usage: StreamUsage,
    /// Members that it refuses.
    pub drop: Vec<String>,
    /// Members that it knows by another name.
    pub rename: Vec<(String, String)>,
    /// Members of a request that it demands, with their JSON; what the client set itself stays.
    pub add: Vec<(String, String)>,
    /// Whether it goes on with an answer that the request ends with.
    pub prefill: Prefill,
}

/// How a provider is told to go on with an answer that was begun elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefill {
    /// It has to be asked in words, unless the dialect knows better by the model.
    #[default]
    No,
    /// The beginning is the last message.
    Last,
    /// The same, and the message has `"prefix": true`.
    Marked,
}

/// How a provider treats usage in streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// It reports usage when `stream_options.include_usage` asks for it.
    #[default]
    Ask,
    /// It reports usage unasked, or asking changes nothing; nothing is added to the request.
    Always,
    /// It refuses to be asked and reports none.
    Never,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub between_bytes: Duration,
    /// For the whole.
    pub total: Duration,
}

// === impl Upstream ===

impl Upstream {
    /// How it is spoken to about a model: in `dialect` if it speaks that, else in the one it prefers. `None` when it
    /// speaks nothing for this model.
    pub fn speech(&self, dialect: &str, model: &str) -> Option<&Arc<Speech>> {
        let mut fitting = self.speaks.iter().filter(|speech| speech.is_for(model));
        let preferred = fitting.clone().next();
        fitting.find(|speech| speech.dialect == dialect).or(preferred)
    }
}

impl Upstream {
    /// The same speech with the credential at this place, if there are several.
    pub fn shown<'a>(&'a self, speech: &'a Arc<Speech>, credential: Option<usize>) -> &'a Arc<Speech> {
        let Some(credential) = credential.and_then(|at| self.credentials.get(at)) else { return speech };
        let place = self.speaks.iter().position(|own| Arc::ptr_eq(own, speech));
        place.and_then(|place| credential.speaks.get(place)).unwrap_or(speech)
    }
}

// === impl Speech ===

impl Speech {
    /// A dialect without departures, credentials or signature.
    pub fn plain(dialect: &'static str) -> Self {
        Self {
            dialect,
            models: Vec::new(),
            paths: Paths::default(),
            headers: HeaderMap::new(),
            signer: None,
            quirks: Quirks::default(),
        }
    }

    fn is_for(&self, model: &str) -> bool {
        self.models.is_empty()
            || self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => model.starts_with(start),
                None => model == pattern,
            })
    }
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speech")
            .field("dialect", &self.dialect)
            .field("paths", &self.paths)
            .field("quirks", &self.quirks)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            between_bytes: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}
