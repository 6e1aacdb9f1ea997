//! The types of an expression: what can be seen to be wrong before it is ever evaluated.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators,
};

use super::Fault;
use super::vocabulary::{Type, entries, find};

/// Walks over an expression and keeps what is wrong.
pub(crate) struct Checker<'s> {
    source: &'s SourceInfo,
    /// Variables of comprehensions, the innermost last.
    scope: Vec<(String, Type)>,
    faults: Vec<Fault>,
}

/// The functions that there are, for a hint.
const FUNCTIONS: [&str; 12] = [
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "has",
    "exists",
    "all",
    "filter",
    "map",
    "int",
    "double",
    "string",
];

impl<'s> Checker<'s> {
    pub(crate) fn new(source: &'s SourceInfo) -> Self {
        Self { source, scope: Vec::new(), faults: Vec::new() }
    }

    pub(crate) fn finish(self) -> Vec<Fault> {
        self.faults
    }

    /// Checks a whole condition.
    pub(crate) fn condition(&mut self, expression: &IdedExpr) {
        let kind = self.kind(expression);
        if !kind.fits(&Type::Bool) {
            let message = format!("a condition is true or false, and this is {}", kind.word());
            self.fault(expression, message, Some("compare it with something: region == \"eu\"".to_owned()));
        }
    }

    fn fault(&mut self, at: &IdedExpr, message: String, hint: Option<String>) -> Type {
        let bytes = self.start(at).unwrap_or(0);
        let at = self.source.source.char_indices().take_while(|(index, _)| *index < bytes).count();
        self.faults.push(Fault { at, message, hint });
        Type::Any
    }

    /// Where an expression begins. Operators are known by their sign, so the leftmost part counts.
    fn start(&self, at: &IdedExpr) -> Option<usize> {
        let own = self.source.offset_for(at.id).and_then(|(start, _)| usize::try_from(start).ok());
        let first = match &at.expr {
            Expr::Call(call) => call.target.as_deref().or(call.args.first()),
            Expr::Select(select) if !select.test => Some(&*select.operand),
            _ => None,
        };
        let inner = first.and_then(|first| self.start(first));
        match (own, inner) {
            (Some(own), Some(inner)) => Some(own.min(inner)),
            (own, inner) => own.or(inner),
        }
    }

