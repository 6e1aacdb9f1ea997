//! `additionalModelRequestFields`: what a family of models takes beside the dialect. How much to think and `top_k` are
//! there, for each family under another name.

use std::collections::BTreeMap;

use lockgate_core::Error;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::super::NAME;
use super::super::model::{Family, Thinking};
use super::super::wire::{Members, Object, Txt};
use super::invalid;
use crate::Losses;
use crate::neutral::{Effort, Native, Request};

/// The member's name.
pub(super) const MEMBER: &str = "additionalModelRequestFields";

/// The least budget that is taken.
const LEAST_BUDGET: u64 = 1_024;

/// `thinking`, in the forms that the neutral form can say.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Told {
    r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display: Option<String>,
}

/// `output_config` of Anthropic's models.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputConfig {
    effort: String,
}

/// `reasoningConfig` of Nova.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReasoningConfig {
    r#type: String,
    #[serde(default)]
    max_reasoning_effort: Option<String>,
}

/// `inferenceConfig` of Nova's first generation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TopK {
    top_k: u64,
}

// === reading ===

/// Takes out what the neutral form can say; the rest is native.
pub(super) fn read(json: &RawValue, request: &mut Request) -> Result<(), Error> {
    let mut fields: Object<'_> = serde_json::from_str(json.get())
        .map_err(|_| invalid(MEMBER, "\"additionalModelRequestFields\" must be an object."))?;
    if let Some(effort) = effort(&mut fields) {
        request.reasoning = Some(effort);
    }
    let top_k = take::<u64>(&mut fields, "top_k")
        .or_else(|| take::<TopK>(&mut fields, "inferenceConfig").map(|config| config.top_k));
    request.top_k = top_k;
    if fields.is_empty() {
        return Ok(());
    }
    let mut rest = Members::new();
    for (name, json) in &fields {
        rest.set(&name.0, json);
    }
    if let Some(json) = rest.raw() {
        request.native.push(Native { dialect: NAME, name: MEMBER.into(), json });
    }
    Ok(())
}

fn effort(fields: &mut Object<'_>) -> Option<Effort> {
    if let Some(told) = peek::<Told>(fields, "thinking").filter(Told::is_known) {
        fields.remove(&key("thinking"));
        let level =
            if told.r#type == "disabled" { None } else { take::<OutputConfig>(fields, "output_config") };
        return Some(Effort {
            enabled: Some(told.r#type != "disabled"),
            level: level.map(|config| config.effort),
            budget: told.budget_tokens,
            adaptive: told.r#type == "adaptive",
            summary: told.display.map(|display| if display == "omitted" { "none" } else { "auto" }.into()),
        });
    }
    if let Some(config) = take::<ReasoningConfig>(fields, "reasoningConfig") {
        let enabled = Some(config.r#type != "disabled");
        return Some(Effort { enabled, level: config.max_reasoning_effort, ..Effort::default() });
    }
    let level =
        take::<String>(fields, "reasoning_effort").or_else(|| take::<String>(fields, "reasoning_config"))?;
    Some(Effort { level: Some(level), ..Effort::default() })
}

impl Told {
    fn is_known(&self) -> bool {
        let display =
            self.display.as_deref().is_none_or(|display| ["omitted", "summarized"].contains(&display));
        display
            && match self.r#type.as_str() {
                "enabled" => self.budget_tokens.is_some(),
                "adaptive" | "disabled" => self.budget_tokens.is_none(),
                _ => false,
            }
    }
}

fn key(name: &'static str) -> Txt<'static> {
    Txt(name.into())
}

fn peek<'a, T: Deserialize<'a>>(fields: &Object<'a>, name: &'static str) -> Option<T> {
    serde_json::from_str(fields.get(&key(name))?.get()).ok()
}

fn take<'a, T: Deserialize<'a>>(fields: &mut Object<'a>, name: &'static str) -> Option<T> {
    let found = peek(fields, name)?;
    fields.remove(&key(name));
    Some(found)
}

// === writing ===

/// What else of the request bears on thinking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Some tool must be called.
    pub(super) must_call: bool,
    /// The turn of tool calls that is under way does not begin with a thought.
    pub(super) thoughtless: bool,
    /// The last message is the model's own.
    pub(super) prefilled: bool,
}

/// The fields as the target's family of models takes them; and whether it thinks.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// By name, with their JSON.
    pub(super) members: BTreeMap<String, Box<RawValue>>,
    /// Anthropic's models take no other randomness than their own while they think.
    pub(super) thinks: bool,
}

