//! That relative links in Markdown lead somewhere.

use std::path::{Component, Path, PathBuf};

use super::{File, Finding};

/// What is wrong with the links of a Markdown file; `exists` knows paths from the project's folder.
pub(super) fn check(file: &File, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let (Some(text), true) = (&file.text, file.path.ends_with(".md")) else { return Vec::new() };
    let mut findings = Vec::new();
    let mut fence = None;
    for (number, line) in (1..).zip(text.lines()) {
        let mark = ["```", "~~~"].into_iter().find(|m| line.trim_start().starts_with(m));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => findings.extend(dead(&file.path, number, line, &exists)),
            _ => {}
        }
    }
    findings
}

fn dead(file: &str, number: usize, line: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let targets = targets(line).into_iter();
    let dead = targets.filter(|t| resolve(file, t).is_some_and(|path| !exists(&path)));
    dead.map(|t| Finding::Wrong(format!("{file}:{number}: the link `{t}` leads nowhere"))).collect()
}

/// The targets of a line's links: `[text](target "title")` and `[name]: target`, not those within code.
fn targets(line: &str) -> Vec<&str> {
    // Every other part between backticks is code.
    let mut found: Vec<&str> = line
        .split('`')
        .step_by(2)
        .flat_map(|part| part.match_indices("](").map(move |(at, _)| &part[at + 2..]))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .collect();
    if let Some((name, target)) = line.split_once("]: ")
        && name.starts_with('[')
    {
        found.extend(target.split(' ').next());
    }
    found
}

/// The path from the project's folder that a link leads to; `None` if it leads out of the project or into its own page.
fn resolve(file: &str, target: &str) -> Option<String> {
    let target = target.trim_matches(['<', '>']);
    let path = target.split(['#', '?']).next().filter(|p| !p.is_empty())?;
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let from = Path::new(file).parent().unwrap_or(Path::new(""));
    let joined = path.strip_prefix('/').map_or_else(|| from.join(path), PathBuf::from);
    let mut out = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::Normal(name) => out.push(name),
            // Above the project's folder there is nothing that a clone has: the path then exists nowhere.
            Component::ParentDir if !out.pop() => return Some(target.to_owned()),
            _ => {}
        }
    }
    Some(if out.as_os_str().is_empty() { ".".to_owned() } else { out.to_string_lossy().into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_links(text: &str) -> usize {
        let file = File { path: "docs/guide/start.md".to_owned(), text: Some(text.to_owned()) };
        let there = ["README.md", "docs/guide/keys.md", "docs", "docs/a.png"];
        check(&file, |path| there.contains(&path)).len()
    }

    #[test]
    fn links_are_followed_from_their_own_page() {
        assert_eq!(
            dead_links("[a](keys.md) [b](../../README.md#top), ![c](/docs/a.png \"title\") [d](..)"),
            0
        );
        assert_eq!(dead_links("see [a](gone.md) and [b](../keys.md)"), 2);
        assert_eq!(dead_links("[a]: keys.md\n[b]: gone.md"), 1);
        assert_eq!(dead_links("[a](../../../elsewhere.md)"), 1);
    }

    #[test]
    fn what_is_no_relative_link_is_left_alone() {
        assert_eq!(dead_links("[a](https://example.com/x) [b](#top) [c](mailto:a@example.com)"), 0);
        assert_eq!(dead_links("`[a](gone.md)`\n```md\n[a](gone.md)\n```\n"), 0);
        assert_eq!(dead_links("```\n```\n[a](gone.md)"), 1);
    }
}
