//! Alerts as they arrive: real requests, a real receiver over HTTP, a real mail server.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Method;
use lockgate_demo::{DemoUpstream, Options};
use lockgate_e2e::{ADMIN_TOKEN, Gateway, Heard, PATIENCE, Said, Upstream, ask, eventually, program};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const SECRET: &str = "whsec-of-the-tests";

/// A receiver that refuses the first messages with 500.
async fn receiver(refusals: usize) -> Upstream {
    let left = AtomicUsize::new(refusals);
    let refuse =
        move || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    Upstream::start(move |_| Said::json("").status(if refuse() { 500 } else { 204 }))
        .await
        .expect("a receiver")
}

/// A gateway with these channels, and a demo provider whose model has a price.
async fn gateway(upstream: &str, channels: &str) -> Gateway {
    let config = format!(
        "providers: {{ p: {{ type: openai-compatible, base_url: \"{upstream}\" }} }}\n\
         models: {{ p/chat: {{ prices: {{ input: 2.50, output: 10 }} }} }}\n\
         alerts:\n  digest: 0s\n  channels:\n    {channels}\n"
    );
    Gateway::start(&config).await
}

async fn admin(gateway: &Gateway, method: Method, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let token = format!("Bearer {ADMIN_TOKEN}");
    let answer = gateway.send(method, path, &[("authorization", &token)], body).await;
    assert!((200..300).contains(&answer.status), "{} {:?}", answer.status, answer.body);
    answer.json()
}

async fn deliveries(gateway: &Gateway) -> Vec<Value> {
    let answer = admin(gateway, Method::GET, "/api/v1/alerts", &Value::Null).await;
    answer["deliveries"].as_array().cloned().unwrap_or_default()
}

/// The signature of a body must be that of the secret: computed here from the definition of HMAC (RFC 2104).
fn must_be_signed(heard: &Heard) {
    let header = heard.header("x-lockgate-signature");
    let (time, signature) = header.split_once(",v1=").expect("a time and a signature");
    let time = time.strip_prefix("t=").expect("a time");
    #[expect(clippy::disallowed_methods, reason = "the signature has the time of day")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    assert!(now.abs_diff(time.parse().expect("seconds")) < 120, "{header}");
    let mut key = [0; 64];
    key[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
    let padded = |with: u8| key.map(|byte| byte ^ with).to_vec();
    let inner = sha256(&[padded(0x36), format!("{time}.").into_bytes(), heard.body.to_vec()].concat());
    let outer = sha256(&[padded(0x5c), inner.to_vec()].concat());
    let hex: String = outer.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, hex);
}

