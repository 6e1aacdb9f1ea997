//! `multipart/form-data` (RFC 7578), read as far as to find its parts: in one pass, and no part is copied.
//!
//! A gateway that reads a form in one way and a provider that reads it in another would let a request pass under a false
//! name. So whatever readers of the format differ on is refused here: bare line feeds, boundaries that go on, names that
//! stand twice or are written with escapes.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use lockgate_core::Segments;
use memchr::memmem;

/// A form whose parts are known as slices.
#[derive(Clone, Debug)]
pub struct Form {
    bytes: Bytes,
    content_type: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    name: Box<str>,
    /// Whether it names a file.
    file: bool,
    value: Range<usize>,
}

/// Why bytes are not a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The content type is not `multipart/form-data` with a boundary of 1 to 70 characters.
    Boundary,
    /// It has no part, or what is before the first is none.
    NoParts,
    /// It ends without its closing boundary.
    Unfinished,
    /// A boundary is not alone in its line, or a line ends without a carriage return.
    Line,
    /// The headers of a part cannot be read, or are too long.
    Headers,
    /// A part has no name, or one with escapes.
    Name,
    /// A part that decides stands twice; its name.
    Duplicate(String),
    /// More parts than [`MAX_PARTS`].
    TooMany,
}

/// Parts of a form.
pub const MAX_PARTS: usize = 256;
/// Bytes of a part's headers.
const MAX_HEADERS: usize = 8_192;
/// Characters of a boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;
/// Names of parts that the gateway reads: none of them may stand twice.
const READ: [&str; 3] = ["model", "stream", "prompt"];
/// Longer texts are not read.
const MAX_TEXT: usize = 64 * 1_024;

/// Whether a content type is that of a form.
pub fn is(content_type: &str) -> bool {
    content_type.get(..FORM_DATA.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM_DATA))
}

const FORM_DATA: &str = "multipart/form-data";

// === impl Form ===

impl Form {
    /// Finds the parts of a form.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not one, or readers could differ on what they are.
    pub fn read(bytes: Bytes, content_type: &str) -> Result<Self, Malformed> {
        let boundary = boundary(content_type).ok_or(Malformed::Boundary)?;
        let parts = parts(&bytes, boundary)?;
        for name in READ {
            if parts.iter().filter(|part| *part.name == *name).count() > 1 {
                return Err(Malformed::Duplicate(name.to_owned()));
            }
        }
        Ok(Self { bytes, content_type: content_type.into(), parts })
    }

    /// All the bytes, untouched.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The content type, with the boundary.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The names of the parts, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &*part.name)
    }

    /// A part that is text and no file; `None` where there is none, or it is longer than 64 KiB.
    pub fn text(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().find(|part| *part.name == *name && !part.file)?;
        let value = self.bytes.get(part.value.clone()).filter(|value| value.len() <= MAX_TEXT)?;
        std::str::from_utf8(value).ok()
    }

    /// The form with another text in a part, which is there: slices of the original around it. The text holds no
    /// boundary, as boundaries begin a line and it is one line.
    pub fn with(&self, name: &str, text: &str) -> Segments {
        let Some(part) = self.parts.iter().find(|part| *part.name == *name && !part.file) else {
            return Segments::one(self.bytes.clone());
        };
        let line: String = text.chars().filter(|letter| !letter.is_control()).collect();
        let mut body = Segments::default();
        body.push(self.bytes.slice(..part.value.start));
        body.push(line.into());
        body.push(self.bytes.slice(part.value.end..));
        body
    }
}

/// The boundary that a content type names.
fn boundary(content_type: &str) -> Option<&str> {
    if !is(content_type) {
        return None;
    }
    let mut found = None;
    for parameter in content_type.get(FORM_DATA.len()..)?.split(';').skip(1) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if !name.trim().eq_ignore_ascii_case("boundary") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        let value = value.trim();
        found = Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    found.filter(|boundary| {
        (1..=MAX_BOUNDARY).contains(&boundary.len())
            && boundary.bytes().all(allowed)
            && !boundary.ends_with(' ')
    })
}

