//! Which row a model's name means.
//!
//! A name is tried as it is, then in other letters (case), then changed step by step, each change a rule below. The first
//! row that is found counts; the result says by which kind of rule, so that a price found by a changed name is known
//! as such. The same name always finds the same row.
//!
//! | rule | example |
//! |---|---|
//! | the path that an API puts before the name | `models/gemini-2.5-pro` → `gemini-2.5-pro` |
//! | a fine-tuned model is its base's `ft:` row | `ft:gpt-4o-2024-08-06:acme::x1` → `ft:gpt-4o-2024-08-06` |
//! | a length of context behind a Bedrock id | `…-v1:0:28k` → `…-v1:0` |
//! | the region before a Bedrock id | `eu.anthropic.x` → `anthropic.x` |
//! | the date of a snapshot | `gpt-4o-2024-08-06`, `claude-x@20250929`, `glm-5-0414` → the name before it |
//! | the alias of the newest | `x-latest`, `x@latest`, `x@default` → `x` |
//! | a name whose snapshots alone are known | `claude-x` → the newest of `claude-x-20250929`, … |
//! | a Bedrock id without its last number | `anthropic.x-v1` → `anthropic.x-v1:0` |
//! | any model, where all of a provider are alike | `llama3.2:3b` at `ollama` → `*` |

use std::fmt;

use crate::model::Model;

/// A model and how it was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The row.
    pub model: &'a Model,
    /// By what.
    pub by: By,
}

/// How a name led to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It is the row's name.
    Name,
    /// It is, but for the case of letters.
    Case,
    /// It is, without the path before it.
    Path,
    /// It is a fine-tuned model, and the row is that of its base.
    FineTune,
    /// It is, without the region before it, or but for what Bedrock puts behind it. The price of a region can differ.
    Region,
    /// It is a snapshot, and the row is that of the name without date.
    Snapshot,
    /// It is an alias of the newest, and the row is that of the name, or of the newest snapshot.
    Newest,
    /// The row stands for all models of the provider.
    Any,
}

/// Continues a sentence that begins with "found".
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "by its name",
            Self::Case => "by its name in other letters",
            Self::Path => "by its name without or with a path",
            Self::FineTune => "as the base of a fine-tuned model",
            Self::Region => "by its name without a region; prices of regions can differ",
            Self::Snapshot => "by its name without a date",
            Self::Newest => "as the newest of its name",
            Self::Any => "as the row for any model of its provider",
        })
    }
}

const PATHS: [&str; 3] = ["models/", "accounts/fireworks/models/", "openai/"];
/// The id of a row that stands for all models of its provider.
const ANY: &str = "*";
const REGIONS: [&str; 12] =
    ["us-gov.", "us.", "eu.", "apac.", "global.", "au.", "jp.", "in.", "ca.", "sa.", "me.", "af."];
const NEWEST: [&str; 4] = ["-latest", "@latest", "@default", ":latest"];
/// Names come from clients. One that is longer is no model's.
const LONGEST: usize = 256;

/// A model among those of one provider, which are sorted.
pub(crate) fn find<'a>(models: &'a [Model], id: &str) -> Option<Found<'a>> {
    let any = || Some(Found { model: exact(models, ANY)?, by: By::Any });
    by_name(models, id).or_else(any)
}

fn by_name<'a>(models: &'a [Model], id: &str) -> Option<Found<'a>> {
    if id.is_empty() || id.len() > LONGEST {
        return None;
    }
    if let Some(model) = exact(models, id) {
        return Some(Found { model, by: By::Name });
    }
    if let Some(model) = any_case(models, id) {
        return Some(Found { model, by: By::Case });
    }
    let mut name = id;
    let mut by = By::Name;
    while let Some((shorter, rule)) = shortened(name) {
        (name, by) = (shorter, rule);
        if let Some(model) = any_case(models, name) {
            return Some(Found { model, by });
        }
    }
    // Fireworks' own models are asked for with and without the path, Bedrock's with and without the last number.
    for (whole, by) in
        [(format!("accounts/fireworks/models/{id}"), By::Path), (format!("{id}:0"), By::Region)]
    {
        if let Some(model) = exact(models, &whole) {
            return Some(Found { model, by });
        }
    }
    if by == By::Snapshot {
        // Another snapshot of the same name can have another price.
        return None;
    }
    newest(models, name).map(|model| Found { model, by: By::Newest })
}

