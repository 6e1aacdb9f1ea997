//! AWS event streams: however they are cut into chunks, every byte comes out once and the frames are the same; what is
//! written is read back.
//!
//! The line of choices: whether to mend the checksums and lengths first (without that, hardly any input gets behind
//! them), then the sizes of the chunks.

use bytes::Bytes;
use lockgate_dialect::eventstream::{self, Broken, Frame, Message, Splitter};

use crate::script;

const PRELUDE: usize = 12;
const TAIL: usize = 4;

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let mended = choices.first().is_some_and(|byte| byte % 2 == 1);
    let body = if mended { mend(body) } else { body.to_vec() };
    let whole = read(&body, &[]);
    assert_eq!(read(&body, choices.get(1..).unwrap_or_default()), whole);
    let (frames, end) = &whole;
    let joined: usize = frames.iter().map(|frame| frame.raw.len()).sum();
    assert!(joined <= body.len());
    for frame in frames {
        assert!(frame.raw.len() >= PRELUDE + TAIL && frame.payload.len() <= frame.raw.len() - PRELUDE - TAIL);
        let _ = (frame.name(), frame.data());
    }
    let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.to_vec()).collect();
    assert!(body.starts_with(&raw));
    if end.is_none() && !mended {
        assert!(body.len() - raw.len() < PRELUDE || frames.len() < body.len());
    }
    written(choices, &body);
}

/// The frames of a stream in chunks of these sizes, and why it could not be read on.
fn read(body: &[u8], sizes: &[u8]) -> (Vec<Frame>, Option<Broken>) {
    let (mut splitter, mut frames, mut at, mut turn) = (Splitter::default(), Vec::new(), 0, 0);
    while at < body.len() {
        let size = sizes.get(turn % sizes.len().max(1)).map_or(body.len(), |size| usize::from(*size) + 1);
        let end = (at + size).min(body.len());
        let mut chunk = Bytes::copy_from_slice(&body[at..end]);
        loop {
            match splitter.next(&mut chunk) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(broken) => return (frames, Some(broken)),
            }
        }
        assert!(chunk.is_empty());
        (at, turn) = (end, turn + 1);
    }
    (frames, None)
}

/// Frames out of any bytes: the first two say how long the headers and the payload are that follow.
fn mend(body: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), body);
    while let [headers, payload, tail @ ..] = rest {
        let headers = usize::from(*headers).min(tail.len());
        let payload = usize::from(*payload).min(tail.len() - headers);
        let total = PRELUDE + headers + payload + TAIL;
        let start = out.len();
        out.extend_from_slice(&u32::try_from(total).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(&u32::try_from(headers).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(&crc32(&out[start..]).to_be_bytes());
        out.extend_from_slice(&tail[..headers + payload]);
        out.extend_from_slice(&crc32(&out[start..]).to_be_bytes());
        rest = &tail[headers + payload..];
    }
    out
}

/// CRC-32 (ISO 3309) bit by bit, so that no table is shared with what is tested.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn written(choices: &[u8], payload: &[u8]) {
    let name: String = String::from_utf8_lossy(choices).chars().take(40).collect();
    let mut out = Vec::new();
    eventstream::write(&mut out, Message::Event, &name, |out| out.extend_from_slice(payload));
    let (frames, broken) = read(&out, choices);
    assert_eq!((frames.len(), broken), (1, None));
    assert_eq!((frames[0].message, frames[0].name()), (Message::Event, &*name));
    assert_eq!(&frames[0].payload[..], payload);
    assert_eq!(&frames[0].raw[..], &out[..]);
}