fn parts(bytes: &[u8], boundary: &str) -> Result<Vec<Part>, Malformed> {
    let dashed = format!("--{boundary}");
    let finder = memmem::Finder::new(dashed.as_bytes());
    let mut parts = Vec::new();
    // Where the part under way begins, its headers included; `None` before the first.
    let mut begun: Option<usize> = None;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let Some(found) = finder.find(rest) else {
            return Err(if begun.is_none() { Malformed::NoParts } else { Malformed::Unfinished });
        };
        let at = from + found;
        let before = bytes.get(..at).unwrap_or_default();
        from = at + dashed.len();
        if at > 0 && !before.ends_with(b"\n") {
            // Inside a line it is content.
            continue;
        }
        if at > 0 && !before.ends_with(b"\r\n") {
            return Err(Malformed::Line);
        }
        if let Some(begun) = begun {
            if parts.len() == MAX_PARTS {
                return Err(Malformed::TooMany);
            }
            // The line end before the boundary is a part of it. Where there is none, the part has no room for headers.
            let end = at.checked_sub(2).filter(|end| *end >= begun).ok_or(Malformed::Headers)?;
            parts.push(part(bytes, begun..end)?);
        } else if !before.is_empty() && before != b"\r\n" {
            // Text before the first part is for nobody, and readers differ on it.
            return Err(Malformed::NoParts);
        }
        let behind = bytes.get(from..).unwrap_or_default();
        if behind.starts_with(b"--") {
            let end = behind.get(2..).unwrap_or_default();
            let end = end.trim_ascii_start();
            return if parts.is_empty() {
                Err(Malformed::NoParts)
            } else if end.is_empty() {
                Ok(parts)
            } else {
                Err(Malformed::Line)
            };
        }
        let padding = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !behind.get(padding..).is_some_and(|line| line.starts_with(b"\r\n")) {
            return Err(Malformed::Line);
        }
        from += padding + 2;
        begun = Some(from);
        // The line end that was just passed may belong to the next boundary as well.
        from -= 2;
    }
}

/// A part between two boundaries.
fn part(bytes: &[u8], range: Range<usize>) -> Result<Part, Malformed> {
    let raw = bytes.get(range.clone()).unwrap_or_default();
    let window = raw.get(..raw.len().min(MAX_HEADERS)).unwrap_or_default();
    let blank = memmem::find(window, b"\r\n\r\n").ok_or(Malformed::Headers)?;
    let head =
        std::str::from_utf8(window.get(..blank).unwrap_or_default()).map_err(|_| Malformed::Headers)?;
    let mut disposition = None;
    let mut encoded = false;
    for line in head.split("\r\n") {
        // Folded lines, and line ends that not every reader takes for one.
        if line.contains(['\n', '\r', '\0']) || line.starts_with([' ', '\t']) {
            return Err(Malformed::Headers);
        }
        let (name, value) = line.split_once(':').ok_or(Malformed::Headers)?;
        if name.trim() != name {
            return Err(Malformed::Headers);
        }
        if name.eq_ignore_ascii_case("content-disposition") {
            if disposition.replace(value).is_some() {
                return Err(Malformed::Headers);
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["7bit", "8bit", "binary"];
            encoded = !plain.iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
        }
    }
    let (name, file) = named(disposition.ok_or(Malformed::Name)?)?;
    if encoded && READ.contains(&&*name) {
        return Err(Malformed::Headers);
    }
    Ok(Part { name, file, value: range.start + blank + 4..range.end })
}

/// The name of a part, and whether it names a file.
fn named(disposition: &str) -> Result<(Box<str>, bool), Malformed> {
    let mut rest = disposition.trim();
    let kind = rest.find(';').ok_or(Malformed::Name)?;
    if !rest.get(..kind).is_some_and(|kind| kind.trim().eq_ignore_ascii_case("form-data")) {
        return Err(Malformed::Name);
    }
    let (mut name, mut file) = (None, false);
    while let Some(parameter) = rest.find(';') {
        rest = rest.get(parameter + 1..).unwrap_or_default().trim_start();
        if rest.is_empty() {
            break;
        }
        let (key, behind) = rest.split_once('=').ok_or(Malformed::Name)?;
        let (value, behind) = value(behind.trim_start())?;
        match key.trim().to_ascii_lowercase().as_str() {
            "name" if name.replace(value).is_none() => {}
            "name" => return Err(Malformed::Name),
            // Readers differ on which of the two counts.
            "name*" => return Err(Malformed::Name),
            "filename" | "filename*" => file = true,
            _ => {}
        }
        rest = behind.trim_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            return Err(Malformed::Name);
        }
    }
    let name = name.filter(|name| !name.is_empty() && !name.contains(['\\', '%'])).ok_or(Malformed::Name)?;
    Ok((name.into(), file))
}

