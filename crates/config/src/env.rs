//! `${NAME}` in the values of the file.
//!
//! `${NAME}` is the value of an environment variable, `${NAME:-text}` falls back on a text if the variable is
//! unset or empty, `$$` is a dollar sign. It works in values, not in keys, and on the text after YAML was read:
//! what stands in a variable can never become structure.

use crate::diagnostic::{Complaint, quoted};

/// Where the values of variables come from. `None`: the variable is not set.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Text after its variables were put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// The variables that the text names, in order.
    pub(crate) variables: Vec<String>,
    /// Whether at least one of them was set: then the text is not what the file says.
    pub(crate) from_environment: bool,
}

/// Puts the variables into a text, or says everything that is wrong with its placeholders.
pub(crate) fn fill(text: &str, env: Env<'_>) -> Result<Filled, Vec<Complaint>> {
    /// Far above any key or address; keeps a large variable that is used often from filling the memory.
    const LONGEST: usize = 64 * 1024;

    let mut filled =
        Filled { text: String::with_capacity(text.len()), variables: Vec::new(), from_environment: false };
    let mut complaints = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        filled.text.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = after.find('}') else {
                complaints
                    .push(Complaint::new("\"${\" has no closing \"}\"").hint("write $$ for a dollar sign"));
                break;
            };
            if let Err(complaint) = placeholder(&after[..end], env, &mut filled) {
                complaints.push(complaint);
            }
            rest = &after[end + 1..];
        } else {
            filled.text.push('$');
        }
        if filled.text.len() > LONGEST && filled.from_environment {
            complaints.push(Complaint::new("is longer than 64KiB once its variables are put in"));
            break;
        }
    }
    filled.text.push_str(rest);
    if complaints.is_empty() { Ok(filled) } else { Err(complaints) }
}

/// Appends the value of what stands between `${` and `}`.
fn placeholder(inside: &str, env: Env<'_>, filled: &mut Filled) -> Result<(), Complaint> {
    let (name, fallback) = match inside.split_once(":-") {
        Some((name, fallback)) => (name, Some(fallback)),
        None => (inside, None),
    };
    if !is_name(name) || fallback.is_some_and(|text| text.contains("${")) {
        return Err(Complaint::new(format!("{} is not a variable", quoted(&format!("${{{inside}}}"))))
            .hint("write ${NAME} or ${NAME:-fallback}; write $$ for a dollar sign"));
    }
    match (env(name), fallback) {
        (Some(value), fallback) if !value.is_empty() || fallback.is_none() => {
            filled.text.push_str(&value);
            filled.from_environment = true;
        }
        (_, Some(fallback)) => filled.text.push_str(fallback),
        (_, None) => {
            return Err(Complaint::new(format!("the environment variable {name} is not set"))
                .hint(format!("set it, or write ${{{name}:-fallback}}")));
        }
    }
    filled.variables.push(name.to_owned());
    Ok(())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        let env = |name: &str| match name {
            "HOST" => Some("example.org".to_owned()),
            "PORT" => Some("80".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${HOST}".to_owned()),
            _ => None,
        };
        match fill(text, &env) {
            Ok(filled) => filled.text,
            Err(complaints) => {
                complaints.into_iter().map(|complaint| complaint.message).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn variables_are_put_in() {
        assert_eq!(text("http://${HOST}:${PORT}/"), "http://example.org:80/");
        assert_eq!(text("${NONE:-a:-b}"), "a:-b");
        assert_eq!(text("${EMPTY:-text}"), "text");
        assert_eq!(text("${EMPTY}"), "");
        assert_eq!(text("${HOST:-x}"), "example.org");
    }

    #[test]
    fn values_of_variables_are_not_read_again() {
        assert_eq!(text("${TRICK}"), "${HOST}");
    }

    #[test]
    fn dollars_can_be_written() {
        assert_eq!(text("$$"), "$");
        assert_eq!(text("$${HOST}"), "${HOST}");
        assert_eq!(text("5$ a $b"), "5$ a $b");
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(
            text("${A}${HOST}${B}"),
            "the environment variable A is not set; the environment variable B is not set"
        );
        assert_eq!(text("x ${HOST"), "\"${\" has no closing \"}\"");
        assert_eq!(text("${}"), "\"${}\" is not a variable");
        assert_eq!(text("${1A}"), "\"${1A}\" is not a variable");
        assert_eq!(text("${A:?no}"), "\"${A:?no}\" is not a variable");
    }

    #[test]
    fn a_fallback_is_not_the_environment() {
        let filled = fill("${KEY:-literal}", &|_| None).unwrap();
        assert!(!filled.from_environment);
        assert_eq!(filled.variables, ["KEY"]);
    }

    #[test]
    fn variables_cannot_blow_a_value_up() {
        let large = |_: &str| Some("x".repeat(60_000));
        assert!(fill("${A}", &large).is_ok());
        assert!(fill(&"${A}".repeat(1000), &large).is_err());
    }
}
