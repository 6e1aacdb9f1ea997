//! Conditions of rules and policies: expressions in CEL over what is known of a request.
//!
//! An expression is parsed and its types are checked once, when a config is read. The common forms (comparisons, `in`, `!`,
//! `&&`, `||`) become a small tree of our own that reads the request in place; whatever else CEL can say is evaluated by the
//! `cel` crate, with only the variables that the expression mentions.

mod cel;
mod check;
mod simple;
mod vocabulary;

use std::fmt;
use std::sync::Arc;

use ::cel::common::ast::{IdedExpr, SourceInfo};
use ::cel::parser::Parser;
use lockgate_core::decision::Incident;

use crate::ask::Ask;
use crate::condition::simple::Simple;

pub use crate::condition::vocabulary::variables;

/// Decides whether a rule holds for a request.
pub trait Condition: Send + Sync + fmt::Debug {
    /// Whether it holds.
    ///
    /// # Errors
    /// Where it cannot be evaluated, and why. The request then falls to the rule's declared branch.
    fn evaluate(&self, ask: &Ask<'_>) -> Result<bool, Incident>;
}

/// A condition written in CEL, compiled.
#[derive(Debug)]
pub struct Expression {
    at: Arc<str>,
    code: Simple,
}

/// Something that is wrong with the text of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the text, in characters from 0.
    pub at: usize,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The longest text of a condition, in bytes.
const LONGEST: usize = 8 * 1024;
/// How deep an expression may nest; each level costs stack when it is evaluated.
const DEEPEST: u16 = 32;

// === impl Expression ===

impl Expression {
    /// Compiles a condition. `at` names it in incidents.
    ///
    /// # Errors
    /// Everything that is wrong with it: what is no CEL, unknown variables and functions, values of kinds that cannot be
    /// compared, and a result that is neither true nor false.
    pub fn compile(at: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let (expression, source) = parse(text)?;
        let mut checker = check::Checker::new(&source);
        checker.condition(&expression);
        let faults = checker.finish();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { at: at.into(), code: Simple::of(&expression) })
    }

    /// The same evaluated by the `cel` crate alone.
    #[cfg(test)]
    fn by_cel(at: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let (expression, _) = parse(text)?;
        Ok(Self { at: at.into(), code: Simple::Cel(cel::Program::of(&expression)) })
    }

    /// Whether all of it is of the common forms.
    pub fn is_simple(&self) -> bool {
        self.code.is_simple()
    }
}

impl Condition for Expression {
    fn evaluate(&self, ask: &Ask<'_>) -> Result<bool, Incident> {
        self.code.evaluate(ask).map_err(|why| Incident { at: Arc::clone(&self.at), why: why.into() })
    }
}

/// Everything that is wrong with the text of a condition.
pub fn faults(text: &str) -> Vec<Fault> {
    Expression::compile("", text).err().unwrap_or_default()
}

fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), Vec<Fault>> {
    let fault = |message: String| vec![Fault { at: 0, message, hint: None }];
    if text.len() > LONGEST {
        return Err(fault(format!("a condition has at most {LONGEST} bytes")));
    }
    // The parser recurses before its own limit counts.
    if nesting(text) > usize::from(DEEPEST) * 2 {
        return Err(fault(format!("more than {} brackets stand inside each other", DEEPEST * 2)));
    }
    Parser::new().max_recursion_depth(DEEPEST).parse_with_source_info(text).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        let Some(error) = first else { return fault("this is not CEL".to_owned()) };
        let message = error.msg.lines().next().unwrap_or_default().replace(char::is_control, " ");
        let line = usize::try_from(error.pos.0).unwrap_or(1).max(1);
        let column = usize::try_from(error.pos.1).unwrap_or(0).saturating_sub(1);
        let before: usize = text.split_inclusive('\n').take(line - 1).map(|line| line.chars().count()).sum();
        let hint = text.contains('\'').then_some("inside single quotes in YAML a quote is written twice");
        vec![Fault {
            at: (before + column).min(text.chars().count()),
            message: format!("this is not CEL: {}", message.trim()),
            hint: hint.map(str::to_owned),
        }]
    })
}

/// How many brackets stand inside each other at most, those in texts included.
fn nesting(text: &str) -> usize {
    let mut open = 0_usize;
    let mut most = 0;
    let mut signs = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        // Rows of signs nest as well: !!!x.
        signs = if matches!(byte, b'!' | b'-') { signs + 1 } else { 0 };
        most = most.max(open + signs);
    }
    most
}

#[cfg(test)]
mod tests;
