//! The grammar of lockgate.yaml: read with positions, compiled to meaning, all mistakes at once.
//!
//! [`load`] goes from text to [`Config`] in steps: `document` makes a tree with positions of the YAML, `env` puts in
//! the variables, the declarations in `server`, `attribution`, `records`, `provider`, `credentials`, `route` and `model` read the tree, and what
//! can only be judged of the whole is judged last. The same declarations make [`schema()`] and [`reference()`]. Nothing here
//! reads files, the environment or the clock.

mod alert;
mod attribution;
mod case;
mod context;
mod credentials;
mod decimal;
mod declare;
mod diagnostic;
mod document;
mod duration;
mod endpoint;
mod env;
mod limit;
mod model;
mod policy;
mod postgres;
mod price;
mod provider;
mod records;
mod route;
mod scalar;
mod schema;
mod server;
mod setting;
mod size;

use std::collections::HashSet;
use std::path::PathBuf;

use crate::context::Context;
use crate::declare::settings;
use crate::diagnostic::{Complaint, Findings, Position};
use crate::document::{Node, Value};
use crate::setting::{Fields, Place, Section, Setting};

pub use crate::alert::{
    AlertChannel, AlertSeverity, AlertTopic, Alerts, ChannelKind, MailEncryption, SecretUrl,
};
pub use crate::attribution::{Aspect, Attribution};
pub use crate::case::{Body, Case, CaseBreaker, CaseState, Exclusions, Expect, KindName, Pairs, States};
pub use crate::credentials::{Credentials, Document, Keys};
pub use crate::decimal::{Dollars, Factor, NotDecimal, Percent};
pub use crate::diagnostic::{Diagnostic, Severity};
pub use crate::endpoint::{BaseUrl, Headers, Renames};
pub use crate::limit::{LimitAudience, LimitCount, LimitDimension, LimitTime, RateLimit};
pub use crate::model::{Ability, ModelCatalog, ModelLimits, ModelMode, ModelSettings};
pub use crate::policy::{Audience, ModelPattern, Policy, PolicyMode, Selection};
pub use crate::postgres::{Postgres, PostgresTls, WrongPostgres};
pub use crate::price::{Counted, ModelPrice, ModelPrices, PriceTier};
pub use crate::provider::{Http2, Provider, ProviderType, StreamUsage, Timeouts, UpstreamTls};
pub use crate::records::{Log, LogFormat, LogLevel, Records, Retention, Store, UnknownStore};
pub use crate::route::Route;
pub use crate::route::demand::{MaxPrice, Regions, Require};
pub use crate::route::patience::{Fallback, Hedge, OnBreak, RouteTimeouts, StreamRules};
pub use crate::route::score::{Benchmarks, Exploration, Missing, Score, ScoreMode, Stickiness, Weigh};
pub use crate::route::strategy::{Complexity, Latency, LatencyBy, Share, Sticky, StickyBy, Use};
pub use crate::route::target::{Target, Wildcard, fits};
pub use crate::route::when::{Condition, ConditionFault, Rule};
pub use crate::schema::{reference, schema};
pub use crate::server::{Limits, Metrics, Server, ServerTls};
pub use crate::size::Size;

settings! {
    /// The settings of a gateway. Every one of them may be left out.
    pub struct Config, check Config::check {
        /// The front door.
        server: Server;
        /// Where keys, records, documents and budgets live.
        store: Store = Store::Sqlite(PathBuf::from(".lockgate/lockgate.db"));
        /// How the record of each request gets into the store.
        records: Records;
        /// What the process says on its standard error.
        log: Log;
        /// Whether a provider key in the environment (such as `OPENAI_API_KEY`) adds the provider it belongs to.
        discover: bool = false;
        /// The upstreams, each under its name: a-z, 0-9, `.`, `_` and `-`, at most 64 characters.
        providers: Vec<Provider>;
        /// Names that clients can use as a model. A name cannot contain `/`.
        routes: Vec<Route>;
        /// On whose behalf requests run: what clients may say of it, and what must be known.
        attribution: Attribution;
        /// Who may use what, each under a name of yours.
        policies: Vec<Policy>;
        /// What may pass in a time and at once, each limit under a name of yours.
        limits: Vec<RateLimit>;
        /// Who is told what goes wrong or gets dear.
        alerts: Alerts;
        /// Requests and what is to become of them, each under a name of yours. `lockgate check` runs them.
        tests: Vec<Case>;
        /// Where the facts and list prices of models come from.
        catalog: ModelCatalog;
        /// What you say of models yourself, by `PROVIDER/MODEL`, where `*` stands for any text. The provider is named as in
        /// targets. Applied in the order of the file, each to what those before it have left.
        models: Vec<ModelSettings>;
    }
}

/// What the grammar has to be told about the rest of the program.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The names of the built-in providers.
    pub providers: &'a [&'a str],
    /// The names of the benchmarks that there are scores of. Empty: names of benchmarks are not checked.
    pub benchmarks: &'a [&'a str],
    /// Everything that is wrong with the text of a condition.
    pub conditions: fn(&str) -> Vec<ConditionFault>,
}

/// A route that is kept beside the file.
#[derive(Debug, Clone, Copy)]
pub struct KeptRoute<'a> {
    /// Its name.
    pub name: &'a str,
    /// What would stand under the name in the file, as JSON.
    pub body: &'a str,
}

/// The names of the routes that a text declares, whatever else is wrong with it.
pub fn route_names(text: &str) -> Vec<String> {
    let tree = document::read(text, &|_| Some(String::new()), &mut Findings::default());
    let routes = tree.and_then(|root| root.member(ROUTES).map(Node::keys));
    routes.unwrap_or_default()
}

