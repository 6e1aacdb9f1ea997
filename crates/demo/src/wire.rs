//! HTTP/1.1 by hand: reading requests, and writing answers with any framing a fault asks for.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::performance::Framing;

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 256 * 1024;
/// Longest body of a request, in bytes.
const MAX_BODY: usize = 256 * 1024 * 1024;
/// Longest line of a chunk's size, in bytes.
const MAX_LINE: usize = 1024;

/// Why no request came out of a connection.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The client ended the connection between two requests.
    Ended,
    Io,
    /// Not HTTP/1.1 as we know it; the text says why.
    Syntax(&'static str),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// Reads one request. What comes after it stays in `buffer`.
pub(crate) async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> Result<Request<Bytes>, Broken> {
    let head = loop {
        // Empty lines before a request are allowed.
        while buffer.starts_with(b"\r\n") {
            buffer.advance(2);
        }
        // Said at once, since whoever speaks TLS here waits for an answer and never sends an empty line.
        if buffer.first().is_some_and(|byte| !byte.is_ascii_alphabetic() && *byte != b'\r') {
            return Err(Broken::Syntax("this is not HTTP"));
        }
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break buffer.split_to(end + 4);
        }
        if buffer.len() > MAX_HEAD {
            return Err(Broken::Syntax("the head is too long"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(if buffer.is_empty() { Broken::Ended } else { Broken::Io });
        }
    };
    let mut request = parse_head(&head).ok_or(Broken::Syntax("the head is malformed"))?;
    let headers = request.headers();
    let chunked = headers
        .get(header::TRANSFER_ENCODING)
        .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let length = match headers.get(header::CONTENT_LENGTH) {
        None => 0,
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|length| *length <= MAX_BODY)
            .ok_or(Broken::Syntax("content-length is no usable number"))?,
    };
    if headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    *request.body_mut() =
        if chunked { read_chunks(stream, buffer).await? } else { read_exact(stream, buffer, length).await? };
    Ok(request)
}

/// Whether the connection stays open after this request, if the answer ends well.
pub(crate) fn keeps_alive(request: &Request<Bytes>) -> bool {
    let mut values = request.headers().get_all(header::CONNECTION).iter();
    let close =
        values.any(|value| value.as_bytes().to_ascii_lowercase().windows(5).any(|part| part == b"close"));
    request.version() == Version::HTTP_11 && !close
}

/// The bytes of an answer's head.
pub(crate) fn head(status: u16, headers: &HeaderMap, framing: Framing, out: &mut Vec<u8>) {
    let reason =
        StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Other");
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    let framing = match framing {
        Framing::Length(length) => format!("content-length: {length}\r\n\r\n"),
        Framing::Chunked => "transfer-encoding: chunked\r\n\r\n".to_owned(),
    };
    out.extend_from_slice(framing.as_bytes());
}

/// One chunk that announces `announced` bytes and carries `data`. An empty one would end the body and is left out.
pub(crate) fn chunk(announced: usize, data: &[u8], out: &mut Vec<u8>) {
    if announced > 0 {
        out.extend_from_slice(format!("{announced:x}\r\n").as_bytes());
        out.extend_from_slice(data);
        if announced == data.len() {
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn parse_head(head: &[u8]) -> Option<Request<Bytes>> {
    let text = std::str::from_utf8(head).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    *request.version_mut() = match version {
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/1.0" => Version::HTTP_10,
        _ => return None,
    };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes()).ok()?);
    }
    words.next().is_none().then_some(request)
}

async fn fill(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<(), Broken> {
    match stream.read_buf(buffer).await? {
        0 => Err(Broken::Io),
        _ => Ok(()),
    }
}

async fn read_exact(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> Result<Bytes, Broken> {
    while buffer.len() < length {
        buffer.reserve(length - buffer.len());
        fill(stream, buffer).await?;
    }
    Ok(buffer.split_to(length).freeze())
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Bytes, Broken> {
    let mut body = BytesMut::new();
    loop {
        let line = read_line(stream, buffer).await?;
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.filter(|size| *size <= MAX_BODY - body.len());
        match size.ok_or(Broken::Syntax("a chunk's size is no usable number"))? {
            0 => break,
            size => {
                body.extend_from_slice(&read_exact(stream, buffer, size).await?);
                if !read_line(stream, buffer).await?.is_empty() {
                    return Err(Broken::Syntax("a chunk is longer than it says"));
                }
            }
        }
    }
    // Trailers are read and dropped.
    while !read_line(stream, buffer).await?.is_empty() {}
    Ok(body.freeze())
}

async fn read_line(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Bytes, Broken> {
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n") {
            let line = buffer.split_to(end).freeze();
            buffer.advance(2);
            return Ok(line);
        }
        if buffer.len() > MAX_LINE {
            return Err(Broken::Syntax("a line is too long"));
        }
        fill(stream, buffer).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Writes `bytes` one by one, and reads a request out of them.
    async fn read(bytes: &'static [u8]) -> (Result<Request<Bytes>, Broken>, BytesMut) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.set_nodelay(true).unwrap();
            for byte in bytes.chunks(1) {
                client.write_all(byte).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = BytesMut::new();
            let request = read_request(&mut stream, &mut buffer).await;
            while stream.read_buf(&mut buffer).await.unwrap() > 0 {}
            (request, buffer)
        };
        tokio::join!(client, server).1
    }

    #[tokio::test]
    async fn a_request_with_a_length_and_one_behind_it() {
        let (request, rest) = read(
            b"\r\nPOST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n",
        )
        .await;
        let request = request.unwrap();
        assert_eq!((request.uri().path(), request.uri().query()), ("/v1/x", Some("y=1")));
        assert_eq!(request.body(), "hello");
        assert_eq!(&rest[..], b"GET / HTTP/1.1\r\n");
        assert!(keeps_alive(&request));
    }

    #[tokio::test]
    async fn a_chunked_request() {
        let (request, _) = read(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n\
              3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n",
        )
        .await;
        let request = request.unwrap();
        assert_eq!(request.body(), "hello");
        assert!(!keeps_alive(&request));
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        for bytes in [
            &b"hello\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(
                matches!(read(bytes).await.0, Err(Broken::Syntax(_))),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        assert!(matches!(read(b"").await.0, Err(Broken::Ended)));
        assert!(matches!(read(b"GET / HT").await.0, Err(Broken::Io)));
    }
}
