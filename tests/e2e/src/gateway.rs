//! The gateway as an operator runs it: a process in a folder of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body_util::Full;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Answer, Connection, Reply, Request, request};
use crate::process::binary;
use crate::wait::{PATIENCE, eventually};

/// A gateway with a config file, a key, and an admin token. Dropping it kills the process and deletes the folder.
#[derive(Debug)]
pub struct Gateway {
    folder: TempDir,
    env: BTreeMap<String, String>,
    key: String,
    running: Option<Running>,
    starts: usize,
}

#[derive(Debug)]
struct Running {
    child: Child,
    url: String,
    address: SocketAddr,
}

/// The admin token of every gateway that tests start.
pub const ADMIN_TOKEN: &str = "e2e-admin-token-0123456789";

const CONFIG: &str = "lockgate.yaml";
/// Longest wait for an answer that is read whole.
const ANSWER: Duration = Duration::from_secs(30);

impl Gateway {
    /// Makes a key, starts the gateway with this config, and waits until it is ready. It listens on a port of the
    /// system's choice.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(config: &str) -> Self {
        Self::start_with(config, &[]).await
    }

    /// The same, with variables in an environment that is otherwise empty.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(config: &str, env: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), config, env).await
    }

    /// The same, in a folder of the test's choice.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_in(folder: TempDir, config: &str, env: &[(&str, &str)]) -> Self {
        let own = [("LOCKGATE_ADMIN_TOKEN", ADMIN_TOKEN)];
        let env =
            own.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut gateway = Self { folder, env, key: String::new(), running: None, starts: 0 };
        gateway.write_config(config);
        gateway.key = gateway.create_key("tests").await;
        gateway.launch().await;
        gateway
    }

    /// Starts it again in the same folder after its process has ended.
    ///
    /// # Panics
    /// When it still runs or does not start.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "the gateway still runs");
        self.launch().await;
    }

    async fn launch(&mut self) {
        self.starts += 1;
        let file = |kind: &str| {
            let path = self.folder.path().join(format!("{}.{kind}", self.starts));
            std::fs::File::create(&path).expect("a file for the output")
        };
        let mut child = self
            .command(&["serve", "--json", "--config", CONFIG, "--listen", "127.0.0.1:0"])
            .stdout(file("out"))
            .stderr(file("err"))
            .kill_on_drop(true)
            .spawn()
            .expect("the gateway can be started");
        let out = self.output_of("out");
        let start = Instant::now();
        let url = loop {
            let ended = child.try_wait().ok().flatten();
            assert!(ended.is_none(), "the gateway ended at its start: {ended:?}\n{}", self.said());
            if let Some(url) = announced(&out) {
                break url;
            }
            assert!(start.elapsed() < PATIENCE, "the gateway does not say where it is\n{}", self.said());
            sleep(Duration::from_millis(2)).await;
        };
        let authority = url.split("//").nth(1).unwrap_or_default().to_owned();
        let address = authority.parse().expect("the gateway's url holds its address");
        let plain = url.starts_with("http://");
        self.running = Some(Running { child, url, address });
        if plain {
            eventually(PATIENCE, "the gateway is ready", || async {
                let answer = self.get("/health/ready", "").await.ok()?;
                (answer.status == 200).then_some(())
            })
            .await;
        }
    }

    // --- What it is ---

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the gateway runs")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running().address
    }

    /// Its address as text, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.running().url
    }

    /// A key that opens its door.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The id of its process.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pid(&self) -> u32 {
        self.running().child.id().expect("the gateway runs")
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn output_of(&self, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{kind}", self.starts))
    }

    /// What it said since its last start, on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.output_of("err")).unwrap_or_default()
    }

    /// All that it ever said, on standard output and standard error.
    pub fn said(&self) -> String {
        let files = (1..=self.starts).flat_map(|n| ["out", "err"].map(|kind| format!("{n}.{kind}")));
        files.filter_map(|name| std::fs::read_to_string(self.folder.path().join(name)).ok()).collect()
    }

    // --- What an operator does ---

    /// Replaces the config file in one step, as a careful editor does.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_config(&self, text: &str) {
        let new = self.folder.path().join("new.yaml");
        std::fs::write(&new, text).expect("the config can be written");
        std::fs::rename(new, self.folder.path().join(CONFIG)).expect("the config can be replaced");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.folder.path()).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// Runs another command of the program in the same folder.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn run(&self, args: &[&str]) -> Output {
        let args: Vec<&str> = args.iter().copied().chain(["--config", CONFIG]).collect();
        self.command(&args).output().await.expect("the program can be started")
    }

    /// Runs another command and reads what it says, one JSON value a line.
    ///
    /// # Panics
    /// When it fails or says something else.
    pub async fn run_json(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.run(&args).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "lockgate {args:?}: {}\n{out}{err}", output.status);
        out.lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{args:?}: {error}: {line}"))
            })
            .collect()
    }

    /// Makes a key of this name; its secret.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn create_key(&self, name: &str) -> String {
        let said = self.run_json(&["keys", "create", "--name", name]).await;
        let key = said.first().and_then(|key| key["key"].as_str());
        key.unwrap_or_else(|| panic!("keys create shows a key: {said:?}")).to_owned()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the process can be signalled");
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// When it has not ended after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let mut running = self.running.take().expect("the gateway runs");
        let ended = timeout(limit, running.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("the gateway has not ended after {limit:?}"))
            .expect("a process can be waited for")
    }

    // --- What a client does ---

    /// A connection to it.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.address()).await
    }

    /// A chat request with its own key.
    pub fn chat_request(&self, body: &Value) -> Request {
        request(Method::POST, self.address(), "/v1/chat/completions", &self.key, body)
    }

    /// Makes a chat request again and again, without the gateway at hand.
    pub fn chat_requests(&self, body: &Value) -> impl Fn() -> Request + Send + 'static {
        let (address, key, body) = (self.address(), self.key.clone(), body.clone());
        move || request(Method::POST, address, "/v1/chat/completions", &key, &body)
    }

    /// Sends a chat request on a connection of its own; returns at the head of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn open_chat(&self, body: &Value) -> io::Result<Reply> {
        self.connect().await?.send_last(self.chat_request(body)).await
    }

    /// Sends a chat request and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn chat(&self, body: &Value) -> Answer {
        self.open_chat(body)
            .await
            .unwrap_or_else(|error| panic!("no answer to {body}: {error}"))
            .read(ANSWER)
            .await
    }

    /// Sends a request with its own key, these headers and this body, and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = request(method, self.address(), path, &self.key, &Value::Null);
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a header's name");
            request.headers_mut().insert(name, HeaderValue::try_from(*value).expect("a header's value"));
        }
        *request.body_mut() = Full::new(body);
        let sent = async { self.connect().await?.send_last(request).await };
        sent.await.unwrap_or_else(|error| panic!("no answer to {path}: {error}")).read(ANSWER).await
    }

    /// `GET` with a bearer token, or with none if it is empty.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str, token: &str) -> io::Result<Answer> {
        let request = request(Method::GET, self.address(), path, token, &Value::Null);
        Ok(self.connect().await?.send_last(request).await?.read(ANSWER).await)
    }

    /// The record of a request, as soon as it is there.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn record(&self, id: &str) -> Value {
        eventually(PATIENCE, &format!("the record of {id:?}"), || async {
            let answer = self.get(&format!("/api/v1/records/{id}"), ADMIN_TOKEN).await.ok()?;
            (answer.status == 200).then(|| answer.json())
        })
        .await
    }

    /// The latest records, the oldest first; at most 1,000.
    ///
    /// # Panics
    /// When they cannot be had.
    pub async fn records(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/records?limit=1000", ADMIN_TOKEN).await.expect("an answer");
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json()["records"].as_array().cloned().unwrap_or_default()
    }
}

/// The address in the line of JSON that `serve` prints, once it is there.
fn announced(out: &Path) -> Option<String> {
    let text = std::fs::read_to_string(out).ok()?;
    let line: Value = serde_json::from_str(text.lines().next()?).ok()?;
    line["url"].as_str().map(str::to_owned)
}

/// When a test fails, what the gateway said is the first thing one wants to read.
impl Drop for Gateway {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the gateway said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let start = log.lines().count().saturating_sub(20);
            for line in log.lines().skip(start) {
                eprintln!("gateway: {line:.400}");
            }
        }
    }
}
