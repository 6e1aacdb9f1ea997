//! The table of built-in providers, for readers.

use std::fmt::Write as _;

use crate::profile::{ALL, Auth, Profile};

const HEAD: &str = "\
# Built-in providers

What `lockgate` knows of each, made from `crates/provider/src/profile/`. How they are configured is in
[the guide](guide/providers.md).

A provider is asked in the dialect of the client where it speaks that, else in the first of the list. Behind a dialect are the
models that it is for, where it is not for all. `{...}` in an address is a setting of that name; behind it are the environment
variables that it is taken from, and its default.

| name | dialects | key or credentials | in the address | base address |
|---|---|---|---|---|
";

/// The text of `docs/providers.md`.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for profile in ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            profile.name,
            dialects(profile),
            credentials(profile),
            blanks(profile),
            addresses(profile)
        );
    }
    text
}

fn dialects(profile: &Profile) -> String {
    if profile.speaks.is_empty() {
        return "no chat".to_owned();
    }
    let each = profile.speaks.iter().map(|spoken| {
        let mut text = code(spoken.dialect);
        if !spoken.models.is_empty() {
            let _ = write!(text, " ({})", codes(spoken.models));
        }
        text
    });
    each.collect::<Vec<_>>().join(", ")
}

fn credentials(profile: &Profile) -> String {
    let keys = codes(profile.env);
    let or_none = if profile.keyless { "; needs none" } else { "" };
    match profile.auth {
        Auth::Bearer => format!("bearer: {keys}{or_none}"),
        Auth::Header(name) => format!("`{name}`: {keys}{or_none}"),
        Auth::Aws(_) => format!(
            "bearer: {keys}; or signature: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`"
        ),
        Auth::Google => {
            format!("token of a service account or user: `GOOGLE_APPLICATION_CREDENTIALS`; or bearer: {keys}")
        }
    }
}

fn blanks(profile: &Profile) -> String {
    let each = profile.blanks.iter().map(|blank| {
        let mut text = code(blank.name);
        if !blank.env.is_empty() {
            let _ = write!(text, ": {}", codes(blank.env));
        }
        if let Some(default) = blank.default {
            let _ = write!(text, ", else `{default}`");
        }
        text
    });
    each.collect::<Vec<_>>().join("; ")
}

fn addresses(profile: &Profile) -> String {
    let mut text = code(profile.base_url);
    for (region, url) in profile.elsewhere {
        let _ = write!(text, "; `{region}`: `{url}`");
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn codes(texts: &[&str]) -> String {
    texts.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_table_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            committed,
            reference(),
            "docs/providers.md is not as generated: run `cargo xtask generate`"
        );
    }
}
