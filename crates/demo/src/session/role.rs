//! Which of the offered tools does which step, by its name and by the arguments that its schema has.

use serde_json::{Map, Value, json};

use super::{Step, line_with};
use crate::request::{Ask, Tool, ToolChoice};
use crate::schema::{self, Material};
use crate::tools::Call;
use crate::words::{Dice, Tokens};

/// What a tool is for, its names in lower case without `_` and `-`, and for each thing that it must be told the names
/// (in the same form) that the argument may have.
type Kind = (Job, &'static [&'static str], &'static [&'static [&'static str]]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Read,
    Edit,
    Write,
    Run,
    /// Edits told as one patch.
    Patch,
}

const PATH: &[&str] = &["filepath", "path", "file", "filename", "absolutepath", "targetfile"];

const KINDS: [Kind; 5] = [
    (Job::Read, &["read", "readfile", "view", "viewfile", "openfile"], &[PATH]),
    (
        Job::Edit,
        &["edit", "editfile", "replace", "strreplace", "searchreplace", "replaceinfile"],
        &[
            PATH,
            &["oldstring", "oldstr", "oldtext", "search"],
            &["newstring", "newstr", "newtext", "replacement"],
        ],
    ),
    (
        Job::Write,
        &["write", "writefile", "createfile"],
        &[PATH, &["content", "contents", "filetext", "text"]],
    ),
    (
        Job::Run,
        &[
            "bash",
            "shell",
            "shellcommand",
            "execcommand",
            "runshellcommand",
            "runcommand",
            "executecommand",
            "terminal",
        ],
        &[&["command", "cmd", "script"]],
    ),
    (Job::Patch, &["applypatch"], &[&["input", "patch"]]),
];

/// The tools of a request that are good for something, each with the names of its arguments in the order of its kind.
#[derive(Debug)]
pub(super) struct Hand<'a> {
    tools: Vec<(Job, &'a Tool, Vec<&'a str>)>,
}

impl<'a> Hand<'a> {
    /// None where tools are not to be called or one is forced.
    pub(super) fn of(ask: &'a Ask) -> Self {
        let free = ask.tool_choice == ToolChoice::Free;
        let tools = ask.tools.iter().filter(|_| free).filter_map(suits).collect();
        Self { tools }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// The call that takes a step. `results` are those of the steps before: a patch is made of a line that was read.
    pub(super) fn take(&self, step: &Step, results: &[&str]) -> Option<Call> {
        let own = match step {
            Step::Read { path } => self.call(Job::Read, step, &[path]),
            Step::Replace { path, old, new } => self.call(Job::Edit, step, &[path, old, new]).or_else(|| {
                let line = results.iter().rev().find_map(|result| line_with(result, old))?;
                let hunk = format!("*** Update File: {path}\n@@\n-{line}\n+{}", line.replace(old, new));
                self.call(Job::Patch, step, &[&patch(&hunk)])
            }),
            Step::Write { path, text } => self.call(Job::Write, step, &[path, text]).or_else(|| {
                let lines: String = text.lines().map(|line| format!("\n+{line}")).collect();
                self.call(Job::Patch, step, &[&patch(&format!("*** Add File: {path}{lines}"))])
            }),
            Step::Run { command } => self.call(Job::Run, step, &[command]),
        };
        own.or_else(|| self.call(Job::Run, step, &[&in_shell(step)]))
    }

    /// A call of the first tool for a job, told these things in the order of its kind. Whatever else its schema requires is
    /// made up from the step.
    fn call(&self, job: Job, step: &Step, told: &[&str]) -> Option<Call> {
        let (_, tool, names) = self.tools.iter().find(|(of, ..)| *of == job)?;
        if tool.custom {
            return Some(Call::new(tool, Tokens::of(told.concat())));
        }
        let told_of = step.told();
        let material = Material { prompt: &told_of, optional: false, flourish: false };
        let sampled = schema::sample(&tool.parameters, &material, &mut Dice::new(0, []));
        let sampled: Map<String, Value> = serde_json::from_str(&sampled).unwrap_or_default();
        let required = tool.parameters.get("required").and_then(Value::as_array);
        let required = |name: &str| required.into_iter().flatten().any(|other| other == name);
        let mut arguments: Map<String, Value> =
            sampled.into_iter().filter(|(name, _)| required(name)).collect();
        for (name, text) in names.iter().zip(told) {
            arguments.insert((*name).to_owned(), fitting(tool, name, text));
        }
        Some(Call::new(tool, Tokens::of(Value::Object(arguments).to_string())))
    }
}

/// What a tool is for, and the names of the arguments that it must be told; `None` for any other tool.
fn suits(tool: &Tool) -> Option<(Job, &Tool, Vec<&str>)> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let name = plain(&tool.name);
    let (job, _, wanted) = KINDS.iter().find(|(_, names, _)| names.contains(&name.as_str()))?;
    if tool.custom {
        return (*job == Job::Patch).then(|| (*job, tool, Vec::new()));
    }
    let members = tool.parameters.get("properties").and_then(Value::as_object)?;
    let names = wanted.iter().map(|options| {
        members.keys().map(String::as_str).find(|member| options.contains(&plain(member).as_str()))
    });
    Some((*job, tool, names.collect::<Option<_>>()?))
}

/// A text as the schema wants it: some shells take a list of words.
fn fitting(tool: &Tool, name: &str, text: &str) -> Value {
    match tool.parameters.pointer(&format!("/properties/{name}/type")).and_then(Value::as_str) {
        Some("array") => json!(["bash", "-lc", text]),
        _ => Value::from(text),
    }
}

fn patch(hunk: &str) -> String {
    format!("*** Begin Patch\n{hunk}\n*** End Patch\n")
}

/// A step as a command, for who has a shell and nothing else.
fn in_shell(step: &Step) -> String {
    match step {
        Step::Read { path } => format!("cat {}", quoted(path)),
        Step::Replace { path, old, new } => {
            let script = format!("s/{}/{}/g", escaped(old, r"\/.*[]^$"), escaped(new, r"\/&"));
            format!("sed -i {} {}", quoted(&script), quoted(path))
        }
        Step::Write { path, text } => format!("printf '%s\\n' {} > {}", quoted(text), quoted(path)),
        Step::Run { command } => command.clone(),
    }
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// With a backslash before each of these characters.
fn escaped(text: &str, special: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
