//! The doors: who may come in where, what they endure, TLS, and what never leaves the house.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockgate_demo::{DemoUpstream, Fault, Options};
use lockgate_e2e::{ADMIN_TOKEN, Answer, Connection, Gateway, PATIENCE, ask, eventually, program, talk};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

async fn upstream() -> DemoUpstream {
    DemoUpstream::start(Options::instant()).await.expect("an upstream")
}

fn config(upstream: &DemoUpstream, more: &str) -> String {
    let url = upstream.base_url();
    format!(
        "providers: {{ demo: {{ type: openai-compatible, base_url: \"{url}\", api_key: \"${{DEMO_KEY}}\" }} }}\n{more}"
    )
}

/// A provider's key that nobody may ever read.
const PROVIDER_KEY: &str = "sk-never-to-be-seen-4f9a1c";

async fn gateway(upstream: &DemoUpstream, more: &str) -> Gateway {
    Gateway::start_with(&config(upstream, more), &[("DEMO_KEY", PROVIDER_KEY)]).await
}

#[tokio::test]
async fn admin_doors_are_closed_without_the_token_and_open_with_it() {
    let upstream = upstream().await;
    let gateway = gateway(&upstream, "").await;
    let answer = gateway.chat(&ask("demo/echo", false)).await;
    gateway.record(answer.id()).await;
    let one = format!("/api/v1/records/{}", answer.id());
    let closed =
        ["/metrics", "/api/v1/keys", "/api/v1/records", "/api/v1/health/endpoints", &one, "/api/v1/nothing"];
    for path in closed {
        for token in ["", "wrong", gateway.key()] {
            let answer = gateway.get(path, token).await.expect("an answer");
            let expected = if path.ends_with("nothing") { [401, 404] } else { [401, 401] };
            assert!(expected.contains(&answer.status), "{path} with {token:?}: {}", answer.status);
            assert!(answer.json()["error"]["message"].is_string(), "{path}: {:?}", answer.body);
        }
        let status = gateway.get(path, ADMIN_TOKEN).await.expect("an answer").status;
        assert_eq!(status, if path.ends_with("nothing") { 404 } else { 200 }, "{path}");
    }
    let metrics = gateway.get("/metrics", ADMIN_TOKEN).await.expect("metrics");
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("lockgate_requests_total") && text.ends_with("# EOF\n"), "{text}");
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(gateway.get(path, "").await.expect("health").status, 200, "{path}");
    }
    // Nor does the data plane open to the admin token.
    assert_eq!(gateway.get("/v1/models", ADMIN_TOKEN).await.expect("an answer").status, 401);
}

#[tokio::test]
async fn what_is_too_much_is_refused_in_words() {
    let upstream = upstream().await;
    let limits = "server: { limits: { body: 64KiB, header: 8KiB, header_timeout: 1s } }\n";
    let gateway = gateway(&upstream, limits).await;

    let mut body = ask("demo/echo", false);
    body["padding"] = json!("x".repeat(100_000));
    let answer = gateway.chat(&body).await;
    assert_eq!((answer.status, answer.header("x-lockgate-fault")), (413, "caller"));
    assert_eq!(answer.json()["error"]["code"], "request_too_large");
    assert_eq!(upstream.stats().requests, 0);

    let long = format!("GET /health/live HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(20_000));
    let (heard, closed) = talk(gateway.address(), long.as_bytes(), PATIENCE).await;
    assert!(heard.starts_with(b"HTTP/1.1 431") && closed, "{:?}", String::from_utf8_lossy(&heard));

    for slow in [&b""[..], b"G", b"GET /health/live HTTP/1.1\r\nhost: x\r\n"] {
        let start = Instant::now();
        let (_, closed) = talk(gateway.address(), slow, PATIENCE).await;
        let took = start.elapsed();
        assert!(closed && took < Duration::from_secs(4), "{slow:?}: closed {closed} after {took:?}");
    }
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03nonsense\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
        b"HELO there\r\n\r\n",
    ] {
        let (heard, closed) = talk(gateway.address(), garbage, PATIENCE).await;
        assert!(closed, "{garbage:?}");
        assert!(
            heard.is_empty() || heard.starts_with(b"HTTP/1.1 400"),
            "{:?}",
            String::from_utf8_lossy(&heard)
        );
    }
    assert!(gateway.chat(&ask("demo/echo", false)).await.is_finished(), "it serves on");
}

