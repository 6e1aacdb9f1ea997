//! What is known while a tree is read: where the reader stands, what it has to complain of, and the questions that
//! every setting asks of a node.

use std::collections::HashSet;

use crate::Known;
use crate::diagnostic::{Complaint, Findings, Position, Severity, did_you_mean, one_of, quoted};
use crate::document::{Entry, Node, Scalar, Value, join};
use crate::route::{Route, circles};
use crate::setting::{Bounds, Place};

/// The state of a reading.
pub(crate) struct Context<'a> {
    pub(crate) known: &'a Known<'a>,
    /// The bounds of the field that is being read, for a number that does not even fit its type.
    pub(crate) bounds: Option<Bounds>,
    findings: &'a mut Findings,
    path: Vec<Place>,
    mentions: Vec<Mention>,
    routes: Vec<RouteMention>,
}

/// A route named by a branch of another.
pub(crate) struct RouteMention {
    /// The route that names it.
    pub(crate) from: String,
    /// The route that is named.
    pub(crate) to: String,
    shown: String,
    path: String,
    at: Position,
}

/// A provider named by a target; it can be looked up only when the whole file is read.
struct Mention {
    provider: String,
    /// How a message may call it.
    shown: String,
    path: String,
    at: Position,
}

impl<'a> Context<'a> {
    pub(crate) fn new(known: &'a Known<'a>, findings: &'a mut Findings) -> Self {
        Self { known, bounds: None, findings, path: Vec::new(), mentions: Vec::new(), routes: Vec::new() }
    }

    // === Where ===

    /// Reads with the path one step longer.
    pub(crate) fn inside<T>(&mut self, place: Place, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(place);
        let value = read(self);
        self.path.pop();
        value
    }

    /// The name of the section that is being read: the key it stands under.
    pub(crate) fn name(&self) -> String {
        match self.path.last() {
            Some(Place::Key(key)) => key.clone(),
            _ => String::new(),
        }
    }

    fn path(&self) -> String {
        self.path.iter().fold(String::new(), |path, place| match place {
            Place::Key(key) => join(&path, key),
            Place::Index(index) => format!("{path}[{index}]"),
        })
    }

    // === What is wrong ===

    /// Reports an error of the setting that is being read.
    pub(crate) fn error(&mut self, at: Position, complaint: Complaint) {
        self.report(Severity::Error, at, complaint);
    }

    /// Reports something that works but is probably not wanted.
    pub(crate) fn warn(&mut self, at: Position, complaint: Complaint) {
        self.report(Severity::Warning, at, complaint);
    }

    fn report(&mut self, severity: Severity, at: Position, complaint: Complaint) {
        let path = self.path();
        let subject = if path.is_empty() { "the file" } else { &path };
        let message = format!("{subject}: {}", complaint.message);
        self.findings.add(severity, &path, at, Complaint { message, ..complaint });
    }

    /// Reports a value of the wrong kind. The value itself is not shown: it may be a key in the wrong place.
    pub(crate) fn mismatch(&mut self, node: &Node, expected: &str) {
        match node.value {
            Value::Broken => {}
            Value::Null => self.error(
                node.at,
                Complaint::new(format!("has no value, expected {expected}"))
                    .hint("leave the whole line out for the default"),
            ),
            _ => self
                .error(node.at, Complaint::new(format!("expected {expected}, found {}", node.value.kind()))),
        }
    }

    /// Reports a field that must be there.
    pub(crate) fn missing(&mut self, at: Position, field: &str) {
        let complaint = Complaint::new(format!("{} is missing", quoted(field)));
        self.report(Severity::Error, at, complaint);
    }

    /// Reports a field that does not exist.
    pub(crate) fn unknown_field(&mut self, entry: &Entry, known: &[&str]) {
        let section = self.path();
        let path = join(&section, &entry.key);
        let mut message = format!("unknown field {}", quoted(&entry.key));
        if !section.is_empty() {
            message = format!("{message} in {section}");
        }
        let hint = if self.findings.is_full() {
            None
        } else if entry.key == "<<" {
            Some("merge keys are not supported; write the fields out".to_owned())
        } else {
            let known = known.iter().copied();
            did_you_mean(&entry.key, known.clone())
                .or_else(|| Some(format!("the fields here are {}", known.collect::<Vec<_>>().join(", "))))
        };
        self.findings.error(&path, entry.at, Complaint { message, hint });
    }

    // === What stands there ===

