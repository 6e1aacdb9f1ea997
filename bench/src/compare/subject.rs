//! What is compared: two floors and the gateway, and how each is started.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use serde_json::Value;
use tempfile::TempDir;

use super::{CompareArgs, START_LIMIT};
use crate::load::made_up_body;
use crate::post::post;
use crate::startup::Running;

/// The floors that a gateway is compared with, by mode.
pub(super) const FLOORS: [&str; 2] = ["pass", "lazy"];

/// The name of the gateway among the subjects.
pub(super) const GATEWAY: &str = "gateway";

/// The environment that a gateway must not see, as its settings are the bench's own.
const HIDDEN_ENVIRONMENT: [&str; 3] = ["LOCKGATE_", "_API_KEY", "RUST_LOG"];

/// Ports on 127.0.0.1.
#[derive(Args, Clone, Debug)]
pub(crate) struct Ports {
    #[arg(long, default_value_t = 9100)]
    mock_port: u16,
    #[arg(long, default_value_t = 9200)]
    floor_port: u16,
    #[arg(long, default_value_t = 9300)]
    gateway_port: u16,
}

/// One of those compared.
pub(super) struct Subject {
    pub(super) name: &'static str,
    port: u16,
    command: String,
    key_command: String,
}

/// A subject that answers.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) url: String,
    pub(super) headers: Vec<String>,
    /// From the start of the program to its first 200.
    pub(super) startup_ms: f64,
    /// Its database and log; goes when this is dropped.
    dir: TempDir,
}

impl Ports {
    pub(super) fn mock_authority(&self) -> String {
        format!("127.0.0.1:{}", self.mock_port)
    }

    pub(super) fn mock_url(&self) -> String {
        format!("http://{}{PATH}", self.mock_authority())
    }

    /// # Errors
    /// If something answers at one of them: it would be measured in place of what is meant.
    pub(super) fn check_free(&self) -> io::Result<()> {
        for port in [self.mock_port, self.floor_port, self.gateway_port] {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Err(io::Error::other(format!("port {port} is in use already")));
            }
        }
        Ok(())
    }
}

const PATH: &str = "/v1/chat/completions";

impl Subject {
    pub(super) fn floor(mode: &'static str, args: &CompareArgs) -> Self {
        let port = args.ports.floor_port;
        let upstream = args.ports.mock_authority();
        let command = format!("{{self}} floor --mode {mode} --listen 127.0.0.1:{port} --upstream {upstream}");
        Self { name: mode, port, command, key_command: String::new() }
    }

    pub(super) fn gateway(args: &CompareArgs) -> Self {
        Self {
            name: GATEWAY,
            port: args.ports.gateway_port,
            command: args.gateway_cmd.clone(),
            key_command: args.key_cmd.clone(),
        }
    }

    /// Starts it with a fresh database, and waits for the first 200.
    pub(super) fn start(&self, args: &CompareArgs, real_time: bool) -> io::Result<Started> {
        let dir = tempfile::Builder::new().prefix("gateway-bench-").tempdir()?;
        fs::write(dir.path().join(CONFIG), config(self.port, &args.ports.mock_authority(), dir.path()))?;
        let headers = match self.command(&self.key_command, args, dir.path())? {
            Some(command) => vec![format!("authorization: Bearer {}", make_key(command)?)],
            None => Vec::new(),
        };
        let mut command = self
            .command(&self.command, args, dir.path())?
            .ok_or_else(|| io::Error::other("the command that starts it is empty"))?;
        let log = File::create(dir.path().join(LOG))?;
        command.stdout(log.try_clone()?).stderr(log);
        let authority = format!("127.0.0.1:{}", self.port);
        let body = made_up_body("gpt-4o-mini", 100, false);
        let start = Instant::now();
        let running = Running::start(&mut command, Some(args.cpu), real_time)
            .map_err(|e| io::Error::other(format!("{}: {e}", command.get_program().display())))?;
        let url = format!("http://{authority}{PATH}");
        let mut started = Started { running, url, headers, startup_ms: 0.0, dir };
        let headers = started.headers.clone();
        let answered =
            started.running.until(START_LIMIT, || post(&authority, PATH, &headers, &body).ok() == Some(200));
        started.startup_ms = start.elapsed().as_secs_f64() * 1000.0;
        answered.map_err(|e| started.explain(&e))?;
        Ok(started)
    }

    /// The command of a template: split at blanks first, filled in after, so that a path may hold blanks.
    fn command(&self, template: &str, args: &CompareArgs, dir: &Path) -> io::Result<Option<Command>> {
        let own = std::env::current_exe()?;
        let fill = |word: &str| {
            word.replace("{bin}", &args.gateway_bin)
                .replace("{self}", &own.to_string_lossy())
                .replace("{config}", &dir.join(CONFIG).to_string_lossy())
                .replace("{dir}", &dir.to_string_lossy())
        };
        let mut words = template.split_whitespace().map(fill);
        let Some(program) = words.next() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if HIDDEN_ENVIRONMENT.iter().any(|h| text.starts_with(h) || text.ends_with(h)) {
                command.env_remove(&name);
            }
        }
        Ok(Some(command))
    }
}

impl Started {
    /// An error with the last lines of what the subject printed.
    pub(super) fn explain(&self, error: &io::Error) -> io::Error {
        let log = fs::read_to_string(self.dir.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        io::Error::other(format!("{error}\nit printed last:\n{tail}"))
    }
}

const CONFIG: &str = "bench.yaml";
const LOG: &str = "output.log";

/// The gateway's configuration: the mock as its one provider, all the defaults else.
fn config(port: u16, mock: &str, dir: &Path) -> String {
    // A JSON string is a YAML string, whatever the path holds.
    let store = Value::from(format!("sqlite:{}", dir.join("bench.db").display()));
    format!(
        "server:\n  listen: 127.0.0.1:{port}\n  admin_token: bench-admin\nstore: {store}\nproviders:\n  mock:\n    \
         type: openai-compatible\n    base_url: \"http://{mock}/v1\"\n    api_key: sk-bench\n    models: [gpt-4o-mini]\n"
    )
}

/// Runs the command that makes a key, and gives the key.
fn make_key(mut command: Command) -> io::Result<String> {
    let output = command
        .output()
        .map_err(|e| io::Error::other(format!("{}: {e}", command.get_program().display())))?;
    let key = serde_json::from_slice::<Value>(&output.stdout)
        .ok()
        .and_then(|made| made.get("key")?.as_str().map(str::to_owned));
    key.filter(|_| output.status.success()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("no key was made ({}): {said}", output.status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_mock_and_store() {
        let text = config(9300, "127.0.0.1:9100", Path::new("a b"));
        assert!(text.contains("\n  listen: 127.0.0.1:9300\n"), "{text}");
        assert!(text.contains("\nstore: \"sqlite:a b/bench.db\"\n"), "{text}");
        assert!(text.contains("\n    base_url: \"http://127.0.0.1:9100/v1\"\n"), "{text}");
    }

    #[test]
    fn a_key_is_read_from_what_the_command_prints() {
        let mut echo = Command::new("echo");
        echo.arg(r#"{"id":"k1","key":"lg-abc"}"#);
        assert_eq!(make_key(echo).unwrap(), "lg-abc");
        let error = make_key(Command::new("false")).unwrap_err().to_string();
        assert!(error.starts_with("no key was made"), "{error}");
    }
}
