//! Whatever the small tree cannot say, evaluated by the `cel` crate.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr};
use cel::{Context, Env, Value};

use super::vocabulary::{Field, Val, find};
use crate::ask::Ask;

/// An expression, and the variables that it mentions.
pub(crate) struct Program {
    expression: IdedExpr,
    mentions: Mentions,
}

/// Variables by the two halves of their names.
type Mentions = BTreeMap<(String, String), Field>;

/// Functions and operators; made once, as it is the costly part of a context.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("mentions", &self.mentions).finish_non_exhaustive()
    }
}

impl Program {
    pub(crate) fn of(expression: &IdedExpr) -> Self {
        let mut mentions = Mentions::new();
        collect(&expression.expr, &mut mentions);
        Self { expression: expression.clone(), mentions }
    }

    /// Whether it holds; else why that cannot be said.
    pub(crate) fn evaluate(&self, ask: &Ask<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        let mut groups: HashMap<&str, HashMap<String, Value>> = HashMap::new();
        for ((group, name), field) in &self.mentions {
            let value = value(field.value(ask));
            if name.is_empty() {
                context.add_variable_from_value(group.as_str(), value);
            } else {
                groups.entry(group).or_default().insert(name.clone(), value);
            }
        }
        for (group, fields) in groups {
            context.add_variable_from_value(group, fields);
        }
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("the result is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn value(value: Val<'_>) -> Value {
    match value {
        Val::Bool(value) => value.into(),
        Val::Int(value) => value.into(),
        Val::Float(value) => value.into(),
        Val::Text(text) => (&*text).into(),
        Val::Tags(tags) => tags.iter().map(|tag| Value::from(&**tag)).collect::<Vec<_>>().into(),
        Val::Texts(texts) => {
            texts.iter().map(|(name, text)| (name.clone(), text.clone())).collect::<HashMap<_, _>>().into()
        }
    }
}

/// Every variable that is mentioned.
fn collect(expression: &Expr, into: &mut Mentions) {
    match expression {
        Expr::Ident(name) => {
            if let Some(field) = find(name, "") {
                into.insert((name.clone(), String::new()), field);
            }
        }
        Expr::Select(select) => {
            let known = match &select.operand.expr {
                Expr::Ident(group) => find(group, &select.field).map(|field| (group, field)),
                _ => None,
            };
            match known {
                Some((group, field)) => _ = into.insert((group.clone(), select.field.clone()), field),
                None => collect(&select.operand.expr, into),
            }
        }
        Expr::Call(call) => {
            let parts = call.target.iter().map(|target| &**target).chain(&call.args);
            parts.for_each(|part| collect(&part.expr, into));
        }
        Expr::List(list) => list.elements.iter().for_each(|part| collect(&part.expr, into)),
        Expr::Comprehension(over) => {
            [&over.iter_range, &over.accu_init, &over.loop_cond, &over.loop_step, &over.result]
                .into_iter()
                .for_each(|part| collect(&part.expr, into));
        }
        Expr::Unspecified | Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) => {}
    }
}
