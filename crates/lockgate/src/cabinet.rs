//! Routes and scores of the store, changed only as they could be put in force: by the checker that reads the config.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use lockgate_catalog::benchmark::{Row, family, from_json};
use lockgate_config::{Diagnostic, Severity};
use lockgate_core::Clock;
use lockgate_core::port::{Document, DocumentStore, Draft};
use lockgate_server::cabinet::{Cabinet, Entry, Flaw, Objection};

use crate::assemble;
use crate::exit::Failure;
use crate::kept::{self, Kept, ROUTES, SCORES, is_of};
use crate::settings::{self, Settings};

/// The cabinet of an installation.
pub(crate) struct Drawers {
    pub(crate) store: Arc<dyn DocumentStore>,
    /// The config file; `None` when there is none.
    pub(crate) file: Option<PathBuf>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Bytes of a name.
const LONGEST_NAME: usize = 128;
/// Bytes of a document.
const LONGEST: usize = 1 << 20;

impl Cabinet for Drawers {
    fn list(&self, kind: &str) -> Result<Vec<Entry>, Objection> {
        let mut entries: Vec<Entry> = self.store.documents(kind)?.into_iter().map(Entry::Kept).collect();
        let of_file = self.of_file(kind)?;
        // What the file declares holds, so a document of the same name is not what counts.
        entries.retain(|entry| !of_file.contains(entry.name()));
        entries.extend(of_file.into_iter().map(Entry::OfFile));
        entries.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(entries)
    }

    fn versions(&self, kind: &str, name: &str) -> Result<Vec<Document>, Objection> {
        Ok(self.store.versions(kind, name)?)
    }

    fn put(&self, draft: &Draft) -> Result<u64, Objection> {
        let (kind, name, body) = (&*draft.kind, &*draft.name, draft.body.as_deref());
        if body.is_none() && !self.store.documents(kind)?.iter().any(|document| *document.name == *name) {
            return Err(match self.of_file(kind)?.contains(name) {
                true => owned(kind, name),
                false => Objection::Missing(format!("there is no \"{name}\" in the store")),
            });
        }
        if let Some(body) = body {
            well_formed(name, body)?;
        }
        match kind {
            ROUTES => self.judge_route(name, body)?,
            _ => self.judge_scores(name, body)?,
        }
        Ok(self.store.put_document(draft)?)
    }

    fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }
}

impl Drawers {
    /// The names of a kind that belong to the file: its routes, or the benchmarks of its table.
    fn of_file(&self, kind: &str) -> Result<BTreeSet<String>, Objection> {
        let text = settings::text(self.file.as_deref()).map_err(|failure| of_config(&failure))?;
        if kind == ROUTES {
            return Ok(lockgate_config::route_names(&text).into_iter().collect());
        }
        Ok(self.rows_of_file()?.into_iter().map(|row| row.benchmark.into()).collect())
    }

    fn rows_of_file(&self) -> Result<Vec<Row>, Objection> {
        // A file that is being edited may be wrong for now; what it would own is not known then.
        let Ok(settings) = Settings::read(self.file.as_deref()) else { return Ok(Vec::new()) };
        Ok(assemble::scores_of_file(&settings.config).unwrap_or_default())
    }

    /// Whether the config would be good with this route, or without one that is removed. What was wrong before does not count:
    /// a change that mends one thing must not wait for another.
    fn judge_route(&self, name: &str, body: Option<&str>) -> Result<(), Objection> {
        if body.is_some() && self.of_file(ROUTES)?.contains(name) {
            return Err(owned(ROUTES, name));
        }
        let text = settings::text(self.file.as_deref()).map_err(|failure| of_config(&failure))?;
        let kept = Kept::read(&*self.store)?;
        let (_, before) = settings::diagnose(&text, &kept);
        let (_, after) = settings::diagnose(&text, &kept.with(ROUTES, name, body));
        let is_new = |found: &&Diagnostic| {
            found.severity == Severity::Error
                && (is_of(found, name) || !before.iter().any(|known| known.message == found.message))
        };
        let flaws: Vec<Flaw> = after.iter().filter(is_new).map(flaw).collect();
        if flaws.is_empty() { Ok(()) } else { Err(Objection::Wrong(flaws)) }
    }

