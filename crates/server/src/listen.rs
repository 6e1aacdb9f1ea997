//! Listening: one door a worker thread on the same port, so that a connection stays on its core.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use lockgate_core::Event;
use lockgate_core::port::Transport;
use lockgate_engine::Engine;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::data_plane::Door;
use crate::drain::Phase;
use crate::house::House;
use crate::tls::Certificates;
use crate::watch::{Pulse, Watched};

/// Doors that are open.
pub struct Doors {
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// Connections that the kernel holds ready for a door.
const BACKLOG: i32 = 4_096;
/// The most that is read from a connection at once, in bytes. A body of 100 KB comes in one piece then, and is not copied: a
/// fifth of what it costs. Connections with small requests keep 8 KiB.
const READ_AT_ONCE: usize = 128 << 10;
/// The first bytes of HTTP/2 without TLS (RFC 9113, §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// Pause after the system refused a connection for want of file descriptors or memory.
const BREATH: Duration = Duration::from_millis(20);
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Opens the doors: `workers` threads that each listen, serve and call providers on their own. `house` is called once
/// the address is known, as port 0 leaves the choice to the system; `transport` once for each thread.
///
/// # Errors
/// When the address cannot be listened on or the system gives no thread.
pub fn open(
    address: SocketAddr,
    workers: usize,
    house: impl FnOnce(SocketAddr) -> Arc<House>,
    certificates: Option<&Arc<Certificates>>,
    transport: &(dyn Fn() -> Arc<dyn Transport> + Send + Sync),
) -> io::Result<Doors> {
    // Doors share their port, and would share it with another process of the same user as well. So the port is taken
    // once without sharing, which fails when anybody is there.
    drop(listener(address, false)?);
    let first = listener(address, true)?;
    // With port 0 the system chooses; the other workers take the same.
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers.max(1) {
        listeners.push(listener(address, true)?);
    }
    let house = house(address);
    let mut threads = Vec::new();
    for (i, listener) in listeners.into_iter().enumerate() {
        let door =
            Door::new(Arc::clone(&house), Engine { state: Arc::clone(&house.state), transport: transport() });
        let certificates = certificates.cloned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        threads.push(std::thread::Builder::new().name(format!("door-{i}")).spawn(move || {
            runtime.block_on(serve(listener, &Arc::new(door), certificates));
            // What is left at the drain limit is cut off with the runtime.
            runtime.shutdown_background();
        })?);
    }
    Ok(Doors { address, threads })
}

impl Doors {
    /// Where the doors are.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all doors have closed.
    pub fn join(self) {
        for thread in self.threads {
            // A panic in a door was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn serve(listener: StdListener, door: &Arc<Door>, certificates: Option<Arc<Certificates>>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut closed = std::pin::pin!(door.house.drain.reached(Phase::Closed));
    loop {
        tokio::select! {
            biased;
            () = closed.as_mut() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(stream, door, certificates.as_ref()),
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
    // Whoever the kernel has let in already is still served.
    while let Ok(Ok((stream, _))) = timeout(Duration::ZERO, listener.accept()).await {
        admit(stream, door, certificates.as_ref());
    }
    drop(listener);
    let drain = &door.house.drain;
    // What goes on without HTTP is no connection any more.
    while (drain.connections() > 0 || drain.in_flight() > 0) && !drain.is_cut() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn admit(stream: TcpStream, door: &Arc<Door>, certificates: Option<&Arc<Certificates>>) {
    let house = &door.house;
    let connected = Connected::new(Arc::clone(door));
    if connected.number > house.limits.connections {
        // The one write that a full house can afford; whether it arrives is the client's luck.
        let _ = stream.try_write(FULL);
        return;
    }
    let _ = stream.set_nodelay(true);
    let acceptor = certificates.map(|certificates| certificates.acceptor());
    tokio::spawn(async move {
        let door = Arc::clone(&connected.door);
        let limit = door.house.limits.header_timeout;
        match acceptor {
            None => {
                if let Ok(Ok(http2)) = timeout(limit, speaks_http2(&stream)).await {
                    connection(stream, http2, &door).await;
                }
            }
            // In a box, as a task keeps room for its largest future, and most connections have no TLS here.
            Some(acceptor) => Box::pin(secured(stream, acceptor, limit, &door)).await,
        }
        drop(connected);
    });
}

async fn secured(stream: TcpStream, acceptor: TlsAcceptor, limit: Duration, door: &Arc<Door>) {
    if let Ok(Ok(stream)) = timeout(limit, acceptor.accept(stream)).await {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        connection(stream, http2, door).await;
    }
}

/// Looks at the first bytes of a connection without taking them.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; PREFACE.len()];
    loop {
        let n = stream.peek(&mut start).await?;
        if start[..n] != PREFACE[..n] || n == 0 {
            return Ok(false);
        }
        if n == PREFACE.len() {
            return Ok(true);
        }
        // A preface in pieces: as rare as it is slow.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connection<S>(stream: S, http2: bool, door: &Arc<Door>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &door.house.limits;
    let pulse = Pulse::new();
    let io =
        TokioIo::new(Watched::new(stream, Arc::clone(&pulse), limits.header_timeout, limits.write_timeout));
    let service = service_fn(|request| {
        let (door, pulse) = (Arc::clone(door), Arc::clone(&pulse));
        async move { Ok::<_, std::convert::Infallible>(door.answer(request, &pulse).await) }
    });
    // What ends a connection early is the client's doing or was answered already; there is nobody left to tell.
    if http2 {
        // In a box, for the same reason as TLS.
        let mut serving = Box::pin(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(Duration::from_secs(30))
                .max_header_list_size(u32::try_from(limits.header).unwrap_or(u32::MAX))
                .serve_connection(io, service),
        );
        tokio::select! {
            biased;
            _ = serving.as_mut() => {}
            () = door.house.drain.reached(Phase::Leaving) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
    } else {
        let mut serving = std::pin::pin!(
            http1::Builder::new()
                .max_buf_size(limits.header.max(READ_AT_ONCE))
                .serve_connection(io, service)
                .with_upgrades()
        );
        tokio::select! {
            biased;
            _ = serving.as_mut() => {}
            () = door.house.drain.reached(Phase::Closed) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
    }
}

/// A connection that counts.
struct Connected {
    door: Arc<Door>,
    number: usize,
}

impl Connected {
    fn new(door: Arc<Door>) -> Self {
        let number = door.house.drain.connected();
        door.house.state.events.emit(&Event::ConnectionOpened);
        Self { door, number }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.door.house.drain.disconnected();
        self.door.house.state.events.emit(&Event::ConnectionClosed);
    }
}