#[tokio::test]
async fn a_threshold_is_told_once_though_the_receiver_fails_twice() {
    let upstream = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let receiver = receiver(2).await;
    let channel = format!(
        "hook: {{ type: webhook, on: [budget], url: \"{}/a?b=c\", secret: {SECRET} }}",
        receiver.url()
    );
    let mut gateway = gateway(&upstream.base_url(), &channel).await;
    let budget = json!({ "name": "small", "limit": "0.001", "window": "day", "thresholds": [50], "at_limit": "alert" });
    admin(&gateway, Method::POST, "/api/v1/budgets", &budget).await;
    // A running gateway knows of it within a second; then one request after the other is more than half.
    let told = eventually(PATIENCE, "the threshold is told", || async {
        gateway.chat(&ask("p/chat", false)).await;
        deliveries(&gateway).await.into_iter().next()
    })
    .await;
    assert_eq!(told["alerts"][0]["topic"], "budget");
    let sent = eventually(PATIENCE, "the third try is taken", || async {
        deliveries(&gateway).await.into_iter().find(|delivery| delivery["state"] == "sent")
    })
    .await;
    let said: Vec<&str> =
        sent["tries"].as_array().expect("tries").iter().filter_map(|t| t["said"].as_str()).collect();
    assert_eq!(said.len(), 3, "{sent}");
    assert!(said[0].contains("500") && said[1].contains("500") && said[2] == "204 No Content", "{said:?}");
    for _ in 0..10 {
        gateway.chat(&ask("p/chat", false)).await;
    }

    let heard = receiver.take();
    assert_eq!(heard.len(), 3, "the same message, three times");
    for message in &heard {
        must_be_signed(message);
        assert_eq!((message.path.as_str(), &message.json()["id"]), ("/a?b=c", &sent["id"]));
    }
    let message = heard[2].json();
    assert_eq!((&message["alerts"][0]["kind"], &message["severity"]), (&json!("budget"), &json!("warning")));
    assert_eq!(message["alerts"][0]["facts"]["percent"], 50);
    assert_eq!(message["alerts"].as_array().map(Vec::len), Some(1));
    let metrics = gateway.get("/metrics", ADMIN_TOKEN).await.expect("metrics");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "lockgate_alerts_sent_total{channel=\"hook\"} 1",
        "lockgate_alerts_failed_total{channel=\"hook\",result=\"again\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    let run = gateway.run(&["alerts", "list", "--url", gateway.url()]).await;
    let shown = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        shown.contains("has reached 50 % of its limit") && shown.matches("tried ").count() == 3,
        "{shown}"
    );

    gateway.signal(Signal::TERM);
    gateway.ended(PATIENCE).await;
    assert_eq!(receiver.take().len(), 0, "once in the window");
    for secret in [SECRET, "/a?b=c"] {
        assert!(!gateway.said().contains(secret) && !shown.contains(secret));
    }
}

