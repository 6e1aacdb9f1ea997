//! A decision drawn for a person: what led to the winner, every candidate with its terms or the reason why it was passed
//! over, and what the others would have cost.

use lockgate_core::decision::{Alternative, Choice, Held, Terms, Weight};
use lockgate_core::{Candidate, Decision, Exclusion, Matched, Standing};

use super::{Branch, Page};
use crate::moment::spell_us;
use crate::paint::Tone;
use crate::table::{Cell, Column, Table, printable};

impl Page {
    pub(super) fn told(&mut self, decision: &Decision) {
        let matched = match decision.matched {
            Matched::Route => "a route of the config",
            Matched::Direct => "a provider and its model",
            Matched::Plain => "the plain name of a model that a provider offers",
        };
        self.line(&format!("  the name is {matched} (config version {})", decision.snapshot));
        match &decision.choice {
            Some(choice) => self.choice(decision, choice),
            None => self.candidates(decision),
        }
        if decision.candidates.is_empty() {
            self.line("  no target was found for it");
        }
    }

    /// Candidates of which nothing was weighed.
    fn candidates(&mut self, decision: &Decision) {
        let count = decision.candidates.len();
        for (at, candidate) in decision.candidates.iter().enumerate() {
            let standing = self.standing(candidate);
            self.line(&format!("  {} {}  {standing}", Branch::of(at, count).node(), name(candidate)));
        }
    }

    fn standing(&self, candidate: &Candidate) -> String {
        let note = candidate.note.as_ref().map_or_else(String::new, |note| format!(" ({})", printable(note)));
        match candidate.standing {
            Standing::Eligible => format!("{}{note}", self.paint.put(Tone::Good, "eligible")),
            Standing::Excluded(exclusion) => {
                let code = self.paint.put(Tone::Bad, exclusion.code());
                format!("excluded, {code}: {}{note}", reason(exclusion))
            }
        }
    }

    fn choice(&mut self, decision: &Decision, choice: &Choice) {
        if !choice.path.is_empty() {
            self.fact("way", &printable(&choice.path.join(" → ")));
        }
        for fired in &choice.rules {
            self.fact("rule", &format!("{}: {}", printable(&fired.rule), fired.verdict.code()));
        }
        for incident in &choice.incidents {
            let text = printable(&format!("{}: {}", incident.at, incident.why));
            let text = self.paint.put(Tone::Doubtful, &text);
            self.fact("incident", &text);
        }
        if let Some(task) = &choice.task {
            let classes: Vec<String> = task
                .classes
                .iter()
                .take(4)
                .map(|(class, share)| format!("{} {}", class.code(), percent(*share)))
                .collect();
            let said = if task.told { ", said by a tag" } else { "" };
            let complexity = f64::from(task.complexity) / 1e6;
            self.fact("work", &format!("{}{said}; complexity {complexity:.2}", classes.join(", ")));
        }
        if let Some(input) = choice.input_tokens {
            let output = choice.output_tokens.map_or_else(String::new, |output| format!(", {output} out"));
            self.fact("tokens", &format!("≈{input} in{output}, as estimated before the call"));
        }
        if !choice.weights.is_empty() {
            let weights: Vec<String> = choice.weights.iter().map(weight).collect();
            self.fact("measured", &weights.join(", "));
        }
        if let Some(fallback) = choice.fallback {
            self.fact(
                "fallback",
                &format!("nothing of the route's own may be used; its list for {}", fallback.code()),
            );
        }
        self.weighed(decision, choice);
        self.counterfactual(decision, choice);
    }

    /// The candidates in order, then those that were passed over.
    fn weighed(&mut self, decision: &Decision, choice: &Choice) {
        let mut table = Table::new(&[
            Column::text("CANDIDATE"),
            Column::number("SCORE"),
            Column::number("QUALITY"),
            Column::number("COST"),
            Column::number("FIRST"),
            Column::number("WHOLE"),
            Column::number("SUCCESS"),
            Column::text("SCORES"),
        ]);
        let rows: Vec<Vec<Cell>> = choice
            .order
            .iter()
            .enumerate()
            .filter_map(|(place, at)| {
                let candidate = decision.candidates.get(usize::from(*at))?;
                let title = format!("{}. {}", place + 1, name(candidate));
                let tone = if place == 0 { Tone::Good } else { Tone::Plain };
                let row = choice.terms.iter().position(|terms| terms.candidate == *at);
                let mut cells = vec![Cell::new(tone, &title)];
                cells.extend(row.map(|row| terms(choice, row)).unwrap_or_default());
                Some(cells)
            })
            .collect();
        if choice.terms.is_empty() {
            for row in &rows {
                let line = table.line(row, self.paint);
                self.line(&format!("  {line}"));
            }
        } else {
            rows.iter().for_each(|row| table.fit(row));
            let titles = table.titles(self.paint);
            self.line(&format!("  {titles}"));
            for row in &rows {
                let line = table.line(row, self.paint);
                self.line(&format!("  {line}"));
            }
        }
        for candidate in decision.candidates.iter() {
            if let Standing::Excluded(_) = candidate.standing {
                let standing = self.standing(candidate);
                self.line(&format!("  ✗ {}  {standing}", name(candidate)));
            }
        }
    }