/// Where the store of a config is, whatever else is wrong with the text: what is kept there may be what it lacks.
pub fn store_of(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Store {
    let mut findings = Findings::default();
    let tree = document::read(text, env, &mut findings);
    let mut cx =
        Context::new(&Known { providers: &[], benchmarks: &[], conditions: |_| Vec::new() }, &mut findings);
    let said = tree.and_then(|root| Store::read(root.member("store")?, &mut cx));
    said.unwrap_or_else(|| Config::default().store)
}

/// The section that routes stand in.
const ROUTES: &str = "routes";

impl KeptRoute<'_> {
    /// The tree of the file with this route among its routes.
    fn put_into(&self, root: Node, findings: &mut Findings) -> Node {
        let path = path_of(&[ROUTES, self.name]);
        if let Some(at) = root.member(ROUTES).and_then(|routes| routes.member(self.name)).map(|own| own.at) {
            let message = format!("{path}: is kept in the store as well; what the file says holds");
            findings.add(Severity::Warning, &path, at, Complaint::new(message));
            return root;
        }
        let mut own = Findings::default();
        let tree = document::read(self.body, &|_| None, &mut own);
        for found in own.finish() {
            let at = Position { line: found.line, column: found.column };
            let inner = if found.path.is_empty() { path.clone() } else { format!("{path}.{}", found.path) };
            let complaint = Complaint { message: format!("{inner}: {}", found.message), hint: found.hint };
            findings.add(found.severity, &inner, at, complaint);
        }
        match tree {
            Some(tree) => root.with(&[ROUTES, self.name], tree),
            None => root,
        }
    }
}

impl<'a> Known<'a> {
    /// These providers, and nothing that conditions or benchmarks are checked by.
    pub const fn providers(providers: &'a [&'a str]) -> Self {
        Self { providers, benchmarks: &[], conditions: |_| Vec::new() }
    }
}

/// Compiles the text of a lockgate.yaml. `env` gives the value of an environment variable.
///
/// Every mistake is reported, in the order of the file. There is a configuration exactly if no diagnostic is an
/// [error](Severity::Error). Any text is fine as an input: time and memory are bounded, and it does not panic.
pub fn load(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    known: &Known<'_>,
) -> (Option<Config>, Vec<Diagnostic>) {
    load_with(text, &[], env, known)
}

/// Compiles the text of a lockgate.yaml together with routes that are kept beside it, as if they stood in it. What is found in
/// one of them has the path `routes.NAME` and a place in its own text. They cannot use variables. Where the file has a
/// route of the same name, the file's holds, with a warning.
pub fn load_with(
    text: &str,
    kept: &[KeptRoute<'_>],
    env: &dyn Fn(&str) -> Option<String>,
    known: &Known<'_>,
) -> (Option<Config>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let tree = document::read(text, env, &mut findings);
    let tree = tree.map(|root| kept.iter().fold(root, |root, route| route.put_into(root, &mut findings)));
    let config = tree.and_then(|root| {
        let mut cx = Context::new(known, &mut findings);
        let config = Config::read(&root, &mut cx)?;
        let declared: HashSet<&str> =
            config.providers.iter().map(|provider| provider.name.as_str()).collect();
        cx.check_mentions(&declared, config.discover);
        cx.check_routes(&config.routes);
        Some(config)
    });
    let diagnostics = findings.finish();
    let usable = diagnostics.iter().all(|found| found.severity != Severity::Error);
    (config.filter(|_| usable), diagnostics)
}

/// A setting as diagnostics name it: its keys from the outermost on, those that would be ambiguous in quotes.
pub fn path_of(keys: &[&str]) -> String {
    keys.iter().fold(String::new(), |path, key| document::join(&path, key))
}

/// Where a setting stands in a text: line and column of its key, both from 1. `path` has its keys from the outermost on; an
/// item of a list is `[0]`, `[1]`, and so on.
/// `None` if it is not there, or the text is not YAML.
pub fn locate(text: &str, path: &[&str]) -> Option<(u32, u32)> {
    let mut node = document::read(text, &|_| Some(String::new()), &mut Findings::default())?;
    let mut found = None;
    for key in path {
        let Value::Map(entries) = &node.value else {
            let Value::List(items) = &node.value else { return None };
            let index: usize = key.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
            let item = items.get(index)?.clone();
            found = Some((item.at.line, item.at.column));
            node = item;
            continue;
        };
        let entry = entries.iter().find(|entry| entry.key == *key)?;
        found = Some((entry.at.line, entry.at.column));
        let value = entry.value.clone();
        node = value;
    }
    found
}

impl Config {
    /// Judges what the whole file decides.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        /// Each is compared with every model that is known.
        const MOST_MODELS: usize = 1_000;
        if self.models.len() > MOST_MODELS {
            let complaint = Complaint::new(format!("more than {MOST_MODELS} entries"));
            let complaint = complaint.hint("a list of your own is better kept in catalog.file");
            cx.inside(Place::Key("models".to_owned()), |cx| cx.error(from.at("models"), complaint));
        }
    }
}

macro_rules! with_defaults {
    ($($section:ty)+) => { $(
        /// Every setting at its default.
        impl Default for $section {
            fn default() -> Self {
                Self::start()
            }
        }
    )+ };
}

with_defaults!(Config Alerts Attribution Server Limits Records Log Timeouts UpstreamTls ModelCatalog ModelLimits);
with_defaults!(Fallback RouteTimeouts StreamRules Require MaxPrice Audience Selection Expect CaseState);
with_defaults!(LimitAudience);
with_defaults!(Weigh Stickiness Exploration);
