//! Values that are valid under a JSON schema, written as compact JSON text.
//!
//! Understood: `$ref` (inside the document), `allOf`, `anyOf`, `oneOf` (the first branch), `const`, `enum`, `type`,
//! objects, arrays, numbers with bounds and `multipleOf`, strings with length, `format` and (simple) `pattern`.
//! Not understood: `not`, `if`, `dependent...`, `contains`, `patternProperties`.
//! Members are written in the order of `required`, then the optional ones by name.

use serde_json::{Map, Value};

use crate::pattern;
use crate::words::{self, Dice};

/// Depth from which values are kept small: optional members left out, arrays short, `null` preferred.
const TAME_DEPTH: usize = 5;
/// Depth at which a schema that never ends is cut off.
const MAX_DEPTH: usize = 40;
/// Length of text at which a schema that explodes is cut off, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Most references followed for one value.
const MAX_HOPS: usize = 32;

/// What the values are made from.
#[derive(Debug)]
pub(crate) struct Material<'a> {
    pub(crate) prompt: &'a str,
    /// Fill members that are not required (a model does that in a structured answer, rarely in a tool call).
    pub(crate) optional: bool,
    /// End free strings with a quote, a line break and letters outside ASCII, to be hard on decoders.
    pub(crate) flourish: bool,
}

/// The text of one value that is valid under `schema`.
pub(crate) fn sample(schema: &Value, material: &Material<'_>, dice: &mut Dice) -> String {
    let mut sampler = Sampler { root: schema, material, dice, out: String::new() };
    sampler.value(schema, Place { name: "", nth: 0, depth: 0 });
    sampler.out
}

struct Sampler<'a> {
    root: &'a Value,
    material: &'a Material<'a>,
    dice: &'a mut Dice,
    out: String,
}

/// Where a value stands: it decides what would be plausible.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Name of the member, or of the array's member.
    name: &'a str,
    /// Index in the array; 0 outside of arrays.
    nth: usize,
    depth: usize,
}

