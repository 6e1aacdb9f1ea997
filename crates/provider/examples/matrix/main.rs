//! Prints what each built-in provider gets of a request, by the client's dialect: docs/reference/matrix.md; with `gaps`
//! the list of gaps that `tests/matrix.rs` keeps.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

mod cells;

use std::collections::BTreeMap;

use self::cells::{CLIENTS, Fate, Row, gaps, rows};

const HEAD: &str = "\
# What each provider gets of a request

Written by `cargo xtask generate`; every cell is a request that was made for that provider: translated where it does not speak the
client's dialect, and changed as its quirks demand. Providers that get the same share a column.

**✓** carried, **◐** carried but for what the note names (also in the header `x-lockgate-losses`, in the record, and an error under
`x-lockgate-strict: true`), **✗** refused with an error that says why, before anything is sent. What a provider or a model does with
what it gets is its own affair: a model without eyes refuses an image that was carried to it.
";

fn main() {
    if std::env::args().nth(1).is_some_and(|word| word == "gaps") {
        for gap in gaps() {
            println!("{gap}");
        }
        return;
    }
    println!("{HEAD}");
    for client in CLIENTS {
        table(client);
    }
}

fn table(client: &'static str) {
    let rows = rows(client);
    // Those that are asked in the same dialect and get the same, in the order of their first provider.
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in &rows {
        let alike = |group: &&mut Vec<&Row>| {
            group.first().is_some_and(|first| first.asked_in == row.asked_in && first.cells == row.cells)
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.sort_by_key(|group| {
        let first = group.first().map(|row| row.asked_in);
        (first != Some(client), first, std::cmp::Reverse(group.len()))
    });
    println!("## From `{client}`\n");
    for (at, group) in groups.iter().enumerate() {
        let asked_in = group.first().map_or("", |row| row.asked_in);
        let names: Vec<String> = group.iter().map(|row| name(row)).collect();
        let how = if asked_in == client { "untouched".to_owned() } else { format!("as `{asked_in}`") };
        println!("- **{}** {how}: {}", letter(at), names.join(", "));
    }
    let heads: Vec<String> = (0..groups.len()).map(letter).collect();
    println!("\n| | {} |\n|---|{}", heads.join(" | "), ":-:|".repeat(heads.len()));
    let mut notes = BTreeMap::<&str, usize>::new();
    let mut order = Vec::new();
    let features =
        rows.first().map(|row| row.cells.iter().map(|(feature, _)| *feature)).into_iter().flatten();
    for (at, feature) in features.enumerate() {
        let cells = groups.iter().filter_map(|group| group.first()?.cells.get(at)).map(|(_, fate)| fate);
        let cells: Vec<String> = cells.map(|fate| cell(fate, &mut notes, &mut order)).collect();
        println!("| {feature} | {} |", cells.join(" | "));
    }
    println!();
    for (at, why) in order.iter().enumerate() {
        println!("{}. {why}", at + 1);
    }
    println!();
}

fn cell<'a>(fate: &'a Fate, notes: &mut BTreeMap<&'a str, usize>, order: &mut Vec<&'a str>) -> String {
    let Some(why) = fate.why() else { return fate.sign().to_owned() };
    let next = notes.len() + 1;
    let number = *notes.entry(why).or_insert_with(|| {
        order.push(why);
        next
    });
    format!("{} {number}", fate.sign())
}

/// A provider, with what it knows by another name.
fn name(row: &Row) -> String {
    let renamed: Vec<String> = row.renamed.iter().map(|(from, to)| format!("`{from}` as `{to}`")).collect();
    if renamed.is_empty() {
        row.provider.clone()
    } else {
        format!("{} ({})", row.provider, renamed.join(", "))
    }
}

/// A column's name: A to Z, then AA and so on.
fn letter(at: usize) -> String {
    let last = char::from(b'A' + u8::try_from(at % 26).unwrap_or_default());
    if at < 26 { last.to_string() } else { format!("{}{last}", letter(at / 26 - 1)) }
}
