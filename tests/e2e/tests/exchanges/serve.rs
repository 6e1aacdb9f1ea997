//! A provider of answers that are known beforehand: whatever is asked, the header `x-exchange` names the answer.
//!
//! It speaks HTTP/1.1 by itself, so that the pieces in which a body comes are exactly those that a job names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lockgate_testkit::chunking;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::jobs::{Form, Job};

/// What a piece waits for the one before it where a stream has pauses.
const PAUSE: Duration = Duration::from_millis(8);

/// Serves the answers until it is dropped with its runtime; returns its address.
pub(crate) async fn serve(jobs: Arc<Vec<Job>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback interface");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let jobs = Arc::clone(&jobs);
            // A client that leaves in the middle of an answer is no fault of the test.
            tokio::spawn(async move { connection(socket, &jobs).await.ok() });
        }
    });
    format!("http://{address}")
}

async fn connection(mut socket: TcpStream, jobs: &[Job]) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut read = Vec::new();
    while let Some(key) = request(&mut socket, &mut read).await? {
        match jobs.get(key) {
            Some(job) => answer(&mut socket, job).await?,
            None => socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?,
        }
    }
    Ok(())
}

/// Reads one request, head and body; which answer it wants, `None` when no further request comes.
async fn request(socket: &mut TcpStream, read: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(read).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let number = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    };
    let (key, length) = (number("x-exchange").unwrap_or(usize::MAX), number("content-length").unwrap_or(0));
    while read.len() < end + length {
        if socket.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
    read.drain(..end + length);
    Ok(Some(key))
}

async fn answer(socket: &mut TcpStream, job: &Job) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} -\r\ncontent-type: {}\r\n", job.status, job.content_type);
    if !job.is_stream {
        head.push_str(&format!("content-length: {}\r\n\r\n", job.body.len()));
        return socket.write_all(&[head.as_bytes(), &job.body].concat()).await;
    }
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    let seed = job.body.len() as u64;
    match job.form {
        Form::Whole => socket.write_all(&chunked(std::slice::from_ref(&job.body))).await?,
        // Every byte is a chunk of its own, and is handed on as such however the network packs them.
        Form::Bytes => socket.write_all(&chunked(&chunking::every(1, &job.body))).await?,
        Form::Pieces => {
            for piece in chunking::random(seed, 700, &job.body) {
                socket.write_all(&chunked(&[piece])).await?;
                tokio::task::yield_now().await;
            }
        }
        Form::Pauses => {
            for piece in chunking::random(seed, job.body.len() / 3 + 1, &job.body) {
                socket.write_all(&chunked(&[piece])).await?;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    socket.write_all(b"0\r\n\r\n").await
}

fn chunked(pieces: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pieces.iter().map(|piece| piece.len() + 12).sum());
    for piece in pieces {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out
}
