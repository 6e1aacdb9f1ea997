//! The head of a message: requests written, answers read.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use super::body::Framing;
use super::chunked::Chunked;

/// The head of an answer.
#[derive(Debug)]
pub(in super::super) struct Head {
    pub(in super::super) status: StatusCode,
    pub(in super::super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection may be used again.
    pub(super) keep_alive: bool,
}

/// The longest head of an answer, and the most headers in it.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 128;

/// The head of a request with a body of `length`, or with none. A header of a later map stands in place of those of its name in earlier ones.
pub(in super::super) fn write<const N: usize>(
    method: &Method,
    path: [&str; 2],
    host: &str,
    headers: [&HeaderMap; N],
    length: Option<usize>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    for piece in [method.as_str(), " ", path[0], path[1], " HTTP/1.1\r\nhost: ", host, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    for (at, map) in headers.iter().enumerate() {
        let later = &headers[at + 1..];
        for (name, value) in map.iter().filter(|(name, _)| !later.iter().any(|map| map.contains_key(*name))) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    if let Some(length) = length {
        out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Reads a head that may come in pieces: `partial` keeps what came before `bytes`. With the head comes what followed it.
pub(super) fn read(partial: &mut Vec<u8>, bytes: &[u8]) -> Result<Option<(Head, Bytes)>, &'static str> {
    let found = if partial.is_empty() {
        parse(bytes)?
    } else {
        partial.extend_from_slice(bytes);
        parse(partial)?
    };
    if found.is_none() {
        if partial.is_empty() {
            partial.extend_from_slice(bytes);
        }
        if partial.len() > MAX_HEAD {
            return Err("its head is too long");
        }
    }
    Ok(found)
}

fn parse(mut bytes: &[u8]) -> Result<Option<(Head, Bytes)>, &'static str> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err("it has too many headers"),
            Err(_) => return Err("its head is malformed"),
        };
        if length > MAX_HEAD {
            return Err("its head is too long");
        }
        let code = response.code.unwrap_or_default();
        match code {
            // A word in between; the answer is still to come.
            100 | 102..=199 => bytes = &bytes[length..],
            _ => {
                let head = head(code, response.version == Some(1), response.headers)?;
                return Ok(Some((head, Bytes::copy_from_slice(&bytes[length..]))));
            }
        }
    }
}

fn head(code: u16, http11: bool, raw: &[httparse::Header<'_>]) -> Result<Head, &'static str> {
    let status = StatusCode::from_u16(code).map_err(|_| "its status is no status")?;
    // Room for the gateway's own headers, which are added to these.
    let mut headers = HeaderMap::with_capacity(raw.len() + 6);
    for header in raw {
        let name =
            HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| "a header's name is malformed")?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| "a header's value is malformed")?;
        headers.append(name, value);
    }
    let keep_alive = http11 && !lists(&headers, &CONNECTION, "close");
    let framing = framing(status, &headers)?;
    let keep_alive = keep_alive && !matches!(framing, Framing::UntilClose);
    Ok(Head { status, headers, framing, keep_alive })
}

impl Head {
    /// Whether the connection speaks another protocol from here on.
    pub(in super::super) fn switches(&self) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS
    }

    /// Nothing follows, whatever its headers say (RFC 9112, §6.3, 1).
    pub(super) fn without_body(self) -> Self {
        Self { framing: Framing::Ended, ..self }
    }
}

/// RFC 9112, §6.3.
fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, &'static str> {
    if matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Ended);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        let chunked = lists(headers, &TRANSFER_ENCODING, "chunked");
        return Ok(if chunked { Framing::Chunked(Chunked::default()) } else { Framing::UntilClose });
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(Framing::UntilClose) };
    if lengths.any(|other| other != first) {
        return Err("it gives two lengths");
    }
    let digits = first.as_bytes();
    let number =
        digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok()?.parse().ok());
    match number.flatten().ok_or("its length is no number")? {
        0 => Ok(Framing::Ended),
        length => Ok(Framing::Length(length)),
    }
}

fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(pieces: &[&[u8]]) -> Result<Option<(Head, Bytes)>, &'static str> {
        let mut partial = Vec::new();
        for piece in pieces {
            if let Some(found) = read(&mut partial, piece)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_head_may_come_cut_anywhere() {
        let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nab";
        for cut in 1..wire.len() {
            let found = read_in(&[&wire[..cut], &wire[cut..]]).unwrap();
            let (head, early) = found.unwrap_or_else(|| panic!("cut at {cut}"));
            assert_eq!(
                (head.status.as_u16(), head.keep_alive, &head.headers["x-a"]),
                (200, true, &"b".parse().unwrap())
            );
            assert!(matches!(head.framing, Framing::Length(3)));
            assert!(b"ab".starts_with(&early));
        }
    }

    #[test]
    fn how_a_body_ends() {
        let framed = |head: &str| {
            let wire = format!("HTTP/1.1 {head}\r\n\r\n");
            read_in(&[wire.as_bytes()])
                .map(|found| found.map(|(head, _)| (format!("{:?}", head.framing), head.keep_alive)))
        };
        let ended = |text: &str, keep| Ok(Some((text.to_owned(), keep)));
        assert_eq!(framed("200 OK\r\nContent-Length: 5"), ended("Length(5)", true));
        assert_eq!(framed("200 OK\r\nContent-Length: 5\r\nConnection: close"), ended("Length(5)", false));
        assert_eq!(framed("204 No Content\r\nContent-Length: 5"), ended("Ended", true));
        assert_eq!(framed("200 OK"), ended("UntilClose", false));
        assert!(
            framed("200 OK\r\nTransfer-Encoding: gzip, chunked").unwrap().unwrap().0.starts_with("Chunked")
        );
        assert_eq!(framed("200 OK\r\nContent-Length: 5\r\nContent-Length: 6"), Err("it gives two lengths"));
        assert_eq!(framed("200 OK\r\nContent-Length: -5"), Err("its length is no number"));
        assert_eq!(framed("101 Switching"), ended("Ended", true));
    }

    #[test]
    fn an_upstreams_own_header_replaces_the_common_one() {
        let map = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
        };
        let (common, own) = (map(&[("accept", "a"), ("user-agent", "u")]), map(&[("user-agent", "mine")]));
        let head =
            String::from_utf8(write(&Method::POST, ["/v1", "/x"], "h:1", [&common, &own], Some(7))).unwrap();
        assert_eq!(
            head,
            "POST /v1/x HTTP/1.1\r\nhost: h:1\r\naccept: a\r\nuser-agent: mine\r\ncontent-length: 7\r\n\r\n"
        );
    }

    #[test]
    fn a_head_has_an_end() {
        let mut partial = Vec::new();
        assert!(read(&mut partial, b"HTTP/1.1 200 OK\r\nx: ").unwrap().is_none());
        let result = (0..100).find_map(|_| read(&mut partial, &[b'y'; 1_024]).err());
        assert_eq!(result, Some("its head is too long"));
        assert!(read(&mut Vec::new(), b"nonsense\r\n\r\n").is_err());
    }
}
