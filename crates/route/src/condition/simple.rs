//! The common forms of conditions as a small tree that reads a request in place and allocates nothing.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use super::cel::Program;
use super::vocabulary::{Field, Type, Val, find};
use crate::ask::Ask;

/// A condition.
#[derive(Debug)]
pub(crate) enum Simple {
    Always(bool),
    /// A variable that is true or false.
    Flag(Field),
    Not(Box<Self>),
    /// All of them hold. As in CEL, what is false decides even beside what cannot be evaluated.
    All(Vec<Self>),
    /// One of them holds. As in CEL, what is true decides even beside what cannot be evaluated.
    One(Vec<Self>),
    Int(Field, Order, i64),
    Float(Field, Order, f64),
    /// Whether a text is this, or (false) is not.
    Is(Field, bool, Box<str>),
    /// Whether a text is one of these.
    Among(Field, Vec<Box<str>>),
    /// Whether a number is one of these.
    Numbers(Field, Vec<i64>),
    /// Whether this is one of the tags.
    Tagged(Box<str>),
    Affix(Field, Affix, Box<str>),
    /// Whether the key's metadata has this.
    HasMetadata(Box<str>),
    /// Whether the key's metadata of a name is this, or (false) is not.
    Metadata(Box<str>, bool, Box<str>),
    /// Anything else.
    Cel(Program),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    GreaterEqual,
    Greater,
}

/// What a text has at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affix {
    Start,
    End,
    Inside,
}

/// Something simple on one side of an operator.
enum Side<'e> {
    Field(Field),
    Metadata(&'e str),
    Text(&'e str),
    Int(i64),
    Float(f64),
    Bool(bool),
}

// === impl Order ===

impl Order {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::LessEqual,
            operators::EQUALS => Self::Equal,
            operators::NOT_EQUALS => Self::NotEqual,
            operators::GREATER_EQUALS => Self::GreaterEqual,
            operators::GREATER => Self::Greater,
            _ => return None,
        })
    }

    /// The same with its sides changed.
    const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::GreaterEqual => Self::LessEqual,
            Self::Greater => Self::Less,
            same => same,
        }
    }

    fn holds<T: PartialOrd + ?Sized>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessEqual => a <= b,
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::GreaterEqual => a >= b,
            Self::Greater => a > b,
        }
    }
}

// === impl Simple ===

impl Simple {
    /// The tree of an expression that was checked.
    pub(crate) fn of(expression: &IdedExpr) -> Self {
        Self::common(expression).unwrap_or_else(|| Self::Cel(Program::of(expression)))
    }

    pub(crate) fn is_simple(&self) -> bool {
        match self {
            Self::Cel(_) => false,
            Self::Not(inner) => inner.is_simple(),
            Self::All(parts) | Self::One(parts) => parts.iter().all(Self::is_simple),
            _ => true,
        }
    }

    fn common(expression: &IdedExpr) -> Option<Self> {
        match &expression.expr {
            Expr::Call(call) => Self::call(call),
            Expr::Select(SelectExpr { operand, field, test: true }) => (variable(operand)
                == Some(Field::KeyMetadata))
            .then(|| Self::HasMetadata(field.as_str().into())),
            _ => match side(expression)? {
                Side::Bool(value) => Some(Self::Always(value)),
                Side::Field(field) if field.kind() == Type::Bool => Some(Self::Flag(field)),
                _ => None,
            },
        }
    }

