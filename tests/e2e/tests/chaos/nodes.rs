//! Gateways that share a store, are killed and come again; and the way to the store, which can be cut.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockgate_e2e::{PATIENCE, binary};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// An installation: a config, a store, and what the processes share.
pub(crate) struct Installation {
    folder: TempDir,
    pub(crate) key: String,
}

/// One gateway.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// A way to a database that can be cut.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    cut: Arc<AtomicBool>,
}

const CONFIG: &str = "lockgate.yaml";

impl Installation {
    pub(crate) async fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(CONFIG), config).expect("a config");
        let mut made = Self { folder, key: String::new() };
        let key = made.run(&["keys", "create", "--name", "chaos"]).await;
        made.key = key["key"].as_str().expect("a key").to_owned();
        made
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).args(["--json", "--config", CONFIG]).current_dir(self.folder.path()).env_clear();
        command.env("LOCKGATE_SECRET_KEY", "chaos-secret-chaos-secret-chaos-secret-0123456789");
        command.env("LOCKGATE_ADMIN_TOKEN", "chaos-admin-token").stdin(Stdio::null());
        command
    }

    /// What a command says.
    pub(crate) async fn run(&self, args: &[&str]) -> Value {
        let output = self.command(args).output().await.expect("the program can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    }

    /// Starts a gateway, again and again while its store is away.
    pub(crate) async fn start(&self, number: usize) -> Node {
        let out = self.folder.path().join(format!("{number}.out"));
        let begun = Instant::now();
        loop {
            let file = std::fs::File::create(&out).expect("a file");
            let log =
                std::fs::File::create(self.folder.path().join(format!("{number}.err"))).expect("a file");
            let mut child = self
                .command(&["serve", "--listen", "127.0.0.1:0"])
                .stdout(file)
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .expect("the gateway can be started");
            while child.try_wait().ok().flatten().is_none() {
                let said = std::fs::read_to_string(&out).unwrap_or_default();
                let url = said.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok());
                if let Some(address) = url.as_ref().and_then(|said| said["url"].as_str()?.split("//").nth(1))
                {
                    return Node { child, address: address.parse().expect("an address") };
                }
                sleep(Duration::from_millis(5)).await;
            }
            assert!(begun.elapsed() < 4 * PATIENCE, "the gateway does not start: {}", self.log(number));
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// What a gateway said.
    pub(crate) fn log(&self, number: usize) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{number}.err"))).unwrap_or_default()
    }
}

impl Node {
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill().await;
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::time::timeout(2 * PATIENCE, self.child.wait()).await;
        assert!(ended.is_ok(), "the gateway does not stop");
    }
}

impl Way {
    /// A way to a database: at this host, or behind the socket in this folder.
    pub(crate) async fn to(host: String, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let (is_cut, host) = (Arc::clone(&is_cut), host.clone());
                tokio::spawn(async move {
                    let over = async {
                        while !is_cut.load(Ordering::SeqCst) {
                            sleep(Duration::from_millis(20)).await;
                        }
                    };
                    let through = async {
                        if host.starts_with('/') {
                            let mut far = UnixStream::connect(format!("{host}/.s.PGSQL.{port}")).await?;
                            copy_bidirectional(&mut near, &mut far).await
                        } else {
                            let mut far = TcpStream::connect((host.as_str(), port)).await?;
                            copy_bidirectional(&mut near, &mut far).await
                        }
                    };
                    tokio::select! {
                        _ = through => {}
                        () = over => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    /// Cuts it, or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}
