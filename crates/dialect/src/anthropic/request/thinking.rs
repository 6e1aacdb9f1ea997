//! How much to think, as the model takes it, and what must give way to it.

use crate::Losses;
use crate::anthropic::json::Object;
use crate::anthropic::model::Model;
use crate::neutral::{Effort, Request};

/// The smallest budget that is taken, in tokens.
const LEAST: u64 = 1_024;
/// The budget where the client only wants thought, and what is left for the answer where it names no limit.
const USUAL: u64 = 8_192;

/// What is said of thinking.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Thinking {
    pub(super) mode: Mode,
    /// `output_config.effort`.
    pub(super) level: Option<String>,
    /// `max_tokens`, with room for the thought.
    pub(super) limit: u64,
    display: Option<&'static str>,
}

/// Whether and how the model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing is said.
    Unsaid,
    Disabled,
    /// With so many tokens at most.
    Enabled(u64),
    Adaptive,
}

/// What stands against thinking with a budget.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Obstacles {
    /// A tool must be called.
    pub(super) forced: bool,
    /// The model waits for outcomes of calls, and the thought that led to them cannot be sent back.
    pub(super) thoughtless_calls: bool,
}

// === impl Thinking ===

impl Thinking {
    pub(super) fn of(request: &Request, model: Model, obstacles: Obstacles, losses: &mut Losses) -> Self {
        let limit = request.max_output.unwrap_or_else(|| model.usual_output());
        let mut thinking = Self { mode: Mode::Unsaid, level: None, limit, display: None };
        let Some(effort) = &request.reasoning else { return thinking };
        thinking.mode = mode(effort, model, obstacles, request.max_output, losses);
        if let Mode::Enabled(budget) = thinking.mode {
            let roomy = budget.saturating_add(USUAL);
            if request.max_output.is_none() && limit <= budget {
                thinking.limit = roomy;
            }
        }
        let wanted = match thinking.mode {
            // The budget says it all, unless the client said both.
            Mode::Enabled(_) if effort.budget.is_none() => None,
            Mode::Adaptive => effort.level(),
            _ => effort.level.as_deref(),
        };
        let dropped = thinking.mode == Mode::Unsaid && !effort_alone(effort);
        if !dropped {
            thinking.level = wanted.filter(|level| *level != "none").and_then(|l| level_of(l, model, losses));
        }
        if matches!(thinking.mode, Mode::Enabled(_) | Mode::Adaptive) {
            thinking.display = effort.summary.as_deref().map(|how| match how {
                "none" => "omitted",
                _ => "summarized",
            });
        }
        thinking
    }

    pub(super) fn is_on(&self) -> bool {
        matches!(self.mode, Mode::Enabled(_) | Mode::Adaptive)
    }

    pub(super) fn write(&self, body: &mut Object<'_>) {
        let kind = match self.mode {
            Mode::Unsaid => return,
            Mode::Disabled => "disabled",
            Mode::Enabled(_) => "enabled",
            Mode::Adaptive => "adaptive",
        };
        let mut object = Object::begin(body.member("thinking"));
        object.text("type", kind);
        if let Mode::Enabled(budget) = self.mode {
            object.number("budget_tokens", budget);
        }
        if let Some(display) = self.display {
            object.text("display", display);
        }
        object.end();
    }
}

/// A level that says how much to do and nothing of thinking, as this dialect's own clients write it.
fn effort_alone(effort: &Effort) -> bool {
    effort.adaptive && effort.enabled.is_none() && effort.level.is_some() && effort.budget.is_none()
}

fn mode(
    effort: &Effort,
    model: Model,
    obstacles: Obstacles,
    max_output: Option<u64>,
    losses: &mut Losses,
) -> Mode {
    let off = effort.enabled == Some(false)
        || effort.budget == Some(0)
        || (effort.level.as_deref() == Some("none") && effort.enabled.is_none());
    if off {
        if model.always_thinks() {
            losses.lose("reasoning", "the model always thinks");
            return Mode::Unsaid;
        }
        return if model.thinks() { Mode::Disabled } else { Mode::Unsaid };
    }
    if effort_alone(effort) {
        return Mode::Unsaid;
    }
    if !model.thinks() {
        losses.lose("reasoning", "the model does not think");
        return Mode::Unsaid;
    }
    let wants = model.adaptive_only() || effort.adaptive || effort.budget.is_none();
    if (model.adaptive() && wants) || (model.is_unknown() && effort.adaptive && effort.enabled == Some(true))
    {
        return Mode::Adaptive;
    }
    if obstacles.forced {
        losses.lose("reasoning", "the target does not think where a tool must be called");
        return Mode::Unsaid;
    }
    if obstacles.thoughtless_calls {
        losses.lose(
            "reasoning",
            "the thought before the calls is not the target's own, so it cannot go on thinking",
        );
        return Mode::Unsaid;
    }
    let budget = effort.budget().unwrap_or(USUAL).max(LEAST);
    match max_output {
        Some(limit) if limit <= LEAST => {
            losses.lose("reasoning", "the output limit leaves no room for the least budget of 1024 tokens");
            Mode::Unsaid
        }
        Some(limit) => Mode::Enabled(budget.min(limit - 1)),
        None => Mode::Enabled(budget),
    }
}

