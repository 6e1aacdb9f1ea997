//! The figures of a comparison: which ratios are made of them, and what is aimed at.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::conditions::Conditions;
use super::subject::GATEWAY;
use crate::load::Report;
use crate::median::median;

/// A figure of the gateway over the same of a floor.
pub(super) struct Ratio {
    pub(super) name: &'static str,
    /// What it says to a reader.
    pub(super) text: &'static str,
    pub(super) figure: &'static str,
    pub(super) floor: &'static str,
    /// The most that the project allows itself.
    pub(super) limit: f64,
}

/// A figure of the gateway that stands alone.
pub(super) struct Absolute {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) figure: &'static str,
    pub(super) unit: &'static str,
    pub(super) limit: f64,
}

pub(super) const RATIOS: [Ratio; 7] = [
    ratio("small_c64", "CPU a request, 1 KB, 64 connections, us", "small_c64.cpu_us", "lazy", 1.3),
    ratio("large_c64", "CPU a request, 100 KB, 64 connections, us", "large_c64.cpu_us", "lazy", 0.9),
    ratio("stream_c64", "CPU a stream of 50 events at once, us", "stream_c64.cpu_us", "pass", 1.2),
    ratio(
        "stream_paced_c64",
        "CPU a stream of 50 events, 10 ms apart, us",
        "stream_paced_c64.cpu_us",
        "pass",
        1.2,
    ),
    ratio("low_p50", "added p50 latency at 100 requests a second, us", "low.added_p50_us", "pass", 1.5),
    ratio(
        "peak_rss_small_c256",
        "peak memory, 1 KB, 256 connections, MiB",
        "small_c256.rss_mib",
        "lazy",
        1.2,
    ),
    ratio(
        "peak_rss_large_c256",
        "peak memory, 100 KB, 256 connections, MiB",
        "large_c256.rss_mib",
        "lazy",
        1.2,
    ),
];

/// The greater of the two ratios of peak memory, under one name.
const PEAK: (&str, [&str; 2]) = ("peak_rss_c256", ["peak_rss_small_c256", "peak_rss_large_c256"]);

pub(super) const ABSOLUTES: [Absolute; 3] = [
    Absolute {
        name: "idle_rss_mib",
        text: "memory when idle",
        figure: "idle_rss_mib",
        unit: "MiB",
        limit: 30.0,
    },
    Absolute {
        name: "startup_ms",
        text: "start to first 200",
        figure: "startup_ms",
        unit: "ms",
        limit: 100.0,
    },
    Absolute {
        name: "streams_open_kib",
        text: "memory of an open stream",
        figure: "streams_open.kib",
        unit: "KiB",
        limit: 40.0,
    },
];

const fn ratio(
    name: &'static str,
    text: &'static str,
    figure: &'static str,
    floor: &'static str,
    limit: f64,
) -> Ratio {
    Ratio { name, text, figure, floor, limit }
}

/// All that was measured: subject, figure, one number a repetition.
#[derive(Default)]
pub(super) struct Figures {
    runs: BTreeMap<&'static str, BTreeMap<String, Vec<f64>>>,
    /// How many streams the case `streams_open` asked for.
    pub(super) streams_asked: usize,
}

impl Figures {
    pub(super) fn add(&mut self, subject: &'static str, figure: &str, value: f64) {
        self.runs.entry(subject).or_default().entry(figure.to_owned()).or_default().push(value);
    }

    /// What is kept of a load's report.
    pub(super) fn add_report(&mut self, subject: &'static str, case: &str, report: &Report) {
        self.add(subject, &format!("{case}.rps"), report.rps);
        self.add(subject, &format!("{case}.p50_us"), report.latency_us.p50);
        self.add(subject, &format!("{case}.p99_us"), report.latency_us.p99);
        self.add(subject, &format!("{case}.errors"), report.errors as f64);
        if let Some(cpu) = report.cpu_us_per_request {
            self.add(subject, &format!("{case}.cpu_us"), cpu);
        }
        if let Some(rss) = report.rss_peak_mib {
            self.add(subject, &format!("{case}.rss_mib"), rss);
        }
    }