#[tokio::test]
async fn an_outage_an_unknown_price_and_a_test_are_told() {
    let answers = AtomicUsize::new(0);
    let provider = Upstream::start(move |_| match answers.fetch_add(1, Ordering::SeqCst) {
        0 => Said::json(
            r#"{"id":"x","object":"chat.completion","created":1,"model":"new","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
        ),
        _ => Said::json(r#"{"error":{"message":"down"}}"#).status(500),
    })
    .await
    .expect("a provider");
    let receiver = receiver(0).await;
    let gateway =
        gateway(&provider.url(), &format!("chat: {{ type: slack, url: \"{}\" }}", receiver.url())).await;

    let tested = admin(&gateway, Method::POST, "/api/v1/alerts/test", &json!({ "channel": "chat" })).await;
    assert_eq!(
        (&tested["tests"][0]["ok"], &tested["tests"][0]["said"]),
        (&json!(true), &json!("204 No Content"))
    );
    assert_eq!(deliveries(&gateway).await[0]["alerts"][0]["topic"], "test", "it is recorded");

    assert_eq!(gateway.chat(&ask("p/new", false)).await.status, 200);
    eventually(PATIENCE, "the outage is told", || async {
        gateway.chat(&ask("p/new", false)).await;
        let all = deliveries(&gateway).await;
        all.iter().any(|d| d["alerts"][0]["topic"] == "outage" && d["state"] == "sent").then_some(())
    })
    .await;
    let texts: Vec<String> = receiver
        .take()
        .iter()
        .map(|heard| heard.json()["text"].as_str().unwrap_or_default().to_owned())
        .collect();
    for (part, times) in [("The price of p/new is not known", 1), ("No endpoint of the provider p", 1)] {
        assert_eq!(texts.iter().filter(|text| text.contains(part)).count(), times, "{part}: {texts:?}");
    }
}

#[tokio::test]
async fn a_stop_tries_what_waits_once_more() {
    let receiver = receiver(1).await;
    let channel = format!("hook: {{ type: webhook, url: \"{}\", secret: {SECRET} }}", receiver.url());
    let upstream = DemoUpstream::start(Options::instant()).await.expect("an upstream");
    let config = format!(
        "providers: {{ p: {{ type: openai-compatible, base_url: \"{}\" }} }}\n\
         alerts:\n  digest: 1h\n  channels:\n    {channel}\n",
        upstream.base_url()
    );
    let mut gateway = Gateway::start(&config).await;
    assert_eq!(gateway.chat(&ask("p/echo", false)).await.status, 200);
    assert_eq!(receiver.take().len(), 0, "it waits for its digest");
    gateway.signal(Signal::TERM);
    gateway.ended(PATIENCE).await;
    let heard = receiver.take();
    assert!(!heard.is_empty() && heard[0].json()["alerts"][0]["kind"] == "unknown_price", "{heard:?}");
}

// === mail ===

#[tokio::test]
async fn mail_is_handed_to_a_server_over_starttls_with_a_password() {
    let Some(openssl) = program(&["openssl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    certificate(&openssl, folder.path()).await;
    let (port, mut mails) = mail_server(Some(tls(folder.path()))).await;
    let channel = format!(
        "mail: {{ type: email, host: localhost, port: {port}, ca: cert.pem, user: lockgate, password: pass-word, \
         from: Lockgate <lockgate@example.com>, to: [ops@example.com, \"Finance <finance@example.com>\"] }}"
    );
    let config = format!("providers: {{ demo: {{}} }}\nalerts:\n  digest: 0s\n  channels:\n    {channel}\n");
    let gateway = Gateway::start_in(folder, &config, &[]).await;
    let tested = admin(&gateway, Method::POST, "/api/v1/alerts/test", &Value::Null).await;
    assert_eq!(tested["tests"][0]["ok"], true, "{tested}");
    assert_eq!(tested["tests"][0]["said"], "250 queued as 7");
    let mail = mails.recv().await.expect("a mail");
    // AUTH PLAIN: the base64 of NUL lockgate NUL pass-word.
    assert_eq!(mail.login.as_deref(), Some("AGxvY2tnYXRlAHBhc3Mtd29yZA=="));
    assert!(mail.was_encrypted);
    assert_eq!(mail.from, "<lockgate@example.com>");
    assert_eq!(mail.to, ["<ops@example.com>", "<finance@example.com>"]);
    let head = mail.data.split("\r\n\r\n").next().unwrap_or_default();
    assert!(
        head.contains("Subject: [Lockgate] This is a test") && head.contains("Message-ID: <alt_"),
        "{head}"
    );
    assert!(!gateway.said().contains("pass-word"));
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_is_told_nothing() {
    let (port, mut mails) = mail_server(None).await;
    let channel = format!(
        "mail: {{ type: email, host: localhost, port: {port}, user: lockgate, password: pass-word, \
         from: lockgate@example.com, to: [ops@example.com] }}"
    );
    let config = format!("providers: {{ demo: {{}} }}\nalerts:\n  channels:\n    {channel}\n");
    let gateway = Gateway::start(&config).await;
    let tested = admin(&gateway, Method::POST, "/api/v1/alerts/test", &Value::Null).await;
    assert_eq!(tested["tests"][0]["ok"], false, "{tested}");
    assert!(mails.try_recv().is_err(), "no login, no mail");
}

/// A mail as the server got it.
#[derive(Debug, Default)]
struct Mail {
    login: Option<String>,
    was_encrypted: bool,
    from: String,
    to: Vec<String>,
    data: String,
}

/// A mail server at a port of its own; with a certificate it can STARTTLS.
async fn mail_server(tls: Option<tokio_rustls::TlsAcceptor>) -> (u16, mpsc::Receiver<Mail>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (send, receive) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, send) = (tls.clone(), send.clone());
            // A client that leaves early is what some tests are about.
            tokio::spawn(async move { drop(serve(stream, tls, &send).await) });
        }
    });
    (port, receive)
}