/// The value of a parameter, and what is behind it. In quotes a backslash stands before a letter that is meant as such.
fn value(text: &str) -> Result<(&str, &str), Malformed> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return Ok((value.trim_end(), behind));
    };
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                let (value, behind) = inside.split_at(at);
                return Ok((value, behind.get(1..).unwrap_or_default()));
            }
            _ => {}
        }
    }
    Err(Malformed::Name)
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boundary => f.write_str("the content type must be multipart/form-data with a boundary"),
            Self::NoParts => f.write_str("it has no parts, or does not begin with its boundary"),
            Self::Unfinished => f.write_str("it ends without its closing boundary"),
            Self::Line => f.write_str("a boundary is not alone in its line, or a line ends without CR LF"),
            Self::Headers => f.write_str("the headers of a part cannot be read, or are too long"),
            Self::Name => f.write_str("a part has no plain name"),
            Self::Duplicate(name) => write!(f, "the part \"{name}\" stands twice"),
            Self::TooMany => write!(f, "it has more than {MAX_PARTS} parts"),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xYz";

    fn form(body: &str) -> Result<Form, Malformed> {
        Form::read(Bytes::copy_from_slice(body.as_bytes()), TYPE)
    }

    fn field(name: &str, value: &str) -> String {
        format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    #[test]
    fn parts_are_found_and_one_is_replaced() {
        let file = "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;b\\\".mp3\"\r\n\
                    Content-Type: audio/mpeg\r\n\r\n\0\r\n--xY\r\nx--xYz\n\r\n";
        let body = format!("{file}{}{}--xYz--\r\n", field("model", "a/whisper-1"), field("language", "de"));
        let form = form(&body).unwrap();
        assert_eq!(form.names().collect::<Vec<_>>(), ["file", "model", "language"]);
        assert_eq!((form.text("model"), form.text("file")), (Some("a/whisper-1"), None));
        let sent = form.with("model", "whisper-1").join();
        assert_eq!(sent, body.replace("a/whisper-1", "whisper-1").as_bytes());
    }

    #[test]
    fn what_readers_differ_on_is_refused() {
        let model = field("model", "m");
        for (body, why) in [
            (String::new(), Malformed::NoParts),
            ("--xYz--\r\n".into(), Malformed::NoParts),
            (format!("{model}{model}--xYz--"), Malformed::Duplicate("model".into())),
            (model.clone(), Malformed::Unfinished),
            (format!("hello\r\n{model}--xYz--"), Malformed::NoParts),
            (format!("{model}--xYz--\r\nmore"), Malformed::Line),
            (format!("{model}--xYzz--"), Malformed::Line),
            (field("model", "m\n--xYz\r\n") + "--xYz--", Malformed::Line),
            (model.replace("\r\n\r\n", "\n\n") + "--xYz--", Malformed::Headers),
            (model.replace("name=\"model\"", "name*=UTF-8''model") + "--xYz--", Malformed::Name),
            (model.replace("name=\"model\"", "name=x; name=model") + "--xYz--", Malformed::Name),
            (field("mo\\del", "m") + "--xYz--", Malformed::Name),
            (field("mod%65l", "m") + "--xYz--", Malformed::Name),
            (
                model.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n") + "--xYz--",
                Malformed::Headers,
            ),
            (
                model.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(9_000))) + "--xYz--",
                Malformed::Headers,
            ),
            (field("a", "").repeat(MAX_PARTS + 1) + "--xYz--", Malformed::TooMany),
            ("--xYz\r\n--xYz--".into(), Malformed::Headers),
        ] {
            assert_eq!(
                form(&body).unwrap_err(),
                why,
                "{}",
                body.get(..body.len().min(120)).unwrap_or_default()
            );
        }
        for wrong in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\"a b \"",
        ] {
            assert_eq!(Form::read(Bytes::new(), wrong).unwrap_err(), Malformed::Boundary, "{wrong}");
        }
    }

    #[test]
    fn headers_are_read_as_they_are_written() {
        for head in [
            "content-disposition:form-data;name=model",
            "Content-Disposition: form-data; name=model ;x=y",
            "Content-Type: text/plain\r\nCONTENT-DISPOSITION: Form-Data; NAME=\"model\"",
        ] {
            let body = format!("--xYz \t\r\n{head}\r\n\r\nm\r\n--xYz--");
            assert_eq!(form(&body).unwrap().text("model"), Some("m"), "{head}");
        }
    }

    proptest! {
        #[test]
        fn any_parts_are_found_and_only_the_model_changes(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6),
            at in 0_usize..6,
            model in "[a-z0-9/.-]{1,40}",
        ) {
            // Neither a boundary nor the beginning of one.
            prop_assume!(values.iter().all(|value| memmem::find(value, b"--xYz").is_none()));
            let mut body = Vec::new();
            let mut write = |name: &str, value: &[u8]| {
                body.extend_from_slice(field(name, "").strip_suffix("\r\n").unwrap().as_bytes());
                body.extend_from_slice(value);
                body.extend_from_slice(b"\r\n");
            };
            let at = at.min(values.len());
            for (i, value) in values.iter().enumerate() {
                if i == at {
                    write("model", b"alias");
                }
                write(&format!("part{i}"), value);
            }
            if at == values.len() {
                write("model", b"alias");
            }
            body.extend_from_slice(b"--xYz--\r\n");
            let form = Form::read(body.into(), TYPE).unwrap();
            prop_assert_eq!(form.names().count(), values.len() + 1);
            prop_assert_eq!(form.text("model"), Some("alias"));
            let sent = Form::read(form.with("model", &model).join(), TYPE).unwrap();
            prop_assert_eq!(sent.text("model"), Some(&*model));
            for (i, value) in values.iter().enumerate() {
                let of = |form: &Form| {
                    let part = form.parts.iter().find(|part| *part.name == *format!("part{i}")).unwrap();
                    form.bytes[part.value.clone()].to_vec()
                };
                prop_assert_eq!(&of(&sent), value);
                prop_assert_eq!(&of(&form), value);
            }
        }

        #[test]
        fn hostile_bytes_never_panic(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just(b"--xYz".to_vec()), Just(b"--".to_vec()), Just(b"\r\n".to_vec()), Just(b"\n".to_vec()),
                    Just(b"Content-Disposition: form-data; name=\"model\"".to_vec()), Just(b";".to_vec()),
                    Just(b"\"".to_vec()), prop::collection::vec(any::<u8>(), 0..8),
                ],
                0..40,
            ),
        ) {
            if let Ok(form) = Form::read(pieces.concat().into(), TYPE) {
                let _ = form.with("model", "m").join();
            }
        }
    }
}