/// The key of a provider is sent to that provider and shown to nobody else, whatever goes wrong.
#[tokio::test]
async fn a_providers_key_never_shows() {
    let upstream = upstream().await;
    let log = "log: { level: debug, requests: true, format: json }\n";
    let gateway = gateway(&upstream, log).await;
    let mut seen = String::new();
    let mut note = |answer: &Answer| {
        seen += &format!("{:?}\n{}\n", answer.headers, String::from_utf8_lossy(&answer.body));
    };
    for model in ["echo", "fault:status-401", "fault:reset-mid-stream", "fault:huge-header", "no-such-model"]
    {
        for stream in [false, true] {
            note(&gateway.chat(&ask(&format!("demo/{model}"), stream)).await);
        }
    }
    let shown = upstream.stats().recent.iter().all(|request| {
        request
            .headers
            .get("authorization")
            .is_some_and(|value| value.as_bytes() == format!("Bearer {PROVIDER_KEY}").as_bytes())
    });
    assert!(shown && !upstream.stats().recent.is_empty(), "the provider is shown its own key, and no other");

    // A provider that says the key back, as some do in their refusals.
    let told = tell_back().await;
    let text = format!(
        "providers: {{ demo: {{ type: openai-compatible, base_url: \"http://{told}/v1\", api_key: \"${{DEMO_KEY}}\" }} }}\n{log}"
    );
    gateway.write_config(&text);
    gateway.signal(rustix::process::Signal::HUP);
    let refusal = eventually(PATIENCE, "the provider that says the key back answers", || async {
        let answer = gateway.chat(&ask("demo/echo", false)).await;
        (answer.header("x-lockgate-error") == "upstream_auth").then_some(answer)
    })
    .await;
    note(&refusal);
    gateway.write_config(&text.replace("base_url", "base_ulr"));
    gateway.signal(rustix::process::Signal::HUP);
    eventually(PATIENCE, "the bad config is refused", || async {
        gateway.log().contains("config_rejected").then_some(())
    })
    .await;

    for path in ["/", "/metrics", "/api/v1/keys", "/api/v1/records?limit=1000", "/api/v1/health/endpoints"] {
        note(&gateway.get(path, ADMIN_TOKEN).await.expect("an answer"));
    }
    for args in [&["logs", "--json"][..], &["check"], &["check", "--json"], &["doctor"], &["keys", "list"]] {
        let output = gateway.run(args).await;
        seen += &String::from_utf8_lossy(&output.stdout);
        seen += &String::from_utf8_lossy(&output.stderr);
    }
    seen += &gateway.said();
    assert!(seen.len() > 10_000, "there was enough to look at: {}", seen.len());
    for secret in [PROVIDER_KEY, gateway.key(), ADMIN_TOKEN] {
        let at = seen.find(secret);
        assert!(at.is_none(), "it shows: {:?}", at.map(|at| &seen[at.saturating_sub(200)..at]));
    }
}

/// A provider whose every answer is a 401 with the key in its text.
async fn tell_back() -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 8192];
            // What was asked does not matter.
            let _ = stream.read(&mut asked).await;
            let body = json!({"error": {"message": format!("Incorrect API key provided: {PROVIDER_KEY}"),
                "type": "invalid_request_error", "code": "invalid_api_key"}})
            .to_string();
            let head = format!(
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    address
}

// --- TLS ---

/// Makes a certificate for localhost that signs itself.
async fn certificate(openssl: &Path, folder: &Path) {
    let settings = "[req]\ndistinguished_name = name\nx509_extensions = leaf\nprompt = no\n[name]\nCN = localhost\n\
        [leaf]\nsubjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n";
    std::fs::write(folder.join("openssl.cnf"), settings).expect("a file");
    let args = "req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -keyout new-key.pem -out new-cert.pem";
    let output = Command::new(openssl)
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .await
        .expect("openssl");
    assert!(output.status.success(), "{output:?}");
    // The key first: what is between the two does not fit, is refused, and read again.
    for name in ["key.pem", "cert.pem"] {
        std::fs::rename(folder.join(format!("new-{name}")), folder.join(name))
            .expect("the file can be replaced");
    }
}

/// A connection that trusts this certificate alone.
async fn secure(gateway: &Gateway, pem: &[u8]) -> std::io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(pem).expect("a certificate");
    roots.add(certificate).expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(gateway.address()).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    Connection::over(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?).await
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_no_connection_falls() {
    let Some(openssl) = program(&["openssl"]) else {
        lockgate_testkit::skip("no openssl: TLS at the front door was not tested");
        return;
    };
    let upstream = upstream().await;
    let files = tempfile::tempdir().expect("a folder");
    let file = |name: &str| files.path().join(name);
    certificate(&openssl, files.path()).await;
    let first = std::fs::read(file("cert.pem")).expect("the certificate");
    let tls = format!(
        "server: {{ tls: {{ cert: {}, key: {} }} }}\n",
        file("cert.pem").display(),
        file("key.pem").display()
    );
    let gateway = gateway(&upstream, &tls).await;
    assert!(gateway.url().starts_with("https://"), "{}", gateway.url());

    let mut kept = secure(&gateway, &first).await.expect("a secure connection");
    let body = ask("demo/echo", false);
    assert!(
        kept.send(gateway.chat_request(&body)).await.expect("an answer").read(PATIENCE).await.is_finished()
    );
    upstream
        .set_fault(lockgate_demo::Injection::from(Fault::Stall).delay(Duration::from_millis(1_500)).count(1));
    let streaming = secure(&gateway, &first).await.expect("a secure connection");
    let stream = streaming.send_last(gateway.chat_request(&ask("demo/chat", true))).await.expect("a stream");
    let reading = tokio::spawn(stream.read(PATIENCE));

    certificate(&openssl, files.path()).await;
    let second = std::fs::read(file("cert.pem")).expect("the certificate");
    eventually(PATIENCE, "the new certificate is shown", || async { secure(&gateway, &second).await.ok() })
        .await;
    assert!(secure(&gateway, &first).await.is_err(), "the old certificate is shown no more");
    assert!(gateway.log().contains("certificate_reloaded"), "{}", gateway.log());
    let answer =
        kept.send(gateway.chat_request(&body)).await.expect("the old connection stands").read(PATIENCE).await;
    assert!(answer.is_finished());
    assert!(reading.await.expect("the client").is_finished(), "a stream under way goes on");

    std::fs::write(file("cert.pem"), "nonsense").expect("the file can be written");
    eventually(PATIENCE, "a bad certificate is refused", || async {
        gateway.log().contains("certificate_rejected").then_some(())
    })
    .await;
    secure(&gateway, &second).await.expect("the certificate in force stays");
}
