//! Conversations over WebSockets, as far as the door has to do with them: the handshake, and the client's connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{AUTHORIZATION, CONNECTION, HeaderName, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use lockgate_core::port::Wire;
use lockgate_core::{Error, Kind};
use lockgate_engine::Talk;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::UnderWay;

/// The client's connection.
struct Side<S>(S);

/// Browsers cannot set headers: their key is the name of a protocol.
const KEY: &str = "openai-insecure-api-key.";

/// Whether a request asks to go on as a WebSocket.
pub(crate) fn is_handshake(headers: &HeaderMap) -> bool {
    let lists = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    };
    lists(CONNECTION, "upgrade") && lists(UPGRADE, "websocket")
}

pub(crate) fn no_handshake() -> Error {
    Error::client(Kind::InvalidRequest, "This is a WebSocket: the request must ask for that, over HTTP/1.1.")
}

/// A key among the names of protocols is put where every other is.
pub(crate) fn key_from_protocol(headers: &mut HeaderMap) {
    let listed = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut names = listed.flat_map(|list| list.split(',')).map(str::trim);
    let value =
        names.find_map(|name| HeaderValue::from_str(&format!("Bearer {}", name.strip_prefix(KEY)?)).ok());
    if let Some(value) = value {
        headers.entry(AUTHORIZATION).or_insert(value);
    }
}

/// Holds a conversation to its end, which the drain waits for.
pub(crate) async fn hold(
    talk: Talk,
    upgrade: OnUpgrade,
    leaving: impl Future<Output = ()> + Send,
    under_way: UnderWay,
) {
    // A client that left in between is recorded by the talk's own end.
    if let Ok(upgraded) = upgrade.await {
        talk.hold(Box::pin(Side(TokioIo::new(upgraded))), leaving).await;
    }
    drop(under_way);
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for Side<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_handshake_is_known_in_any_letters() {
        assert!(is_handshake(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])));
        assert!(!is_handshake(&headers(&[("connection", "keep-alive"), ("upgrade", "websocket")])));
        assert!(!is_handshake(&headers(&[("connection", "upgrade"), ("upgrade", "h2c")])));
    }

    #[test]
    fn a_browsers_key_is_found_and_no_other_replaced() {
        let protocols = ("sec-websocket-protocol", "realtime, openai-insecure-api-key.lg-x, other");
        let mut found = headers(&[protocols]);
        key_from_protocol(&mut found);
        assert_eq!(found[AUTHORIZATION], "Bearer lg-x");
        let mut own = headers(&[protocols, ("authorization", "Bearer lg-own")]);
        key_from_protocol(&mut own);
        assert_eq!(own[AUTHORIZATION], "Bearer lg-own");
    }
}