impl Sampler<'_> {
    fn value(&mut self, schema: &Value, place: Place<'_>) {
        if place.depth > MAX_DEPTH || self.out.len() > MAX_BYTES {
            self.out.push_str("null");
            return;
        }
        let flat = self.flatten(schema, place.depth >= TAME_DEPTH, MAX_HOPS);
        if let Some(value) = flat.get("const") {
            self.out.push_str(&value.to_string());
            return;
        }
        if let Some(options) =
            flat.get("enum").and_then(Value::as_array).filter(|options| !options.is_empty())
        {
            let index = self.mentioned(options).unwrap_or(0) + place.nth;
            self.out.push_str(&options[index % options.len()].to_string());
            return;
        }
        match kind(&flat, place.depth >= TAME_DEPTH) {
            "object" => self.object(&flat, place),
            "array" => self.array(&flat, place),
            "integer" => self.integer(&flat, place.nth),
            "number" => self.number(&flat, place.nth),
            "boolean" => self.out.push_str(if place.nth.is_multiple_of(2) { "true" } else { "false" }),
            "null" => self.out.push_str("null"),
            _ => {
                let text = self.string(&flat, place);
                self.write_string(&text);
            }
        }
    }

    /// The first option that the prompt names, as a word or as words of its own.
    fn mentioned(&self, options: &[Value]) -> Option<usize> {
        let prompt = self.material.prompt.to_lowercase();
        options.iter().position(|option| {
            let Some(option) = option.as_str().map(str::to_lowercase).filter(|option| !option.is_empty())
            else {
                return false;
            };
            prompt.match_indices(&option).any(|(start, found)| {
                !prompt[..start].ends_with(char::is_alphanumeric)
                    && !prompt[start + found.len()..].starts_with(char::is_alphanumeric)
            })
        })
    }

    /// Resolves references and combinations into one level of keywords.
    fn flatten(&self, schema: &Value, tame: bool, hops: usize) -> Map<String, Value> {
        let mut flat = Map::new();
        let Some(object) = schema.as_object().filter(|_| hops > 0) else { return flat };
        for (name, value) in object {
            if !matches!(name.as_str(), "$ref" | "$defs" | "definitions" | "allOf" | "anyOf" | "oneOf") {
                flat.insert(name.clone(), value.clone());
            }
        }
        if let Some(target) = self.target(object) {
            merge(&mut flat, self.flatten(target, tame, hops - 1));
        }
        for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            merge(&mut flat, self.flatten(part, tame, hops - 1));
        }
        for name in ["anyOf", "oneOf"] {
            let branches = object.get(name).and_then(Value::as_array);
            if let Some(branch) = branches.and_then(|branches| self.branch(branches, tame)) {
                merge(&mut flat, self.flatten(branch, tame, hops - 1));
            }
        }
        flat
    }

    fn target(&self, object: &Map<String, Value>) -> Option<&Value> {
        let pointer = object.get("$ref")?.as_str()?.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    /// The first branch; deep inside the value, the one that most likely ends.
    fn branch<'v>(&'v self, branches: &'v [Value], tame: bool) -> Option<&'v Value> {
        if !tame {
            return branches.first();
        }
        let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
        let ends = |branch: &&Value| {
            let target = branch.as_object().and_then(|object| self.target(object));
            !refers(target.unwrap_or(branch))
        };
        branches.iter().find(is_null).or_else(|| branches.iter().find(ends)).or_else(|| branches.first())
    }

    fn object(&mut self, flat: &Map<String, Value>, place: Place<'_>) {
        let no_members = Map::new();
        let members = flat.get("properties").and_then(Value::as_object).unwrap_or(&no_members);
        let required = flat.get("required").and_then(Value::as_array);
        let others = flat.get("additionalProperties");
        let mut names: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
        if place.depth < TAME_DEPTH && (self.material.optional || required.is_none()) {
            names.extend(
                members.keys().map(String::as_str).filter(|name| {
                    !required.into_iter().flatten().any(|listed| listed.as_str() == Some(*name))
                }),
            );
        }
        let key = words::subject(self.material.prompt).to_lowercase();
        let key = if key.is_empty() { "key" } else { key.as_str() };
        let mut invented: Vec<String> = Vec::new();
        let least = bound(flat, "minProperties").unwrap_or(0).min(64) as usize;
        let most = bound(flat, "maxProperties").map_or(usize::MAX, |most| most as usize);
        if names.is_empty() && others.is_some_and(Value::is_object) && most > 0 && place.depth < TAME_DEPTH {
            invented.push(key.to_owned());
        }
        while names.len() + invented.len() < least {
            let spare = members.keys().find(|name| !names.contains(&name.as_str()));
            match spare {
                Some(name) => names.push(name),
                None => invented.push(format!("{key}_{}", invented.len() + 1)),
            }
        }
        names.extend(invented.iter().map(String::as_str));
        self.out.push('{');
        for (index, name) in names.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.write_string(name);
            self.out.push(':');
            let schema = members.get(name).or(others).unwrap_or(&Value::Null);
            self.value(schema, Place { name, nth: 0, depth: place.depth + 1 });
        }
        self.out.push('}');
    }

    fn array(&mut self, flat: &Map<String, Value>, place: Place<'_>) {
        let first = flat.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let items = flat.get("items");
        let least = bound(flat, "minItems").unwrap_or(0).min(1024) as usize;
        let most = bound(flat, "maxItems").map_or(usize::MAX, |most| most as usize);
        let unique = flat.get("uniqueItems").and_then(Value::as_bool) == Some(true);
        let usual = match place.depth {
            TAME_DEPTH.. => 0,
            _ if !first.is_empty() => first.len(),
            _ if unique || !self.material.optional => 1,
            _ => 2,
        };
        let closed = items.and_then(Value::as_bool) == Some(false);
        let count = usual.max(least).min(if closed { most.min(first.len()) } else { most });
        self.out.push('[');
        for nth in 0..count {
            if nth > 0 {
                self.out.push(',');
            }
            let schema = first.get(nth).or(items).unwrap_or(&Value::Null);
            self.value(schema, Place { name: place.name, nth, depth: place.depth + 1 });
        }
        self.out.push(']');
    }

    fn integer(&mut self, flat: &Map<String, Value>, nth: usize) {
        let (low, high) = limits(flat);
        let low = low.map(|low| if low.open && low.at.fract() == 0.0 { low.at + 1.0 } else { low.at.ceil() });
        let high = high
            .map(|high| if high.open && high.at.fract() == 0.0 { high.at - 1.0 } else { high.at.floor() });
        let step = positive(flat, "multipleOf").map_or(1.0, f64::ceil);
        let wished = self.number_in_prompt().map_or(3.0, f64::trunc);
        let value = fit(wished, low, high, step) + step * nth as f64;
        let value = if high.is_some_and(|high| value > high) { fit(wished, low, high, step) } else { value };
        self.out.push_str(&(value as i64).to_string());
    }

    fn number(&mut self, flat: &Map<String, Value>, nth: usize) {
        let (low, high) = limits(flat);
        let inside = |value: f64| {
            low.is_none_or(|low| if low.open { value > low.at } else { value >= low.at })
                && high.is_none_or(|high| if high.open { value < high.at } else { value <= high.at })
        };
        let middle = match (low, high) {
            (Some(low), Some(high)) => low.at + (high.at - low.at) / 2.0,
            (Some(low), None) => low.at + 1.5,
            (None, Some(high)) => high.at - 1.5,
            (None, None) => 1.5,
        };
        let wished = self.number_in_prompt().filter(|&wished| inside(wished)).unwrap_or(middle);
        let value = match positive(flat, "multipleOf") {
            Some(step) => fit(wished, low.map(|low| low.at), high.map(|high| high.at), step),
            None => wished,
        };
        let varied = value + nth as f64 * positive(flat, "multipleOf").unwrap_or(1.0);
        let value = if inside(varied) { varied } else { value };
        match serde_json::Number::from_f64(value) {
            Some(number) => self.out.push_str(&number.to_string()),
            None => self.out.push('0'),
        }
    }

    fn number_in_prompt(&self) -> Option<f64> {
        let words = self.material.prompt.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'));
        words.filter_map(|word| word.trim_end_matches('.').parse::<f64>().ok()).find(|n| n.abs() < 1e15)
    }

    fn string(&mut self, flat: &Map<String, Value>, place: Place<'_>) -> String {
        let least = bound(flat, "minLength").unwrap_or(0).min(MAX_BYTES as u64) as usize;
        let most = bound(flat, "maxLength").map_or(usize::MAX, |most| most as usize);
        if let Some(pattern) = flat.get("pattern").and_then(Value::as_str)
            && let Some(text) = pattern::sample(pattern, least, most)
        {
            return text;
        }
        if let Some(text) =
            flat.get("format").and_then(Value::as_str).and_then(|format| self.formatted(format))
        {
            return text;
        }
        let mut text = self.plausible(place);
        if self.material.flourish {
            text.push_str(" \"Z\u{fc}rich\"\n\u{6771}\u{4eac} \u{1f5fc}");
        }
        let mut length = text.chars().count();
        while length < least {
            text.push_str(" demo");
            length += 5;
        }
        match text.char_indices().nth(most) {
            Some((end, _)) => text[..end].to_owned(),
            None => text,
        }
    }

    fn formatted(&mut self, format: &str) -> Option<String> {
        let text = match format {
            "date-time" => "2026-01-15T09:30:00Z",
            "date" => "2026-01-15",
            "time" => "09:30:00Z",
            "duration" => "PT90M",
            "email" | "idn-email" => "demo@example.com",
            "hostname" | "idn-hostname" => "demo.example.com",
            "ipv4" => "192.0.2.10",
            "ipv6" => "2001:db8::10",
            "uri" | "url" | "iri" | "uri-reference" | "iri-reference" => "https://example.com/demo",
            "uri-template" => "https://example.com/{id}",
            "json-pointer" => "/demo",
            "relative-json-pointer" => "0/demo",
            "regex" => "^demo$",
            "uuid" => {
                let (high, low) = (self.dice.next(), self.dice.next());
                return Some(format!(
                    "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                    high >> 32,
                    (high >> 16) & 0xffff,
                    high & 0xfff,
                    (low >> 48) & 0xfff,
                    low & 0xffff_ffff_ffff,
                ));
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// The whole prompt where free text is wanted, else a word of it.
    fn plausible(&self, place: Place<'_>) -> String {
        const FREE_TEXT: [&str; 13] = [
            "query",
            "question",
            "prompt",
            "text",
            "message",
            "content",
            "input",
            "description",
            "summary",
            "answer",
            "body",
            "explanation",
            "instruction",
        ];
        let prompt = self.material.prompt;
        let name = place.name.to_lowercase();
        if place.nth == 0 && FREE_TEXT.iter().any(|free| name.contains(free)) && !prompt.trim().is_empty() {
            return words::excerpt(prompt, 120);
        }
        let subject = words::subject(prompt);
        let word = match place.nth {
            0 => Some(subject),
            nth => prompt
                .split_whitespace()
                .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
                .filter(|word| word.chars().count() > 3 && *word != subject)
                .nth(nth - 1),
        };
        match word {
            Some(word) if !word.is_empty() => word.to_owned(),
            _ if place.nth > 0 => format!("demo {}", place.nth + 1),
            _ => "demo".to_owned(),
        }
    }

    fn write_string(&mut self, text: &str) {
        self.out.push_str(&Value::from(text).to_string());
    }
}

/// The type to make: the stated one (the first that is not `null`), or what the other keywords suggest.
fn kind(flat: &Map<String, Value>, tame: bool) -> &str {
    match flat.get("type") {
        Some(Value::String(kind)) => return kind,
        Some(Value::Array(kinds)) => {
            let mut kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            if !(tame && kinds.contains(&"null")) {
                kinds.retain(|kind| *kind != "null");
            } else {
                kinds.retain(|kind| *kind == "null");
            }
            return kinds.first().copied().unwrap_or("null");
        }
        _ => {}
    }
    let has = |names: &[&str]| names.iter().any(|name| flat.contains_key(*name));
    if has(&["properties", "required", "additionalProperties", "minProperties"]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
        "array"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "number"
    } else {
        "string"
    }
}

/// Adds keywords: both sides then hold, for those that are understood.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, new) in from {
        let Some(old) = into.get_mut(&name) else {
            into.insert(name, new);
            continue;
        };
        match (name.as_str(), &mut *old, new) {
            ("properties", Value::Object(old), Value::Object(new)) => {
                for (member, schema) in new {
                    let both = match old.remove(&member) {
                        Some(first) if first != schema => serde_json::json!({"allOf": [first, schema]}),
                        _ => schema,
                    };
                    old.insert(member, both);
                }
            }
            ("required", Value::Array(old), Value::Array(new)) => {
                for member in new {
                    if !old.contains(&member) {
                        old.push(member);
                    }
                }
            }
            ("enum", Value::Array(old), Value::Array(new)) => old.retain(|option| new.contains(option)),
            ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", old, new) => {
                if new.as_f64() > old.as_f64() {
                    *old = new;
                }
            }
            ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", old, new) => {
                if new.as_f64() < old.as_f64() {
                    *old = new;
                }
            }
            // A list of types narrowed by one type, or the other way round, leaves the one type.
            ("type", Value::String(_), Value::Array(_)) | ("title" | "description" | "default", _, _) => {}
            ("additionalProperties", Value::Bool(false), _) => {}
            (_, old, new) => *old = new,
        }
    }
}

