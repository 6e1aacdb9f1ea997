//! What a decision sees of a request. What must be read from the body is read when somebody asks for it, and once.

use std::cell::OnceCell;

use http::HeaderMap;
use lockgate_core::decision::Task;
use lockgate_core::{Attribution, Key, Money, Payload, Tick};

use crate::affinity;
use crate::class;
use crate::preferences::Preferences;
use crate::read::{self, Reading};
use crate::view::Abilities;

/// A request that is to be routed.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The model as the client named it.
    pub model: &'a str,
    /// The name of the client's dialect.
    pub dialect: &'a str,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// The key that was shown.
    pub key: &'a Key,
    /// On whose behalf.
    pub attribution: &'a Attribution,
    /// Where the request wants to be processed, such as `eu`.
    pub region: Option<&'a str>,
    /// What is left of the budgets that it runs under.
    pub budget: BudgetState,
    /// What the request itself prefers, where it says so.
    pub preferences: Option<Box<Preferences>>,
    /// Time of day in Unix milliseconds.
    pub wall_ms: u64,
    /// The monotonic clock.
    pub now: Tick,
    /// Makes every draw repeatable.
    pub seed: u64,
    /// The body.
    payload: Option<&'a Payload>,
    /// The length of what is said to the model, in bytes.
    prompt_bytes: u64,
    headers: Option<&'a HeaderMap>,
    told: Told,
    reading: OnceCell<Reading>,
    task: OnceCell<Task>,
    session: OnceCell<Option<u64>>,
}

/// What is known of a request without its body: for a dry run, a test of a policy, an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Input tokens.
    pub input_tokens: Option<u64>,
    /// The most output tokens that it asks for.
    pub output_ceiling: Option<u64>,
    /// What a model must be able to do.
    pub needs: Option<Abilities>,
    /// What kind of work it is.
    pub task: Option<Task>,
    /// The provider that a signed block of reasoning belongs to.
    pub bound_to: Option<Box<str>>,
    /// The session.
    pub session: Option<u64>,
}

/// What is left of the budgets that a request runs under, the tightest counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetState {
    /// What may still be spent; `None`: there is no budget.
    pub left: Option<Money>,
    /// What is spent of it, in percent; may be over 100. `None`: there is no budget.
    pub used_percent: Option<u32>,
}

// === impl Ask ===

impl<'a> Ask<'a> {
    /// A request for a model under a key, of which nothing else is known yet.
    pub fn new(model: &'a str, key: &'a Key, attribution: &'a Attribution) -> Self {
        Self {
            model,
            dialect: "",
            stream: false,
            key,
            attribution,
            region: None,
            budget: BudgetState::default(),
            preferences: None,
            wall_ms: 0,
            now: Tick::default(),
            seed: 0,
            payload: None,
            prompt_bytes: 0,
            headers: None,
            told: Told::default(),
            reading: OnceCell::new(),
            task: OnceCell::new(),
            session: OnceCell::new(),
        }
    }

    /// The same with a body, of which `prompt_bytes` are said to the model, and the client's headers.
    #[must_use]
    pub fn reads(self, payload: &'a Payload, prompt_bytes: u64, headers: &'a HeaderMap) -> Self {
        Self { payload: Some(payload), prompt_bytes, headers: Some(headers), ..self }
    }

    /// The same with what is known without reading; it goes before what a body says.
    #[must_use]
    pub fn told(self, told: Told) -> Self {
        Self { told, ..self }
    }

    /// The body.
    pub const fn payload(&self) -> Option<&'a Payload> {
        self.payload
    }

    /// The client's headers.
    pub const fn headers(&self) -> Option<&'a HeaderMap> {
        self.headers
    }

    /// A field of the key's metadata, such as `team` or `tier`.
    pub fn metadata(&self, name: &str) -> Option<&'a str> {
        self.key.metadata.get(name).map(String::as_str)
    }

    /// The team. Where nothing was attributed, what the key says.
    pub fn team(&self) -> Option<&'a str> {
        self.attribution.team.as_deref().or_else(|| self.metadata("team"))
    }

    /// The organisation, in the same way.
    pub fn organisation(&self) -> Option<&'a str> {
        self.attribution.organisation.as_deref().or_else(|| self.metadata("organisation"))
    }

    /// Estimated input tokens.
    pub fn input_tokens(&self) -> u64 {
        self.told.input_tokens.unwrap_or_else(|| self.reading().input_tokens)
    }

    /// The most output tokens that the request asks for; `None`: it does not say.
    pub fn output_ceiling(&self) -> Option<u64> {
        self.told.output_ceiling.or_else(|| self.reading().output_ceiling)
    }

    /// Output tokens to reckon with: a typical answer, at most what is asked for.
    pub fn output_tokens(&self) -> u64 {
        let usual = class::usual_output(self.input_tokens(), self.needs());
        self.output_ceiling().map_or(usual, |most| most.min(usual))
    }

    /// What a model must be able to do for it.
    pub fn needs(&self) -> Abilities {
        self.told.needs.unwrap_or_else(|| self.reading().needs)
    }

    /// What kind of work it is, and how hard.
    pub fn task(&self) -> &Task {
        self.told.task.as_ref().unwrap_or_else(|| self.task.get_or_init(|| class::task(self)))
    }

    /// The provider that can read a signed block of reasoning in the conversation; `None`: there is none, or any can.
    pub fn bound_to(&self) -> Option<&str> {
        self.told.bound_to.as_deref().or_else(|| self.reading().bound_to.as_deref())
    }

    /// Whether the conversation is inside a turn: the last that was said is a tool's result.
    pub fn mid_turn(&self) -> bool {
        self.reading().mid_turn
    }

    /// Stands for the session or conversation that it belongs to; `None`: nothing says so.
    pub fn session(&self) -> Option<u64> {
        self.told.session.or_else(|| *self.session.get_or_init(|| affinity::session(self)))
    }

    fn reading(&self) -> &Reading {
        self.reading
            .get_or_init(|| self.payload.map(|body| read::read(body, self.prompt_bytes)).unwrap_or_default())
    }
}
