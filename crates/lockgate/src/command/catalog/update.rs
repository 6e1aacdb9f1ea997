//! `lockgate catalog update`: a new list of models, checked, compared, and put in place at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use lockgate_config::Config;
use serde::Serialize;

use super::Context;
use super::change::{Changes, PriceChange};
use crate::catalogue;
use crate::command::check::count;
use crate::exit::{Failure, Outcome};
use crate::paint::{Paint, Tone};
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Put a newer list of models in the place that the config names.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate catalog update --from models.jsonl\n  lockgate catalog update --from models.jsonl --yes\n  lockgate catalog update --from models.jsonl --json | jq '.prices | length'\n\nThe list is checked whole and compared with the one in use; then it is written to `catalog.file` of the config, at once: a\nreader sees the old list or the new one. A running gateway takes it over within a second. Nothing is fetched from anywhere.\nWith --json one document: {\"file\", \"models\", \"added\", \"removed\", \"prices\": [{\"model\", \"place\", \"counted\", \"from\", \"to\"}],\n\"facts\", \"written\"}; without --yes it only tells and nothing is written.\nExit codes: 0 written, or nothing to write, or told; 1 not written; 3 the new list or the config has mistakes."
)]
pub(super) struct Update {
    /// The new list, in the form of the built-in one.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Write without asking.
    #[arg(long)]
    yes: bool,
    /// Show every change, not only the first of each kind.
    #[arg(long)]
    all: bool,
}

/// What happened, for programs.
#[derive(Serialize)]
struct Document<'a> {
    file: Option<String>,
    models: usize,
    #[serde(flatten)]
    changes: &'a Changes,
    written: bool,
}

/// Changes of a kind that are shown without --all.
const FIRST: usize = 20;

pub(super) fn run(context: &Context, config: &Config, args: &Update) -> Outcome {
    let (new, text) = catalogue::read(&args.from)
        .map_err(|wrong| Failure::config(format!("the new list has mistakes:\n{}", wrong.join("\n"))))?;
    let target = config.catalog.file.as_deref();
    // A list that is not there yet, or is broken, is no reason not to put a good one in its place.
    let (old, of) = match target.map(|file| (catalogue::read(file), file)) {
        Some((Ok((old, _)), file)) => (old, file.display().to_string()),
        _ => (lockgate_catalog::Catalog::built_in(), "the built-in list".to_owned()),
    };
    let changes = Changes::between(&old, &new);
    let there = target.is_some_and(|file| fs::read(file).is_ok_and(|there| there == text.as_bytes()));
    if !context.json {
        print(&changes, args.all, &of, new.len());
    }
    let write = !there && target.is_some() && (args.yes || (!context.json && asked(&args.from, target)?));
    if let Some(file) = target.filter(|_| write) {
        replace(file, text.as_bytes())
            .map_err(|error| Failure::new(format!("{}: {error}; nothing was changed", file.display())))?;
    }
    if context.json {
        let file = target.map(|file| file.display().to_string());
        say_json(&Document { file, models: new.len(), changes: &changes, written: write });
    }
    match target {
        None if context.json && !args.yes => Ok(()),
        None => Err(Failure::config(
            "the config does not say where the list belongs: add \"catalog: { file: models.jsonl }\"; nothing was written",
        )),
        Some(_) if context.json => Ok(()),
        Some(file) if there => {
            say(&format!("{} is this list already.", file.display()));
            Ok(())
        }
        Some(file) if write => {
            say(&format!("{} is written. A running gateway takes it over within a second.", file.display()));
            Ok(())
        }
        Some(_) => Err(Failure::new("nothing was written")),
    }
}

fn print(changes: &Changes, all: bool, of: &str, models: usize) {
    let paint = Paint::detect();
    say(&format!("The new list has {}. Compared with {of}:", count(models, "model")));
    if changes.is_empty() {
        say("  nothing changes");
    }
    let prices: Vec<String> = changes.prices.iter().map(PriceChange::line).collect();
    for (title, names) in [
        ("added", &changes.added),
        ("removed", &changes.removed),
        ("prices changed", &prices),
        ("other facts changed", &changes.facts),
    ] {
        if names.is_empty() {
            continue;
        }
        say(&paint.put(Tone::Strong, &format!("  {title}: {}", names.len())));
        let most = if all { usize::MAX } else { FIRST };
        names.iter().take(most).for_each(|name| say(&format!("    {}", printable(name))));
        if names.len() > most {
            say(&format!("    … and {} more (--all)", names.len() - most));
        }
    }
}

/// Asks the person at the terminal.
///
/// # Errors
/// When nobody is there.
fn asked(from: &Path, target: Option<&Path>) -> Result<bool, Failure> {
    let Some(target) = target else { return Ok(false) };
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            "nobody is there to ask, so nothing was written; --yes writes without asking",
        ));
    }
    let mut out = io::stdout().lock();
    write!(out, "Write {} to {}? [y/N] ", from.display(), target.display())?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Puts a file in the place of another at once: whoever reads sees the old bytes or the new ones, also after a crash.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let file = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let written = write_new(&beside, &file, bytes).and_then(|()| fs::rename(&beside, &file));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(beside: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).open(beside)?;
    if let Ok(about) = fs::metadata(file) {
        new.set_permissions(about.permissions())?;
    }
    new.write_all(bytes)?;
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("models.jsonl");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"three").unwrap();
        assert!(link.is_symlink() && fs::read(&file).unwrap() == b"three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(replace(&folder.path().join("absent/models.jsonl"), b"x").is_err());
    }
}
