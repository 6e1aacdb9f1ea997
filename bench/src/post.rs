//! One plain request on a connection of its own, for steering and probing; never for measuring a rate.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Posts and gives the status that came back. The rest of the answer is not read.
pub(crate) fn post(authority: &str, path: &str, headers: &[String], body: &[u8]) -> io::Result<u16> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for h in headers {
        text.push_str(h.trim());
        text.push_str("\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut first = [0; 12];
    stream.read_exact(&mut first)?;
    let status = std::str::from_utf8(&first[9..]).ok().and_then(|s| s.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no status"))
}

/// Changes the mock's behaviour from now on; `""` sets it back to what its command line said.
pub(crate) fn control_mock(authority: &str, settings: &str) -> io::Result<()> {
    let path = if settings.is_empty() { "/control/reset".to_owned() } else { format!("/control?{settings}") };
    match post(authority, &path, &[], b"{}")? {
        200 => Ok(()),
        status => Err(io::Error::other(format!("the mock at {authority} answered {status} to {path}"))),
    }
}
