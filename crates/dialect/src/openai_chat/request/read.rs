//! A client's request in the neutral form.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

use lockgate_core::Error;
use serde_json::Number;
use serde_json::value::RawValue;

use super::tools;
use crate::Turn;
use crate::neutral::{CallKind, Content, Effort, Message, Outcome, Output, Part, Request, Role, Schema};
use crate::openai_chat::content::{self, native};
use crate::openai_chat::members::{Members, Path, begins};

pub(crate) fn read(turn: &Turn) -> Result<Request, Error> {
    let mut request = Request::default();
    let mut seen = Seen::default();
    for name in turn.payload.names() {
        let path = Path::Top(name);
        let Some(value) = turn.payload.get(name).filter(|value| *value != b"null") else { continue };
        let raw: &RawValue =
            serde_json::from_slice(value).map_err(|why| path.wrong("valid JSON").detail(why.to_string()))?;
        member(&mut request, &mut seen, name, raw)?;
    }
    seen.settle(&mut request);
    Ok(request)
}

/// Members whose meaning depends on others.
#[derive(Default)]
struct Seen<'a> {
    logprobs: bool,
    top_logprobs: Option<(u64, &'a RawValue)>,
    max_tokens: Option<(u64, &'a RawValue)>,
    safety: Option<(String, &'a RawValue)>,
    tool_choice: bool,
}

impl Seen<'_> {
    fn settle(self, request: &mut Request) {
        match (self.logprobs, self.top_logprobs) {
            (true, top) => request.logprobs = Some(top.map_or(0, |(count, _)| count)),
            (false, Some((_, raw))) => request.native.push(native("top_logprobs", raw)),
            (false, None) => {}
        }
        match (request.max_output, self.max_tokens) {
            (None, Some((count, _))) => request.max_output = Some(count),
            (Some(other), Some((count, raw))) if other != count => {
                request.native.push(native("max_tokens", raw));
            }
            _ => {}
        }
        match (&request.user, self.safety) {
            (None, Some((id, _))) => request.user = Some(id),
            (Some(user), Some((id, raw))) if *user != id => {
                request.native.push(native("safety_identifier", raw));
            }
            _ => {}
        }
    }
}

fn member<'a>(
    request: &mut Request,
    seen: &mut Seen<'a>,
    name: &str,
    raw: &'a RawValue,
) -> Result<(), Error> {
    let path = Path::Top(name);
    match name {
        "model" | "stream" => {}
        "stream_options" => stream_options(request, raw, &path)?,
        "messages" => request.messages = messages(raw, &path)?,
        "tools" => tools::read(raw, &path, request)?,
        "functions" => tools::read_functions(raw, &path, request)?,
        "tool_choice" => {
            seen.tool_choice = true;
            request.tool_choice = tools::read_choice(raw, &path, &mut request.native)?;
        }
        "function_call" if !seen.tool_choice => {
            request.tool_choice = tools::read_choice(raw, &path, &mut request.native)?;
        }
        "parallel_tool_calls" => request.parallel_tools = Some(flag(raw, &path)?),
        "web_search_options" => {
            request.tools.push(crate::neutral::Tool::WebSearch(native(name, raw)));
        }
        "response_format" => output(request, raw, &path)?,
        "reasoning_effort" => effort(request).level = Some(text(raw, &path)?),
        "reasoning" => reasoning(request, raw, &path)?,
        "thinking" => thinking(request, raw, &path)?,
        "max_completion_tokens" => request.max_output = Some(count(raw, &path)?),
        "max_tokens" => seen.max_tokens = Some((count(raw, &path)?, raw)),
        "stop" => request.stop = stop(raw, &path)?,
        "n" => request.choices = Some(count(raw, &path)?),
        "logprobs" => seen.logprobs = flag(raw, &path)?,
        "top_logprobs" => seen.top_logprobs = Some((count(raw, &path)?, raw)),
        "temperature" => request.temperature = Some(number(raw, &path)?),
        "top_p" => request.top_p = Some(number(raw, &path)?),
        "top_k" => match raw.get().parse() {
            Ok(count) => request.top_k = Some(count),
            // −1 is how some servers spell none.
            Err(_) => request.native.push(native(name, raw)),
        },
        "frequency_penalty" => request.frequency_penalty = Some(number(raw, &path)?),
        "presence_penalty" => request.presence_penalty = Some(number(raw, &path)?),
        "seed" => request.seed = Some(path.read(raw, "a whole number")?),
        "service_tier" => request.service_tier = Some(text(raw, &path)?),
        "user" => request.user = Some(text(raw, &path)?),
        "safety_identifier" => seen.safety = Some((text(raw, &path)?, raw)),
        "prompt_cache_key" => request.cache_key = Some(text(raw, &path)?),
        "prompt_cache_retention" => request.cache_retention = Some(text(raw, &path)?),
        "verbosity" => request.verbosity = Some(text(raw, &path)?),
        "metadata" if begins(raw, b'{') => request.metadata = Some(raw.to_owned()),
        other => request.native.push(native(other, raw)),
    }
    Ok(())
}

