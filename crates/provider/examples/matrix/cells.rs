//! What becomes of each feature of a client's request at each built-in provider: found by making the request.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lockgate_config::Provider;
use lockgate_core::Speech;
use lockgate_dialect::{Dialect, Losses, Named, Target, by_name};
use lockgate_provider::{ALL, compile};

#[path = "../../../dialect/examples/crossings.rs"]
#[allow(dead_code, reason = "it is a program of its own as well")]
mod crossings;

pub(crate) use self::crossings::CLIENTS;
use self::crossings::FEATURES;

/// What became of a feature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Nothing is lost; a member may go by another name.
    Carried,
    /// What was lost, and why.
    Lossy(String),
    /// Why not.
    Refused(String),
}

/// One provider, or the part of its models that is spoken to alike, as the clients of one dialect meet it.
#[derive(Debug)]
pub(crate) struct Row {
    /// The provider; behind it the pattern of its models, where it has several.
    pub(crate) provider: String,
    /// The dialect that it is asked in.
    pub(crate) asked_in: &'static str,
    /// Each feature that the client's dialect has, in the order of the list.
    pub(crate) cells: Vec<(&'static str, Fate)>,
    /// Members that go by another name.
    #[allow(dead_code, reason = "the test asks for signs only")]
    pub(crate) renamed: Vec<(String, String)>,
}

/// All providers that have chat turns, as clients of `client` meet them.
pub(crate) fn rows(client: &'static str) -> Vec<Row> {
    let from = by_name(client).expect("a dialect");
    let mut rows = Vec::new();
    for profile in ALL {
        let upstream = built_in(profile.name);
        let mut seen = BTreeSet::new();
        for pattern in upstream.speaks.iter().flat_map(|speech| one_of(&speech.models)) {
            let model = pattern.map_or("m".to_owned(), |pattern| pattern.replace('*', "x"));
            let Some(speech) = upstream.speech(client, &model) else { continue };
            if by_name(speech.dialect).is_none() || !seen.insert((speech.dialect, speech.models.clone())) {
                continue;
            }
            let all = speech.models.is_empty();
            let of_some = if all { String::new() } else { format!(" ({})", speech.models.join(", ")) };
            let wanted = |(name, json): &(&'static str, &'static str)| (*name == client).then_some(*json);
            let cells = FEATURES.iter().filter_map(|feature| {
                let json = feature.asked.iter().find_map(wanted)?;
                Some((feature.name, fate(from, speech, &model, json)))
            });
            rows.push(Row {
                provider: format!("{}{of_some}", profile.name),
                asked_in: speech.dialect,
                cells: cells.collect(),
                renamed: speech.quirks.rename.clone(),
            });
        }
    }
    rows
}

/// Every gap, a line each: what no provider of a dialect gets, and what single providers do not take. Adding a provider
/// that drops nothing adds none.
pub(crate) fn gaps() -> BTreeSet<String> {
    let mut gaps = BTreeSet::new();
    for client in CLIENTS {
        let rows = rows(client);
        let mut common: BTreeMap<(&str, &str), Vec<&Fate>> = BTreeMap::new();
        for row in &rows {
            for (feature, fate) in &row.cells {
                common.entry((row.asked_in, feature)).or_default().push(fate);
            }
        }
        for row in &rows {
            for (feature, fate) in row.cells.iter().filter(|(_, fate)| *fate != Fate::Carried) {
                let all = common[&(row.asked_in, *feature)].iter().all(|other| *other != &Fate::Carried);
                let place = if all { row.asked_in } else { &row.provider };
                gaps.insert(format!("{client} | {feature} | {place} | {}", fate.sign()));
            }
        }
    }
    gaps
}

/// A provider with everything that its address wants filled in, and a key.
fn built_in(name: &str) -> lockgate_core::Upstream {
    let env = |name: &str| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "DATABRICKS_HOST" => Some("dbc-1.cloud.databricks.com".to_owned()),
        _ => Some("filled-in".to_owned()),
    };
    compile(
        &Provider {
            api_key: Some(lockgate_core::Secret::new("key".to_owned()).into()),
            ..Provider::built_in(name)
        },
        &env,
        &|_| Ok(Vec::new()),
    )
    .unwrap_or_else(|error| panic!("{error}"))
}

/// One pattern that stands for the others; `None` for any model.
fn one_of(models: &[String]) -> Vec<Option<&str>> {
    models.first().map_or_else(|| vec![None], |first| vec![Some(first.as_str())])
}

/// The way of a request as the engine goes it: untouched where the provider speaks the client's dialect, translated
/// where it does not, then what the provider's quirks demand.
fn fate(from: &'static dyn Dialect, speech: &Speech, model: &str, json: &'static str) -> Fate {
    let refused = |error: lockgate_core::Error| Fate::Refused(error.public().to_owned());
    let named = Named { model, stream: false };
    let turn = match from.peek(Bytes::from_static(json.as_bytes()), Some(named)) {
        Ok(turn) => turn,
        Err(error) => return refused(error),
    };
    let mut losses = Losses::default();
    let prepared = if speech.dialect == from.name() {
        from.prepare(&turn, model, &speech.quirks)
    } else {
        let to = by_name(speech.dialect).expect("a dialect");
        let (Some(client), Some(provider)) = (from.hub(), to.hub()) else {
            return Fate::Refused("not translated".into());
        };
        let target = Target { provider: "p", model, stream: false };
        let written = client.read_request(&turn).and_then(|request| {
            request.may_go_to(speech.dialect)?;
            provider.write_request(&request, &target, &mut losses)
        });
        let written = match written.and_then(|body| to.peek(body, Some(named))) {
            Ok(written) => written,
            Err(error) => return refused(error),
        };
        to.prepare(&written, model, &speech.quirks)
    };
    let dropped = prepared.dropped.iter().filter(|name| *name != "model");
    let dropped = dropped.map(|name| format!("`{name}`: the provider does not take it"));
    let lost = losses.iter().map(|loss| format!("`{}`: {}", loss.what, loss.why)).chain(dropped);
    let lost: Vec<String> = lost.collect();
    if lost.is_empty() { Fate::Carried } else { Fate::Lossy(lost.join("; ")) }
}

// === impl Fate ===

impl Fate {
    pub(crate) const fn sign(&self) -> &'static str {
        match self {
            Self::Carried => "✓",
            Self::Lossy(_) => "◐",
            Self::Refused(_) => "✗",
        }
    }

    /// Why it is a gap.
    #[allow(dead_code, reason = "the test asks for signs only")]
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Carried => None,
            Self::Lossy(why) | Self::Refused(why) => Some(why),
        }
    }
}
