//! A session of a coding agent, played from a script: what the user's message lists is done step by step with the tools
//! that the agent offers, one call a turn, and in the end there is a report of what came of each.
//!
//! The script is numbered lines of a user's message, from 1 on, among any other text:
//!
//! ```text
//! 1. Read `PATH`.
//! 2. Replace `OLD` with `NEW` in `PATH`.
//! 3. Write `TEXT` to `PATH`.
//! 4. Run `COMMAND`.
//! ```
//!
//! Which tool is for what, and how its arguments are called, is in `role.rs`. An agent without tools that explains
//! search-and-replace blocks to its model gets the edits as such blocks, and the report one turn later.
//!
//! Where the session stands is read from the conversation alone: each result after the script is one step done. So the
//! same request has the same answer, whoever asks and however often.

mod role;

use crate::request::{Ask, Format, Message, Role};
use crate::tools::Call;
use crate::words;
use role::Hand;

/// How a report begins. The session is over for whoever reads it in the conversation.
const REPORT: &str = "All steps are done.";
/// The mark by which an agent explains edit blocks, and by which they are known.
const SEARCH: &str = "<<<<<<< SEARCH";
/// Longest part of a result that the report repeats, in characters.
const RESULT_CHARS: usize = 400;

/// What is done next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A step is taken.
    Call(Call),
    /// Edit blocks, or the report.
    Say(String),
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Read { path: String },
    Replace { path: String, old: String, new: String },
    Write { path: String, text: String },
    Run { command: String },
}

/// The next turn of the session that the conversation is in; `None` if it is in none.
pub(crate) fn next(ask: &Ask) -> Option<Turn> {
    if !matches!(ask.format, Format::Text) {
        return None;
    }
    let (steps, since) = scripted(&ask.messages)?;
    let said = |text| {
        since.iter().position(|message| message.role == Role::Assistant && message.text.contains(text))
    };
    if said(REPORT).is_some() {
        return None;
    }
    let hand = Hand::of(ask);
    if hand.is_empty() {
        if !ask.messages.iter().any(|message| message.text.contains(SEARCH)) {
            return None;
        }
        let Some(at) = said(SEARCH) else { return Some(Turn::Say(edit_blocks(&steps, &ask.messages))) };
        let heard = since[at..].iter().rev().find(|message| message.role == Role::User);
        let results: Vec<&str> = steps.iter().map(|_| "").collect();
        return Some(Turn::Say(report(&steps, &results, heard.map(|message| message.text.as_str()))));
    }
    let results: Vec<&str> = since
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message| message.text.as_str())
        .collect();
    let Some(step) = steps.get(results.len()) else {
        return Some(Turn::Say(report(&steps, &results, None)));
    };
    Some(match hand.take(step, &results) {
        Some(call) => Turn::Call(call),
        None => Turn::Say(format!("{REPORT} But for the rest: no tool here can {}.", step.told())),
    })
}

/// The last script of the user, and the messages after it.
fn scripted(messages: &[Message]) -> Option<(Vec<Step>, &[Message])> {
    messages.iter().enumerate().rev().find_map(|(at, message)| {
        let steps = if message.role == Role::User { script(&message.text) } else { Vec::new() };
        (!steps.is_empty()).then(|| (steps, &messages[at + 1..]))
    })
}

/// The steps in a text, numbered from 1 on.
fn script(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in text.lines() {
        let number = format!("{}. ", steps.len() + 1);
        if let Some(step) = line.trim().strip_prefix(&number).and_then(Step::read) {
            steps.push(step);
        }
    }
    steps
}

/// All edits in one message, as search-and-replace blocks. What is searched are whole lines, so far as the
/// conversation shows them.
fn edit_blocks(steps: &[Step], messages: &[Message]) -> String {
    let mut text = String::from("I make these changes:\n");
    for step in steps {
        let (path, old, new) = match step {
            Step::Replace { path, old, new } => {
                let texts = messages.iter().filter(|message| message.role == Role::User);
                let line = texts.rev().find_map(|message| line_with(&message.text, old)).unwrap_or(old);
                (path, format!("{line}\n"), format!("{}\n", line.replace(old, new)))
            }
            Step::Write { path, text } => (path, String::new(), format!("{text}\n")),
            Step::Read { .. } | Step::Run { .. } => continue,
        };
        text.push_str(&format!("\n{path}\n```\n{SEARCH}\n{old}=======\n{new}>>>>>>> REPLACE\n```\n"));
    }
    text
}

/// The line of a text that has `old` and is no step of a script.
fn line_with<'a>(text: &'a str, old: &str) -> Option<&'a str> {
    text.lines().find(|line| line.contains(old) && !line.contains('`'))
}

/// What came of each step, and of what else was `heard`.
fn report(steps: &[Step], results: &[&str], heard: Option<&str>) -> String {
    let mut text = String::from(REPORT);
    for (number, (step, result)) in (1..).zip(steps.iter().zip(results)) {
        text.push_str(&format!("\n{number}. {}.", step.done()));
        if !result.trim().is_empty() {
            text.push_str(&format!(" It gave: {}", words::excerpt(result, RESULT_CHARS)));
        }
    }
    if let Some(heard) = heard {
        text.push_str(&format!("\nYou then told me: {}", words::excerpt(heard, RESULT_CHARS)));
    }
    text
}

impl Step {
    /// A line without its number. What is in backticks is taken as it stands; the words around it say what to do.
    fn read(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split('`').collect();
        let words: Vec<String> = parts.iter().step_by(2).map(|words| words.trim().to_lowercase()).collect();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let last = words.pop()?.trim_start_matches(['.', ',', ';']);
        let values: Vec<String> = parts.iter().skip(1).step_by(2).map(|value| (*value).to_owned()).collect();
        if !last.is_empty() || values.iter().any(String::is_empty) {
            return None;
        }
        match (words.as_slice(), <[String; 3]>::try_from(values)) {
            (["replace", "with", "in"], Ok([old, new, path])) => Some(Self::Replace { path, old, new }),
            (["write", "to"], Err(values)) => {
                let [text, path] = values.try_into().ok()?;
                Some(Self::Write { path, text })
            }
            (["read"], Err(values)) => values.into_iter().next().map(|path| Self::Read { path }),
            (["run"], Err(values)) => values.into_iter().next().map(|command| Self::Run { command }),
            _ => None,
        }
    }

    /// As something to do.
    fn told(&self) -> String {
        match self {
            Self::Read { path } => format!("read `{path}`"),
            Self::Replace { path, old, new } => format!("replace `{old}` with `{new}` in `{path}`"),
            Self::Write { path, text } => format!("write `{text}` to `{path}`"),
            Self::Run { command } => format!("run `{command}`"),
        }
    }

    /// As something done.
    fn done(&self) -> String {
        match self {
            Self::Read { path } => format!("I read `{path}`"),
            Self::Replace { path, old, new } => format!("I replaced `{old}` with `{new}` in `{path}`"),
            Self::Write { path, .. } => format!("I wrote `{path}`"),
            Self::Run { command } => format!("I ran `{command}`"),
        }
    }
}

#[cfg(test)]
mod tests;
