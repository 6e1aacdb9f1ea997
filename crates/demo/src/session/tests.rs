use serde_json::{Value, json};

use super::*;
use crate::tools;

const SCRIPT: &str = "Some words of the agent.\n\nPlease do this:\n\
    1. Read `notes.txt`.\n2. Replace `red` with `blue` in `notes.txt`.\n3. Run `wc -w notes.txt`.\nThen tell me.";

/// A conversation as an agent keeps it: it appends what the model says and what its tools give.
struct Agent {
    messages: Vec<Value>,
    tools: Value,
}

impl Agent {
    fn new(script: &str, tools: Value) -> Self {
        Self { messages: vec![json!({"role": "user", "content": script})], tools }
    }

    fn ask(&self) -> Ask {
        let mut body = json!({"model": "chat", "messages": self.messages});
        if self.tools.is_array() {
            body["tools"] = self.tools.clone();
        }
        Ask::read(body.to_string().as_bytes()).unwrap()
    }

    /// The tool that the model calls now and what it is told.
    fn called(&mut self) -> (String, String) {
        match next(&self.ask()) {
            Some(Turn::Call(call)) => {
                let inner = if call.custom { "custom" } else { "function" };
                let text = call.arguments.text().to_owned();
                self.messages.push(json!({"role": "assistant", "content": null, "tool_calls": [
                    {"id": call.id, "type": inner, inner: {"name": call.name, "arguments": text, "input": text}}]}));
                (call.name, text)
            }
            other => panic!("a call, not {other:?}"),
        }
    }

    fn gives(&mut self, result: &str) {
        let id = self.messages.last().unwrap()["tool_calls"][0]["id"].clone();
        self.messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
    }

    fn said(&mut self) -> String {
        match next(&self.ask()) {
            Some(Turn::Say(text)) => {
                self.messages.push(json!({"role": "assistant", "content": text}));
                text
            }
            other => panic!("a text, not {other:?}"),
        }
    }
}

fn function(name: &str, required: &[&str], others: &[&str]) -> Value {
    let members: serde_json::Map<String, Value> =
        required.iter().chain(others).map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"type": "function", "function": {"name": name, "parameters":
        {"type": "object", "properties": members, "required": required}}})
}

#[test]
fn a_script_is_numbered_lines_among_other_text() {
    let steps = script(SCRIPT);
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[2], Step::Run { command: "wc -w notes.txt".to_owned() });
    assert_eq!(
        script(" 1. write `a.b; c` to `d e`"),
        [Step::Write { path: "d e".to_owned(), text: "a.b; c".to_owned() }]
    );
    for no_step in [
        "Read `a`.",
        "2. Read `a`.",
        "1. Read a.",
        "1. Read `a` and `b`.",
        "1. Read `a` aloud",
        "1. Replace `a` with `b`.",
        "1. Reading `a`.",
        "1. Read ``.",
        "1. Run `a",
    ] {
        assert_eq!(script(no_step), [], "{no_step}");
    }
}

