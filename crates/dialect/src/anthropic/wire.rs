//! What the dialect looks like on the wire, as far as the gateway reads it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use lockgate_core::Usage;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A count above this is no count: it does not survive the numbers of most clients, and no request comes near it.
const MAX_COUNT: u64 = 1 << 53;
/// Members that a nested object may have.
const MAX_MEMBERS: usize = 512;
/// So many names are compared one by one.
const FEW: usize = 16;

/// Text that is borrowed where it has no escapes; `null` is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Txt<'a>(pub(crate) Option<Cow<'a, str>>);

/// The members of an object in their order, each as it was written.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// One event of a stream. Which members are there depends on `kind`.
#[derive(Debug, Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(crate) kind: Txt<'a>,
    #[serde(default)]
    pub(crate) index: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) delta: Option<Piece<'a>>,
    #[serde(borrow, default)]
    pub(crate) content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) message: Option<&'a RawValue>,
    #[serde(default)]
    pub(crate) usage: Option<WireUsage>,
    #[serde(borrow, default)]
    pub(crate) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) context_management: Option<&'a RawValue>,
}

/// The `delta` of an event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Piece<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Txt<'a>,
    #[serde(borrow)]
    pub(crate) text: Txt<'a>,
    #[serde(borrow)]
    pub(crate) partial_json: Txt<'a>,
    #[serde(borrow)]
    pub(crate) thinking: Txt<'a>,
    #[serde(borrow)]
    pub(crate) signature: Txt<'a>,
    #[serde(borrow)]
    pub(crate) citation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) stop_reason: Txt<'a>,
    #[serde(borrow)]
    pub(crate) stop_sequence: Txt<'a>,
    #[serde(borrow)]
    pub(crate) stop_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) container: Option<&'a RawValue>,
}

/// The head of an answer, whole or as a stream begins with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Head<'a> {
    #[serde(borrow)]
    pub(crate) id: Txt<'a>,
    #[serde(borrow)]
    pub(crate) model: Txt<'a>,
    pub(crate) usage: Option<WireUsage>,
    #[serde(borrow)]
    pub(crate) container: Option<&'a RawValue>,
    /// Blocks and reason of an answer that is complete at its start, as when code at the provider calls on.
    #[serde(borrow)]
    pub(crate) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) stop_reason: Txt<'a>,
    #[serde(borrow)]
    pub(crate) stop_sequence: Txt<'a>,
}

/// `usage` of an answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    iterations: Option<Vec<Iteration>>,
    service_tier: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

/// What one of several passes of the provider consumed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Iteration {
    r#type: Option<String>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}

// === impl Txt ===

impl Txt<'_> {
    pub(crate) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text, empty where there is none.
    pub(crate) fn str(&self) -> &str {
        self.get().unwrap_or_default()
    }
}

impl<'a> Txt<'a> {
    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        self.0.unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Txt<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Txt<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or null")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Txt(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Txt(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Txt(Some(Cow::Owned(text))))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Txt(None))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    /// The members of an object; `None` when it is none, or when a member stands in it twice.
    pub(crate) fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// Takes a member out; a `null` is taken and is none.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(held, _)| held == name)?;
        let (_, value) = self.0.remove(at);
        (value.get() != "null").then_some(value)
    }

    /// Takes a member out that is text; anything else stays.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.0.iter().position(|(held, _)| held == name)?;
        let text = text(self.0.get(at)?.1)?;
        self.0.remove(at);
        Some(text)
    }

    /// A member's value.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| *value).filter(|v| v.get() != "null")
    }

    /// What was not taken, without what is `null`.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.0.into_iter().filter(|(_, value)| value.get() != "null")
    }

    /// All members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(4);
                // Few are compared, many looked up: an object of any size costs no more than its length.
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<Txt<'de>>()? {
                    let name = name.into_cow();
                    let is_new = if members.len() < FEW {
                        members.iter().all(|(held, _)| *held != name)
                    } else {
                        if seen.is_empty() {
                            seen.extend(members.iter().map(|(held, _)| held.clone()));
                        }
                        seen.insert(name.clone())
                    };
                    if !is_new || members.len() >= MAX_MEMBERS {
                        return Err(A::Error::custom("a member stands twice, or there are too many"));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A value that is text.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Txt<'_>>(raw.get()).ok()?.0
}

