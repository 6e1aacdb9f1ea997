//! The rules that look at one file, and those of the map.

use super::{File, Finding};

/// The map of the house.
pub(super) const MAP: &str = "ARCHITECTURE.md";

const MAP_LINES: usize = 400;

/// Hand-written source files: a file this long is read as one thing, beyond it nobody does.
const MOST_LINES: usize = 1000;
const MANY_LINES: usize = 600;

/// What counts as hand-written source.
const SOURCE: [&str; 7] = ["rs", "ts", "tsx", "js", "mjs", "py", "css"];

/// Files that may be longer than the rules allow, and why.
const LONG: [(&str, &str); 0] = [];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "commons", "misc", "miscs", "manager", "managers"];

/// Folders of a developer's or a CI's machine, which mean nothing on another. In two parts, so that this file passes.
const MACHINE_FOLDERS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Files that may name such folders, by the beginning of their path, and why.
const MAY_NAME_FOLDERS: [(&str, &str); 1] = [("vectors/", "recorded as it came")];

/// Marks of work that is not done. In two parts, so that this file passes.
const UNDONE: [&str; 3] = [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("#[ig", "nore")];

/// What is to be said about one file.
pub(super) fn of_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if extension(&file.path).is_some_and(|e| SOURCE.contains(&e)) {
        findings.extend(name(&file.path));
        if let Some(text) = &file.text {
            findings.extend(length(&file.path, text.lines().count()));
        }
    }
    let Some(text) = &file.text else { return findings };
    if extension(&file.path) == Some("rs") {
        findings.extend(rust(&file.path, text));
    }
    if !MAY_NAME_FOLDERS.iter().any(|(beginning, _)| file.path.starts_with(beginning)) {
        findings.extend(machine_folders(&file.path, text));
    }
    findings
}

/// What is to be said about the map: that it is there, short, and gives each crate its invariant.
pub(super) fn of_map(map: Option<&str>, crates: &[String]) -> Vec<Finding> {
    let Some(text) = map else { return vec![Finding::Wrong(format!("{MAP} is not there"))] };
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAP_LINES {
        findings.push(Finding::Wrong(format!("{MAP} has {lines} lines, {MAP_LINES} are allowed")));
    }
    findings.extend(crates.iter().filter(|c| !has_invariant(text, c)).map(|c| {
        Finding::Wrong(format!(
            "{MAP} needs a heading that names `{c}` and, under it, a line that starts with `Invariant:`"
        ))
    }));
    findings
}

/// Whether a section whose heading names the crate has its line, before the next heading.
fn has_invariant(map: &str, name: &str) -> bool {
    let package = format!("lockgate-{name}");
    let mut inside = false;
    map.lines().any(|line| {
        if line.starts_with('#') {
            let mut words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            inside = words.any(|w| w == name || w == package);
        }
        inside && line.trim_start_matches(['-', '*', '_', ' ']).starts_with("Invariant:")
    })
}

fn extension(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.rsplit_once('.').map(|(_, extension)| extension)
}

fn name(path: &str) -> Option<Finding> {
    let parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(Finding::Wrong(format!("{path}: the name `{empty}` says nothing; name it by what it does")))
}

fn length(path: &str, lines: usize) -> Option<Finding> {
    if lines <= MANY_LINES || LONG.iter().any(|(long, _)| *long == path) {
        return None;
    }
    Some(if lines > MOST_LINES {
        Finding::Wrong(format!("{path} has {lines} lines, {MOST_LINES} are allowed"))
    } else {
        Finding::Warning(format!("{path} has {lines} lines; above {MANY_LINES} think of two files"))
    })
}

/// Modules with empty names, and marks of undone work.
fn rust(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        let module = line.split_whitespace().skip_while(|w| *w != "mod").nth(1).unwrap_or_default();
        let module = module.trim_end_matches([';', '{']);
        let declares = line.starts_with("mod ") || line.starts_with("pub");
        if declares && EMPTY_NAMES.contains(&module) {
            findings
                .push(Finding::Wrong(format!("{path}:{number}: the module name `{module}` says nothing")));
        }
        if let Some(mark) = UNDONE.iter().find(|mark| line.contains(**mark)) {
            let mark = mark.trim_end_matches('(');
            findings.push(Finding::Wrong(format!("{path}:{number}: `{mark}` is work that is not done")));
        }
    }
    findings
}

fn machine_folders(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            findings.push(Finding::Wrong(format!("{path}:{number}: `{folder}` is a folder of one machine")));
        }
    }
    findings
}

/// Whether a line holds the folder as the beginning of an absolute path, and not as a part of another path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || "\"'`=:([{<>,;|/@".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: Some(text.to_owned()) }
    }

    fn wrong(path: &str, text: &str) -> Vec<String> {
        let findings = of_file(&file(path, text)).into_iter();
        findings.filter_map(|f| if let Finding::Wrong(text) = f { Some(text) } else { None }).collect()
    }

    #[test]
    fn long_files_warn_and_then_fail() {
        assert!(of_file(&file("a.rs", &"x\n".repeat(600))).is_empty());
        assert!(matches!(of_file(&file("a.ts", &"x\n".repeat(601)))[..], [Finding::Warning(_)]));
        assert!(matches!(of_file(&file("a.py", &"x\n".repeat(1001)))[..], [Finding::Wrong(_)]));
        assert!(of_file(&file("data.json", &"x\n".repeat(5000))).is_empty(), "data is no source");
    }

    #[test]
    fn names_that_say_nothing_fail() {
        assert_eq!(wrong("a/src/utils.rs", "").len(), 1);
        assert_eq!(wrong("a/tests/common/mod.rs", "").len(), 1);
        assert_eq!(wrong("a/src/key_manager.rs", ""), [""; 0], "a longer name says what it manages");
        assert_eq!(wrong("a/src/lib.rs", "pub(crate) mod helpers {\n").len(), 1);
        assert_eq!(wrong("a/src/lib.rs", "mod misc;\n").len(), 1);
        assert_eq!(wrong("a/src/lib.rs", "mod model;\nuse x::common;\n"), [""; 0]);
    }

    #[test]
    fn undone_work_fails() {
        for mark in UNDONE {
            assert_eq!(wrong("a/src/lib.rs", &format!("    {mark}")).len(), 1);
            assert_eq!(wrong("a/src/lib.rs", &format!("    // {mark}")), [""; 0]);
        }
    }

    #[test]
    fn folders_of_one_machine_fail_and_parts_of_urls_do_not() {
        let folder = MACHINE_FOLDERS[2];
        for line in [format!("cd {folder}me"), format!("\"{folder}x\""), format!("file://{folder}x")] {
            assert_eq!(wrong("notes.md", &line).len(), 1, "{line}");
        }
        for line in [format!("https://example.com{folder}x"), format!("$PWD{folder}x"), format!("~{folder}x")]
        {
            assert_eq!(wrong("notes.md", &line), [""; 0], "{line}");
        }
    }

    #[test]
    fn the_map_gives_each_crate_its_invariant() {
        let map = "# Map\n## `crates/core`\nwords\n\n**Invariant:** words only\n## lockgate-route\nnone\n## Core again\n";
        let crates = ["core".to_owned(), "route".to_owned(), "guard".to_owned()];
        let findings = of_map(Some(map), &crates);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(matches!(&findings[0], Finding::Wrong(t) if t.contains("`route`")));
        assert_eq!(of_map(None, &[]).len(), 1);
        assert_eq!(of_map(Some(&"x\n".repeat(401)), &[]).len(), 1);
    }
}