    /// The text of a node, or a report that something else was expected.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n Scalar> {
        match &node.value {
            Value::Text(scalar) if scalar.text.is_empty() => {
                let mut complaint = Complaint::new(format!("is empty, expected {expected}"));
                if scalar.from_environment {
                    complaint =
                        complaint.hint(format!("{} is set, but to nothing", scalar.variables.join(", ")));
                }
                self.error(node.at, complaint);
                None
            }
            Value::Text(scalar) => Some(scalar),
            _ => {
                self.mismatch(node, expected);
                None
            }
        }
    }

    /// A value made of text. A fault is reported as `"TEXT" FAULT`; the text comes from the file, so this is not for
    /// secrets.
    pub(crate) fn parse<T>(
        &mut self,
        node: &Node,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let scalar = self.text(node, expected)?;
        match parse(&scalar.text) {
            Ok(value) => Some(value),
            Err(complaint) => {
                let message = format!("{} {}", scalar.shown(), complaint.message);
                self.error(node.at, Complaint { message, ..complaint });
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choose<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<T> {
        let words = choices.iter().map(|(word, _)| *word);
        let expected = one_of(words.clone());
        self.parse(node, &expected, |text| {
            let chosen = choices.iter().find(|(word, _)| *word == text);
            chosen.map(|(_, choice)| *choice).ok_or_else(|| {
                let complaint = Complaint::new(format!("is not {expected}"));
                Complaint { hint: did_you_mean(text, words.clone()), ..complaint }
            })
        })
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            _ => {
                self.mismatch(node, "a list");
                None
            }
        }
    }

    /// The lines of a mapping whose keys are free. A mapping without lines may be written as nothing.
    pub(crate) fn named<'n>(&mut self, node: &'n Node) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => {
                self.mismatch(node, "a mapping");
                None
            }
        }
    }

    // === Providers that are named before they are known ===

    /// Notes that the setting being read names a provider.
    pub(crate) fn mention(&mut self, provider: &str, node: &Node) {
        let shown = match &node.value {
            Value::Text(scalar) if scalar.from_environment => format!("as in {}", scalar.shown()),
            _ => quoted(provider),
        };
        self.mentions.push(Mention { provider: provider.to_owned(), shown, path: self.path(), at: node.at });
    }

    /// Complains of every provider that was named but does not exist.
    pub(crate) fn check_mentions(&mut self, declared: &HashSet<&str>, discover: bool) {
        for Mention { provider, shown, path, at } in std::mem::take(&mut self.mentions) {
            let built_in = self.known.providers.contains(&provider.as_str());
            if declared.contains(provider.as_str()) || (built_in && discover) || self.findings.is_full() {
                continue;
            }
            let hint = if built_in {
                Some(format!("declare it (\"providers: {{ {provider}: {{}} }}\") or set \"discover: true\""))
            } else {
                let mut names: Vec<&str> = declared.iter().copied().collect();
                names.sort_unstable();
                did_you_mean(&provider, names.iter().copied()).or_else(|| {
                    (1..=12).contains(&names.len()).then(|| format!("the providers are {}", names.join(", ")))
                })
            };
            let message = format!("{path}: there is no provider {shown}");
            self.findings.error(&path, at, Complaint { message, hint });
        }
    }

    // === Routes that are named before they are known ===

    /// Notes that the route being read uses another.
    pub(crate) fn mention_route(&mut self, to: &str, node: &Node) {
        let from = match self.path.get(1) {
            Some(Place::Key(name)) => name.clone(),
            _ => String::new(),
        };
        let shown = match &node.value {
            Value::Text(scalar) if scalar.from_environment => format!("as in {}", scalar.shown()),
            _ => quoted(to),
        };
        self.routes.push(RouteMention { from, to: to.to_owned(), shown, path: self.path(), at: node.at });
    }

    /// Complains of every route that was named but does not exist, and of routes that use each other in a circle.
    pub(crate) fn check_routes(&mut self, routes: &[Route]) {
        let mentions = std::mem::take(&mut self.routes);
        let names: HashSet<&str> = routes.iter().map(|route| route.name.as_str()).collect();
        for RouteMention { to, shown, path, at, .. } in &mentions {
            if names.contains(to.as_str()) || self.findings.is_full() {
                continue;
            }
            let mut known: Vec<&str> = names.iter().copied().collect();
            known.sort_unstable();
            let hint = did_you_mean(to, known.iter().copied());
            self.findings.error(
                path,
                *at,
                Complaint { message: format!("{path}: there is no route {shown}"), hint },
            );
        }
        for RouteMention { from, shown, path, at, .. } in circles(routes, &mentions) {
            let message = format!("{path}: route {} would use itself by way of {shown}", quoted(from));
            self.findings.error(path, *at, Complaint { message, hint: None });
        }
    }
}
