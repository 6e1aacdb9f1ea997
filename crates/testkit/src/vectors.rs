//! Recorded traffic between clients and providers: one JSON object a line, a file a provider.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;

/// One recorded exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    /// 16 hex digits, stable.
    pub id: String,
    /// Who answered.
    pub provider: String,
    /// The wire dialect: `openai.chat`.
    pub api: String,
    /// As named in the body or the path.
    pub model: Option<String>,
    /// What was found in it by pattern: a filter and not a proof.
    pub features: Vec<String>,
    /// `None` where only the answer was recorded.
    pub request: Option<Sent>,
    /// The answer.
    pub response: Received,
}

/// A recorded request.
#[derive(Clone, Debug, Deserialize)]
pub struct Sent {
    /// With its query, without keys.
    pub path: String,
    /// A few of its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `utf8` or `base64`.
    body_encoding: Option<String>,
    body: Option<String>,
}

/// A recorded answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Received {
    /// `None` where it was not recorded.
    pub status: Option<u16>,
    /// A few of its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `json`, `sse`, `eventstream`, `ndjson`, `chunks`, `text`, `binary` or `none`.
    pub body_kind: String,
    body_encoding: Option<String>,
    body: Option<String>,
    /// Whether the closing event is there; `None` for what is no stream.
    pub stream_complete: Option<bool>,
}

/// Names the folder, where it is not beside the checkout.
const ENV: &str = "LOCKGATE_VECTORS";

/// All exchanges of a wire dialect in the order of files and lines. `None`, and the test is skipped aloud, when the
/// folder is not there.
///
/// # Panics
/// When a file cannot be read or a line is no exchange.
pub fn of(api: &str) -> Option<Vec<Exchange>> {
    let Some(folder) = folder() else {
        crate::skip(&format!("no recorded exchanges: set {ENV} to their folder"));
        return None;
    };
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (at, line) in text.lines().enumerate() {
            let exchange: Exchange = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{} line {}: {error}", file.display(), at + 1));
            if exchange.api == api {
                found.push(exchange);
            }
        }
    }
    assert!(!found.is_empty(), "no exchange of {api} in {}", folder.display());
    Some(found)
}

/// `LOCKGATE_VECTORS`, else `../shared/vectors` beside the workspace.
fn folder() -> Option<PathBuf> {
    let folder = match std::env::var_os(ENV) {
        Some(folder) => PathBuf::from(folder),
        None => workspace()?.parent()?.join("shared").join("vectors"),
    };
    folder.is_dir().then_some(folder)
}

/// The nearest folder above this crate with a lock file.
fn workspace() -> Option<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("Cargo.lock").is_file())
}

impl Exchange {
    /// Whether it has this feature.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|found| found == feature)
    }
}

impl Sent {
    /// The bytes as they were sent.
    pub fn bytes(&self) -> Bytes {
        bytes(self.body_encoding.as_deref(), self.body.as_deref())
    }
}

impl Received {
    /// The bytes as they came. `chunks` (events without their frames, one a line) are framed as an event stream.
    pub fn bytes(&self) -> Bytes {
        let bytes = bytes(self.body_encoding.as_deref(), self.body.as_deref());
        if self.body_kind != "chunks" {
            return bytes;
        }
        let mut framed = Vec::with_capacity(bytes.len() + bytes.len() / 8);
        for line in bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            framed.extend_from_slice(b"data: ");
            framed.extend_from_slice(line);
            framed.extend_from_slice(b"\n\n");
        }
        framed.into()
    }

    /// Whether it is an event stream.
    pub fn is_stream(&self) -> bool {
        matches!(self.body_kind.as_str(), "sse" | "chunks")
    }
}

fn bytes(encoding: Option<&str>, body: Option<&str>) -> Bytes {
    let body = body.unwrap_or_default();
    if encoding == Some("base64") {
        from_base64(body).into()
    } else {
        Bytes::copy_from_slice(body.as_bytes())
    }
}

/// RFC 4648 §4.
///
/// # Panics
/// On a character that is not of its alphabet.
fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for byte in text.bytes().filter(|b| *b != b'=' && !b.is_ascii_whitespace()) {
        let value =
            ALPHABET.iter().position(|b| *b == byte).expect("a recorded body is base64 where it says so");
        bits = (bits << 6) | u32::try_from(value).unwrap_or(0);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_encodings() {
        assert_eq!(bytes(Some("base64"), Some("aGVsbG8sIHdvcmxkIQ==")), &b"hello, world!"[..]);
        assert_eq!(bytes(Some("base64"), Some("/+8A")), &[0xff, 0xef, 0][..]);
        assert_eq!(bytes(Some("utf8"), Some("é")), "é".as_bytes());
        assert_eq!(bytes(None, None), Bytes::new());
    }

    #[test]
    fn chunks_are_framed() {
        let received = Received {
            status: None,
            headers: BTreeMap::new(),
            body_kind: "chunks".into(),
            body_encoding: None,
            body: Some("{\"a\":1}\n\n{\"b\":2}\n".into()),
            stream_complete: None,
        };
        assert_eq!(received.bytes(), &b"data: {\"a\":1}\n\ndata: {\"b\":2}\n\n"[..]);
        assert!(received.is_stream());
    }
}
