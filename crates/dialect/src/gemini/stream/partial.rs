//! Arguments of a call that come in pieces, each for a place in them: `$.city`, `$.days[0].name`.

use super::super::json::{Array, Object, Str, quote, show};
use super::super::wire::PartialArg;

/// More values in one call are refused.
const MOST: usize = 10_000;
/// A place that is deeper is refused.
const DEEPEST: usize = 32;

/// Arguments as far as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    root: Node,
    count: usize,
}

/// A piece has no place in the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Misplaced;

#[derive(Clone, Debug, Default)]
enum Node {
    #[default]
    Nothing,
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Text(String),
    Number(String),
    Flag(bool),
}

enum Step {
    Member(String),
    Item(usize),
}

// === impl Partial ===

impl Partial {
    /// Takes a piece in. Pieces of a text are joined.
    pub(super) fn add(&mut self, piece: &PartialArg<'_>) -> Result<(), Misplaced> {
        let path = piece.json_path.as_ref().map_or("$", |Str(path)| path);
        let steps = steps(path).ok_or(Misplaced)?;
        let mut node = &mut self.root;
        for step in steps {
            node = node.step(step, &mut self.count).ok_or(Misplaced)?;
        }
        if let Some(Str(text)) = &piece.string_value {
            match node {
                Node::Text(known) => known.push_str(text),
                _ => *node = Node::Text(text.clone().into_owned()),
            }
        } else if let Some(number) = piece.number_value {
            *node = Node::Number(number.get().to_owned());
        } else if let Some(flag) = piece.bool_value {
            *node = Node::Flag(flag);
        }
        Ok(())
    }

    /// The arguments as JSON, an object.
    pub(super) fn json(&self) -> String {
        let mut out = Vec::new();
        match &self.root {
            Node::Nothing => out.extend_from_slice(b"{}"),
            root => root.write(&mut out),
        }
        String::from_utf8(out).unwrap_or_default()
    }
}

// === impl Node ===

impl Node {
    fn step(&mut self, step: Step, count: &mut usize) -> Option<&mut Self> {
        match step {
            Step::Member(name) => {
                if matches!(self, Self::Nothing) {
                    *self = Self::Object(Vec::new());
                }
                let Self::Object(members) = self else { return None };
                let at = match members.iter().position(|(known, _)| *known == name) {
                    Some(at) => at,
                    None => {
                        *count += 1;
                        members.push((name, Self::Nothing));
                        members.len() - 1
                    }
                };
                members.get_mut(at).map(|(_, node)| node).filter(|_| *count <= MOST)
            }
            Step::Item(at) => {
                if matches!(self, Self::Nothing) {
                    *self = Self::Array(Vec::new());
                }
                let Self::Array(items) = self else { return None };
                if at >= MOST {
                    return None;
                }
                while items.len() <= at {
                    *count += 1;
                    items.push(Self::Nothing);
                }
                items.get_mut(at).filter(|_| *count <= MOST)
            }
        }
    }

    /// The depth is that of a path.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.extend_from_slice(b"null"),
            Self::Object(members) => {
                let mut object = Object::new(out);
                for (name, node) in members {
                    node.write(object.any_key(name));
                }
                object.end();
            }
            Self::Array(items) => {
                let mut array = Array::new(out);
                for node in items {
                    node.write(array.item());
                }
                array.end();
            }
            Self::Text(text) => quote(out, text),
            Self::Number(number) => out.extend_from_slice(number.as_bytes()),
            Self::Flag(flag) => show(out, flag),
        }
    }
}

/// The steps of a JSON path (RFC 9535) that names one place.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == DEEPEST {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            if let Some(quote) = quote {
                let inner = inner.get(1..)?;
                let end = inner.find(quote)?;
                steps.push(Step::Member(inner.get(..end)?.to_owned()));
                rest = inner.get(end + 1..)?.strip_prefix(']')?;
            } else {
                let (number, after) = inner.split_once(']')?;
                steps.push(Step::Item(number.parse().ok()?));
                rest = after;
            }
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Member(name.get(..end)?.to_owned()));
            rest = name.get(end..)?;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(pieces: &[&str]) -> Result<String, Misplaced> {
        let mut partial = Partial::default();
        for piece in pieces {
            partial.add(&serde_json::from_str(piece).unwrap())?;
        }
        Ok(partial.json())
    }

    #[test]
    fn pieces_find_their_places() {
        let json = assembled(&[
            r#"{"jsonPath":"$.city","stringValue":"Bos"}"#,
            r#"{"jsonPath":"$.city","stringValue":"ton \""}"#,
            r#"{"jsonPath":"$.days[1].n","numberValue":1.50}"#,
            r#"{"jsonPath":"$['a.b']","boolValue":true}"#,
            r#"{"jsonPath":"$.none","nullValue":"NULL_VALUE"}"#,
        ]);
        let wanted = r#"{"city":"Boston \"","days":[null,{"n":1.50}],"a.b":true,"none":null}"#;
        assert_eq!(json.as_deref(), Ok(wanted));
        assert_eq!(assembled(&[]).as_deref(), Ok("{}"));
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for path in ["$.a[99999999999]", "$..", "$[", "$['a", "$.a[20000]"] {
            assert_eq!(
                assembled(&[&format!(r#"{{"jsonPath":"{path}","stringValue":"x"}}"#)]),
                Err(Misplaced)
            );
        }
        let deep = format!(r#"{{"jsonPath":"${}","boolValue":true}}"#, ".a".repeat(100));
        assert_eq!(assembled(&[&deep]), Err(Misplaced));
        let through_text =
            [r#"{"jsonPath":"$.a","stringValue":"x"}"#, r#"{"jsonPath":"$.a.b","stringValue":"x"}"#];
        assert_eq!(assembled(&through_text), Err(Misplaced));
    }
}
