//! A plot of a drill, as SVG.

use std::fmt::Write as _;

/// What is drawn, second by second.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    /// 99th percentile of the time to the first token of the requests that began in each second, in milliseconds.
    pub(super) p99_ms: &'a [f64],
    /// Calls that each provider answered in each second, with its name.
    pub(super) answered: &'a [(&'a str, Vec<f64>)],
    /// Spans with their names, in seconds.
    pub(super) spans: &'a [(usize, usize, &'a str)],
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 56.0;
const PANEL: f64 = 150.0;
const COLOURS: [&str; 3] = ["#2563a8", "#b45309", "#15803d"];

impl Plot<'_> {
    pub(super) fn svg(&self) -> String {
        let seconds = self.p99_ms.len().max(1);
        let x = |second: f64| LEFT + second / seconds as f64 * (WIDTH - LEFT - 16.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 430\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"430\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"20\" \
             font-size=\"14\">{}</text>\n",
            self.title
        );
        for (place, (from, to, name)) in self.spans.iter().enumerate() {
            let (start, end) = (x(*from as f64), x(*to as f64));
            let fill = if place % 2 == 0 { "#f4f4f5" } else { "#fdecec" };
            let _ = writeln!(
                out,
                "<rect x=\"{start:.1}\" y=\"34\" width=\"{:.1}\" height=\"366\" fill=\"{fill}\"/>\n<text x=\"{:.1}\" \
                 y=\"48\" fill=\"#555\">{name}</text>",
                end - start,
                start + 4.0
            );
        }
        panel(&mut out, 60.0, "p99 of the time to the first token, ms", &[("p99", self.p99_ms.to_vec())], &x);
        panel(&mut out, 240.0, "calls answered in a second", self.answered, &x);
        let step = (seconds / 12).max(1);
        for second in (0..=seconds).step_by(step) {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"416\" text-anchor=\"middle\" fill=\"#555\">{second} s</text>",
                x(second as f64)
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

fn panel(out: &mut String, top: f64, name: &str, lines: &[(&str, Vec<f64>)], x: &dyn Fn(f64) -> f64) {
    let highest = lines.iter().flat_map(|(_, values)| values).copied().fold(1.0, f64::max) * 1.1;
    let y = |value: f64| top + PANEL - value / highest * (PANEL - 16.0);
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#222\">{name}</text>", top + 8.0);
    for share in [0.0, 0.5, 1.0] {
        let value = highest / 1.1 * share;
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\n<text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\" fill=\"#555\">{value:.0}</text>",
            WIDTH - 16.0,
            y(value),
            y(value),
            LEFT - 6.0,
            y(value) + 4.0
        );
    }
    for (place, (label, values)) in lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(second, value)| format!("{:.1},{:.1}", x(second as f64 + 0.5), y(*value)))
            .collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n<text x=\"{:.1}\" \
             y=\"{:.1}\" fill=\"{colour}\">{label}</text>",
            points.join(" "),
            WIDTH - 60.0 + 18.0 * place as f64,
            top + 8.0
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_lines_and_spans() {
        let svg = Plot {
            title: "t",
            p99_ms: &[1.0, 2.0],
            answered: &[("a", vec![1.0, 0.0]), ("b", vec![0.0, 1.0])],
            spans: &[(0, 1, "healthy"), (1, 2, "outage")],
        }
        .svg();
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert!(svg.contains("outage") && svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