async fn serve(
    stream: TcpStream,
    tls: Option<tokio_rustls::TlsAcceptor>,
    send: &mpsc::Sender<Mail>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example.com ESMTP\r\n").await?;
    if talk(&mut stream, tls.is_some(), Mail::default(), send).await?
        && let Some(tls) = tls
    {
        let mut stream = BufReader::new(tls.accept(stream.into_inner()).await?);
        talk(&mut stream, false, Mail { was_encrypted: true, ..Mail::default() }, send).await?;
    }
    Ok(())
}

/// The talk of RFC 5321, until the client leaves or, where it may, asks for TLS: then `true`.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    can_encrypt: bool,
    mut mail: Mail,
    send: &mpsc::Sender<Mail>,
) -> std::io::Result<bool> {
    let mut line = String::new();
    while {
        line.clear();
        stream.read_line(&mut line).await?
    } > 0
    {
        let said = line.trim_end();
        let (word, rest) = said.split_once([' ', ':']).unwrap_or((said, ""));
        let answer = match word.to_ascii_uppercase().as_str() {
            "EHLO" if can_encrypt => "250-mail.example.com\r\n250 STARTTLS\r\n",
            "EHLO" => "250-mail.example.com\r\n250 AUTH PLAIN\r\n",
            "STARTTLS" if can_encrypt => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(true);
            }
            "AUTH" => {
                mail.login = rest.strip_prefix("PLAIN ").map(str::to_owned);
                "235 welcome\r\n"
            }
            "MAIL" => {
                mail.from = said
                    .split(':')
                    .nth(1)
                    .unwrap_or_default()
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                "250 ok\r\n"
            }
            "RCPT" => {
                mail.to.push(said.split(':').nth(1).unwrap_or_default().to_owned());
                "250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                while !mail.data.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail.data).await? == 0 {
                        return Ok(false);
                    }
                }
                let _ = send.send(std::mem::take(&mut mail)).await;
                "250 queued as 7\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(false);
            }
            _ => "502 what\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(false)
}

async fn certificate(openssl: &Path, folder: &Path) {
    let settings = "[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = localhost\n[ext]\n\
        subjectAltName = DNS:localhost\nbasicConstraints = critical,CA:false\n";
    std::fs::write(folder.join("openssl.cnf"), settings).expect("a file");
    let args = "req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem \
        -out cert.pem";
    let output = tokio::process::Command::new(openssl)
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .await;
    assert!(output.expect("openssl").status.success());
}

fn tls(folder: &Path) -> tokio_rustls::TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

// === SHA-256, FIPS 180-4, so that the signature is not checked by the code that made it ===

fn sha256(message: &[u8]) -> [u8; 32] {
    let mut state: [u32; 8] = fractions(8, 2).try_into().expect("eight words");
    let constants = fractions(64, 3);
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((message.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut w: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        for t in 16..64 {
            let (a, b) = (w[t - 15], w[t - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1));
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
        for t in 0..64 {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let one = h.wrapping_add(s1).wrapping_add(choice).wrapping_add(constants[t]).wrapping_add(w[t]);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            (h, g, f, e, d, c, b, a) =
                (g, f, e, d.wrapping_add(one), c, b, a, one.wrapping_add(s0.wrapping_add(majority)));
        }
        for (word, add) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = word.wrapping_add(add);
        }
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.try_into().expect("32 bytes")
}

/// The first 32 bits behind the point of the square or cube roots of the first primes.
fn fractions(count: usize, root: u32) -> Vec<u32> {
    let is_prime = |n: &u128| (2..*n).all(|d| !n.is_multiple_of(d));
    let primes = (2_u128..).filter(is_prime).take(count);
    primes
        .map(|prime| {
            // The root of prime << (32 * root) is that of the prime with 32 bits behind the point.
            let wanted = prime << (32 * root);
            let (mut low, mut high) = (0_u128, 1_u128 << 40);
            while high - low > 1 {
                let middle = u128::midpoint(low, high);
                if middle.pow(root) <= wanted { low = middle } else { high = middle }
            }
            low as u32
        })
        .collect()
}