fn level_of(level: &str, model: Model, losses: &mut Losses) -> Option<String> {
    let level = match level {
        "minimal" => "low",
        "low" | "medium" | "high" | "xhigh" | "max" => level,
        _ => {
            losses.lose("reasoning.effort", "the target does not know this level");
            return None;
        }
    };
    if model.takes_effort(level) {
        return Some(level.to_owned());
    }
    losses.lose("reasoning.effort", "the model does not know this level: high is sent");
    Some("high".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(model: &str, effort: Effort, max_output: Option<u64>) -> (Thinking, usize) {
        let request = Request { reasoning: Some(effort), max_output, ..Request::default() };
        let mut losses = Losses::default();
        let thinking = Thinking::of(&request, Model::of(model), Obstacles::default(), &mut losses);
        (thinking, losses.iter().count())
    }

    fn level(level: &str) -> Effort {
        Effort { level: Some(level.into()), ..Effort::default() }
    }

    #[test]
    fn a_level_becomes_a_budget_or_adaptive_thinking_as_the_model_takes_it() {
        let (old, lost) = of("claude-sonnet-4-5", level("high"), None);
        assert_eq!((old.mode, old.level, old.limit, lost), (Mode::Enabled(16_384), None, 64_000, 0));
        let (new, lost) = of("claude-opus-4-7", level("xhigh"), None);
        assert_eq!((new.mode, new.level.as_deref(), lost), (Mode::Adaptive, Some("xhigh"), 0));
        let (between, lost) = of("claude-opus-4-6", level("xhigh"), None);
        assert_eq!((between.mode, between.level.as_deref(), lost), (Mode::Adaptive, Some("high"), 1));
        let (none, lost) = of("claude-3-5-haiku-latest", level("high"), None);
        assert_eq!((none.mode, none.level, lost), (Mode::Unsaid, None, 1));
    }

    #[test]
    fn a_budget_stays_below_the_limit_and_above_the_least() {
        let budget = |tokens| Effort { budget: Some(tokens), ..Effort::default() };
        assert_eq!(of("claude-sonnet-4-5", budget(10), Some(4_000)).0.mode, Mode::Enabled(1_024));
        assert_eq!(of("claude-sonnet-4-5", budget(9_000), Some(4_000)).0.mode, Mode::Enabled(3_999));
        let (thoughtless, lost) = of("claude-sonnet-4-5", budget(9_000), Some(1_000));
        assert_eq!((thoughtless.mode, lost), (Mode::Unsaid, 1));
        let (roomy, _) = of("other-model", budget(9_000), None);
        assert_eq!(roomy.limit, 9_000 + USUAL);
        let (adaptive, _) = of("claude-opus-4-8", budget(9_000), None);
        assert_eq!((adaptive.mode, adaptive.level.as_deref()), (Mode::Adaptive, Some("medium")));
    }

    #[test]
    fn thinking_is_put_off_only_where_it_can_be() {
        let off = Effort { enabled: Some(false), level: Some("low".into()), ..Effort::default() };
        let (thinking, lost) = of("claude-opus-5", off.clone(), None);
        assert_eq!((thinking.mode, thinking.level.as_deref(), lost), (Mode::Disabled, Some("low"), 0));
        assert_eq!(of("claude-fable-5", off, None).1, 1);
    }

    #[test]
    fn effort_alone_says_nothing_of_thinking() {
        let alone = Effort { level: Some("low".into()), adaptive: true, ..Effort::default() };
        let (thinking, lost) = of("claude-opus-4-6", alone, None);
        assert_eq!((thinking.mode, thinking.level.as_deref(), lost), (Mode::Unsaid, Some("low"), 0));
    }

    #[test]
    fn thinking_with_a_budget_gives_way_to_a_forced_call_and_to_a_lost_thought() {
        for obstacles in [
            Obstacles { forced: true, ..Obstacles::default() },
            Obstacles { thoughtless_calls: true, ..Obstacles::default() },
        ] {
            let request = Request { reasoning: Some(level("high")), ..Request::default() };
            let mut losses = Losses::default();
            let thinking = Thinking::of(&request, Model::of("claude-sonnet-4-5"), obstacles, &mut losses);
            assert_eq!((thinking.mode, losses.iter().count()), (Mode::Unsaid, 1));
        }
    }
}
