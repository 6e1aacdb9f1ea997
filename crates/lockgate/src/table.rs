//! Rows in columns, and text of strangers made fit for a terminal.

use crate::paint::{Paint, Tone};

/// Columns whose width grows with what they have to hold.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
}

/// A column. The last one of a table is never padded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    width: usize,
}

/// A piece of a row.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// The most characters of a cell that are shown.
const WIDEST: usize = 60;
const GAP: &str = "  ";

// === impl Column ===

impl Column {
    /// A column of text.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self { title, right: false, width: 0 }
    }

    /// A column of numbers, set at its right edge.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, right: true, width: 0 }
    }

    /// The same column, at least so many characters wide: for rows that come one by one.
    pub(crate) const fn at_least(self, width: usize) -> Self {
        Self { width, ..self }
    }
}

// === impl Cell ===

impl Cell {
    /// Text that may come from anywhere.
    pub(crate) fn new(tone: Tone, text: &str) -> Self {
        Self { text: cut(&printable(text), WIDEST), tone }
    }

    /// The same in no special tone.
    pub(crate) fn plain(text: &str) -> Self {
        Self::new(Tone::Plain, text)
    }
}

// === impl Table ===

impl Table {
    /// A table of these columns.
    pub(crate) fn new(columns: &[Column]) -> Self {
        let columns = columns
            .iter()
            .map(|column| Column { width: column.width.max(width(column.title)), ..*column })
            .collect();
        Self { columns }
    }

    /// Makes room for a row.
    pub(crate) fn fit(&mut self, row: &[Cell]) {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.width = column.width.max(width(&cell.text));
        }
    }

    /// The line of titles.
    pub(crate) fn titles(&self, paint: Paint) -> String {
        let cells: Vec<Cell> =
            self.columns.iter().map(|column| Cell::new(Tone::Strong, column.title)).collect();
        self.line(&cells, paint)
    }

    /// A row as a line, without white space at its end.
    pub(crate) fn line(&self, row: &[Cell], paint: Paint) -> String {
        let mut line = String::new();
        for (at, (column, cell)) in self.columns.iter().zip(row).enumerate() {
            let padding = " ".repeat(column.width.saturating_sub(width(&cell.text)));
            let text = paint.put(cell.tone, &cell.text);
            if at > 0 {
                line.push_str(GAP);
            }
            let (first, second) = if column.right { (padding, text) } else { (text, padding) };
            line.push_str(&first);
            line.push_str(&second);
        }
        line.truncate(line.trim_end().len());
        line
    }
}

// === text ===

/// The text with everything escaped that could move the cursor, colour or reorder a terminal's text: names of keys,
/// models and customers come from clients.
pub(crate) fn printable(text: &str) -> String {
    let unsafe_here = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if unsafe_here(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// At most so many characters, with a sign where some are left out.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_columns() {
        let mut table = Table::new(&[Column::text("NAME"), Column::number("N"), Column::text("ID")]);
        let rows = [
            [Cell::plain("ci"), Cell::plain("1200"), Cell::plain("a")],
            [Cell::plain("support"), Cell::plain("7"), Cell::plain("bcd")],
        ];
        for row in &rows {
            table.fit(row);
        }
        assert_eq!(table.titles(Paint::OFF), "NAME        N  ID");
        assert_eq!(table.line(&rows[0], Paint::OFF), "ci       1200  a");
        assert_eq!(table.line(&rows[1], Paint::OFF), "support     7  bcd");
    }

    #[test]
    fn text_of_strangers_cannot_command_the_terminal() {
        assert_eq!(printable("a\x1b[2J\u{202e}b\n"), "a\\u{1b}[2J\\u{202e}b\\u{a}");
        assert_eq!(printable("模型-é"), "模型-é");
    }

    #[test]
    fn long_text_is_cut_visibly() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
    }
}
