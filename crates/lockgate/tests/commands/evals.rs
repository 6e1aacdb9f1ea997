//! `lockgate evals` and `lockgate routes`: the page of the guide as it is written, and what it does not show.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use super::{Place, Run, finish};

const CONFIG: &str = "providers: { near: { type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1' } }\n\
                      routes: { fixed: [near/a] }\n";

impl Place {
    /// A command that is handed a text.
    fn tell(&self, args: &[&str], text: &str) -> Run {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn the_page_of_the_guide_runs_as_it_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/evals.md");
    let page = std::fs::read_to_string(path).unwrap();
    let place = Place::new();
    let program = Path::new(env!("CARGO_BIN_EXE_lockgate")).parent().unwrap();
    let usual = std::env::var("PATH").unwrap();
    let mut ran = 0;
    for block in page.split("```").skip(1).step_by(2) {
        if let Some(config) = block.strip_prefix("yaml\n") {
            std::fs::write(place.0.path().join("lockgate.yaml"), config).unwrap();
        } else if let Some(script) = block.strip_prefix("sh\n") {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-ec", script]).current_dir(place.0.path()).env_clear();
            shell.env("PATH", format!("{}:{usual}", program.display()));
            let run = finish(&mut shell);
            assert_eq!(run.code, 0, "{script}\n{}\n{}", run.out, run.err);
            ran += 1;
        }
    }
    assert_eq!(ran, 6, "blocks that ran");
    let refused = place.run(&["routes", "put", "best", "cheap.json"]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.err.contains("the config file declares the route \"best\""), "{}", refused.err);
}

#[test]
fn a_bad_document_is_refused_with_everything_that_is_wrong() {
    let place = Place::with_config(CONFIG);
    let run = place.tell(&["routes", "put", "bot", "-"], r#"{"use": ["nobody/x"], "retries": 99, "typo": 1}"#);
    assert_eq!(run.code, 3, "{}", run.err);
    for part in ["no provider \"nobody\"", "retries", "unknown field \"typo\""] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert_eq!(place.json(&["routes", "list"])["documents"].as_array().unwrap().len(), 1);
    let run = place.tell(&["evals", "import", "-", "--name", "own"], "model,value\na,700\nb,x\n");
    assert_eq!(run.code, 3);
    assert!(run.err.contains("-:2: ") && run.err.contains("-:3: "), "{}", run.err);
    assert_eq!(place.run(&["evals", "show", "own"]).code, 4);
    assert_eq!(place.run(&["routes", "remove", "bot"]).code, 4);
}

#[test]
fn a_test_of_the_config_may_name_a_route_of_the_store_and_check_says_what_is_left_out() {
    let place = Place::with_config(CONFIG);
    assert_eq!(place.tell(&["routes", "put", "bot", "-"], r#"["near/b"]"#).code, 0);
    let config = format!("{CONFIG}tests: {{ b: {{ request: {{ model: bot }}, expect: {{ winner: near/b }} }} }}\n");
    std::fs::write(place.0.path().join("lockgate.yaml"), &config).unwrap();
    let run = place.run(&["check"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    std::fs::write(place.0.path().join("lockgate.yaml"), config.replace("near", "far")).unwrap();
    let run = place.run(&["check"]);
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(run.out.contains("routes.bot: in the store, and left out"), "{}", run.out);
}

#[test]
fn a_change_says_who_made_it_and_why() {
    let place = Place::with_config(CONFIG);
    let set = ["evals", "set", "near/a", "own", "50", "--by", "ann", "--reason", "first"];
    assert_eq!(place.json(&set)["version"], 1);
    assert_eq!(place.json(&["evals", "set", "near/a", "own", "60", "--by", "ben"])["version"], 2);
    let versions = place.json(&["evals", "history", "own"]);
    assert_eq!(versions["versions"][0]["by"], "ann");
    assert_eq!(versions["versions"][0]["reason"], "first");
    assert_eq!(versions["versions"][1]["body"][0]["value"], 60.0);
    assert_eq!(versions["versions"][1]["body"].as_array().unwrap().len(), 1, "the score was replaced");
    assert_eq!(place.json(&["evals", "rollback", "own", "1"])["version"], 3);
    assert_eq!(place.json(&["evals", "show", "own"])["body"][0]["value"], 50.0);
    assert_eq!(place.json(&["evals", "remove", "own"])["version"], 4);
    assert_eq!(place.run(&["evals", "show", "own"]).code, 4);
}
