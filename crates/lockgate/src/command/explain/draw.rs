//! A record drawn for a person.

mod decision;

use std::fmt::Write as _;

use lockgate_core::record::{Attempt, Outcome, Record, Target};
use lockgate_core::{Decision, Kind, Retry, Usage};

use crate::moment::{exactly, spell_us};
use crate::paint::{Paint, Tone};
use crate::table::printable;

/// The whole record, without a line break at its end.
pub(super) fn draw(record: &Record, paint: Paint) -> String {
    let mut page = Page { text: String::new(), paint };
    page.head(record);
    page.asked(record);
    page.decision(record);
    page.attempts(record);
    page.result(record);
    page.text.truncate(page.text.trim_end().len());
    page.text
}

/// A decision alone, without a line break at its end.
pub(super) fn draw_decision(decision: &Decision, paint: Paint) -> String {
    let mut page = Page { text: String::new(), paint };
    page.told(decision);
    page.text.truncate(page.text.trim_end().len());
    page.text
}

/// What is drawn so far.
struct Page {
    text: String,
    paint: Paint,
}

/// Where a branch of a tree hangs.
#[derive(Clone, Copy)]
struct Branch {
    is_last: bool,
}

impl Branch {
    fn of(at: usize, count: usize) -> Self {
        Self { is_last: at + 1 == count }
    }

    fn node(self) -> &'static str {
        if self.is_last { "└─" } else { "├─" }
    }

    fn below(self) -> &'static str {
        if self.is_last { "  " } else { "│ " }
    }
}

// === the parts of the page ===

impl Page {
    fn head(&mut self, record: &Record) {
        let (tone, ending) = ending(record.outcome);
        let id = self.paint.put(Tone::Strong, record.id.text().as_str());
        let ending = self.paint.put(tone, ending);
        self.line(&format!("{id}  {} UTC", exactly(record.id.wall_ms())));
        self.line(&format!("{ending}, status {}, in {}", record.status, spell_us(record.took_us)));
    }

    fn asked(&mut self, record: &Record) {
        self.title("Asked");
        let form = if record.stream { "a stream" } else { "a whole answer" };
        let asked = if record.asked.is_empty() { "(not read)".to_owned() } else { printable(&record.asked) };
        self.fact("model", &asked);
        self.fact("as", &format!("{form}, in {}", printable(&record.dialect)));
        self.fact("key", &format!("{} ({})", printable(&record.key_name), printable(&record.key)));
        let whose = &record.attribution;
        let named = [
            ("organisation", &whose.organisation),
            ("team", &whose.team),
            ("customer", &whose.customer),
            ("project", &whose.project),
            ("user", &whose.user),
            ("feature", &whose.feature),
            ("session", &whose.session),
        ];
        for (what, value) in named {
            if let Some(value) = value {
                self.fact(what, &printable(value));
            }
        }
        if !whose.tags.is_empty() {
            self.fact("tags", &printable(&whose.tags.join(", ")));
        }
    }

    fn decision(&mut self, record: &Record) {
        self.title("Decision");
        let Some(decision) = &record.decision else {
            self.line("  none: the request failed before a target was looked for");
            return;
        };
        self.told(decision);
    }

    fn attempts(&mut self, record: &Record) {
        self.title("Attempts");
        if record.attempts.is_empty() {
            self.line("  none: no provider was called");
        }
        let count = record.attempts.len();
        for (at, attempt) in record.attempts.iter().enumerate() {
            let branch = Branch::of(at, count);
            let next = record.attempts.get(at + 1);
            let began = spell_us(attempt.at_us);
            self.line(&format!("  {} {}. {}  at {began}", branch.node(), at + 1, name(&attempt.target)));
            let below = branch.below();
            let said = self.ended(attempt, record, next.is_none());
            self.line(&format!("  {below}    {said}"));
            for line in attempt.detail.iter().flat_map(|detail| detail.lines()) {
                let line = self.paint.put(Tone::Quiet, &printable(line));
                self.line(&format!("  {below}    {line}"));
            }
            if let Some(kind) = attempt.error {
                let why = why(kind, attempt, next, record);
                self.line(&format!("  {below}    → {why}"));
            }
        }
    }

    /// How an attempt ended.
    fn ended(&self, attempt: &Attempt, record: &Record, is_last: bool) -> String {
        let status = attempt.status.map(|status| format!("status {status}"));
        let took = spell_us(attempt.took_us);
        match attempt.error {
            Some(kind) => {
                let code = self.paint.put(Tone::Bad, kind.code());
                let status = status.map_or_else(String::new, |status| format!("{status}, "));
                format!("{status}{code} after {took}")
            }
            None if attempt.status.is_none() && is_last && record.outcome == Outcome::Cancelled => {
                self.paint.put(Tone::Doubtful, "under way when the client left")
            }
            None => {
                let answered = self.paint.put(Tone::Good, "answered");
                let status = status.map_or_else(String::new, |status| format!(", {status},"));
                format!("{answered}{status} after {took}")
            }
        }
    }

