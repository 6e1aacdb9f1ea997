//! `lockgate explain`: one request, from the name it asked for to its end; or what would become of one.

mod draw;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_config::{CaseBreaker, CaseState, Percent, Target};
use lockgate_core::decision::Standing;
use lockgate_core::record::Record;
use lockgate_core::{Attribution, Decision, Exclusion, RequestId, Usage};
use lockgate_engine::Verdict;
use lockgate_route::Told;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Context;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::paint::{Paint, Tone};
use crate::settings::Settings;
use crate::table::printable;
use crate::terminal::{say, say_json};
use crate::trial::{Request, Trial, order};

/// Show what became of a request, and why; or what would become of one.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate explain req_01k5qz6v8h3m9x2c7r4t0w1y5b\n  lockgate explain req_01k5qz6v8h3m9x2c7r4t0w1y5b --under other.yaml\n  lockgate explain --request request.json\n  lockgate explain --json $(lockgate logs --limit 1 --outcome error --json | jq -r .id)\n\nThe id is in the header x-lockgate-request-id of every answer, and in `lockgate logs`.\nA request in a file is its body, or {\"request\": BODY, \"dialect\", \"headers\", \"key\", \"metadata\", \"attribution\", \"seed\",\n\"wall_ms\"}, or {\"requests\": [...]} of such; \"-\" reads standard input. No provider is called, and nothing is recorded.\nWith --json the record as one document; times are microseconds since the arrival, costs are nano-dollars. Of a request that\nis decided again: {\"model\", \"winner\", \"order\", \"decision\", \"error\"}, with --under beside what was recorded.\nExit codes: 0 shown, 3 the config cannot be used, 4 no request of this id is recorded (one is when it has ended)."
)]
pub(crate) struct Args {
    /// The request's id: req_ and 26 characters.
    #[arg(value_name = "ID", value_parser = id, required_unless_present = "request")]
    id: Option<RequestId>,
    /// Decide on the request in this file instead, under the config.
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    request: Option<PathBuf>,
    /// Decide again, under this config.
    #[arg(long, value_name = "FILE")]
    under: Option<PathBuf>,
}

/// A request in a file, with what goes with it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    request: Json,
    #[serde(default = "usual_dialect")]
    dialect: String,
    #[serde(default)]
    headers: serde_json::Map<String, Json>,
    key: Option<String>,
    #[serde(default)]
    metadata: serde_json::Map<String, Json>,
    #[serde(default)]
    attribution: Attribution,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    wall_ms: u64,
}

fn usual_dialect() -> String {
    "openai.chat".to_owned()
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    if let Some(file) = &args.request {
        return asked(context, args, file);
    }
    let Some(id) = args.id else { return Ok(()) };
    let store = existing::store(context)?;
    let Some(record) = store.get(id)? else {
        return Err(Failure::not_found(format!(
            "no request {id} is recorded; a request is recorded when it has ended, and forgotten after records.retention"
        )));
    };
    if let Some(under) = &args.under {
        let keys = store.keys()?;
        let key = keys.iter().find(|key| key.id == record.key);
        let metadata = key.map(|key| key.metadata.clone()).unwrap_or_default();
        return again(context, &record, metadata.into_iter().collect(), under);
    }
    if context.json {
        say_json(&record);
    } else {
        say(&draw::draw(&record, Paint::detect()));
    }
    Ok(())
}

// === a request in a file ===

fn asked(context: &Context, args: &Args, file: &Path) -> Outcome {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|error| Failure::not_found(format!("{}: {error}", file.display())))?;
    let wrong = |error: String| Failure::config(format!("{}: {error}", file.display()));
    let json: Json = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let requests: Vec<Json> = match json.get("requests") {
        Some(Json::Array(requests)) => requests.clone(),
        Some(_) => return Err(wrong("\"requests\" is not a list".to_owned())),
        None => vec![json.clone()],
    };
    let trial = trial(context, args.under.as_deref())?;
    let mut verdicts = Vec::new();
    for request in requests {
        let request = of_file(request).map_err(&wrong)?;
        verdicts.push(trial.decide(&request).map_err(&wrong)?);
    }
    let many = json.get("requests").is_some();
    if context.json {
        let documents: Vec<Json> = verdicts.iter().map(Verdict::to_json).collect();
        match documents.as_slice() {
            [one] if !many => say_json(one),
            all => say_json(&json!({ "results": all })),
        }
    } else {
        let pages: Vec<String> = verdicts.iter().map(|verdict| page(verdict, Paint::detect())).collect();
        say(&pages.join("\n\n"));
    }
    Ok(())
}

fn of_file(json: Json) -> Result<Request, String> {
    let wrapped: Wrapped = if json.get("request").is_some() {
        serde_json::from_value(json).map_err(|error| error.to_string())?
    } else {
        Wrapped {
            request: json,
            dialect: usual_dialect(),
            headers: serde_json::Map::new(),
            key: None,
            metadata: serde_json::Map::new(),
            attribution: Attribution::default(),
            seed: 0,
            wall_ms: 0,
        }
    };
    let texts = |members: serde_json::Map<String, Json>| {
        let text = |value: Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        members.into_iter().map(|(name, value)| (name, text(value))).collect()
    };
    Ok(Request {
        dialect: wrapped.dialect,
        body: wrapped.request.to_string().into_bytes(),
        headers: texts(wrapped.headers),
        key: wrapped.key,
        metadata: texts(wrapped.metadata),
        attribution: wrapped.attribution,
        wall_ms: wrapped.wall_ms,
        seed: wrapped.seed,
        told: Told::default(),
        state: Vec::new(),
    })
}