fn stream_options(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    let mut options = path.object(raw)?;
    // Asking for usage is the gateway's own business when it prepares the request.
    let _ = options.take("include_usage");
    if let Some(rest) = options.json().and_then(|json| RawValue::from_string(json).ok()) {
        request.native.push(native("stream_options", &rest));
    }
    Ok(())
}

fn output(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    let mut format = path.object(raw)?;
    let kind = path.text_of(&mut format, "type")?.ok_or_else(|| path.missing("type"))?;
    match &*kind {
        "text" => {}
        "json_object" => request.output = Output::Json,
        "json_schema" => {
            let inner = format.take("json_schema").ok_or_else(|| path.missing("json_schema"))?;
            let path = Path::Member(path, "json_schema");
            let mut wrapper = path.object(inner)?;
            let Some(schema) = wrapper.take("schema") else {
                request.native.push(native("response_format", raw));
                return Ok(());
            };
            let strict = wrapper.take("strict");
            request.output = Output::Schema(Schema {
                name: path.text_of(&mut wrapper, "name")?.map(Cow::into_owned),
                description: path.text_of(&mut wrapper, "description")?.map(Cow::into_owned),
                schema: schema.to_owned(),
                strict: strict.map(|raw| flag(raw, &Path::Member(&path, "strict"))).transpose()?,
            });
        }
        _ => request.native.push(native("response_format", raw)),
    }
    Ok(())
}

fn effort(request: &mut Request) -> &mut Effort {
    request.reasoning.get_or_insert_with(Effort::default)
}

/// The form that gateways have: one object. What of it has no neutral place keeps the whole object.
fn reasoning(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    let mut members = path.object(raw)?;
    let asked = effort(request);
    if let Some(level) = path.text_of(&mut members, "effort")? {
        asked.level = Some(level.into_owned());
    }
    if let Some(raw) = members.take("max_tokens") {
        asked.budget = Some(count(raw, &Path::Member(path, "max_tokens"))?);
    }
    if let Some(raw) = members.take("enabled") {
        asked.enabled = Some(flag(raw, &Path::Member(path, "enabled"))?);
    }
    if let Some(summary) = path.text_of(&mut members, "summary")? {
        asked.summary = Some(summary.into_owned());
    }
    if let Some(raw) = members.take("exclude")
        && flag(raw, &Path::Member(path, "exclude"))?
    {
        asked.summary = Some("none".to_owned());
    }
    if members.rest().next().is_some() {
        request.native.push(native("reasoning", raw));
    }
    Ok(())
}

/// The form that DeepSeek, Z.ai and others have.
fn thinking(request: &mut Request, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
    let mut members = path.object(raw)?;
    let mut whole = false;
    let asked = effort(request);
    match path.text_of(&mut members, "type")?.as_deref() {
        Some("enabled") => asked.enabled = Some(true),
        Some("disabled") => asked.enabled = Some(false),
        Some("adaptive" | "auto") => (asked.adaptive, whole) = (true, true),
        Some(_) => whole = true,
        None => {}
    }
    if let Some(raw) = members.take("budget_tokens") {
        asked.budget = Some(count(raw, &Path::Member(path, "budget_tokens"))?);
    }
    let plain = *asked == Effort::default();
    if whole || members.rest().next().is_some() {
        request.native.push(native("thinking", raw));
    }
    if plain {
        request.reasoning = None;
    }
    Ok(())
}

