//! What the documents and examples say about configuration is true: every file in them loads without a mistake or a
//! warning, and the table of error kinds is that of the code.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate_config::{Diagnostic, Known, load};
use lockgate_core::{Kind, Retry};

/// The first line of a block that is a whole configuration.
const MARK: &str = "# lockgate.yaml";

/// A configuration in a document: where it is, and its text.
struct Snippet {
    place: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder whose name has this ending, sorted, and those of its folders.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names of the built-in providers. Each is one file of that name, and one line in a list that has no other; so this
/// crate, which may not import them, can know them all the same.
fn built_in() -> Vec<String> {
    let profiles = files(&root().join("crates/provider/src/profile"), "rs");
    let names = profiles.iter().filter_map(|path| path.file_stem()?.to_str());
    names.filter(|name| *name != "mod").chain(["demo"]).map(str::to_owned).collect()
}

/// Keys, tokens, secrets and addresses are set, nothing else is.
fn env(name: &str) -> Option<String> {
    if name.ends_with("_URL") {
        return Some(format!("https://example.com/{name}"));
    }
    ["_KEY", "_TOKEN", "_SECRET"].iter().any(|end| name.ends_with(end)).then(|| format!("value-of-{name}"))
}

/// The `yaml` blocks of a document that begin with the mark.
fn snippets(path: &Path) -> Vec<Snippet> {
    let document = text_of(path);
    let mut found = Vec::new();
    let mut open: Option<Snippet> = None;
    for (number, line) in (1..).zip(document.lines()) {
        match (&mut open, line.trim_end()) {
            (None, "```yaml") => {
                open = Some(Snippet { place: format!("{}:{number}", path.display()), text: String::new() });
            }
            (Some(_), "```") => found.extend(open.take()),
            (Some(snippet), line) => {
                snippet.text.push_str(line);
                snippet.text.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "{}: a block has no end", path.display());
    found.retain(|snippet| snippet.text.starts_with(MARK));
    found
}

/// What is said of a configuration: nothing, if it is good.
fn said(text: &str, known: &Known<'_>) -> String {
    let (config, found) = load(text, &env, known);
    let lines: Vec<String> = found.iter().map(Diagnostic::to_string).collect();
    assert!(config.is_some() || !lines.is_empty());
    lines.join("\n")
}

#[test]
fn every_configuration_in_documents_and_examples_is_good() {
    let names = built_in();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(names.contains(&"openai") && names.contains(&"demo"), "{names:?}");
    let known = Known::providers(&names);

    let mut documents = files(&root().join("docs"), "md");
    documents.push(root().join("README.md"));
    let mut all: Vec<Snippet> = documents.iter().flat_map(|path| snippets(path)).collect();
    let in_documents = all.len();
    for path in files(&root().join("examples"), "yaml") {
        all.push(Snippet { place: path.display().to_string(), text: text_of(&path) });
    }
    assert!(in_documents >= 5, "{in_documents} configurations in documents: are they still marked?");
    assert!(all.len() > in_documents, "there are no examples");
    for Snippet { place, text } in all {
        assert_eq!(said(&text, &known), "", "{place}");
    }
}

#[test]
fn the_table_of_error_kinds_is_that_of_the_code() {
    let page = text_of(&root().join("docs/guide/errors.md"));
    for kind in Kind::ALL {
        let retry = match kind.retry() {
            Retry::Never => "never",
            Retry::Elsewhere => "elsewhere",
            Retry::Again => "again",
        };
        let health = if kind.counts_against_health() { "yes" } else { "" };
        let row = format!(
            "| `{}` | {} | {} | {retry} | {health} |",
            kind.code(),
            kind.status().as_u16(),
            kind.fault().code()
        );
        assert!(page.lines().any(|line| line.starts_with(&row)), "docs/guide/errors.md lacks the row\n{row}");
    }
}

#[test]
fn the_documents_name_no_provider_that_is_not_built_in() {
    let names = built_in();
    let page = text_of(&root().join("docs/guide/providers.md"));
    let table = page.lines().skip_while(|line| !line.starts_with("| name |")).skip(2);
    let rows: Vec<&str> = table.map_while(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        assert!(names.iter().any(|name| name == row), "{row} is not built in");
    }
}
