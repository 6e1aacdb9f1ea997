//! Under what conditions figures were made: without these they mean nothing.

use std::fs;

use serde::Serialize;

use super::CompareArgs;

/// What is said beside the figures.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Conditions {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// Whether subject, mock and load ran under real-time round robin, out of reach of other programs.
    pub(super) real_time: bool,
    /// Programs that wanted a core in the minute before.
    pub(super) load_average: f64,
    pub(super) reps: usize,
    pub(super) seconds: f64,
    pub(super) streams: usize,
}

impl Conditions {
    pub(super) fn read(args: &CompareArgs, real_time: bool) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let cpu = info
            .lines()
            .find_map(|l| l.strip_prefix("model name"))
            .map_or("unknown", |l| l.trim_start_matches(['\t', ' ', ':']));
        Self {
            cpu: cpu.to_owned(),
            cores: info.lines().filter(|l| l.starts_with("processor")).count(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            real_time,
            load_average: read("/proc/loadavg").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
            reps: args.reps,
            seconds: args.seconds,
            streams: args.streams,
        }
    }
}