fn trial(context: &Context, under: Option<&Path>) -> Result<Trial, Failure> {
    let settings = Settings::read(under.or(context.config.as_deref()))?;
    Trial::new(settings.config, &settings.kept).map_err(Failure::config)
}

// === a request of the record ===

/// Decides on a recorded request once more, with what the record knows of it.
fn again(context: &Context, record: &Record, metadata: Vec<(String, String)>, under: &Path) -> Outcome {
    let verdict =
        trial(context, Some(under))?.decide(&of_record(record, metadata)).map_err(Failure::config)?;
    let before: Vec<String> = record.decision.iter().flat_map(|decision| names(decision)).collect();
    let now = order(&verdict);
    let same = before == now;
    if context.json {
        say_json(&json!({
            "id": record.id.text().as_str(),
            "same": same,
            "recorded": { "order": before, "decision": record.decision },
            "under": verdict.to_json(),
        }));
        return Ok(());
    }
    let paint = Paint::detect();
    let first = |order: &[String]| order.first().map_or_else(|| "nothing".to_owned(), |name| printable(name));
    let mut text = if same {
        format!("{}: as recorded, {}", paint.put(Tone::Good, "the same"), first(&now))
    } else {
        format!(
            "{}: was {}, would be {}",
            paint.put(Tone::Doubtful, "different"),
            first(&before),
            first(&now)
        )
    };
    text.push_str(&format!(
        "\n\nRecorded\n{}",
        record
            .decision
            .as_ref()
            .map_or_else(String::new, |decision| { draw::draw_decision(decision, paint) })
    ));
    text.push_str(&format!("\n\nUnder {}\n{}", under.display(), page(&verdict, paint)));
    say(&text);
    Ok(())
}

fn names(decision: &Decision) -> Vec<String> {
    decision.ranked().map(|candidate| format!("{}/{}", candidate.provider, candidate.model)).collect()
}

/// What a record knows of its request. The body is not kept; sizes, kind of work, draws and the state of targets are.
fn of_record(record: &Record, metadata: Vec<(String, String)>) -> Request {
    let choice = record.decision.as_ref().and_then(|decision| decision.choice.as_deref());
    let used = record.usage.as_ref();
    let told = Told {
        input_tokens: choice.and_then(|choice| choice.input_tokens).or_else(|| used.map(Usage::input_total)),
        output_ceiling: choice.and_then(|choice| choice.output_tokens),
        task: choice.and_then(|choice| choice.task.clone()),
        ..Told::default()
    };
    Request {
        dialect: usual_dialect(),
        body: json!({ "model": record.asked, "stream": record.stream, "messages": [] })
            .to_string()
            .into_bytes(),
        headers: Vec::new(),
        key: Some(record.key_name.to_string()),
        metadata,
        attribution: record.attribution.clone(),
        wall_ms: record.id.wall_ms(),
        seed: choice.map_or(0, |choice| choice.seed),
        told,
        state: record.decision.as_ref().map(states).unwrap_or_default(),
    }
}

/// The state of the targets when a decision was made, as far as it is written there.
fn states(decision: &Arc<Decision>) -> Vec<(Target, CaseState)> {
    let mut states = Vec::new();
    for (at, candidate) in decision.candidates.iter().enumerate() {
        let mut state = CaseState::default();
        match candidate.standing {
            Standing::Excluded(Exclusion::BreakerOpen) => state.breaker = CaseBreaker::Open,
            Standing::Excluded(Exclusion::RateHeadroom) => state.rate_limited = true,
            _ => {}
        }
        let terms = decision.choice.iter().flat_map(|choice| &choice.terms);
        if let Some(terms) = terms.into_iter().find(|terms| usize::from(terms.candidate) == at) {
            state.in_flight = terms.in_flight;
            if !terms.unmeasured {
                state.first_token = Some(std::time::Duration::from_micros(terms.first_us));
                state.success = Some(Percent(terms.reliability));
                let output = decision.choice.as_ref().and_then(|choice| choice.output_tokens).unwrap_or(0);
                let writing = terms.whole_us.saturating_sub(terms.first_us).max(1);
                let speed = output.saturating_mul(1_000_000) / writing;
                state.tokens_per_second = u32::try_from(speed).ok().filter(|speed| *speed > 0);
            }
        }
        if state != CaseState::default() {
            let (provider, model) = (candidate.provider.to_string(), candidate.model.to_string());
            states.push((Target { provider, model }, state));
        }
    }
    states
}

fn page(verdict: &Verdict, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.put(Tone::Strong, &printable(&verdict.model)));
    if let Some(decision) = &verdict.decision {
        text.push_str(&draw::draw_decision(decision, paint));
    }
    if let Some(error) = &verdict.error {
        let said = printable(&format!("{}: {}", error.kind().code(), error.public()));
        text.push_str(&format!("\n  {}", paint.put(Tone::Bad, &said)));
    }
    text
}

fn id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| "a request id is req_ and 26 digits and small letters".to_owned())
}