    fn call(call: &CallExpr) -> Option<Self> {
        if let Some(target) = &call.target {
            return Self::method(call, target);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [inner]) => Some(Self::Not(Box::new(Self::of(inner)))),
            (operators::LOGICAL_AND, [a, b]) => {
                let mut parts = Vec::new();
                for side in [Self::of(a), Self::of(b)] {
                    match side {
                        Self::All(inner) => parts.extend(inner),
                        other => parts.push(other),
                    }
                }
                Some(Self::All(parts))
            }
            (operators::LOGICAL_OR, [a, b]) => {
                let mut parts = Vec::new();
                for side in [Self::of(a), Self::of(b)] {
                    match side {
                        Self::One(inner) => parts.extend(inner),
                        other => parts.push(other),
                    }
                }
                Some(Self::One(parts))
            }
            (operators::IN, [needle, hay]) => Self::member(needle, hay),
            (operator, [a, b]) => Self::compared(Order::of(operator)?, side(a)?, side(b)?),
            _ => None,
        }
    }

    fn compared(order: Order, a: Side<'_>, b: Side<'_>) -> Option<Self> {
        let is = match order {
            Order::Equal => Some(true),
            Order::NotEqual => Some(false),
            _ => None,
        };
        match (a, b) {
            (Side::Field(field), Side::Int(number)) if field.kind() == Type::Int => {
                Some(Self::Int(field, order, number))
            }
            (Side::Field(field), Side::Float(number)) if field.kind() == Type::Float => {
                Some(Self::Float(field, order, number))
            }
            (Side::Field(field), Side::Text(text)) if field.kind() == Type::Text => {
                is.map(|is| Self::Is(field, is, text.into()))
            }
            (Side::Field(field), Side::Bool(value)) if field.kind() == Type::Bool => is.map(|is| {
                let flag = Self::Flag(field);
                if is == value { flag } else { Self::Not(Box::new(flag)) }
            }),
            (Side::Metadata(name), Side::Text(text)) => {
                is.map(|is| Self::Metadata(name.into(), is, text.into()))
            }
            (Side::Field(_) | Side::Metadata(_), _) => None,
            (literal, other @ (Side::Field(_) | Side::Metadata(_))) => {
                Self::compared(order.turned(), other, literal)
            }
            _ => None,
        }
    }

    fn member(needle: &IdedExpr, hay: &IdedExpr) -> Option<Self> {
        match (side(needle)?, &hay.expr) {
            (Side::Text(text), _) if variable(hay) == Some(Field::Tags) => Some(Self::Tagged(text.into())),
            (Side::Text(text), _) if variable(hay) == Some(Field::KeyMetadata) => {
                Some(Self::HasMetadata(text.into()))
            }
            (Side::Field(field), Expr::List(list)) if list.optional_indices.is_empty() => {
                match field.kind() {
                    Type::Text => {
                        let texts = list.elements.iter().map(|element| match side(element) {
                            Some(Side::Text(text)) => Some(text.into()),
                            _ => None,
                        });
                        Some(Self::Among(field, texts.collect::<Option<_>>()?))
                    }
                    Type::Int => {
                        let numbers = list.elements.iter().map(|element| match side(element) {
                            Some(Side::Int(number)) => Some(number),
                            _ => None,
                        });
                        Some(Self::Numbers(field, numbers.collect::<Option<_>>()?))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn method(call: &CallExpr, target: &IdedExpr) -> Option<Self> {
        let affix = match call.func_name.as_str() {
            "startsWith" => Affix::Start,
            "endsWith" => Affix::End,
            "contains" => Affix::Inside,
            _ => return None,
        };
        match (side(target)?, call.args.as_slice()) {
            (Side::Field(field), [argument]) if field.kind() == Type::Text => match side(argument)? {
                Side::Text(text) => Some(Self::Affix(field, affix, text.into())),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it holds; else why that cannot be said.
    pub(crate) fn evaluate(&self, ask: &Ask<'_>) -> Result<bool, String> {
        Ok(match self {
            Self::Always(value) => *value,
            Self::Flag(field) => matches!(field.value(ask), Val::Bool(true)),
            Self::Not(inner) => !inner.evaluate(ask)?,
            Self::All(parts) => return decide(parts, ask, false),
            Self::One(parts) => return decide(parts, ask, true),
            Self::Int(field, order, other) => {
                matches!(field.value(ask), Val::Int(value) if order.holds(&value, other))
            }
            Self::Float(field, order, other) => {
                matches!(field.value(ask), Val::Float(value) if order.holds(&value, other))
            }
            Self::Is(field, is, text) => {
                matches!(field.value(ask), Val::Text(value) if (*value == **text) == *is)
            }
            Self::Among(field, texts) => {
                matches!(field.value(ask), Val::Text(value) if texts.iter().any(|text| **text == *value))
            }
            Self::Numbers(field, numbers) => {
                matches!(field.value(ask), Val::Int(value) if numbers.contains(&value))
            }
            Self::Tagged(text) => ask.attribution.tags.iter().any(|tag| **tag == **text),
            Self::Affix(field, affix, text) => {
                let Val::Text(value) = field.value(ask) else { return Ok(false) };
                match affix {
                    Affix::Start => value.starts_with(&**text),
                    Affix::End => value.ends_with(&**text),
                    Affix::Inside => value.contains(&**text),
                }
            }
            Self::HasMetadata(name) => ask.key.metadata.contains_key(&**name),
            Self::Metadata(name, is, text) => match ask.key.metadata.get(&**name) {
                Some(value) => (**value == **text) == *is,
                None => return Err(format!("No such key: {name}")),
            },
            Self::Cel(program) => return program.evaluate(ask),
        })
    }
}

/// The first part that decides; without one, the first that could not be evaluated.
fn decide(parts: &[Simple], ask: &Ask<'_>, decisive: bool) -> Result<bool, String> {
    let mut fault = None;
    for part in parts {
        match part.evaluate(ask) {
            Ok(value) if value == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(why) => fault = fault.or(Some(why)),
        }
    }
    fault.map_or(Ok(!decisive), Err)
}

/// The variable that an expression is.
fn variable(expression: &IdedExpr) -> Option<Field> {
    match &expression.expr {
        Expr::Ident(name) => find(name, ""),
        Expr::Select(SelectExpr { operand, field, test: false }) => match &operand.expr {
            Expr::Ident(group) => find(group, field),
            _ => None,
        },
        _ => None,
    }
}

fn side(expression: &IdedExpr) -> Option<Side<'_>> {
    if let Some(field) = variable(expression) {
        return Some(Side::Field(field));
    }
    Some(match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Side::Text(text.inner()),
        Expr::Literal(LiteralValue::Int(number)) => Side::Int(*number.inner()),
        Expr::Literal(LiteralValue::Double(number)) => Side::Float(*number.inner()),
        Expr::Literal(LiteralValue::Boolean(value)) => Side::Bool(*value.inner()),
        Expr::Select(SelectExpr { operand, field, test: false })
            if variable(operand) == Some(Field::KeyMetadata) =>
        {
            Side::Metadata(field)
        }
        Expr::Call(call) if call.target.is_none() && call.func_name == operators::INDEX => {
            match call.args.as_slice() {
                [map, name] if variable(map) == Some(Field::KeyMetadata) => match &name.expr {
                    Expr::Literal(LiteralValue::String(name)) => Side::Metadata(name.inner()),
                    _ => return None,
                },
                _ => return None,
            }
        }
        _ => return None,
    })
}
