//! Pages of the documentation that a test run produces: compared with what is committed, or written anew.

use std::fs::File;
use std::path::PathBuf;

/// A page under `docs/`.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
}

/// A page by its name. With `UPDATE_DOCS=1` in the environment tests write it, otherwise they compare.
pub fn docs(name: &str) -> Page {
    Page { path: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(name) }
}

impl Page {
    /// The page must be this text.
    ///
    /// # Panics
    /// When it is another, or cannot be written.
    pub fn must_be(&self, text: &str) {
        if updating() {
            std::fs::write(&self.path, text).expect("the page can be written");
            return;
        }
        let there = self.text();
        let line = text.lines().zip(there.lines()).position(|(new, old)| new != old);
        assert!(
            there == text,
            "{} is not what the tests saw (line {}): run them with UPDATE_DOCS=1",
            self.path.display(),
            line.map_or_else(|| text.lines().count().min(there.lines().count()) + 1, |line| line + 1),
        );
    }

    /// The table between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->` must have a row that begins with
    /// `first`. An update puts `row` there, with all other rows left as they are; a page without the markers gets them at
    /// its end, with `head` above the rows. Rows are sorted. Several processes may do so at once.
    ///
    /// # Panics
    /// When there is no such row, or the page cannot be written.
    pub fn must_have_row(&self, name: &str, head: &str, first: &str, row: &str) {
        let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->\n"));
        let start = format!("| {first} |");
        if !updating() {
            assert!(
                self.text().lines().any(|line| line.starts_with(&start)),
                "{} has no row for {first}: run the tests with UPDATE_DOCS=1",
                self.path.display()
            );
            return;
        }
        let lock = File::create(std::env::temp_dir().join("lockgate-e2e-docs.lock")).expect("a lock file");
        lock.lock().expect("a lock");
        let text = self.text();
        let (before, rest) = text.split_once(&begin).unwrap_or((&text, ""));
        let (table, after) = rest.split_once(&end).unwrap_or(("", ""));
        let mut rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("| ") && !head.contains(line) && !line.starts_with(&start))
            .chain([row])
            .collect();
        rows.sort_unstable();
        let text = format!("{before}{begin}{head}{}\n{end}{after}", rows.join("\n"));
        std::fs::write(&self.path, text).expect("the page can be written");
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }
}

fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1")
}
