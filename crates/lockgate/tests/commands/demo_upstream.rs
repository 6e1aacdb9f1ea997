//! `lockgate demo-upstream`: its faults, and a request to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::{Place, Started};

#[test]
fn the_demo_upstream_lists_its_faults_and_serves() {
    let place = Place::new();
    let faults = place.json(&["demo-upstream", "--list-faults"]);
    assert_eq!(faults["faults"].as_array().unwrap().len(), lockgate_demo::Fault::ALL.len());
    assert!(place.run(&["demo-upstream", "--list-faults"]).out.contains("status-429-retry-after  "));
    let wrong = place.run(&["demo-upstream", "--fault", "stal"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("did you mean \"stall\"?"), "{}", wrong.err);

    let args = ["demo-upstream", "--listen", "127.0.0.1:0", "--instant", "--fault", "status-529", "--json"];
    let mut child = Started(place.command(&args).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(said["fault"], "status-529");
    let address =
        said["base_url"].as_str().unwrap().strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let body = r#"{"model":"chat","messages":[{"role":"user","content":"Hello"}]}"#;
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 529"), "{answer}");
}
