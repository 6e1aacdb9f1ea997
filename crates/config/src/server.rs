//! `server`: the front door.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lockgate_core::Secret;

use crate::declare::{choices, settings};
use crate::size::Size;

const DAY: Duration = Duration::from_secs(86_400);

settings! {
    /// The front door: where it is, who may see what lies behind it, and what it endures.
    pub struct Server {
        /// IP address and port to listen on.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 4100));
        /// Worker threads; 0 starts one per processor core.
        workers: u16 = 0, within 0..=1024;
        /// Certificate and key for HTTPS; without it the door speaks plain HTTP.
        tls: Option<ServerTls> = None, shown "none";
        /// The token that opens the admin endpoints; without it one is made at the start and printed once.
        admin_token: Option<Secret> = None, shown "none";
        /// Who may read `/metrics`.
        metrics: Metrics = Metrics::Admin;
        /// How long open requests may go on after the order to stop.
        drain: Duration = Duration::from_secs(30), within Duration::ZERO..=Duration::from_secs(3600);
        /// What one client may ask of the door.
        limits: Limits;
    }
}

settings! {
    /// Files for HTTPS, in PEM form. They are read again when they change.
    pub struct ServerTls {
        /// The certificate and its chain.
        cert: PathBuf => required;
        /// The private key of the certificate.
        key: PathBuf => required;
    }
}

choices! {
    /// Who may read the metrics.
    pub enum Metrics {
        /// Only with the admin token.
        Admin = "admin",
        /// Everybody who reaches the door.
        Public = "public",
    }
}

settings! {
    /// Bounds on a request and a connection; what exceeds them is refused or closed.
    pub struct Limits {
        /// Bytes of a request body.
        body: Size = Size::mib(32), within Size::kib(1)..=Size::mib(2048);
        /// Bytes of the request line and all headers.
        header: Size = Size::kib(32), within Size::kib(8)..=Size::mib(1);
        /// Time for a client to send its headers.
        header_timeout: Duration = Duration::from_secs(15), within Duration::from_secs(1)..=DAY;
        /// Time for a client to send its body.
        body_timeout: Duration = Duration::from_secs(60), within Duration::from_secs(1)..=DAY;
        /// Time for a client to take a piece of the answer before it counts as gone.
        write_timeout: Duration = Duration::from_secs(60), within Duration::from_secs(1)..=DAY;
        /// Connections open at the same time.
        connections: u32 = 20_000, within 1..=1_000_000;
    }
}
