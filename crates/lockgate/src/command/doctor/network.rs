//! The network: where the gateway listens, and the way to its providers.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lockgate_config::Config;
use lockgate_core::Upstream;
use lockgate_core::upstream::{Address, Reach};
use lockgate_server::Certificates;
use tokio::task::JoinSet;

use super::Report;
use crate::exit::Outcome;

/// How long a neighbour on this machine may take to answer.
const NEIGHBOUR: Duration = Duration::from_secs(1);
/// How long the name and the connection of a provider may take together.
const PROVIDER: Duration = Duration::from_secs(3);
/// The most that is read of an answer that should be one word.
const LONGEST_ANSWER: u64 = 4_096;

// === the door ===

pub(super) fn door(config: &Config, report: &mut Report) {
    let listen = config.server.listen;
    match TcpListener::bind(listen) {
        Ok(_) => report.ok("door", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(config, report),
        Err(error) => report.fail(
            "door",
            format!("cannot listen on {listen}: {error}"),
            "choose another address in server.listen; ports below 1024 need a privilege",
        ),
    }
    match &config.server.tls {
        Some(tls) => match Certificates::read(tls.cert.clone(), tls.key.clone()) {
            Ok(_) => report.ok("tls", "certificate and key are good"),
            Err(error) => report.fail("tls", error.to_string(), "correct server.tls"),
        },
        None if !listen.ip().is_loopback() => report.warn(
            "tls",
            format!("{listen} can be reached from elsewhere, and keys and prompts travel in the clear"),
            "set server.tls, or let only a proxy that has TLS reach it",
        ),
        None => {}
    }
}

fn taken(config: &Config, report: &mut Report) {
    let listen = config.server.listen;
    if config.server.tls.is_some() {
        report.warn(
            "door",
            format!("something listens on {listen}; behind TLS, so it was not asked what"),
            "fine if it is the gateway itself",
        );
        return;
    }
    match is_lockgate(listen) {
        Ok(true) => report.ok("door", format!("a Lockgate answers on {listen}")),
        Ok(false) => report.fail(
            "door",
            format!("something else listens on {listen}"),
            "stop it, or choose another address in server.listen",
        ),
        Err(error) => report.fail(
            "door",
            format!("something listens on {listen} and does not answer: {error}"),
            "stop it, or choose another address in server.listen",
        ),
    }
}

/// Whether the health page there is ours.
fn is_lockgate(listen: SocketAddr) -> io::Result<bool> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listen.port());
    let mut stream = TcpStream::connect_timeout(&address, NEIGHBOUR)?;
    stream.set_read_timeout(Some(NEIGHBOUR))?;
    stream.set_write_timeout(Some(NEIGHBOUR))?;
    // At once: whoever answers before the end of the question may be gone for its rest.
    let question = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok(head.starts_with("HTTP/1.1 200") && body.trim_end() == "live")
}

// === the providers ===

pub(super) fn providers(upstreams: &[Arc<Upstream>], connect: bool, report: &mut Report) -> Outcome {
    if upstreams.is_empty() {
        report.warn(
            "provider",
            "there is none, so no request can be answered",
            "add one under providers, or set discover: true and a provider's key in the environment",
        );
    }
    let mut far = Vec::new();
    for upstream in upstreams {
        match &upstream.reach {
            Reach::Demo => report.ok("provider", format!("{} answers in this process", upstream.name)),
            Reach::Network(address) => {
                if connect {
                    far.push((Arc::clone(upstream), address.clone()));
                } else {
                    let place = &address.authority;
                    report
                        .ok("provider", format!("{} at {place}, not called (--connect does)", upstream.name));
                }
            }
        }
    }
    if far.is_empty() { Ok(()) } else { connect_all(far, report) }
}

/// Connects to all at once, and reports in order.
fn connect_all(far: Vec<(Arc<Upstream>, Box<Address>)>, report: &mut Report) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut results = runtime.block_on(async {
        let mut calls = JoinSet::new();
        for (at, (upstream, address)) in far.into_iter().enumerate() {
            calls.spawn(async move { (at, Arc::clone(&upstream.name), reach(&address).await) });
        }
        calls.join_all().await
    });
    // A name that is still being looked up must not keep us.
    runtime.shutdown_background();
    results.sort_by_key(|(at, _, _)| *at);
    for (_, name, result) in results {
        match result {
            Ok(place) => report.ok("provider", format!("{name}: connected to {place}")),
            Err((what, advice)) => report.fail("provider", format!("{name}: {what}"), advice),
        }
    }
    Ok(())
}

/// Where the connection went, or what went wrong and what to do.
async fn reach(address: &Address) -> Result<String, (String, &'static str)> {
    let host = address.authority.host().trim_start_matches('[').trim_end_matches(']');
    let usual = if address.scheme.as_str() == "https" { 443 } else { 80 };
    let port = address.authority.port_u16().unwrap_or(usual);
    let lookup = tokio::time::timeout(PROVIDER, tokio::net::lookup_host((host, port))).await;
    let found: Vec<SocketAddr> = match lookup {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            return Err((
                format!("{host} cannot be resolved: {error}"),
                "look at base_url and at this machine's DNS",
            ));
        }
        Err(_) => return Err((format!("{host} was not resolved within 3 s"), "look at this machine's DNS")),
    };
    let connecting = tokio::net::TcpStream::connect(found.as_slice());
    match tokio::time::timeout(PROVIDER, connecting).await {
        Ok(Ok(stream)) => Ok(stream
            .peer_addr()
            .map_or_else(|_| format!("{host}:{port}"), |peer| format!("{host} ({peer})"))),
        Ok(Err(error)) => {
            Err((format!("{host}:{port}: {error}"), "look at base_url, and whether a firewall is in between"))
        }
        Err(_) => {
            Err((format!("{host}:{port} did not answer within 3 s"), "look whether a firewall is in between"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A door that gives one answer.
    fn door_that_says(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn knows_a_lockgate_from_something_else() {
        let ours = door_that_says("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlive\n");
        assert!(is_lockgate(ours).unwrap());
        let other = door_that_says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        assert!(!is_lockgate(other).unwrap());
        assert!(!is_lockgate(door_that_says("220 mail.example.com ESMTP\r\n")).unwrap());
    }

    #[test]
    fn a_door_that_is_taken_by_another_fails_the_check() {
        let mut config = Config::default();
        config.server.listen = door_that_says("HTTP/1.1 404 Not Found\r\n\r\n");
        let mut report = Report::default();
        door(&config, &mut report);
        assert_eq!(report.checks[0].state, super::super::State::Fail);
        assert!(report.checks[0].message.contains("something else"));
    }
}