/// The values of an array.
pub(crate) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether a value is there that says something.
pub(crate) fn said(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

// === impl WireUsage ===

impl WireUsage {
    /// The tier that served the request.
    pub(crate) fn tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }

    /// Takes a later report of the same answer in: its counts run on from the start, and what it does not say stays.
    pub(crate) fn update(&mut self, later: Self) {
        let input = [later.input_tokens, later.cache_creation_input_tokens, later.cache_read_input_tokens];
        // Servers that count nothing at the end send zeros; the report at the start holds then.
        if input.iter().flatten().any(|count| *count > 0) {
            replace(&mut self.input_tokens, later.input_tokens);
            replace(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
            replace(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        } else {
            keep(&mut self.input_tokens, later.input_tokens);
            keep(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
            keep(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        }
        let written = later.cache_creation.as_ref().is_some_and(|split| split.total() > 0);
        if written || self.cache_creation.is_none() {
            replace(&mut self.cache_creation, later.cache_creation);
        }
        replace(&mut self.output_tokens, later.output_tokens);
        replace(&mut self.output_tokens_details, later.output_tokens_details);
        replace(&mut self.server_tool_use, later.server_tool_use);
        replace(&mut self.iterations, later.iterations);
        replace(&mut self.service_tier, later.service_tier);
    }

    /// The report in disjoint buckets; `None` when it has no counts, or one that is no count.
    ///
    /// `input_tokens` has neither what was read from the cache nor what was written to it; `output_tokens` has what was
    /// thought. What the provider consumed on the side (to compact the conversation, to ask an advising model) stands in
    /// `iterations` only and is added: it is charged.
    pub fn buckets(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let (write, write_1h) = written(self.cache_creation_input_tokens, self.cache_creation.as_ref());
        let output = self.output_tokens.unwrap_or(0);
        let thought = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
        let reasoning = thought.unwrap_or(0).min(output);
        let mut usage = Usage {
            input: self.input_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: write,
            cache_write_1h: write_1h,
            output: output - reasoning,
            reasoning,
            searches: self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests).unwrap_or(0),
            ..Usage::default()
        };
        for pass in self.iterations.iter().flatten().filter(|pass| pass.beside()) {
            let (write, write_1h) = written(pass.cache_creation_input_tokens, pass.cache_creation.as_ref());
            add(&mut usage.input, pass.input_tokens);
            add(&mut usage.output, pass.output_tokens);
            add(&mut usage.cache_read, pass.cache_read_input_tokens);
            add(&mut usage.cache_write, Some(write));
            add(&mut usage.cache_write_1h, Some(write_1h));
        }
        usage.counts().iter().all(|count| *count <= MAX_COUNT).then_some(usage)
    }
}

impl CacheCreation {
    fn total(&self) -> u64 {
        let (short, long) = (self.ephemeral_5m_input_tokens, self.ephemeral_1h_input_tokens);
        short.unwrap_or(0).saturating_add(long.unwrap_or(0))
    }
}

impl Iteration {
    /// Whether the counts of the whole leave it out.
    fn beside(&self) -> bool {
        matches!(self.r#type.as_deref(), Some("compaction" | "advisor_message"))
    }
}

/// Tokens written to the cache for five minutes and for an hour. The total runs on in a stream while the split is that
/// of its start; where the split is all of one kind, so is what came after.
fn written(total: Option<u64>, split: Option<&CacheCreation>) -> (u64, u64) {
    let Some(split) = split else { return (total.unwrap_or(0), 0) };
    let long = split.ephemeral_1h_input_tokens.unwrap_or(0);
    let total = total.unwrap_or(0).max(split.total());
    if long > 0 && split.ephemeral_5m_input_tokens.unwrap_or(0) == 0 {
        return (0, total);
    }
    (total - long.min(total), long.min(total))
}

fn add(to: &mut u64, count: Option<u64>) {
    *to = to.saturating_add(count.unwrap_or(0));
}

fn replace<T>(held: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *held = later;
    }
}

fn keep<T>(held: &mut Option<T>, later: Option<T>) {
    if held.is_none() {
        *held = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(json: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(json).unwrap().buckets()
    }

    #[test]
    fn cached_tokens_stand_beside_the_input_and_thought_is_a_part_of_the_output() {
        let usage = buckets(
            r#"{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":100,
                "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},
                "output_tokens":50,"output_tokens_details":{"thinking_tokens":40},
                "server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}}"#,
        )
        .unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h),
            (10, 100, 20, 10)
        );
        assert_eq!((usage.output, usage.reasoning, usage.searches), (10, 40, 2));
        assert_eq!((usage.input_total(), usage.output_total()), (140, 50));
    }

    #[test]
    fn what_the_provider_consumed_on_the_side_is_added() {
        let usage = buckets(
            r#"{"input_tokens":682,"output_tokens":1320,"iterations":[
                {"type":"compaction","input_tokens":60385,"output_tokens":592},
                {"type":"message","input_tokens":682,"output_tokens":1320}]}"#,
        )
        .unwrap();
        assert_eq!((usage.input, usage.output), (61_067, 1_912));
    }

    #[test]
    fn a_later_report_counts_and_zeros_at_the_end_do_not() {
        let mut usage: WireUsage = serde_json::from_str(
            r#"{"input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":1,
                "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":7}}"#,
        )
        .unwrap();
        usage.update(serde_json::from_str(r#"{"input_tokens":0,"output_tokens":9}"#).unwrap());
        let first = usage.buckets().unwrap();
        assert_eq!((first.input, first.cache_write, first.cache_write_1h, first.output), (5, 0, 7, 9));
        let later = r#"{"input_tokens":6,"cache_creation_input_tokens":8,"output_tokens":10}"#;
        usage.update(serde_json::from_str(later).unwrap());
        let last = usage.buckets().unwrap();
        assert_eq!((last.input, last.cache_write, last.cache_write_1h, last.output), (6, 0, 8, 10));
    }

    #[test]
    fn what_is_no_count_is_no_report() {
        assert_eq!(buckets("{}"), None);
        assert_eq!(buckets(r#"{"input_tokens":9007199254740993,"output_tokens":1}"#), None);
    }

    #[test]
    fn an_object_with_a_member_twice_is_none() {
        let raw = |json: &str| RawValue::from_string(json.into()).unwrap();
        assert!(Members::of(&raw(r#"{"a":1,"a":2}"#)).is_none());
        assert!(Members::of(&raw("[]")).is_none());
        assert_eq!(Members::of(&raw(r#"{"a":1,"b":null}"#)).unwrap().rest().count(), 1);
    }
}
