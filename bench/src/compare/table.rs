//! The comparison as Markdown.

use std::fmt::Write as _;

use super::conditions::Conditions;
use super::figures::{ABSOLUTES, Figures, RATIOS};
use super::subject::GATEWAY;

/// Two tables (what is aimed at, and all figures) and the conditions under them.
pub(super) fn markdown(figures: &Figures, conditions: &Conditions) -> String {
    let mut out = String::from("| | gateway | floor | ratio | at most | |\n|---|--:|--:|--:|--:|---|\n");
    for r in &RATIOS {
        let Some(ratio) = figures.ratio(r) else { continue };
        line(
            &mut out,
            &[
                r.text,
                &cell(figures, GATEWAY, r.figure),
                &format!("{} `{}`", cell(figures, r.floor, r.figure), r.floor),
                &format!("{ratio:.2}"),
                &format!("{:.1}", r.limit),
                verdict(ratio, r.limit),
            ],
        );
    }
    for a in &ABSOLUTES {
        let Some(value) = figures.median(GATEWAY, a.figure) else { continue };
        line(
            &mut out,
            &[
                &format!("{}, {}", a.text, a.unit),
                &cell(figures, GATEWAY, a.figure),
                "",
                "",
                &format!("{} {}", a.limit, a.unit),
                verdict(value, a.limit),
            ],
        );
    }
    if let Some(alive) = figures.median(GATEWAY, "streams_open.alive") {
        let asked = figures.streams_asked;
        let verdict = if alive as usize >= asked { "met" } else { "**missed**" };
        line(&mut out, &["streams open at once", &number(alive), "", "", &format!("of {asked}"), verdict]);
    }
    let subjects: Vec<_> = figures.subjects().collect();
    let _ = writeln!(out, "\n| all medians | {} |", subjects.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(subjects.len()));
    for name in figures.names() {
        let cells: Vec<_> =
            subjects.iter().map(|s| figures.median(s, name).map_or_else(|| "–".to_owned(), number)).collect();
        let _ = writeln!(out, "| `{name}` | {} |", cells.join(" | "));
    }
    let priority = if conditions.real_time {
        "under real-time round robin"
    } else {
        "with ordinary priority (real-time priority was not permitted): other programs show in the figures"
    };
    let _ = writeln!(
        out,
        "\nMedians of {} repetitions of {} s in one run, subjects alternating, in brackets the lowest and the highest. \
         Each subject alone on one core, mock and load on another, {priority}. {} cores of {}, Linux {}, load average \
         {:.1} at the start. CPU in microseconds, user and system.",
        conditions.reps,
        conditions.seconds,
        conditions.cores,
        conditions.cpu,
        conditions.kernel,
        conditions.load_average,
    );
    out
}

fn line(out: &mut String, cells: &[&str]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn verdict(value: f64, limit: f64) -> &'static str {
    if value <= limit { "met" } else { "**missed**" }
}

/// The median, and how far the repetitions lie apart.
fn cell(figures: &Figures, subject: &str, figure: &str) -> String {
    let Some(median) = figures.median(subject, figure) else { return "–".to_owned() };
    match figures.spread(subject, figure) {
        Some((low, high)) if low < high => {
            format!("{} ({} to {})", number(median), number(low), number(high))
        }
        _ => number(median),
    }
}

/// Three or four digits, as many as can be meant.
fn number(n: f64) -> String {
    if n.abs() >= 100.0 { format!("{n:.0}") } else { format!("{n:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_met_and_what_missed() {
        let mut figures = Figures::default();
        figures.add(GATEWAY, "small_c64.cpu_us", 24.0);
        figures.add("lazy", "small_c64.cpu_us", 20.0);
        figures.add(GATEWAY, "idle_rss_mib", 31.0);
        let conditions = Conditions {
            cpu: "x".to_owned(),
            cores: 2,
            kernel: "k".to_owned(),
            real_time: true,
            load_average: 0.5,
            reps: 1,
            seconds: 3.0,
            streams: 10,
        };
        let text = markdown(&figures, &conditions);
        assert!(text.contains("| 24.0 | 20.0 `lazy` | 1.20 | 1.3 | met |"), "{text}");
        assert!(text.contains("| memory when idle, MiB | 31.0 |  |  | 30 MiB | **missed** |"), "{text}");
        assert!(text.contains("| `idle_rss_mib` | 31.0 | – |"), "{text}");
    }
}
