//! What a value means on a scale from 0 to 1, and which names are the same model.

use super::Unit;

/// The fixed points of a benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Anchors {
    /// The fifth percentile of its values; of Elo ratings the median.
    pub low: f64,
    /// The ninety-fifth percentile; of Elo ratings the median.
    pub high: f64,
    /// The median of its normalised values.
    pub median: f64,
    /// The distance between the quartiles of its normalised values.
    pub spread: f64,
}

/// What the low and the high anchor are worth. What lies beyond them grows on, ever slower, so that the order of a
/// leaderboard is kept at its ends as well.
const LOW: f64 = 0.05;
const HIGH: f64 = 0.95;

/// What vendors put before a model's name where they host those of others.
const VENDORS: [&str; 14] = [
    "anthropic.",
    "meta.",
    "amazon.",
    "mistral.",
    "cohere.",
    "ai21.",
    "deepseek.",
    "openai.",
    "google.",
    "qwen.",
    "moonshot.",
    "minimax.",
    "zai.",
    "nvidia.",
];
const REGIONS: [&str; 8] = ["us-gov.", "us.", "eu.", "apac.", "global.", "au.", "jp.", "ca."];
const TAILS: [&str; 8] =
    ["-latest", "@latest", "@default", ":latest", ":free", "-preview", "-instruct", "-chat"];

// === impl Anchors ===

impl Anchors {
    /// Those of all values of a benchmark.
    pub(super) fn of(unit: Unit, values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = match unit {
            Unit::Elo => (percentile(&sorted, 0.5), percentile(&sorted, 0.5)),
            _ => (percentile(&sorted, 0.05), percentile(&sorted, 0.95)),
        };
        let plain = Self { low, high, median: 0.5, spread: 0.0 };
        let mut normal: Vec<f64> = sorted.iter().map(|value| plain.normal(unit, *value)).collect();
        normal.sort_by(f64::total_cmp);
        let at = |share| percentile(&normal, share);
        if normal.is_empty() {
            return plain;
        }
        Self { median: at(0.5), spread: at(0.75) - at(0.25), ..plain }
    }

    /// A value between 0 and 1 that grows with what the benchmark measures.
    pub(super) fn normal(&self, unit: Unit, value: f64) -> f64 {
        let Self { low, high, .. } = *self;
        match unit {
            // The part of games that it wins against the median.
            Unit::Elo => 1.0 / (1.0 + 10_f64.powf((low - value) / 400.0)),
            Unit::Errors => 1.0 - between(low, high, value),
            Unit::Percent | Unit::Share => between(low, high, value),
        }
    }
}

/// The place of a value between two anchors, and beyond them with a tail of the same slope at its beginning.
fn between(low: f64, high: f64, value: f64) -> f64 {
    let width = high - low;
    if width <= 0.0 {
        // One value, or all the same: what is above it is better, what is below it worse.
        return 0.5 + 0.45 * (value - low) / (1.0 + (value - low).abs());
    }
    let inside = (value - low) / width;
    let slope = HIGH - LOW;
    let tail = |beyond: f64| LOW * (1.0 - 1.0 / (1.0 + slope / LOW * beyond));
    match inside {
        below if below < 0.0 => LOW - tail(-below),
        above if above > 1.0 => HIGH + tail(above - 1.0),
        inside => LOW + slope * inside,
    }
}

/// The value below which so much of a sorted list lies, between two of them in proportion.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = share * last as f64;
    let (below, rest) = (at.floor() as usize, at.fract());
    let next = sorted[(below + 1).min(last)];
    sorted[below] + (next - sorted[below]) * rest
}

/// The model behind a provider's name for it: without path, region, vendor, version of a door, date of a snapshot and form,
/// in small letters. What endpoints of one model have in common.
pub fn family(id: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id).to_ascii_lowercase();
    let mut rest = name.as_str();
    for list in [&REGIONS[..], &VENDORS[..]] {
        if let Some(without) = list.iter().find_map(|start| rest.strip_prefix(start)) {
            rest = without;
        }
    }
    loop {
        let tail = TAILS.iter().find_map(|tail| rest.strip_suffix(tail));
        let Some(without) = tail.or_else(|| before_version(rest)).filter(|rest| !rest.is_empty()) else {
            break;
        };
        rest = without;
    }
    rest.to_owned()
}

/// `claude-x-v1:0`, `claude-x@20250929`, `gpt-4o-2024-08-06`, `deepseek-v3-0324` without what is a version or date.
fn before_version(name: &str) -> Option<&str> {
    if let Some((rest, door)) = name.rsplit_once(":")
        && door.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(rest.strip_suffix("-v1").or_else(|| rest.strip_suffix("-v2")).unwrap_or(rest));
    }
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (rest, last) = name.rsplit_once(['-', '@'])?;
    if digits(last, 8) && last.starts_with("20") {
        return Some(rest);
    }
    let (before, middle) = rest.rsplit_once('-')?;
    let (first, year) = before.rsplit_once('-')?;
    (digits(last, 2) && digits(middle, 2) && digits(year, 4) && year.starts_with("20")).then_some(first)
}