fn stop(raw: &RawValue, path: &Path<'_>) -> Result<Vec<String>, Error> {
    if begins(raw, b'"') {
        return Ok(vec![text(raw, path)?]);
    }
    path.read(raw, "a string or an array of strings")
}

fn messages(raw: &RawValue, path: &Path<'_>) -> Result<Vec<Message>, Error> {
    let all = path.list(raw)?;
    let mut reader = Conversation { messages: Vec::with_capacity(all.len()), ..Conversation::default() };
    for (at, raw) in all.into_iter().enumerate() {
        reader.message(raw, &Path::Item(path, at), at)?;
    }
    Ok(reader.messages)
}

#[derive(Default)]
struct Conversation {
    messages: Vec<Message>,
    /// Calls in their order: outcomes that name none belong to the first that has none yet.
    waiting: VecDeque<String>,
    answered: HashSet<String>,
    custom: HashSet<String>,
}

impl Conversation {
    fn message(&mut self, raw: &RawValue, path: &Path<'_>, at: usize) -> Result<(), Error> {
        let mut members = path.object(raw)?;
        let role = path.text_of(&mut members, "role")?.ok_or_else(|| path.missing("role"))?;
        let mark = members.take("cache_control");
        let mark =
            mark.map(|raw| content::cache_mark(raw, &Path::Member(path, "cache_control"))).transpose()?;
        let (role, mut parts) = match &*role {
            "system" => (Role::System, said(members, path)?),
            "developer" => (Role::Developer, said(members, path)?),
            "user" => (Role::User, said(members, path)?),
            "assistant" => {
                let id = at.to_string();
                let parts = content::assistant(members, path, None, (&id, None))?;
                self.calls(&parts);
                (Role::Assistant, parts)
            }
            "tool" | "function" => (Role::User, vec![self.outcome(members, path)?]),
            _ => {
                let path = Path::Member(path, "role");
                return Err(path.wrong("system, developer, user, assistant or tool"));
            }
        };
        // A mark on a message is one behind the last that is said in it.
        if mark.is_some()
            && let Some(last) = parts.iter_mut().rev().find(|p| !matches!(p.content, Content::Native(_)))
        {
            last.cache = mark;
        }
        self.messages.push(Message { role, parts });
        Ok(())
    }

    fn calls(&mut self, parts: &[Part]) {
        for part in parts {
            let Content::Call(call) = &part.content else { continue };
            self.waiting.push_back(call.id.clone());
            // The same id may come again in a later turn.
            self.answered.remove(&call.id);
            if call.kind == CallKind::Custom {
                self.custom.insert(call.id.clone());
            }
        }
    }

    fn outcome(&mut self, mut members: Members<'_>, path: &Path<'_>) -> Result<Part, Error> {
        let id = path.text_of(&mut members, "tool_call_id")?.filter(|id| !id.is_empty());
        let id = match id {
            Some(id) => id.into_owned(),
            None => loop {
                match self.waiting.pop_front() {
                    Some(id) if self.answered.contains(&id) => {}
                    Some(id) => break id,
                    None => return Err(path.missing("tool_call_id")),
                }
            },
        };
        self.answered.insert(id.clone());
        let name = path.text_of(&mut members, "name")?.map(Cow::into_owned);
        let kind = if self.custom.contains(&id) { CallKind::Custom } else { CallKind::Function };
        let parts = said(members, path)?;
        Ok(Part::new(Content::Outcome(Outcome { id, name, parts, failed: false, kind })))
    }
}

/// The content of a message that is no assistant's, and what else it has.
fn said(mut members: Members<'_>, path: &Path<'_>) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    content::read(members.take("content"), &Path::Member(path, "content"), None, &mut parts)?;
    parts.extend(members.rest().map(|(name, raw)| content::member(&name, raw)));
    Ok(parts)
}

fn text(raw: &RawValue, path: &Path<'_>) -> Result<String, Error> {
    path.text(raw).map(Cow::into_owned)
}

fn flag(raw: &RawValue, path: &Path<'_>) -> Result<bool, Error> {
    path.read(raw, "true or false")
}

fn number(raw: &RawValue, path: &Path<'_>) -> Result<Number, Error> {
    path.read(raw, "a number")
}

fn count(raw: &RawValue, path: &Path<'_>) -> Result<u64, Error> {
    path.read(raw, "a whole number from 0 up")
}