    fn result(&mut self, record: &Record) {
        self.title("Result");
        let (tone, ending) = ending(record.outcome);
        let ending = self.paint.put(tone, ending);
        match record.error {
            Some(kind) => {
                self.fact("ending", &format!("{ending}: {} ({})", kind.code(), fault(kind)));
            }
            None => self.fact("ending", &ending),
        }
        for line in record.detail.iter().flat_map(|detail| detail.lines()) {
            self.fact("", &printable(line));
        }
        if let Some(target) = &record.target {
            self.fact("target", &name(target));
        }
        match &record.usage {
            Some(used) => self.fact("tokens", &usage(used)),
            None => self.fact("tokens", "nothing is known"),
        }
        let cost = record.cost.map_or_else(|| "not known".to_owned(), |cost| format!("${cost}"));
        self.fact("cost", &cost);
        let first = record.first_content_us.map_or_else(
            || "nothing went to the client as an answer".to_owned(),
            |us| format!("first content after {}", spell_us(us)),
        );
        self.fact(
            "time",
            &format!(
                "{} in the gateway before the first attempt, {first}, {} in all",
                spell_us(record.overhead_us),
                spell_us(record.took_us)
            ),
        );
    }

    // --- lines ---

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        let title = self.paint.put(Tone::Strong, title);
        self.line(&format!("\n{title}"));
    }

    fn fact(&mut self, what: &str, value: &str) {
        self.line(&format!("  {what:<10}{value}"));
    }
}

// === words ===

fn name(target: &Target) -> String {
    printable(&format!("{}/{}", target.provider, target.model))
}

fn ending(outcome: Outcome) -> (Tone, &'static str) {
    match outcome {
        Outcome::Ok => (Tone::Good, "answered"),
        Outcome::Error => (Tone::Bad, "ended in an error"),
        Outcome::Broken => (Tone::Bad, "broke off in the middle of the answer"),
        Outcome::Cancelled => (Tone::Doubtful, "the client left"),
    }
}

fn fault(kind: Kind) -> &'static str {
    use lockgate_core::Fault;
    match kind.fault() {
        Fault::Caller => "the caller's doing",
        Fault::Policy => "a rule of the operator",
        Fault::Provider => "the provider's failure",
        Fault::Gateway => "the gateway's failure",
    }
}

/// Why an attempt that failed was, or was not, followed by another.
fn why(kind: Kind, attempt: &Attempt, next: Option<&Attempt>, record: &Record) -> String {
    let Some(next) = next else {
        return match (record.outcome, kind.retry()) {
            (Outcome::Cancelled, _) => "the client left before another attempt".to_owned(),
            (_, Retry::Never) => "no other target would say anything else, so none was called".to_owned(),
            _ => "no target, round or time was left for another attempt".to_owned(),
        };
    };
    let pause = next.at_us.saturating_sub(attempt.at_us.saturating_add(attempt.took_us));
    let mut text = match kind.retry() {
        Retry::Elsewhere => "this target would say the same again".to_owned(),
        _ => "this can pass".to_owned(),
    };
    text.push_str(", and nothing had gone to the client: ");
    // Between two targets of a round there is only our own work; a longer gap is the pause between two rounds.
    const OWN_WORK_US: u32 = 5_000;
    let after =
        if pause > OWN_WORK_US { format!(" after a pause of {}", spell_us(pause)) } else { String::new() };
    // Writing into a String cannot fail.
    let _ = if next.target == attempt.target {
        write!(text, "called again{after}")
    } else {
        write!(text, "{} was called{after}", name(&next.target))
    };
    text
}

/// The buckets that hold something, and who says so.
fn usage(usage: &Usage) -> String {
    let sign = if usage.reported() { "" } else { "≈" };
    let part = |buckets: &[(&str, u64)]| {
        let filled: Vec<String> = buckets
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        if filled.len() > 1 { format!(" ({})", filled.join(", ")) } else { String::new() }
    };
    let input = part(&[
        ("fresh", usage.input),
        ("read from cache", usage.cache_read),
        ("written to cache", usage.cache_write),
        ("written to cache for an hour", usage.cache_write_1h),
        ("audio", usage.audio_input),
        ("images", usage.image_input),
    ]);
    let output = part(&[
        ("visible", usage.output),
        ("reasoning", usage.reasoning),
        ("audio", usage.audio_output),
        ("images", usage.image_output),
    ]);
    let source = if usage.reported() { "reported by the provider" } else { "estimated by the gateway" };
    format!("{sign}{} in{input}, {sign}{} out{output}; {source}", usage.input_total(), usage.output_total())
}

#[cfg(test)]
mod tests;