#[test]
fn the_steps_are_taken_one_a_turn_and_reported() {
    let mut agent = Agent::new(
        SCRIPT,
        json!([
            function("Agent", &["prompt"], &[]),
            function("Bash", &["command"], &["description"]),
            function("Edit", &["file_path", "old_string", "new_string"], &["replace_all"]),
            function("Read", &["file_path"], &["offset"]),
        ]),
    );
    assert_eq!(agent.called(), ("Read".to_owned(), r#"{"file_path":"notes.txt"}"#.to_owned()));
    agent.gives("1: the sky is red");
    // What an agent says in between does not matter.
    agent.messages.push(json!({"role": "system", "content": "Remember the rules."}));
    let (name, arguments) = agent.called();
    assert_eq!(name, "Edit");
    let arguments: Value = serde_json::from_str(&arguments).unwrap();
    assert_eq!(arguments, json!({"file_path": "notes.txt", "old_string": "red", "new_string": "blue"}));
    agent.gives("edited");
    assert_eq!(agent.called(), ("Bash".to_owned(), r#"{"command":"wc -w notes.txt"}"#.to_owned()));
    agent.gives("4 notes.txt");
    agent.messages.push(json!({"role": "user", "content": "<reminder/>"}));
    let report = agent.said();
    assert!(report.contains("I read `notes.txt`. It gave: 1: the sky is red\n"), "{report}");
    assert!(report.ends_with("3. I ran `wc -w notes.txt`. It gave: 4 notes.txt"), "{report}");
    // It is over: the next words are an ordinary prompt, and another script another session.
    agent.messages.push(json!({"role": "user", "content": "thanks"}));
    assert!(next(&agent.ask()).is_none());
    agent.messages.push(json!({"role": "user", "content": "1. Run `ls`."}));
    assert_eq!(agent.called().0, "Bash");
}

#[test]
fn what_a_schema_requires_beyond_the_step_is_made_up() {
    let replace = function("replace", &["file_path", "instruction", "old_string", "new_string"], &["more"]);
    let mut agent = Agent::new("1. Replace `a` with `b` in `c`.", json!([replace]));
    let arguments: Value = serde_json::from_str(&agent.called().1).unwrap();
    assert_eq!(arguments["instruction"], "replace `a` with `b` in `c`");
    assert_eq!(arguments["old_string"], "a");
    assert_eq!(arguments.get("more"), None);
    let shell = json!([{"type": "function", "function": {"name": "shell", "parameters": {"type": "object",
        "properties": {"command": {"type": "array", "items": {"type": "string"}}}}}}]);
    let mut agent = Agent::new("1. Run `ls -l`.", shell);
    assert_eq!(agent.called().1, r#"{"command":["bash","-lc","ls -l"]}"#);
}

#[test]
fn a_shell_alone_does_everything() {
    let script = "1. Read `it's`.\n2. Replace `a/b` with `c&d` in `f`.\n3. Write `x` to `y`.";
    let mut agent = Agent::new(script, json!([function("exec_command", &["cmd"], &[])]));
    for command in [r"cat 'it'\\''s'", r"sed -i 's/a\\/b/c\\&d/g' 'f'", r"printf '%s\\n' 'x' > 'y'"] {
        assert_eq!(agent.called().1, format!(r#"{{"cmd":"{command}"}}"#));
        agent.gives("");
    }
    assert!(agent.said().starts_with(REPORT));
}

#[test]
fn a_patch_is_made_of_the_line_that_was_read() {
    let patch = json!({"type": "custom", "custom": {"name": "apply_patch", "format": {"type": "text"}}});
    let mut agent = Agent::new(SCRIPT, json!([function("exec_command", &["cmd"], &[]), patch]));
    agent.called();
    agent.gives("Output:\nthe sky is red\nand wide");
    let hunk = "*** Update File: notes.txt\n@@\n-the sky is red\n+the sky is blue";
    assert_eq!(
        agent.called(),
        ("apply_patch".to_owned(), format!("*** Begin Patch\n{hunk}\n*** End Patch\n"))
    );
    agent.gives("Done!");
    assert_eq!(agent.called().0, "exec_command");
}

#[test]
fn without_tools_edits_are_blocks_if_the_agent_explains_them() {
    let mut agent = Agent::new(SCRIPT, Value::Null);
    assert!(next(&agent.ask()).is_none());
    agent.messages.insert(0, json!({"role": "system", "content": "Use this format:\n<<<<<<< SEARCH\n..."}));
    agent.messages.insert(1, json!({"role": "user", "content": "notes.txt\n```\nthe sky is red\n```"}));
    let blocks = agent.said();
    let block =
        "notes.txt\n```\n<<<<<<< SEARCH\nthe sky is red\n=======\nthe sky is blue\n>>>>>>> REPLACE\n```\n";
    assert!(blocks.ends_with(block), "{blocks}");
    agent.messages.push(json!({"role": "user", "content": "I ran it: 4 words"}));
    assert!(agent.said().ends_with("You then told me: I ran it: 4 words"));
    assert!(next(&agent.ask()).is_none());
}

#[test]
fn without_a_tool_for_a_step_it_says_so() {
    let mut agent = Agent::new(SCRIPT, json!([function("read", &["path"], &[])]));
    agent.called();
    agent.gives("red");
    assert!(agent.said().contains("no tool here can replace `red` with `blue`"));
    let other = Agent::new(SCRIPT, json!([function("get_weather", &["city"], &[])]));
    assert!(next(&other.ask()).is_none());
    assert_eq!(tools::choose(&other.ask()).len(), 1);
}