    pub(super) fn median(&self, subject: &str, figure: &str) -> Option<f64> {
        median(self.runs.get(subject)?.get(figure)?)
    }

    /// Lowest and highest over the repetitions.
    pub(super) fn spread(&self, subject: &str, figure: &str) -> Option<(f64, f64)> {
        let runs = self.runs.get(subject)?.get(figure)?;
        Some((runs.iter().copied().reduce(f64::min)?, runs.iter().copied().reduce(f64::max)?))
    }

    pub(super) fn subjects(&self) -> impl Iterator<Item = &'static str> {
        self.runs.keys().copied()
    }

    /// The names of all figures, of whatever subject, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.runs.values().flat_map(|f| f.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Gateway over floor; `None` if one was not measured or the floor's is not above zero (noise, in the latencies).
    pub(super) fn ratio(&self, ratio: &Ratio) -> Option<f64> {
        let floor = self.median(ratio.floor, ratio.figure).filter(|f| *f > 0.0)?;
        Some(self.median(GATEWAY, ratio.figure)? / floor)
    }

    /// All as JSON: `ratios` (those that were measured), `figures` (the absolute ones by name, then all medians and
    /// runs by subject), `conditions`.
    pub(super) fn json(&self, conditions: &Conditions) -> Value {
        let mut ratios: BTreeMap<&str, f64> =
            RATIOS.iter().filter_map(|r| Some((r.name, round(self.ratio(r)?)))).collect();
        let (name, parts) = PEAK;
        let peaks: Vec<f64> = parts.iter().filter_map(|p| ratios.get(p).copied()).collect();
        if let ([small, large], true) = (peaks.as_slice(), peaks.len() == parts.len()) {
            ratios.insert(name, small.max(*large));
        }
        let mut figures: Map<String, Value> = ABSOLUTES
            .iter()
            .filter_map(|a| Some((a.name.to_owned(), json!(round(self.median(GATEWAY, a.figure)?)))))
            .collect();
        for (subject, runs) in &self.runs {
            let medians: BTreeMap<_, _> =
                runs.iter().map(|(name, runs)| (name, median(runs).map(round))).collect();
            figures.insert((*subject).to_owned(), json!({ "median": medians, "runs": runs }));
        }
        json!({ "ratios": ratios, "figures": figures, "conditions": conditions })
    }
}

/// Three places behind the point: more would only look exact.
fn round(n: f64) -> f64 {
    (n * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions() -> Conditions {
        Conditions {
            cpu: "x".to_owned(),
            cores: 2,
            kernel: "k".to_owned(),
            real_time: false,
            load_average: 0.0,
            reps: 3,
            seconds: 3.0,
            streams: 10,
        }
    }

    #[test]
    fn a_ratio_is_that_of_the_medians() {
        let mut figures = Figures::default();
        for (gateway, lazy) in [(20.0, 10.0), (30.0, 20.0), (90.0, 30.0)] {
            figures.add(GATEWAY, "small_c64.cpu_us", gateway);
            figures.add("lazy", "small_c64.cpu_us", lazy);
        }
        let json = figures.json(&conditions());
        assert_eq!(json["ratios"], json!({ "small_c64": 1.5 }));
        assert_eq!(json["figures"]["gateway"]["median"]["small_c64.cpu_us"], 30.0);
    }

    #[test]
    fn nothing_is_divided_by_noise() {
        let mut figures = Figures::default();
        figures.add(GATEWAY, "low.added_p50_us", 50.0);
        figures.add("pass", "low.added_p50_us", -3.0);
        assert_eq!(figures.json(&conditions())["ratios"], json!({}));
    }

    #[test]
    fn peak_memory_is_judged_by_the_worse_of_two() {
        let mut figures = Figures::default();
        for (figure, gateway) in [("small_c256.rss_mib", 30.0), ("large_c256.rss_mib", 50.0)] {
            figures.add(GATEWAY, figure, gateway);
            figures.add("lazy", figure, 40.0);
        }
        assert_eq!(figures.json(&conditions())["ratios"]["peak_rss_c256"], 1.25);
    }
}
