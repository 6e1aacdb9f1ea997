//! What policies mean, said a second time: without indices, without an order of questions, and without a line of the router's.

use super::world::{CONDITIONS, Fact, Lists, Plain, Said};

/// On whose behalf a request runs, when keys and headers have had their say.
#[derive(Clone, Debug, Default)]
pub(super) struct Whose {
    /// Key, team, project, customer, user, feature.
    pub(super) who: [Option<&'static str>; 6],
    pub(super) tags: Vec<&'static str>,
    pub(super) region: Option<&'static str>,
}

/// The policy that forbids a model at a provider, if one does.
pub(super) fn forbidden<'a>(
    policies: &'a [Plain],
    whose: &Whose,
    (provider, model): (&str, &str),
    fact: &Fact,
) -> Option<&'a str> {
    let forbids = |policy: &&Plain| {
        !policy.on_trial && concerns(policy, whose) && !permits(policy, provider, model, fact)
    };
    policies.iter().find(forbids).map(|policy| policy.name.as_str())
}

/// Why the request's own wishes leave a target out.
pub(super) fn unwished(said: &Said, whose: &Whose, provider: &str, fact: &Fact) -> Option<&'static str> {
    let out = [
        (!said.only.is_empty() && !said.only.contains(&provider), "not among the only ones"),
        (said.ignore.contains(&provider), "ignored"),
        (said.zero_retention && fact.zero_retention != Some(true), "keeps what it is sent"),
        (said.no_training && fact.trains != Some(false), "trains"),
        (whose.region.is_some_and(|region| !within(fact.region, region)), "not in the region"),
    ];
    out.into_iter().find(|(is, _)| *is).map(|(_, why)| why)
}

/// Whether a key with these patterns may use a name.
pub(super) fn key_may(patterns: &[&str], name: &str) -> bool {
    let fits = |pattern: &&str| match pattern.strip_suffix('*') {
        None => *pattern == name,
        Some("") => true,
        Some(start) => name.starts_with(start) && (start.contains('/') || !name.contains('/')),
    };
    patterns.is_empty() || patterns.iter().any(fits)
}

/// Whether a place is a region or inside it.
pub(super) fn within(place: Option<&str>, region: &str) -> bool {
    place.is_some_and(|place| place == region || place.starts_with(&format!("{region}-")))
}

fn concerns(policy: &Plain, whose: &Whose) -> bool {
    for (patterns, is) in policy.audience.iter().zip(&whose.who) {
        let named = is.is_some_and(|is| patterns.iter().any(|pattern| like(pattern, is)));
        // The tests' key has an id as well, which only a pattern that fits anything fits.
        if !patterns.is_empty() && !named {
            return false;
        }
    }
    let tags = &policy.audience[6];
    if !tags.is_empty() && !whose.tags.iter().any(|tag| tags.iter().any(|pattern| like(pattern, tag))) {
        return false;
    }
    policy.condition.is_none_or(|condition| holds(condition, whose))
}

/// What [`CONDITIONS`] mean. What is not said is the empty text.
pub(super) fn holds(condition: usize, whose: &Whose) -> bool {
    let [_, team, _, customer, _, feature] = whose.who.map(Option::unwrap_or_default);
    match CONDITIONS[condition] {
        "feature == \"chat\"" => feature == "chat",
        "\"dev\" in tags && team != \"acme\"" => whose.tags.contains(&"dev") && team != "acme",
        "customer.name.startsWith(\"b\")" => customer.starts_with('b'),
        other => unreachable!("{other}"),
    }
}

fn permits(policy: &Plain, provider: &str, model: &str, fact: &Fact) -> bool {
    let named = |lists: &Lists| {
        let by_model = lists.models.iter().any(|pattern| {
            let (of, what) = pattern.split_once('/').unwrap();
            like(of, provider) && like(what, model)
        });
        by_model || lists.providers.iter().any(|pattern| like(pattern, provider))
    };
    let placed = |regions: &[&str]| regions.iter().any(|region| within(fact.region, region));
    let (allow, deny) = (&policy.allow, &policy.deny);
    // Denied: by name, by place, or because the place is not known and some place is denied.
    if named(deny) || (!deny.regions.is_empty() && (fact.region.is_none() || placed(&deny.regions))) {
        return false;
    }
    let lists_names = !allow.models.is_empty() || !allow.providers.is_empty();
    (!lists_names || named(allow))
        && (allow.regions.is_empty() || placed(&allow.regions))
        && (policy.regions.is_empty() || placed(&policy.regions))
        && (!policy.zero_retention || fact.zero_retention == Some(true))
        && (!policy.no_training || fact.trains == Some(false))
}

/// Whether a text fits a pattern with `*`.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && like(rest, &text[at..]))
        }),
    }
}
