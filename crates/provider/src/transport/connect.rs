//! New connections.

use std::io;
use std::time::Duration;

use http::uri::Scheme;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use lockgate_core::Error;
use lockgate_core::upstream::{Address, Http2};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::http1::Link;
use super::pool::Found;
use super::{errors, tls};

/// A silent HTTP/2 connection is asked this often whether it still stands.
const PING_EVERY: Duration = Duration::from_secs(30);

pub(super) async fn connect(address: &Address, limit: Duration) -> Result<Found, Error> {
    match timeout(limit, open(address)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(errors::connecting(&error, address)),
        Err(_) => Err(errors::connect_timeout(address)),
    }
}

async fn open(address: &Address) -> io::Result<Found> {
    let https = address.scheme == Scheme::HTTPS;
    let port = address.authority.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host = address.authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if !https {
        return if address.http2 == Http2::Always {
            share(stream).await
        } else {
            Ok(Found::One(Link::plain(stream)))
        };
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls::client(address)?).connect(name, stream).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") || address.http2 == Http2::Always {
        share(stream).await
    } else {
        Ok(Found::One(Link::tls(stream)))
    }
}

async fn share<S>(stream: S) -> io::Result<Found>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .adaptive_window(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // The task ends with its connection; what breaks it is told to whoever waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(Found::Many(sender))
}