    /// Whether these are scores, and nobody else's.
    fn judge_scores(&self, name: &str, body: Option<&str>) -> Result<(), Objection> {
        let Some(body) = body else { return Ok(()) };
        let rows = from_json(body).map_err(|mistakes| {
            let flaw = |mistake: lockgate_catalog::benchmark::Mistake| Flaw {
                path: format!("[{}]", mistake.line.saturating_sub(1)),
                line: u32::try_from(mistake.line).unwrap_or(u32::MAX),
                column: 1,
                message: mistake.what,
                hint: None,
            };
            Objection::Wrong(mistakes.into_iter().map(flaw).collect())
        })?;
        let of_file = self.rows_of_file()?;
        if let Some(row) = rows.iter().find(|row| of_file.iter().any(|own| own.benchmark == row.benchmark)) {
            return Err(owned(SCORES, &row.benchmark));
        }
        for other in self.store.documents(SCORES)?.iter().filter(|other| *other.name != *name) {
            let theirs = kept::rows(other);
            let taken = |row: &&Row| theirs.iter().any(|their| cell(their) == cell(row));
            if let Some(row) = rows.iter().find(taken) {
                return Err(Objection::Owned(format!(
                    "what {} scores in {} is kept in \"{}\": change it there, or remove it there first",
                    row.model, row.benchmark, other.name
                )));
            }
        }
        Ok(())
    }
}

/// What a row is of: two rows of one cell would contradict each other.
fn cell(row: &Row) -> (&str, String) {
    let model = if row.model.contains('/') { row.model.to_string() } else { family(&row.model) };
    (&row.benchmark, model)
}

fn well_formed(name: &str, body: &str) -> Result<(), Objection> {
    let good = (1..=LONGEST_NAME).contains(&name.len())
        && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
    let flaw = |line, column, message| {
        Err(Objection::Wrong(vec![Flaw { path: String::new(), line, column, message, hint: None }]))
    };
    if !good {
        return flaw(1, 1, format!("a name has 1 to {LONGEST_NAME} bytes, no white space and no \"/\""));
    }
    if body.len() > LONGEST {
        return flaw(1, 1, format!("the document has {} bytes, and may have {LONGEST}", body.len()));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(error) => {
            let place = |place| u32::try_from(place).unwrap_or(u32::MAX).max(1);
            flaw(place(error.line()), place(error.column()), format!("this is not JSON: {error}"))
        }
    }
}

fn owned(kind: &str, name: &str) -> Objection {
    Objection::Owned(if kind == ROUTES {
        format!("the config file declares the route \"{name}\", so it is changed there and nowhere else")
    } else {
        format!(
            "the benchmark \"{name}\" belongs to the file of catalog.scores, so it is changed there and nowhere else"
        )
    })
}

fn of_config(failure: &Failure) -> Objection {
    Objection::Outdated(failure.message().to_owned())
}

