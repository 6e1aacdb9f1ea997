//! The start page, by itself and in a real browser.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use lockgate_demo::{DemoUpstream, Options};
use lockgate_e2e::{ADMIN_TOKEN, Answer, Gateway, PATIENCE, Request, ask, folder_of_results, program};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// A gateway that has answered one request, whose id is given.
async fn gateway(upstream: &DemoUpstream) -> (Gateway, String) {
    let url = upstream.base_url();
    let config = format!(
        "providers: {{ demo: {{ type: openai-compatible, base_url: \"{url}\", models: [chat, echo] }} }}\n\
         routes: {{ support-bot: [demo/chat, demo/echo] }}\n"
    );
    let gateway = Gateway::start(&config).await;
    let answer = gateway.chat(&ask("support-bot", true)).await;
    gateway.record(answer.id()).await;
    let id = answer.id().to_owned();
    (gateway, id)
}

async fn upstream() -> DemoUpstream {
    DemoUpstream::start(Options::instant()).await.expect("an upstream")
}

async fn send(gateway: &Gateway, request: Request) -> Answer {
    let connection = gateway.connect().await.expect("a connection");
    connection.send_last(request).await.expect("an answer").read(PATIENCE).await
}

fn page(method: &str, path: &str, cookie: &str, form: &str) -> Request {
    http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "gateway")
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form.to_owned())))
        .expect("a request")
}

#[tokio::test]
async fn the_latest_requests_are_shown_after_login_only() {
    let upstream = upstream().await;
    let (gateway, id) = gateway(&upstream).await;
    let text = |answer: &Answer| String::from_utf8_lossy(&answer.body).into_owned();

    let start = send(&gateway, page("GET", "/", "", "")).await;
    assert_eq!(start.status, 200);
    assert!(start.header("content-type").starts_with("text/html"));
    assert!(start.header("content-security-policy").contains("default-src 'none'"));
    let html = text(&start);
    assert!(html.contains("support-bot") && !html.contains(&id), "{html}");
    assert!(html.contains(&format!("curl {}/v1/chat/completions", gateway.url())), "{html}");

    let wrong = send(&gateway, page("POST", "/login", "", "token=wrong")).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    let right = send(&gateway, page("POST", "/login", "", &format!("token={ADMIN_TOKEN}"))).await;
    assert_eq!((right.status, right.header("location")), (303, "/"));
    let cookie = right.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let session = cookie.split(';').next().unwrap_or_default().to_owned();

    let html = text(&send(&gateway, page("GET", "/", &session, "")).await);
    assert!(html.contains(&id), "the request is in the table: {html}");
    assert!(html.contains("Cost (USD)") && html.contains("<td>0.00"), "the demo is free: {html}");
    send(&gateway, page("POST", "/logout", &session, "")).await;
    let html = text(&send(&gateway, page("GET", "/", &session, "")).await);
    assert!(!html.contains(&id), "a login that was ended opens nothing");
}

// --- In a browser ---

struct Browser {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Browser {
    fn find() -> Option<Self> {
        let program = program(&["chromium", "chromium-browser", "google-chrome", "chrome"])?;
        Some(Self { program, folder: tempfile::tempdir().expect("a folder") })
    }

    /// Opens an address and does what the arguments say.
    async fn open(&self, url: &str, args: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--hide-scrollbars", "--window-size=1200,900", "--virtual-time-budget=4000"])
            .arg(format!("--user-data-dir={}", self.folder.path().display()))
            .args(args)
            .arg(url)
            .kill_on_drop(true);
        timeout(Duration::from_secs(60), command.output())
            .await
            .expect("the browser ends")
            .expect("the browser starts")
    }

    async fn dom(&self, url: &str) -> String {
        let output = self.open(url, &["--dump-dom"]).await;
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Takes a picture. `scheme` is the browser's number of a colour scheme: 0 dark, 1 light.
    async fn picture(&self, url: &str, scheme: u8, path: &Path) -> Vec<u8> {
        // An old picture is no proof.
        let _ = std::fs::remove_file(path);
        let output = self
            .open(
                url,
                &[
                    &format!("--screenshot={}", path.display()),
                    &format!("--blink-settings=preferredColorScheme={scheme}"),
                ],
            )
            .await;
        std::fs::read(path).unwrap_or_else(|error| panic!("no picture: {error}: {output:?}"))
    }
}

/// Serves a page that fills the login form in and sends it off, as a person would; on the same site as the gateway, so
/// that the browser takes the cookie for one of its own.
async fn login_for(gateway: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let html = format!(
        "<!doctype html><form method=post action=\"http://{gateway}/login\"><input name=token value=\"{ADMIN_TOKEN}\"></form>\
         <script>document.forms[0].submit()</script>"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            // What was asked does not matter.
            let _ = stream.read(&mut asked).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                html.len()
            );
            let _ = stream.write_all((head + &html).as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_browser_shows_the_page_in_light_and_dark_and_the_table_after_login() {
    let Some(browser) = Browser::find() else {
        lockgate_testkit::skip("no chromium: the start page was not looked at in a browser");
        return;
    };
    let upstream = upstream().await;
    let (gateway, id) = gateway(&upstream).await;
    let url = gateway.url();

    let dom = browser.dom(url).await;
    assert!(dom.contains("support-bot") && !dom.contains(&id), "{dom}");
    let results = folder_of_results();
    let light = browser.picture(url, 1, &results.join("start.png")).await;
    let dark = browser.picture(url, 0, &results.join("start-dark.png")).await;
    assert!(light.len() > 5_000 && dark.len() > 5_000, "{} and {} bytes", light.len(), dark.len());
    assert_ne!(light, dark, "dark looks other than light");

    let dom = browser.dom(&format!("http://{}/", login_for(gateway.address()).await)).await;
    assert!(dom.contains(&id), "the table is there after login: {dom}");
    let page = format!("http://{}/", login_for(gateway.address()).await);
    browser.picture(&page, 1, &results.join("start-records.png")).await;
}
