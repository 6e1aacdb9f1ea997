//! An installation on PostgreSQL: its keys, a gateway, what it writes down, and what is said when the database is away.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use lockgate_store::exam::postgres::Schema;
use serde_json::Value;

use crate::{Place, Run, Started, finish};

const SECRET: &str = "a secret of more than sixteen signs";

/// A folder whose config names a schema of a database.
struct Shared {
    place: Place,
    schema: Schema,
}

impl Shared {
    fn new() -> Option<Self> {
        let schema = Schema::find().map_err(|why| lockgate_testkit::skip(&why)).ok()?;
        let place = Place::with_config("store: ${DATABASE}\nproviders:\n  demo:\n");
        Some(Self { place, schema })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.env("DATABASE", self.schema.url()).env("LOCKGATE_SECRET_KEY", SECRET);
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    fn json(&self, args: &[&str]) -> Value {
        let run = self.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", run.out))
    }

    /// A gateway that serves, and its address.
    fn serve(&self) -> (Started, String) {
        let mut command = self.command(&["serve", "--json"]);
        let mut child = Started(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        (child, said["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned())
    }

    /// The records, once there are so many: they are written a moment after the answer.
    fn records(&self, count: usize) -> Vec<Value> {
        loop {
            let run = self.run(&["logs", "--json"]);
            assert_eq!(run.code, 0, "{}", run.err);
            let records: Vec<Value> =
                run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if records.len() >= count {
                return records;
            }
        }
    }
}

/// The status line of a request to the demo provider.
fn ask(address: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = r#"{"model":"demo/chat","messages":[{"role":"user","content":"Hello"}]}"#;
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_gateway_on_postgres_serves_and_what_it_wrote_outlives_it() {
    let Some(shared) = Shared::new() else { return };
    let key = shared.json(&["keys", "create", "--name", "ci"])["key"].as_str().unwrap().to_owned();
    for round in 1..=2 {
        let (mut child, address) = shared.serve();
        assert_eq!(ask(&address, &key), "HTTP/1.1 200 OK");
        assert_eq!(ask(&address, "lg-wrong"), "HTTP/1.1 401 Unauthorized");
        let records = shared.records(round);
        assert_eq!(records.len(), round);
        let id = records[round - 1]["id"].as_str().unwrap();
        assert_eq!(shared.json(&["explain", id])["id"], id);
        // At once and without a word, as `kill -9` does.
        child.0.kill().unwrap();
        child.0.wait().unwrap();
    }
    let report = shared.json(&["doctor"]);
    assert_eq!(report["ok"], true, "{report}");
    shared.json(&["keys", "revoke", "ci"]);
    assert_eq!(shared.json(&["keys", "list", "--all"])["keys"][0]["state"], "revoked");
    assert!(!shared.place.0.path().join(".lockgate").exists(), "nothing is kept on this disk");
}

#[test]
fn a_key_made_elsewhere_opens_the_door_of_a_gateway_that_runs() {
    let Some(shared) = Shared::new() else { return };
    let (_child, address) = shared.serve();
    let key = shared.json(&["keys", "create", "--name", "late"])["key"].as_str().unwrap().to_owned();
    // It looks for new keys every 250 ms.
    while ask(&address, &key) != "HTTP/1.1 200 OK" {
        std::thread::yield_now();
    }
}

#[test]
fn commands_that_look_make_no_schema() {
    let Some(shared) = Shared::new() else { return };
    for args in [&["keys", "list"][..], &["logs"], &["keys", "rotate", "ci"]] {
        let run = shared.run(args);
        assert_eq!(run.code, 4, "{args:?}: {}", run.err);
        assert!(run.err.contains("there is no store at postgres://"), "{}", run.err);
    }
    let report = shared.json(&["doctor"]);
    assert!(report.to_string().contains("the first start makes the schema"), "{report}");
    assert_eq!(shared.run(&["keys", "list"]).code, 4);
}

#[test]
fn without_the_secret_it_is_said_how_to_make_one() {
    let place = Place::new();
    let mut command = place.command(&["keys", "create", "--name", "ci"]);
    let run = finish(command.env("LOCKGATE_STORE", "postgres://gate:hidden@127.0.0.1:1/money"));
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("LOCKGATE_SECRET_KEY is not set") && run.err.contains("openssl rand"),
        "{}",
        run.err
    );
}

#[test]
fn a_database_that_is_away_is_named_and_its_password_is_not() {
    let place = Place::new();
    for args in [
        &["serve"][..],
        &["keys", "create", "--name", "ci"],
        &["keys", "list"],
        &["logs"],
        &["doctor"],
        &["check"],
        &["doctor", "--json"],
    ] {
        let mut command = place.command(args);
        command.env("LOCKGATE_SECRET_KEY", SECRET);
        let run = finish(command.env("LOCKGATE_STORE", "postgres://gate:hidden@127.0.0.1:1/money"));
        let said = format!("{}{}", run.out, run.err);
        assert_eq!(run.code, i32::from(args[0] != "check"), "{args:?}: {said}");
        assert!(said.contains("gate@127.0.0.1:1/money"), "{args:?}: {said}");
        assert!(!said.contains("hidden"), "{args:?}: {said}");
    }
    let mut command = place.command(&["check"]);
    let run = finish(command.env("LOCKGATE_STORE", "postgres://gate:hidden@db:port/money"));
    assert_eq!(run.code, 3);
    let said = format!("{}{}", run.out, run.err);
    assert!(said.contains("a port that is no number") && !said.contains("hidden"), "{said}");
}
