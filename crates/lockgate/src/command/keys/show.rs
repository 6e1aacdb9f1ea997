//! What is shown of a key, and the one time that its secret is.

use lockgate_core::key::{KeyState, PREFIX, Shown};
use lockgate_core::{Key, Secret};

use crate::command::Context;
use crate::moment;
use crate::paint::{Paint, Tone};
use crate::table::{Cell, Column, Table, printable};
use crate::terminal::{say, say_json};

/// Shows a key with its secret. There is no second time.
pub(super) fn once(context: &Context, key: &Key, secret: &Secret, now: u64) {
    if context.json {
        say_json(&Shown { secret: Some(secret.expose()), ..Shown::new(key, now) });
        return;
    }
    let expires =
        key.expires_ms.map_or_else(|| "never".to_owned(), |at| format!("{} UTC", moment::to_the_minute(at)));
    say(secret.expose());
    say("\nThis is the only time that the key is shown: copy it now. Only its hash is kept.\n");
    say(&format!("  id        {}", key.id));
    say(&format!("  name      {}", printable(&key.name)));
    say(&format!("  models    {}", models(key)));
    say(&format!("  expires   {expires}"));
    for (name, value) in &key.metadata {
        say(&format!("  metadata  {}={}", printable(name), printable(value)));
    }
    say("\nA running gateway knows of it within a second.");
}

/// Keys for people.
pub(super) fn table(keys: &[&Key], now: u64) {
    let paint = Paint::detect();
    let mut table = Table::new(&[
        Column::text("ID"),
        Column::text("NAME"),
        Column::text("KEY"),
        Column::text("MODELS"),
        Column::text("CREATED (UTC)"),
        Column::text("EXPIRES (UTC)"),
        Column::text("STATE"),
    ]);
    let rows: Vec<[Cell; 7]> = keys.iter().map(|key| row(key, now)).collect();
    for row in &rows {
        table.fit(row);
    }
    say(&table.titles(paint));
    for row in &rows {
        say(&table.line(row, paint));
    }
}

fn row(key: &Key, now: u64) -> [Cell; 7] {
    let (state, tone) = state(key, now);
    let expires = key.expires_ms.map_or_else(|| "never".to_owned(), moment::to_the_minute);
    [
        Cell::plain(&key.id),
        Cell::plain(&key.name),
        Cell::new(Tone::Quiet, &format!("{PREFIX}…{}", key.hint)),
        Cell::plain(&models(key)),
        Cell::plain(&moment::to_the_minute(key.created_ms)),
        Cell::plain(&expires),
        Cell::new(tone, state),
    ]
}

fn models(key: &Key) -> String {
    if key.models.is_empty() { "all".to_owned() } else { printable(&key.models.join(", ")) }
}

fn state(key: &Key, now: u64) -> (&'static str, Tone) {
    let state = key.state(now);
    let tone = match state {
        KeyState::Active => Tone::Good,
        KeyState::Expired => Tone::Doubtful,
        KeyState::Revoked => Tone::Bad,
    };
    (state.word(), tone)
}
