//! The committed inputs of a target, checked in the normal test run, each also with a few changes. With
//! `LOCKGATE_CHANGES` in the environment so many changed inputs are made of each, and with `LOCKGATE_SEEDS` those of
//! another folder too (a folder for each target in it): a fuzzer without coverage, for machines without a nightly
//! compiler. What it does follows from the inputs alone, so that a finding comes again.

use std::path::{Path, PathBuf};
use std::{env, fs, panic};

/// Changed inputs for each that is committed, if nobody says otherwise.
const CHANGES: usize = 4;
/// Longer inputs are cut.
const LONGEST: usize = 4_096;
/// What readers stumble over.
const WORDS: [&str; 20] = [
    "null",
    "{}",
    "[]",
    "\"\"",
    "-1",
    "1e999",
    "18446744073709551616",
    "0.5",
    "true",
    "\"\\ud83e\"",
    "\"\\u0000\"",
    ",",
    ":",
    "}",
    "]",
    "\n\n",
    "data: ",
    "\r\n",
    "\"type\":\"text\"",
    "\u{feff}",
];

/// A small generator (xorshift64*): changes must only be varied, not secret.
struct Chance(u64);

/// Checks every file of `fuzz/corpus/<target>`, and names all those that fail.
#[allow(clippy::print_stdout, reason = "how many were checked is what a long run is asked")]
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = read(&corpus.join(target));
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    if let Some(seeds) = env::var_os("LOCKGATE_SEEDS") {
        inputs.extend(read(&PathBuf::from(seeds).join(target)));
    }
    let changes = env::var("LOCKGATE_CHANGES").ok().and_then(|n| n.parse().ok()).unwrap_or(CHANGES);
    let fine = |data: &[u8]| panic::catch_unwind(|| check(data)).is_ok();
    let mut failed: Vec<String> = Vec::new();
    let mut done = 0;
    for (at, (path, data)) in inputs.iter().enumerate() {
        if !fine(data) {
            failed.push(path.display().to_string());
        }
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ (at as u64 + 1));
        for change in 0..changes {
            let other = &inputs[chance.below(inputs.len())].1;
            let changed = chance.change(data, other);
            done += 1;
            if !fine(&changed) {
                let shown = String::from_utf8_lossy(&changed).into_owned();
                failed.push(format!("{}, change {change}: {shown:?}", path.display()));
            }
        }
    }
    println!("{target}: {} inputs, {done} changed ones", inputs.len());
    let shown: Vec<_> = failed.iter().take(8).collect();
    assert!(failed.is_empty(), "{} inputs of {} fail: {shown:#?}", failed.len(), inputs.len() + done);
}

/// The files of a folder in the order of their names.
fn read(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| fs::read(&path).ok().map(|data| (path, data))).collect()
}

// === impl Chance ===

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap_or_default() % limit.max(1)
    }

    /// The input with one to four changes.
    fn change(&mut self, data: &[u8], other: &[u8]) -> Vec<u8> {
        let mut out = data.to_vec();
        for _ in 0..=self.below(4) {
            let (from, to) = (self.below(out.len() + 1), self.below(out.len() + 1));
            let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 64));
            let word = WORDS[self.below(WORDS.len())].as_bytes();
            match self.below(7) {
                0 => out.truncate(from),
                1 => drop(out.drain(from..to)),
                2 => drop(out.splice(from..from, out[from..to].to_vec())),
                3 => drop(out.splice(from..to, word.iter().copied())),
                4 => drop(out.splice(from..from, word.iter().copied())),
                5 => {
                    let start = self.below(other.len() + 1);
                    let end = other.len().min(start + 64);
                    drop(out.splice(from..to, other[start..end].iter().copied()));
                }
                _ => {
                    let bit = 1 << self.below(8);
                    if let Some(byte) = out.get_mut(from) {
                        *byte ^= bit;
                    }
                }
            }
            out.truncate(LONGEST);
        }
        out
    }
}
