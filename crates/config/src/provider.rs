//! `providers`: the upstreams, each under its name.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use crate::context::Context;
use crate::credentials::{Credentials, Keys};
use crate::declare::{choices, settings};
use crate::diagnostic::{Complaint, did_you_mean, quoted};
use crate::document::Node;
use crate::endpoint::{BaseUrl, Headers, Renames};
use crate::setting::{Fields, Place, Section, Setting, Shape};
use crate::size::Size;

/// The types that are no built-in providers: endpoints of anybody's that speak a known dialect.
const COMPATIBLE: [(&str, ProviderType); 3] = [
    ("openai-compatible", ProviderType::OpenAiCompatible),
    ("anthropic-compatible", ProviderType::AnthropicCompatible),
    ("gemini-compatible", ProviderType::GeminiCompatible),
];
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// What a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderType {
    /// One that this gateway knows, by its built-in name.
    BuiltIn(String),
    /// Any endpoint that speaks OpenAI chat completions; it always has a base URL.
    OpenAiCompatible,
    /// Any endpoint that speaks Anthropic messages; it always has a base URL.
    AnthropicCompatible,
    /// Any endpoint that speaks Gemini's `generateContent`; it always has a base URL.
    GeminiCompatible,
}

settings! {
    /// An upstream that answers requests. Its name starts its targets: `NAME/MODEL`.
    pub struct Provider named name by refuse_name, check Provider::check {
        /// A built-in provider, or `openai-compatible`, `anthropic-compatible` or `gemini-compatible` for any endpoint that speaks OpenAI chat completions, Anthropic messages or Gemini's `generateContent`.
        kind as "type": ProviderType = ProviderType::BuiltIn(String::new()), shown "the name, if it is built in";
        /// The address that paths like `/chat/completions` are appended to. Required for types that are not built in.
        base_url: Option<BaseUrl> = None, shown "that of the type";
        /// The key that the gateway shows to the provider. A list of keys: calls take turns, and one that is refused, limited or out of credit rests while the others go on.
        api_key: Option<Keys> = None, shown "from the environment, if it is built in";
        /// What a cloud is called with in place of a key.
        credentials: Option<Credentials> = None, shown "from the environment";
        /// The region that it works in: a part of its address, where the type has one, and what `require.region` is compared with.
        region: Option<String> = None, shown "from the environment";
        /// The project, where the type's address has one.
        project: Option<String> = None, shown "from the environment";
        /// The resource, where the type's address has one: of Azure, its name; of Databricks, the host of the workspace.
        resource: Option<String> = None, shown "from the environment";
        /// The account, where the type's address has one.
        account: Option<String> = None, shown "from the environment";
        /// Whether it keeps nothing of a request once it is answered.
        zero_retention: Option<bool> = None, shown "not known";
        /// Whether it trains on requests.
        training: Option<bool> = None, shown "not known";
        /// Headers added to every request.
        headers: Headers;
        /// Models that `/v1/models` lists and that are found by their plain name.
        models: Vec<String>;
        /// How long to wait for what.
        timeouts: Timeouts;
        /// Which version of HTTP to speak.
        http2: Http2 = Http2::Auto;
        /// How token usage in a stream is obtained.
        stream_usage: StreamUsage = StreamUsage::Auto;
        /// Members of the request body that the provider does not take; they are left out, and the loss is reported.
        drop: Vec<String>;
        /// Members of the request body that the provider knows under another name.
        rename: Renames;
        /// Bytes of an answer that is not streamed.
        max_answer: Size = Size::mib(32), within Size::kib(1)..=Size::mib(2048);
        /// How the provider's certificate is checked.
        tls: UpstreamTls;
    }
}

settings! {
    /// Time limits of one attempt at a provider.
    pub struct Timeouts {
        /// Time to connect, TLS included.
        connect: Duration = Duration::from_secs(5), within Duration::from_millis(10)..=Duration::from_secs(300);
        /// Time from the request to the first byte of the answer.
        first_byte: Duration = Duration::from_secs(120), within Duration::from_millis(10)..=DAY;
        /// Longest silence inside an answer.
        between_bytes: Duration = Duration::from_secs(60), within Duration::from_millis(10)..=DAY;
        /// Time for the whole attempt, the last byte included.
        total: Duration = Duration::from_secs(600), within SECOND..=DAY;
    }
}

