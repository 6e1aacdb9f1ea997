//! `lockgate alerts`, and the page of the guide.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::Place;

/// Somebody who takes every message; where, and what was posted.
fn receiver(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts?team=ops", listener.local_addr().unwrap());
    let posted = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&posted);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let start = head.len();
                stream.read_line(&mut head).unwrap();
                let line = head[start..].to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            kept.lock().unwrap().push(head + std::str::from_utf8(&body).unwrap());
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, posted)
}

#[test]
fn a_test_says_what_came_back_and_shows_no_secret() {
    let (good, posted) = receiver("204 No Content");
    let (bad, _) = receiver("403 Forbidden");
    let place = Place::with_config(&format!(
        "alerts:\n  channels:\n    good: {{ type: webhook, url: \"{good}\", secret: hush-hush }}\n    bad: {{ type: slack, url: \"{bad}\" }}\n"
    ));
    let tested = place.json(&["alerts", "test", "good"]);
    assert_eq!(
        (&tested["tests"][0]["ok"], &tested["tests"][0]["said"]),
        (&json!(true), &json!("204 No Content"))
    );
    let posted = posted.lock().unwrap().concat();
    assert!(
        posted.starts_with("POST /alerts?team=ops HTTP/1.1\r\n") && posted.contains("This is a test"),
        "{posted}"
    );

    let both = place.run(&["alerts", "test"]);
    assert_eq!(both.code, 1);
    assert!(both.out.contains("good took it") && both.out.contains("bad did not take it"), "{}", both.out);
    assert!(
        both.out.contains("403 Forbidden") && both.err.contains("1 of 2 channels"),
        "{} {}",
        both.out,
        both.err
    );
    for shown in [&both.out, &both.err] {
        assert!(!shown.contains("hush-hush") && !shown.contains("team=ops"), "{shown}");
    }
    let unknown = place.run(&["alerts", "test", "goood"]);
    assert_eq!(unknown.code, 4);
    assert_eq!(Place::new().run(&["alerts", "test"]).code, 4, "there are no channels");
}

#[test]
fn a_list_needs_a_gateway_and_says_so() {
    let place = Place::new();
    let run = place.run(&["alerts", "list"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("LOCKGATE_ADMIN_TOKEN"), "{}", run.err);
    let mut command = place.command(&["alerts", "list", "--url", "http://127.0.0.1:9"]);
    let run = super::finish(command.env("LOCKGATE_ADMIN_TOKEN", "x"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("does not answer"), "{}", run.err);
}

#[test]
fn the_page_of_the_guide_runs_as_it_is_written() {
    let (url, posted) = receiver("200 OK");
    let place = Place::new();
    let env =
        [("ALERTS_URL", url.as_str()), ("ALERTS_SECRET", "whsec-of-the-page"), ("SLACK_URL", url.as_str())];
    let (page, ran) = place.run_page("alerts.md", &env);
    assert!(ran >= 3, "{ran} blocks ran");
    let posted = posted.lock().unwrap().concat();
    assert!(
        posted.contains("has reached 50 % of its limit") && posted.contains("x-lockgate-signature: t="),
        "{posted}"
    );
    // What can be written is all there.
    for topic in lockgate_core::Topic::ALL.iter().filter(|topic| **topic != lockgate_core::Topic::Test) {
        assert!(page.contains(&format!("`{}`", topic.code())), "the page lacks {topic:?}");
    }
}