    fn counterfactual(&mut self, decision: &Decision, choice: &Choice) {
        let other = |other: &Alternative| {
            let candidate =
                decision.candidates.get(usize::from(other.candidate)).map_or_else(String::new, name);
            let cost = other.cost.map_or_else(|| "cost not known".to_owned(), |cost| format!("${cost}"));
            format!("{candidate}, {cost}")
        };
        if let Some(margin) = choice.margin {
            self.fact("margin", &format!("{:.3}", margin as f64 / 1e6));
        }
        if let Some(cost) = choice.expected {
            self.fact("expected", &format!("${cost}"));
        }
        let others =
            [("runner-up", &choice.runner_up), ("cheapest", &choice.cheapest), ("best", &choice.best_single)];
        for (what, alternative) in others {
            if let Some(alternative) = alternative {
                self.fact(what, &other(alternative));
            }
        }
        if let Some(sticky) = &choice.sticky {
            let candidate =
                decision.candidates.get(usize::from(sticky.candidate)).map_or_else(String::new, name);
            let held = match sticky.held {
                Held::Kept => "stays, as nothing leads it by enough",
                Held::Pinned => "stays, as the turn is not over",
                Held::Outbid => "is outbid",
                Held::Excluded => "may not be used any more",
            };
            self.fact("session", &format!("{candidate} served it before and {held}"));
        }
        if let Some(exploration) = choice.exploration.filter(|exploration| exploration.explored) {
            self.fact(
                "explored",
                &format!("drawn to learn about it, propensity {}", percent(exploration.propensity)),
            );
        }
        if let Some(shadow) = &choice.shadow {
            let winner = shadow.winner.as_ref().map_or_else(
                || "nothing".to_owned(),
                |target| printable(&format!("{}/{}", target.provider, target.model)),
            );
            let cost = shadow.cost.map_or_else(String::new, |cost| format!(", ${cost}"));
            self.fact("on trial", &format!("would have been {winner}{cost}"));
        }
    }
}

fn name(candidate: &Candidate) -> String {
    printable(&format!("{}/{}", candidate.provider, candidate.model))
}

fn percent(millionths: u32) -> String {
    format!("{:.1}%", f64::from(millionths) / 1e4)
}

/// A benchmark with its share, and the factor by which the kind of work raised it.
fn weight(weight: &Weight) -> String {
    let boost = f64::from(weight.boost) / 1e6;
    let raised = if weight.boost == 1_000_000 { String::new() } else { format!(" (×{boost:.2})") };
    format!("{} {}{raised}", printable(&weight.name), percent(weight.share))
}

/// The cells of the candidate whose terms stand at a row.
fn terms(choice: &Choice, row: usize) -> Vec<Cell> {
    let Some(terms) = choice.terms.get(row) else { return Vec::new() };
    let Terms { score, quality, cost, first_us, whole_us, reliability, unmeasured, .. } = terms;
    let about = if *unmeasured { "≈" } else { "" };
    let time = |us: u64| format!("{about}{}", spell_us(u32::try_from(us).unwrap_or(u32::MAX)));
    let share = |millionths: u32| format!("{:.3}", f64::from(millionths) / 1e6);
    let scores: Vec<String> = choice
        .scores(row)
        .map(|(weight, value, assumed)| {
            let sign = if assumed { "≈" } else { "" };
            format!("{} {sign}{}", weight.name, share(value))
        })
        .collect();
    vec![
        Cell::plain(&format!("{:.3}", *score as f64 / 1e6)),
        Cell::plain(&share(*quality)),
        Cell::plain(&cost.map_or_else(|| "?".to_owned(), |cost| format!("${cost}"))),
        Cell::plain(&time(*first_us)),
        Cell::plain(&time(*whole_us)),
        Cell::plain(&percent(*reliability)),
        Cell::new(Tone::Quiet, &scores.join(", ")),
    ]
}

fn reason(exclusion: Exclusion) -> &'static str {
    match exclusion {
        Exclusion::Unknown => "the model is not known",
        Exclusion::Disabled => "it is switched off or retired",
        Exclusion::NotAllowed => "the key or a policy does not allow it",
        Exclusion::Preference => "the request's own preferences leave it out",
        Exclusion::Region => "it is not in the region that is asked for",
        Exclusion::Retention => "it keeps what it is sent, or is not known not to",
        Exclusion::Training => "it trains on what it is sent, or is not known not to",
        Exclusion::Modality => "it does not take a kind of content of the request",
        Exclusion::Tools => "it does not call tools",
        Exclusion::Schema => "it does not answer by a schema",
        Exclusion::Capability => "it lacks an ability that is asked for",
        Exclusion::ContextWindow => "the request does not fit into its context window",
        Exclusion::Parameters => "it does not take a parameter of the request",
        Exclusion::BoundState => "only another provider can read the conversation's reasoning",
        Exclusion::MaxPrice => "it costs too much, or its price is not known",
        Exclusion::Budget => "it is expected to cost more than is left",
        Exclusion::RateHeadroom => "its provider's rate limit leaves no room",
        Exclusion::Coverage => "it has too few of the scores that are weighed",
        Exclusion::BreakerOpen => "it had failed too often just before",
    }
}