    fn kind(&mut self, at: &IdedExpr) -> Type {
        match &at.expr {
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Ident(name) => self.name(at, name),
            Expr::Select(select) => self.select(at, select),
            Expr::Call(call) => self.call(at, call),
            Expr::List(list) => {
                let kinds: Vec<Type> = list.elements.iter().map(|element| self.kind(element)).collect();
                let first = kinds.first().cloned().unwrap_or(Type::Any);
                if let Some(place) = kinds.iter().position(|kind| !kind.fits(&first)) {
                    let message = format!(
                        "a list holds things of one kind, and this is {} beside {}",
                        kinds[place].word(),
                        first.word()
                    );
                    return self.fault(&list.elements[place], message, None);
                }
                Type::List(Box::new(first))
            }
            Expr::Comprehension(over) => self.comprehension(over),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.fault(at, "conditions have no use for mappings of their own".to_owned(), None)
            }
        }
    }

    fn literal(&mut self, at: &IdedExpr, literal: &LiteralValue) -> Type {
        match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Double(_) => Type::Float,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::UInt(_) => self.fault(
                at,
                "no variable is an unsigned number".to_owned(),
                Some("leave out the \"u\"".to_owned()),
            ),
            LiteralValue::Bytes(_) => {
                self.fault(at, "no variable holds bytes".to_owned(), Some("leave out the \"b\"".to_owned()))
            }
            LiteralValue::Null => {
                let hint = "what is not known is an empty text or 0: compare with \"\"";
                self.fault(at, "nothing here is null".to_owned(), Some(hint.to_owned()))
            }
        }
    }

    fn name(&mut self, at: &IdedExpr, name: &str) -> Type {
        if let Some((_, kind)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return kind.clone();
        }
        if let Some(field) = find(name, "") {
            return field.kind();
        }
        let all = entries();
        let fields: Vec<&str> =
            all.iter().filter(|entry| entry.group == name).map(|entry| entry.name).collect();
        if !fields.is_empty() {
            let list: Vec<String> = fields.iter().map(|field| format!("{name}.{field}")).collect();
            return self.fault(
                at,
                format!("{name} is no value by itself"),
                Some(format!("there are {}", list.join(", "))),
            );
        }
        let mut roots: Vec<&str> = all.iter().map(|entry| entry.group).collect();
        roots.dedup();
        let hint = alike(name, &roots).unwrap_or_else(|| format!("there are {}", roots.join(", ")));
        self.fault(at, format!("there is no variable {name}"), Some(hint))
    }

    fn select(&mut self, at: &IdedExpr, select: &SelectExpr) -> Type {
        let SelectExpr { operand, field, test } = select;
        if let Expr::Ident(group) = &operand.expr
            && !self.scope.iter().any(|(known, _)| known == group)
        {
            let all = entries();
            let fields: Vec<&str> =
                all.iter().filter(|entry| entry.group == group).map(|entry| entry.name).collect();
            if fields.iter().any(|name| !name.is_empty()) {
                return match find(group, field) {
                    Some(_) if *test => {
                        let hint = format!("compare it instead: {group}.{field} != \"\"");
                        self.fault(operand, format!("{group}.{field} is always there"), Some(hint))
                    }
                    Some(found) => found.kind(),
                    None => {
                        let hint = alike(field, &fields).unwrap_or_else(|| {
                            let list: Vec<String> =
                                fields.iter().map(|field| format!("{group}.{field}")).collect();
                            format!("there are {}", list.join(", "))
                        });
                        self.fault(at, format!("there is no variable {group}.{field}"), Some(hint))
                    }
                };
            }
        }
        match self.kind(operand) {
            Type::Texts if *test => Type::Bool,
            Type::Texts => Type::Text,
            Type::Any => Type::Any,
            other => self.fault(operand, format!("{} has no fields such as \"{field}\"", other.word()), None),
        }
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Type {
        if let Some(target) = &call.target {
            return self.method(at, call, target);
        }
        let name = call.func_name.as_str();
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, parts) => {
                for part in parts {
                    self.want(part, &Type::Bool);
                }
                Type::Bool
            }
            (operators::NOT_STRICTLY_FALSE, [inner]) => self.kind(inner),
            (operators::EQUALS | operators::NOT_EQUALS, [a, b]) => {
                let (left, right) = (self.kind(a), self.kind(b));
                if !left.fits(&right) {
                    return self.unlike(b, &left, &right);
                }
                Type::Bool
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [a, b],
            ) => {
                let (left, right) = (self.kind(a), self.kind(b));
                let ordered = |kind: &Type| kind.is_number() || *kind == Type::Text;
                if !ordered(&left) || !ordered(&right) {
                    let (side, kind) = if ordered(&left) { (b, right) } else { (a, left) };
                    return self.fault(
                        side,
                        format!("{} is neither more nor less than anything", kind.word()),
                        None,
                    );
                }
                if !left.fits(&right) {
                    return self.unlike(b, &left, &right);
                }
                Type::Bool
            }
            (operators::IN, [needle, hay]) => {
                let (needle_kind, hay_kind) = (self.kind(needle), self.kind(hay));
                match hay_kind {
                    Type::List(of) if !of.fits(&needle_kind) => self.unlike(needle, &of, &needle_kind),
                    Type::Texts => {
                        self.want(needle, &Type::Text);
                        Type::Bool
                    }
                    Type::List(_) | Type::Any => Type::Bool,
                    other => {
                        let hint =
                            (other == Type::Text).then(|| "parts of a text: x.contains(\"part\")".to_owned());
                        self.fault(
                            hay,
                            format!("{} holds nothing that something can be in", other.word()),
                            hint,
                        )
                    }
                }
            }
            (operators::ADD, [a, b]) => {
                let (left, right) = (self.kind(a), self.kind(b));
                match (&left, &right) {
                    (Type::Text, Type::Text) | (Type::List(_), Type::List(_)) => left,
                    (Type::Any, _) | (_, Type::Any) => Type::Any,
                    _ => self.arithmetic(a, b, &left, &right),
                }
            }
            (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [a, b]) => {
                let (left, right) = (self.kind(a), self.kind(b));
                self.arithmetic(a, b, &left, &right)
            }
            (operators::NEGATE, [inner]) => {
                let kind = self.kind(inner);
                if kind.is_number() {
                    kind
                } else {
                    self.fault(inner, format!("{} has no sign", kind.word()), None)
                }
            }
            (operators::CONDITIONAL, [condition, then, other]) => {
                self.want(condition, &Type::Bool);
                let (then_kind, other_kind) = (self.kind(then), self.kind(other));
                if then_kind.fits(&other_kind) {
                    then_kind
                } else {
                    self.unlike(other, &then_kind, &other_kind)
                }
            }
            (operators::INDEX, [list, index]) => match self.kind(list) {
                Type::List(of) => {
                    self.want(index, &Type::Int);
                    *of
                }
                Type::Texts => {
                    self.want(index, &Type::Text);
                    Type::Text
                }
                Type::Any => Type::Any,
                other => self.fault(list, format!("{} has no items", other.word()), None),
            },
            ("size", [inner]) => self.size(inner),
            ("int" | "double" | "string", [inner]) => {
                let kind = self.kind(inner);
                if !matches!(kind, Type::Int | Type::Float | Type::Text | Type::Any) {
                    return self.fault(inner, format!("{} cannot be made one", kind.word()), None);
                }
                match name {
                    "int" => Type::Int,
                    "double" => Type::Float,
                    _ => Type::Text,
                }
            }
            (_, parts) => {
                parts.iter().for_each(|part| _ = self.kind(part));
                self.unknown(at, name)
            }
        }
    }

    fn method(&mut self, at: &IdedExpr, call: &CallExpr, target: &IdedExpr) -> Type {
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("startsWith" | "endsWith" | "contains", [argument]) => {
                let kind = self.kind(target);
                if let Type::List(_) = kind {
                    let hint = "write it the other way round: \"pii\" in tags".to_owned();
                    return self.fault(target, "this is a list, not a text".to_owned(), Some(hint));
                }
                if !kind.fits(&Type::Text) {
                    return self.fault(target, format!("this is {}, not a text", kind.word()), None);
                }
                self.want(argument, &Type::Text);
                Type::Bool
            }
            ("size", []) => self.size(target),
            ("matches", _) => {
                let hint = "use startsWith, endsWith or contains";
                self.fault(at, "conditions have no regular expressions".to_owned(), Some(hint.to_owned()))
            }
            (name, _) => self.unknown(at, name),
        }
    }

    fn size(&mut self, of: &IdedExpr) -> Type {
        match self.kind(of) {
            Type::Text | Type::List(_) | Type::Texts | Type::Any => Type::Int,
            other => self.fault(of, format!("{} has no size", other.word()), None),
        }
    }

    fn arithmetic(&mut self, a: &IdedExpr, b: &IdedExpr, left: &Type, right: &Type) -> Type {
        for (side, kind) in [(a, left), (b, right)] {
            if !kind.is_number() {
                return self.fault(side, format!("one cannot reckon with {}", kind.word()), None);
            }
        }
        match (left, right) {
            (Type::Int, Type::Float) | (Type::Float, Type::Int) => {
                let hint = "write 2.0 instead of 2, or double(x)";
                self.fault(
                    b,
                    "a whole number and a number with a point do not mix".to_owned(),
                    Some(hint.to_owned()),
                )
            }
            (Type::Any, other) | (other, _) => other.clone(),
        }
    }

    fn comprehension(&mut self, over: &ComprehensionExpr) -> Type {
        let item = match self.kind(&over.iter_range) {
            Type::List(of) => *of,
            Type::Texts => Type::Text,
            Type::Any => Type::Any,
            other => self.fault(&over.iter_range, format!("{} is no list", other.word()), None),
        };
        let accumulated = self.kind(&over.accu_init);
        let before = self.scope.len();
        self.scope.push((over.iter_var.clone(), item));
        if let Some(second) = &over.iter_var2 {
            self.scope.push((second.clone(), Type::Any));
        }
        self.scope.push((over.accu_var.clone(), accumulated));
        self.kind(&over.loop_cond);
        self.kind(&over.loop_step);
        let result = self.kind(&over.result);
        self.scope.truncate(before);
        result
    }

    /// Complains unless an expression is of a type.
    fn want(&mut self, at: &IdedExpr, wanted: &Type) {
        let kind = self.kind(at);
        if !kind.fits(wanted) {
            self.fault(at, format!("{} is wanted here, and this is {}", wanted.word(), kind.word()), None);
        }
    }

    fn unlike(&mut self, at: &IdedExpr, left: &Type, right: &Type) -> Type {
        let hint = match (left, right) {
            (Type::Int | Type::Float, Type::Text) => Some("leave out the quotes".to_owned()),
            (Type::Text, Type::Int | Type::Float | Type::Bool) => Some("put it in quotes".to_owned()),
            _ => None,
        };
        self.fault(at, format!("{} cannot be compared with {}", left.word(), right.word()), hint)
    }

    fn unknown(&mut self, at: &IdedExpr, name: &str) -> Type {
        let hint =
            alike(name, &FUNCTIONS).unwrap_or_else(|| format!("the functions are {}", FUNCTIONS.join(", ")));
        self.fault(at, format!("there is no function {name} of this kind"), Some(hint))
    }
}

/// `did you mean x?`, if one of the names looks like it.
fn alike(name: &str, names: &[&str]) -> Option<String> {
    const ALIKE: f64 = 0.7;
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(name, known);
    let best =
        names.iter().filter(|known| !known.is_empty()).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then(|| format!("did you mean {best}?"))
}
