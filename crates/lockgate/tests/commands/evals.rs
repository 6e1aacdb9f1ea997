//! `lockgate evals` and `lockgate routes`: the page of the guide as it is written, and what it does not show.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Place, Run, Started, finish};

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
    let run =
        place.tell(&["routes", "put", "bot", "-"], r#"{"use": ["nobody/x"], "retries": 99, "typo": 1}"#);
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
    let config =
        format!("{CONFIG}tests: {{ b: {{ request: {{ model: bot }}, expect: {{ winner: near/b }} }} }}\n");
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

/// A gateway that serves, and its admin token.
struct Served {
    address: String,
    key: String,
    _process: Started,
}

impl Served {
    fn at(place: &Place) -> Self {
        let key = place.json(&["keys", "create", "--name", "k"])["key"].as_str().unwrap().to_owned();
        let mut command = place.command(&["serve", "--json"]);
        command.env("LOCKGATE_ADMIN_TOKEN", "admin").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["url"].as_str().unwrap().replace("http://", "");
        Self { address, key, _process: Started(child) }
    }

    /// The status and the body of an answer.
    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nx-lockgate-by: ann\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let text = answer.split_once("\r\n\r\n").unwrap().1;
        let from = text.find('{').unwrap_or(0);
        let to = text.rfind('}').map_or(0, |at| at + 1);
        (status, serde_json::from_str(text.get(from..to).unwrap_or_default()).unwrap_or_default())
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.ask(method, path, "admin", body)
    }

    fn chat(&self, model: &str) -> u16 {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
        self.ask("POST", "/v1/chat/completions", &self.key, &body.to_string()).0
    }

    /// Waits until a model is answered so; a running gateway looks four times a second.
    #[expect(clippy::disallowed_methods, reason = "the gateway is another process, with a clock of its own")]
    fn waits_for(&self, model: &str, status: u16) {
        let start = Instant::now();
        while self.chat(model) != status {
            assert!(start.elapsed() < Duration::from_secs(20), "{model} is not answered with {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_route_is_put_served_and_taken_back_over_http() {
    let place = Place::with_config("providers: { demo: }\nroutes: { fixed: [demo/chat] }\n");
    let served = Served::at(&place);
    assert_eq!(served.ask("GET", "/api/v1/routes", "wrong", "").0, 401);
    assert_eq!(served.chat("bot"), 404);
    let path = "/api/v1/routes/bot";
    assert_eq!(
        served.admin("PUT", &format!("{path}?reason=first"), r#"["demo/chat"]"#),
        (200, json!({ "name": "bot", "version": 1 }))
    );
    served.waits_for("bot", 200);
    let (status, wrong) = served.admin("PUT", path, r#"{"use": ["nobody/x"], "retries": 99}"#);
    assert_eq!((status, wrong["error"]["flaws"].as_array().unwrap().len()), (422, 2), "{wrong}");
    let (status, owned) = served.admin("PUT", "/api/v1/routes/fixed", r#"["demo/chat"]"#);
    assert_eq!((status, &owned["error"]["code"]), (409, &json!("owned_by_file")));
    let (status, late) = served.admin("PUT", &format!("{path}?after=0"), r#"["demo/echo"]"#);
    assert_eq!((status, &late["error"]["code"]), (409, &json!("outdated")), "{late}");
    assert_eq!(served.admin("PUT", &format!("{path}?after=1"), r#"["demo/echo"]"#).1["version"], 2);
    let (_, diff) = served.admin("GET", &format!("{path}/diff"), "");
    assert!(diff["lines"].as_array().unwrap().iter().any(|line| line["sign"] == "+"), "{diff}");
    assert_eq!(served.admin("POST", &format!("{path}/rollback"), r#"{"version": 1}"#).1["version"], 3);
    let (_, newest) = served.admin("GET", path, "");
    assert_eq!((&newest["body"], &newest["by"]), (&json!(["demo/chat"]), &json!("ann")));
    let (_, versions) = served.admin("GET", &format!("{path}/versions"), "");
    assert_eq!(versions["versions"].as_array().unwrap().len(), 3);
    assert_eq!(served.admin("DELETE", path, "").0, 200);
    served.waits_for("bot", 404);
    assert_eq!(served.admin("GET", path, "").0, 404);
    let names: Vec<_> = served.admin("GET", "/api/v1/routes", "").1["documents"].as_array().unwrap().clone();
    assert_eq!(names, [json!({ "name": "fixed", "source": "file" })]);
    let scores = r#"[{"benchmark":"own","model":"demo/chat","value":7}]"#;
    assert_eq!(served.admin("PUT", "/api/v1/scores/own", scores).0, 200);
    assert_eq!(served.admin("PUT", "/api/v1/scores/own", r#"[{"benchmark":"own"}]"#).0, 422);
}