pub(super) fn write(request: &Request, family: Family, around: Around, losses: &mut Losses) -> Fields {
    let mut fields = Fields::default();
    for native in request.native.iter().filter(|native| native.dialect == NAME && native.name == MEMBER) {
        if let Ok(own) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(native.json.get()) {
            fields.members.extend(own);
        }
    }
    if let Some(effort) = &request.reasoning {
        match family {
            Family::Claude(_) => fields.claude(effort, request, family, around, losses),
            Family::Unknown if effort.enabled.is_some() || effort.budget.is_some() || effort.adaptive => {
                fields.claude(effort, request, family, around, losses);
            }
            Family::Nova2 => fields.nova(effort),
            Family::GptOss | Family::Unknown => fields.level("reasoning_effort", effort, losses),
            Family::Qwen => fields.level("reasoning_config", effort, losses),
            Family::Nova | Family::Other => {
                if effort.level() != Some("none") {
                    losses.lose("reasoning", "the target cannot be told how much to think");
                }
            }
        }
    }
    if let Some(top_k) = request.top_k {
        match family {
            _ if family.is_claude() && fields.thinks => {
                losses.lose("top_k", "the target refuses it while it thinks");
            }
            Family::Claude(_) | Family::Unknown => fields.set("top_k", &json!(top_k), losses),
            Family::Nova | Family::Nova2 => fields.set("inferenceConfig", &json!({ "topK": top_k }), losses),
            _ => losses.lose("top_k", "the target has none"),
        }
    }
    fields
}

impl Fields {
    fn set(&mut self, name: &'static str, value: &serde_json::Value, losses: &mut Losses) {
        if self.members.contains_key(name) {
            losses.lose(name, "the client set the target's own field for it");
        } else if let Ok(json) = serde_json::value::to_raw_value(value) {
            self.members.insert(name.into(), json);
        }
    }

    fn claude(
        &mut self,
        effort: &Effort,
        request: &Request,
        family: Family,
        around: Around,
        losses: &mut Losses,
    ) {
        if effort.enabled == Some(false) {
            self.set("thinking", &json!({ "type": "disabled" }), losses);
            return;
        }
        if effort.level() == Some("none") {
            return;
        }
        let by_level = effort.budget.is_none() && effort.level.is_some();
        let adaptive = match family.thinking() {
            Thinking::Adaptive => true,
            Thinking::Either => effort.adaptive || by_level,
            Thinking::Budget => effort.adaptive && family == Family::Unknown,
        };
        if let Some(why) = refused(around, adaptive) {
            losses.lose("reasoning", why);
            return;
        }
        let mut told = Told { r#type: "adaptive".into(), budget_tokens: None, display: None };
        if !adaptive {
            let Some(budget) = budget(effort, request.max_output, losses) else { return };
            told.r#type = "enabled".into();
            told.budget_tokens = Some(budget);
        }
        told.display = match effort.summary.as_deref() {
            Some("none") => Some("omitted".into()),
            Some(_) if family.thinking() != Thinking::Budget || family == Family::Unknown => {
                Some("summarized".into())
            }
            _ => None,
        };
        self.set("thinking", &json!(told), losses);
        self.thinks = true;
        if let Some(level) = effort.level.as_deref().filter(|_| adaptive || effort.budget.is_some()) {
            self.set("output_config", &json!({ "effort": claude_level(level, family) }), losses);
        }
    }

    fn nova(&mut self, effort: &Effort) {
        let value = match effort.level() {
            Some("none") => json!({ "type": "disabled" }),
            Some("minimal" | "low") => json!({ "type": "enabled", "maxReasoningEffort": "low" }),
            Some("high" | "xhigh" | "max") => json!({ "type": "enabled", "maxReasoningEffort": "high" }),
            Some(_) => json!({ "type": "enabled", "maxReasoningEffort": "medium" }),
            None if effort.enabled == Some(true) => json!({ "type": "enabled" }),
            None => return,
        };
        self.set("reasoningConfig", &value, &mut Losses::default());
    }

    fn level(&mut self, name: &'static str, effort: &Effort, losses: &mut Losses) {
        match effort.level() {
            Some("none") => losses.lose("reasoning", "the target cannot be told not to think"),
            Some("minimal") => self.set(name, &json!("low"), losses),
            Some("xhigh" | "max") => self.set(name, &json!("high"), losses),
            Some(level) => self.set(name, &json!(level), losses),
            None => {}
        }
    }
}

/// Why thinking must stay off.
const fn refused(around: Around, adaptive: bool) -> Option<&'static str> {
    if around.must_call {
        Some("the target does not think when a tool must be called")
    } else if around.prefilled {
        Some("the target does not think when the answer is begun by the client")
    } else if around.thoughtless && !adaptive {
        Some("the target does not go on with calls whose thought is not its own")
    } else {
        None
    }
}

/// The budget, which must leave room for an answer; `None` when there is none.
fn budget(effort: &Effort, most: Option<u64>, losses: &mut Losses) -> Option<u64> {
    let asked = effort.budget().unwrap_or(8_192);
    let room = most.map_or(u64::MAX, |most| most.saturating_sub(1));
    if room < LEAST_BUDGET {
        losses.lose("reasoning", "the most output tokens leave no room to think");
        return None;
    }
    let budget = asked.clamp(LEAST_BUDGET, room);
    if effort.budget.is_some_and(|asked| asked != budget) {
        losses
            .lose("reasoning.budget", "the target takes 1024 tokens and more, below the most output tokens");
    }
    Some(budget)
}

fn claude_level(level: &str, family: Family) -> &str {
    match level {
        "minimal" => "low",
        "xhigh" if family.thinking() == Thinking::Adaptive => "xhigh",
        "xhigh" => "high",
        level => level,
    }
}