/// Whether a schema refers to another one anywhere inside.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => object.contains_key("$ref") || object.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

fn bound(flat: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = flat.get(name)?;
    value.as_u64().or_else(|| value.as_f64().filter(|value| *value >= 0.0).map(|value| value as u64))
}

fn positive(flat: &Map<String, Value>, name: &str) -> Option<f64> {
    flat.get(name)?.as_f64().filter(|value| *value > 0.0)
}

#[derive(Clone, Copy)]
struct Limit {
    at: f64,
    /// The limit itself is not allowed.
    open: bool,
}

/// Lower and upper limit. The old form of the exclusive keywords (a boolean beside the limit) counts too.
fn limits(flat: &Map<String, Value>) -> (Option<Limit>, Option<Limit>) {
    let read = |closed: &str, open: &str, tighter: fn(f64, f64) -> bool| {
        let at = flat.get(closed).and_then(Value::as_f64);
        match flat.get(open) {
            Some(Value::Bool(open)) => at.map(|at| Limit { at, open: *open }),
            exclusive => match (at, exclusive.and_then(Value::as_f64)) {
                (Some(at), Some(open)) if tighter(at, open) => Some(Limit { at, open: false }),
                (_, Some(at)) => Some(Limit { at, open: true }),
                (at, None) => at.map(|at| Limit { at, open: false }),
            },
        }
    };
    (read("minimum", "exclusiveMinimum", |a, b| a > b), read("maximum", "exclusiveMaximum", |a, b| a < b))
}

/// The multiple of `step` near `wished` that respects the limits, if there is one.
fn fit(wished: f64, low: Option<f64>, high: Option<f64>, step: f64) -> f64 {
    let wished = low.map_or(wished, |low| wished.max(low));
    let wished = high.map_or(wished, |high| wished.min(high));
    let up = (wished / step).ceil() * step;
    if high.is_some_and(|high| up > high) { (wished / step).floor() * step } else { up }
}

#[cfg(test)]
mod tests;
