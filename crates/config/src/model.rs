//! `catalog` and `models`: what is known of models, and what the operator says of them.

use std::path::PathBuf;

use crate::context::Context;
use crate::decimal::Percent;
use crate::declare::{choices, settings};
use crate::diagnostic::Complaint;
use crate::price::ModelPrices;
use crate::setting::{Fields, Place};

settings! {
    /// Where the facts and list prices of models come from.
    pub struct ModelCatalog {
        /// A list of models in place of the built-in one; `lockgate catalog update` writes it. Read again when it changes.
        file: Option<PathBuf> = None, shown "the built-in list";
        /// Scores of models in benchmarks, your own evaluations among them, as CSV or JSON; they go before the built-in ones. Read again when it changes.
        scores: Option<PathBuf> = None, shown "none";
    }
}

settings! {
    /// What holds of a model, or of all known models that fit a pattern, in place of what the list of models says.
    pub struct ModelSettings named name by refuse_name, check ModelSettings::check {
        /// What is paid, in dollars: per million for tokens (`input`, `output`, `cache_read`, ...), for one of anything else
        /// (`request`, `search`, ...); for processing tiers under `batch`, `flex`, `priority` and `fast`, for long prompts
        /// under `above` and a number of tokens. What is not said stays.
        prices: ModelPrices;
        /// Whether nothing is charged.
        free: Option<bool> = None, shown "as listed";
        /// What the provider takes off its list prices. It does not touch `prices`: they are what is paid.
        discount: Option<Percent> = None, shown "none", within Some(Percent(0))..=Some(Percent(999_999));
        /// What is put on every price, those of `prices` included.
        margin: Option<Percent> = None, shown "none", within Some(Percent(0))..=Some(Percent(10_000_000));
        /// How many tokens fit.
        limits: ModelLimits;
        /// What it can do, in place of the whole list.
        capabilities: Option<Vec<Ability>> = None, shown "as listed";
        /// What it is for.
        mode: Option<ModelMode> = None, shown "as listed";
    }
}

settings! {
    /// How many tokens fit.
    pub struct ModelLimits {
        /// Tokens of input and output together.
        context: Option<u32> = None, shown "as listed", within Some(1)..=Some(u32::MAX);
        /// Tokens of input.
        input: Option<u32> = None, shown "as listed", within Some(1)..=Some(u32::MAX);
        /// Tokens of output.
        output: Option<u32> = None, shown "as listed", within Some(1)..=Some(u32::MAX);
    }
}

choices! {
    /// Something that a model can do.
    pub enum Ability {
        /// Calls tools.
        Tools = "tools",
        /// Calls several at once.
        ParallelTools = "parallel_tools",
        /// Can be told which to call.
        ToolChoice = "tool_choice",
        /// Answers by a JSON schema.
        StructuredOutput = "structured_output",
        /// Knows system messages.
        SystemMessages = "system_messages",
        /// Sees images.
        Vision = "vision",
        /// Reasons before it answers.
        Reasoning = "reasoning",
        /// Its prompts can be cached.
        PromptCache = "prompt_cache",
        /// Searches the web by itself.
        WebSearch = "web_search",
        /// Reads PDF.
        Pdf = "pdf",
        /// Hears.
        AudioInput = "audio_input",
        /// Speaks.
        AudioOutput = "audio_output",
        /// Sees video.
        VideoInput = "video_input",
        /// Operates a computer.
        ComputerUse = "computer_use",
        /// Continues an answer that was begun for it.
        Prefill = "prefill",
    }
}

choices! {
    /// What a model is for.
    pub enum ModelMode {
        /// Conversation.
        Chat = "chat",
        /// Conversation through OpenAI's Responses only.
        Responses = "responses",
        /// Continuation of a text.
        Completion = "completion",
        /// Vectors of texts.
        Embedding = "embedding",
        /// Order of texts by a query.
        Rerank = "rerank",
        /// Images from text.
        Image = "image",
        /// Images from images.
        ImageEdit = "image_edit",
        /// Speech from text.
        Speech = "speech",
        /// Text from speech.
        Transcription = "transcription",
        /// Judgement of content.
        Moderation = "moderation",
        /// Moving images.
        Video = "video",
        /// Speech in both directions at once.
        Realtime = "realtime",
        /// Text from pages.
        Ocr = "ocr",
        /// Search of the web.
        Search = "search",
        /// Anything else.
        Other = "other",
    }
}

/// What is wrong with the name of a model, or with a pattern for names.
fn refuse_name(name: &str) -> Option<Complaint> {
    const LONGEST: usize = 256;
    let hint = "write PROVIDER/MODEL, such as openai/gpt-4.1; * stands for any text, as in openai/*";
    let Some((provider, id)) = name.split_once('/') else {
        return Some(Complaint::new("is not a model of a provider").hint(hint));
    };
    let of_provider = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'*')
    };
    let strange = |c: char| c.is_whitespace() || c.is_control();
    let good = (1..=64).contains(&provider.len())
        && provider.bytes().all(of_provider)
        && (1..=LONGEST).contains(&id.len())
        && !id.contains(strange);
    (!good).then(|| Complaint::new("is not a model of a provider").hint(hint))
}

// === impl ModelSettings ===

impl ModelSettings {
    /// The provider and the provider's own name for the model; `*` in either stands for any text.
    pub fn model(&self) -> (&str, &str) {
        self.name.split_once('/').unwrap_or((&self.name, ""))
    }

    /// Judges what several fields decide together.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        if self.free != Some(true) {
            return;
        }
        let charges = [
            ("prices", !self.prices.is_empty()),
            ("discount", self.discount.is_some()),
            ("margin", self.margin.is_some()),
        ];
        for (field, said) in charges {
            if said {
                cx.inside(Place::Key(field.to_owned()), |cx| {
                    let complaint = Complaint::new("a model that is free has none");
                    cx.error(from.at(field), complaint.hint("leave out this or \"free: true\""));
                });
            }
        }
    }
}
