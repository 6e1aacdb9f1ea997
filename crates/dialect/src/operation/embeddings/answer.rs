//! Answers in OpenAI's form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockgate_core::Error;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::operation::{bad, written};

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item<'a>>,
    model: &'a str,
    usage: Used,
}

#[derive(Serialize)]
struct Item<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    /// As the provider wrote its numbers.
    Numbers(&'a RawValue),
    Packed(String),
}

#[derive(Serialize)]
pub(super) struct Used {
    pub(super) prompt_tokens: u64,
    pub(super) total_tokens: u64,
}

pub(super) fn write(
    model: &str,
    vectors: &[Box<RawValue>],
    base64: bool,
    tokens: u64,
) -> Result<Bytes, Error> {
    let items = vectors.iter().enumerate().map(|(index, vector)| {
        if !vector.get().starts_with('[') {
            return Err(bad("a vector is no array"));
        }
        let embedding = if base64 {
            Vector::Packed(packed(vector).ok_or_else(|| bad("a vector has something else than numbers"))?)
        } else {
            Vector::Numbers(vector)
        };
        Ok(Item { object: "embedding", index, embedding })
    });
    let data = items.collect::<Result<Vec<_>, Error>>()?;
    let usage = Used { prompt_tokens: tokens, total_tokens: tokens };
    Ok(written(&List { object: "list", data, model, usage }))
}

/// A vector as OpenAI packs it: single-precision numbers, the lowest byte first. Each is the one nearest to what the
/// provider wrote: read as a double before, a few would be rounded twice.
fn packed(vector: &RawValue) -> Option<String> {
    let inside = vector.get().strip_prefix('[')?.strip_suffix(']')?.trim();
    if inside.is_empty() {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(inside.len() / 2);
    for number in inside.split(',') {
        let number: f32 = number.trim().parse().ok().filter(|number: &f32| number.is_finite())?;
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(json: &str) -> Option<String> {
        packed(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn numbers_are_packed_to_the_bit() {
        let numbers = [0.0_f32, -0.0, 1.0, -0.030_299_064, f32::MIN_POSITIVE, 1e-45, f32::MAX, 0.1];
        let json = format!("[{}]", numbers.map(|number| format!("{number:?}")).join(", "));
        let bytes = STANDARD.decode(pack(&json).unwrap()).unwrap();
        let back: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        assert_eq!(back, numbers.map(f32::to_bits));
    }

    #[test]
    fn a_number_between_two_is_rounded_once() {
        // Just above the middle of 1 and the next single: as a double it is the middle, and would be rounded down.
        let bytes = STANDARD.decode(pack("[1.00000005960464477540]").unwrap()).unwrap();
        assert_eq!(bytes, (1.0_f32 + f32::EPSILON).to_le_bytes());
    }

    #[test]
    fn what_is_no_number_is_no_vector() {
        for wrong in ["[null]", "[\"nan\"]", "[1,[2]]", "[1e99]", "{}"] {
            assert_eq!(pack(wrong), None, "{wrong}");
        }
        assert_eq!(pack("[]").as_deref(), Some(""));
    }
}