settings! {
    /// How the certificate of a provider is checked.
    pub struct UpstreamTls, check UpstreamTls::check {
        /// A file of certificates in PEM form that are trusted besides the public ones.
        ca: Option<PathBuf> = None, shown "none";
        /// Accept any certificate. Whoever is on the way can then read keys and prompts: for experiments only.
        insecure: bool = false;
    }
}

choices! {
    /// Which version of HTTP is spoken to a provider.
    pub enum Http2 {
        /// What the TLS handshake agrees on; HTTP/1.1 without TLS.
        Auto = "auto",
        /// HTTP/1.1.
        Never = "never",
        /// HTTP/2 without asking, also without TLS.
        Always = "always",
    }
}

choices! {
    /// How token usage in a stream is obtained.
    pub enum StreamUsage {
        /// As is right for the type; `openai-compatible` is asked.
        Auto = "auto",
        /// The provider sends it when it is asked to.
        Ask = "ask",
        /// The provider sends it unasked, and must not be asked.
        Always = "always",
        /// The provider never sends it; usage is estimated.
        Never = "never",
    }
}

/// What is wrong with a provider's name.
fn refuse_name(name: &str) -> Option<Complaint> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let later = |byte: u8| first(byte) || matches!(byte, b'.' | b'_' | b'-');
    let good =
        (1..=64).contains(&name.len()) && name.bytes().next().is_some_and(first) && name.bytes().all(later);
    (!good).then(|| {
        Complaint::new("is not a name for a provider")
            .hint("use up to 64 of a-z, 0-9, \".\", \"_\" and \"-\", with a letter or a digit at the start")
    })
}

impl Provider {
    /// A built-in provider with every setting at its default.
    pub fn built_in(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ProviderType::BuiltIn(name.to_owned()), ..Self::start() }
    }

    /// Judges what several fields decide together.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if !from.has("type") {
            self.default_type(from, cx);
        }
        if COMPATIBLE.iter().any(|(_, kind)| *kind == self.kind) && !from.has("base_url") {
            cx.missing(from.at("base_url"), "base_url");
        }
        if let Some(both) = self.drop.iter().find(|name| self.rename.iter().any(|(from, _)| from == *name)) {
            let message = format!("{} is also renamed", quoted(both));
            cx.inside(Place::Key("drop".to_owned()), |cx| cx.error(from.at("drop"), Complaint::new(message)));
        }
    }

    fn default_type(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if cx.known.providers.contains(&self.name.as_str()) {
            self.kind = ProviderType::BuiltIn(self.name.clone());
            return;
        }
        let message = format!("\"type\" is missing, and {} is not a built-in provider", quoted(&self.name));
        let hint = if from.has("base_url") {
            Some("add \"type: openai-compatible\"".to_owned())
        } else {
            did_you_mean(&self.name, cx.known.providers.iter().copied())
        };
        let hint =
            hint.or_else(|| Some("name a built-in provider, or openai-compatible and a base_url".to_owned()));
        cx.error(from.at("type"), Complaint { message, hint });
    }
}

impl UpstreamTls {
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if self.insecure {
            let complaint = Complaint::new("the certificate of this provider is not checked");
            let complaint = complaint.hint("name the provider's own authority with \"ca\" instead");
            cx.inside(Place::Key("insecure".to_owned()), |cx| cx.warn(from.at("insecure"), complaint));
        }
    }
}

impl Setting for ProviderType {
    fn shape() -> Shape {
        Shape::text("provider type")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let built_in = cx.known.providers;
        let types = || built_in.iter().copied().chain(COMPATIBLE.iter().map(|(word, _)| *word));
        cx.parse(node, "a type of provider", |text| {
            if let Some((_, kind)) = COMPATIBLE.iter().find(|(word, _)| *word == text) {
                return Ok(kind.clone());
            }
            if built_in.contains(&text) {
                return Ok(Self::BuiltIn(text.to_owned()));
            }
            let all = || format!("the types are {}", types().collect::<Vec<_>>().join(", "));
            Err(Complaint {
                message: "is not a built-in provider".to_owned(),
                hint: did_you_mean(text, types()).or_else(|| Some(all())),
            })
        })
    }

    fn spell(&self) -> Json {
        match self {
            Self::BuiltIn(name) => name.as_str().into(),
            other => COMPATIBLE.iter().find(|(_, kind)| kind == other).map_or("", |(word, _)| word).into(),
        }
    }
}