fn flaw(found: &Diagnostic) -> Flaw {
    Flaw {
        path: found.path.clone(),
        line: found.line,
        column: found.column,
        message: found.message.clone(),
        hint: found.hint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use lockgate_server::cabinet::roll_back;
    use lockgate_store::Memory;

    use super::*;
    use crate::assemble::SystemClock;

    const FILE: &str = "providers: { demo: }\nroutes: { fixed: [demo/chat] }\n";

    fn drawers(folder: &tempfile::TempDir) -> Drawers {
        let file = folder.path().join("lockgate.yaml");
        std::fs::write(&file, FILE).unwrap();
        Drawers { store: Arc::new(Memory::new()), file: Some(file), clock: SystemClock::start() }
    }

    fn draft(kind: &str, name: &str, body: Option<&str>) -> Draft {
        Draft {
            kind: kind.into(),
            name: name.into(),
            after: None,
            body: body.map(Into::into),
            at_ms: 1,
            by: "me".into(),
            reason: "as".into(),
        }
    }

    #[test]
    fn a_route_is_checked_as_the_file_is_and_all_mistakes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let drawers = drawers(&folder);
        let put = |name: &str, body: &str| drawers.put(&draft(ROUTES, name, Some(body)));
        assert_eq!(put("bot", r#"{"use": {"route": "fixed"}, "retries": 2}"#).unwrap(), 1);
        let Err(Objection::Wrong(flaws)) = put("bot", r#"{"use": ["nobody/x"], "retries": 99, "typo": 1}"#)
        else {
            panic!("it is wrong")
        };
        assert_eq!(flaws.len(), 3, "{flaws:#?}");
        assert!(flaws.iter().all(|flaw| flaw.path.starts_with("routes.bot")), "{flaws:#?}");
        assert!(matches!(put("bot", "{"), Err(Objection::Wrong(_))), "no JSON");
        assert!(matches!(put("bad name", "[]"), Err(Objection::Wrong(_))));
        assert!(matches!(put("fixed", r#"["demo/chat"]"#), Err(Objection::Owned(_))), "the file's own");
        assert!(matches!(put("loop", r#"{"use": {"route": "loop"}}"#), Err(Objection::Wrong(_))), "a circle");
        assert!(matches!(put("env", r#"["${HOME}/x"]"#), Err(Objection::Wrong(_))), "no variables");
        assert_eq!(drawers.versions(ROUTES, "bot").unwrap().len(), 1, "nothing of that was kept");
    }

    #[test]
    fn what_others_use_cannot_be_removed_and_an_earlier_version_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let drawers = drawers(&folder);
        drawers.put(&draft(ROUTES, "inner", Some(r#"["demo/chat"]"#))).unwrap();
        drawers.put(&draft(ROUTES, "outer", Some(r#"{"use": {"route": "inner"}}"#))).unwrap();
        assert!(matches!(drawers.put(&draft(ROUTES, "inner", None)), Err(Objection::Wrong(_))));
        drawers.put(&draft(ROUTES, "outer", None)).unwrap();
        assert_eq!(drawers.put(&draft(ROUTES, "inner", None)).unwrap(), 2);
        assert_eq!(roll_back(&drawers, (ROUTES, "inner"), 1, ("me", "")).unwrap(), 3);
        let versions = drawers.versions(ROUTES, "inner").unwrap();
        assert_eq!(versions[2].body, versions[0].body);
        assert_eq!(&*versions[2].reason, "back to version 1");
        assert!(matches!(roll_back(&drawers, (ROUTES, "inner"), 9, ("me", "")), Err(Objection::Missing(_))));
        let names: Vec<_> = drawers.list(ROUTES).unwrap().iter().map(|it| it.name().to_owned()).collect();
        assert_eq!(names, ["fixed", "inner"]);
    }

    #[test]
    fn a_score_belongs_to_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let drawers = drawers(&folder);
        let put = |name: &str, body: &str| drawers.put(&draft(SCORES, name, Some(body)));
        let row = |benchmark: &str, model: &str, value: u32| {
            format!(r#"[{{"benchmark":"{benchmark}","model":"{model}","value":{value}}}]"#)
        };
        assert_eq!(put("own", &row("my-evals", "demo/chat", 70)).unwrap(), 1);
        assert!(matches!(put("other", &row("my-evals", "demo/chat", 10)), Err(Objection::Owned(_))));
        assert_eq!(put("other", &row("my-evals", "demo/other", 10)).unwrap(), 1);
        assert!(matches!(put("own", &row("my-evals", "demo/chat", 700)), Err(Objection::Wrong(_))));
        std::fs::write(folder.path().join("s.csv"), "benchmark,model,value\nfiled,demo/chat,5\n").unwrap();
        let scores = format!("catalog: {{ scores: '{}' }}\n", folder.path().join("s.csv").display());
        std::fs::write(folder.path().join("lockgate.yaml"), format!("{FILE}{scores}")).unwrap();
        assert!(matches!(put("own", &row("filed", "demo/chat", 9)), Err(Objection::Owned(_))));
    }
}