/// The name after the first rule that applies.
fn shortened(name: &str) -> Option<(&str, By)> {
    if let Some(rest) = PATHS.iter().find_map(|path| name.strip_prefix(path)).filter(|rest| !rest.is_empty())
    {
        return Some((rest, By::Path));
    }
    if let Some((_, rest)) =
        name.rsplit_once("/models/").filter(|(path, rest)| path.contains("publishers/") && !rest.is_empty())
    {
        return Some((rest, By::Path));
    }
    if let Some(base) = fine_tuned(name) {
        return Some((base, By::FineTune));
    }
    if let Some((rest, _)) = name.rsplit_once(':').filter(|(_, tail)| is_length(tail)) {
        return Some((rest, By::Region));
    }
    if let Some(rest) =
        REGIONS.iter().find_map(|region| name.strip_prefix(region)).filter(|r| r.contains('.'))
    {
        return Some((rest, By::Region));
    }
    if let Some(rest) =
        NEWEST.iter().find_map(|alias| name.strip_suffix(alias)).filter(|rest| !rest.is_empty())
    {
        return Some((rest, By::Newest));
    }
    before_date(name).map(|rest| (rest, By::Snapshot))
}

/// `ft:BASE:organisation:name:id` without what is behind the base.
fn fine_tuned(name: &str) -> Option<&str> {
    let behind = name.strip_prefix("ft:")?;
    let end = behind.find(':')?;
    name.get(..end + 3)
}

/// `28k`, `200k`.
fn is_length(tail: &str) -> bool {
    tail.strip_suffix('k').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// What stands before the date of a snapshot: `-2024-08-06`, `-20250929`, `@20250929`, `-0414`, `-2025-09`, `@001`, `-001`.
fn before_date(name: &str) -> Option<&str> {
    let cut = |digits: &[usize]| -> Option<&str> {
        let mut rest = name;
        for (place, count) in digits.iter().rev().enumerate() {
            let at = rest.len().checked_sub(*count)?;
            let (before, tail) = (rest.get(..at)?, rest.get(at..)?);
            let last = place + 1 == digits.len();
            let before = before.strip_suffix('-').or_else(|| before.strip_suffix('@').filter(|_| last))?;
            if !tail.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            rest = before;
        }
        (!rest.is_empty()).then_some(rest)
    };
    let whole = || cut(&[4, 2, 2]).or_else(|| cut(&[8]));
    let short = |digits: &[usize]| {
        let rest = cut(digits)?;
        is_short_date(name.get(rest.len() + 1..)?).then_some(rest)
    };
    whole().or_else(|| cut(&[2, 4])).or_else(|| cut(&[4, 2])).or_else(|| short(&[4])).or_else(|| short(&[3]))
}

/// `0414` (month and day), `2512` (year and month), `001`: not `1024` or `405`, which are sizes.
fn is_short_date(digits: &str) -> bool {
    let Ok(number) = digits.parse::<u32>() else { return false };
    let (high, low) = (number / 100, number % 100);
    let month_day = (1..=12).contains(&high) && (1..=31).contains(&low);
    let year_month = (22..=40).contains(&high) && (1..=12).contains(&low);
    if digits.len() == 4 { month_day || year_month } else { digits.starts_with('0') }
}

fn exact<'a>(models: &'a [Model], id: &str) -> Option<&'a Model> {
    let at = models.binary_search_by(|m| (m.key().1, m.key().2).cmp(&(id, ""))).ok()?;
    models.get(at)
}

