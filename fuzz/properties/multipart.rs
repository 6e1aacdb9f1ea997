//! Forms: what is accepted is what a plain second reader finds too, and putting another model in changes that part and
//! nothing else.
//!
//! The line of choices is the content type; where it is no form's, one with the boundary `b`.

use bytes::Bytes;
use lockgate_dialect::operation::multipart::{self, Form};

use crate::script;

const USUAL: &str = "multipart/form-data; boundary=b";
const MODEL: &str = "whisper-9";

pub(crate) fn check(data: &[u8]) {
    let (choices, body) = script::split(data);
    let given = std::str::from_utf8(choices).ok().filter(|text| multipart::is(text));
    let content_type = given.unwrap_or(USUAL);
    let Ok(form) = Form::read(Bytes::copy_from_slice(body), content_type) else { return };
    assert_eq!(&form.bytes()[..], body);
    let names: Vec<String> = form.names().map(str::to_owned).collect();
    if content_type == USUAL {
        assert_eq!(plainly(body), names.len(), "another reader finds other parts");
    }
    for name in &names {
        let _ = form.text(name);
    }
    for name in ["model", "stream", "prompt"] {
        assert!(names.iter().filter(|known| *known == name).count() <= 1, "{name} stands twice");
    }
    let sent = form.with("model", MODEL).join();
    let Some(model) = form.text("model") else { return };
    let again = Form::read(sent.clone(), content_type);
    let again = again.unwrap_or_else(|why| panic!("{why:?}: {}", String::from_utf8_lossy(&sent)));
    assert_eq!(again.text("model"), Some(MODEL));
    assert!(again.names().eq(form.names()));
    for name in names.iter().filter(|name| *name != "model") {
        assert_eq!(again.text(name), form.text(name));
    }
    assert_eq!(sent.len() + model.len(), body.len() + MODEL.len());
}

/// The number of parts, found the simple way: what stands between lines that are the boundary.
fn plainly(body: &[u8]) -> usize {
    let mut text = vec![b'\r', b'\n'];
    text.extend_from_slice(body);
    let mut count: usize = 0;
    let mut rest = &text[..];
    while let Some(at) = find(rest, b"\r\n--b") {
        rest = &rest[at + 5..];
        if rest.starts_with(b"--") {
            return count;
        }
        count += 1;
    }
    count
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}