fn any_case<'a>(models: &'a [Model], id: &str) -> Option<&'a Model> {
    let same = |m: &&Model| m.variant.is_none() && m.id.eq_ignore_ascii_case(id);
    exact(models, id).or_else(|| models.iter().find(same))
}

/// Of the snapshots of a name the one with the last date.
fn newest<'a>(models: &'a [Model], name: &str) -> Option<&'a Model> {
    let snapshots = models.iter().filter(|m| m.variant.is_none() && before_date(&m.id) == Some(name));
    snapshots.max_by_key(|m| date(m.id.get(name.len()..).unwrap_or_default()))
}

/// A date as a number that grows with time, whatever its form.
fn date(text: &str) -> (usize, u64) {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    let number =
        digits.clone().fold(0_u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    (digits.count(), number)
}

/// Whether a name fits a pattern in which `*` stands for any text. Takes at most length times length, no recursion.
pub(crate) fn fits<I: Iterator<Item = u8> + Clone>(pattern: &[u8], name: impl Fn() -> I) -> bool {
    let mut text = name();
    let mut at = 0;
    let mut retry: Option<(usize, I)> = None;
    loop {
        let rest = text.clone();
        match (pattern.get(at), text.next()) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                at += 1;
                text = rest.clone();
                retry = Some((at, rest));
            }
            (Some(wanted), Some(byte)) if *wanted == byte => at += 1,
            (_, None) => return false,
            _ => {
                let Some((star, mut from)) = retry else { return false };
                from.next();
                (at, text) = (star, from.clone());
                retry = Some((star, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn models(ids: &[&str]) -> Vec<Model> {
        let provider: Arc<str> = "acme".into();
        let mut models: Vec<_> = ids.iter().map(|id| Model::unknown(Arc::clone(&provider), id)).collect();
        models.sort_by(|a, b| a.key().cmp(&b.key()));
        models
    }

    fn check(known: &[&str], cases: &[(&str, Option<(&str, By)>)]) {
        let models = models(known);
        for (asked, wanted) in cases {
            let found = find(&models, asked);
            assert_eq!(found.map(|f| (&*f.model.id, f.by)), *wanted, "{asked}");
        }
    }

    #[test]
    fn a_name_is_tried_as_it_is_before_it_is_changed() {
        check(
            &["gpt-4o", "gpt-4o-2024-05-13"],
            &[
                ("gpt-4o", Some(("gpt-4o", By::Name))),
                ("GPT-4o", Some(("gpt-4o", By::Case))),
                ("gpt-4o-2024-05-13", Some(("gpt-4o-2024-05-13", By::Name))),
                ("gpt-4o-2024-08-06", Some(("gpt-4o", By::Snapshot))),
                ("gpt-4o-latest", Some(("gpt-4o", By::Newest))),
                ("gpt-4o-mini", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn snapshots_have_dates_in_many_forms() {
        check(
            &["claude-x", "glm-5", "kimi"],
            &[
                ("claude-x@20250929", Some(("claude-x", By::Snapshot))),
                ("claude-x-20250929", Some(("claude-x", By::Snapshot))),
                ("claude-x@default", Some(("claude-x", By::Newest))),
                ("glm-5-0414", Some(("glm-5", By::Snapshot))),
                ("kimi-2025-09", Some(("kimi", By::Snapshot))),
                ("kimi-09-2025", Some(("kimi", By::Snapshot))),
                ("kimi-2512", Some(("kimi", By::Snapshot))),
                ("kimi-405", None),
                ("kimi-4096", None),
                ("kimi-001", Some(("kimi", By::Snapshot))),
                ("kimi-k2", None),
                ("kimi-70b", None),
            ],
        );
    }

    #[test]
    fn a_name_without_date_is_the_newest_snapshot() {
        check(
            &[
                "claude-x-20250101",
                "claude-x-20260101",
                "claude-x-mini-20270101",
                "a-2024-01-01",
                "a-2023-12-31",
            ],
            &[
                ("claude-x", Some(("claude-x-20260101", By::Newest))),
                ("claude-x-latest", Some(("claude-x-20260101", By::Newest))),
                ("claude-x-20240101", None),
                ("a", Some(("a-2024-01-01", By::Newest))),
            ],
        );
    }

    #[test]
    fn regions_and_paths_are_taken_off() {
        check(
            &[
                "anthropic.claude-v1:0",
                "us.anthropic.claude-v1:0",
                "gemini-2.5-pro",
                "accounts/fireworks/models/glm",
            ],
            &[
                ("us.anthropic.claude-v1:0", Some(("us.anthropic.claude-v1:0", By::Name))),
                ("eu.anthropic.claude-v1:0", Some(("anthropic.claude-v1:0", By::Region))),
                ("eu.anthropic.claude-v1:0:28k", Some(("anthropic.claude-v1:0", By::Region))),
                ("anthropic.claude-v1", Some(("anthropic.claude-v1:0", By::Region))),
                (
                    "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
                    Some(("gemini-2.5-pro", By::Path)),
                ),
                ("models/gemini-2.5-pro", Some(("gemini-2.5-pro", By::Path))),
                ("glm", Some(("accounts/fireworks/models/glm", By::Path))),
            ],
        );
    }

    #[test]
    fn a_fine_tuned_model_is_its_bases() {
        check(
            &["ft:gpt-4o-2024-08-06", "gpt-4o-2024-08-06"],
            &[
                ("ft:gpt-4o-2024-08-06:acme::x1", Some(("ft:gpt-4o-2024-08-06", By::FineTune))),
                ("ft:gpt-4o-mini-2024-07-18:acme::x1", None),
            ],
        );
    }

    #[test]
    fn a_free_door_is_not_the_paid_one() {
        check(&["x/y"], &[("x/y:free", None)]);
        check(&["x/y:free"], &[("x/y", None)]);
    }

    #[test]
    fn a_row_can_stand_for_all_models_of_a_provider() {
        check(
            &["*", "llama3"],
            &[
                ("llama3", Some(("llama3", By::Name))),
                ("anything:7b", Some(("*", By::Any))),
                ("", Some(("*", By::Any))),
            ],
        );
    }

    #[test]
    fn a_strange_name_is_no_trouble() {
        let known = models(&["a"]);
        for name in
            ["é-2024-08-06", "-2024-08-06", "@", ":", "ft:", "ft::", "us.", "models/", "-latest", "日本-0414"]
        {
            assert!(find(&known, name).is_none(), "{name}");
        }
        assert!(find(&known, &"a".repeat(100_000)).is_none());
        assert!(find(&known, &"-2024".repeat(50)).is_none());
    }

    #[test]
    fn stars_stand_for_any_text() {
        let like = |pattern: &str, name: &str| fits(pattern.as_bytes(), || name.bytes());
        assert!(
            like("a/*", "a/b")
                && like("a/*", "a/")
                && like("*b*", "abc")
                && like("**", "")
                && like("a*c", "abcbc")
        );
        assert!(!like("a/*", "b/a") && !like("a*c", "abcb") && !like("", "a") && !like("a", ""));
        assert!(!like(&"*a".repeat(64), &"a".repeat(63)));
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_an_answer(name: String, tail in "[-@:./a-z0-9]{0,40}") {
            let known = models(&["a", "a-2024-01-01", "us.b.c-v1:0"]);
            for asked in [name.clone(), format!("{name}{tail}"), tail] {
                let found = find(&known, &asked).map(|f| (&*f.model.id, f.by));
                proptest::prop_assert_eq!(found, find(&known, &asked).map(|f| (&*f.model.id, f.by)));
            }
        }
    }
}
