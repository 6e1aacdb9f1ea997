//! The machine: its clock, and how many files a process may open.

use lockgate_core::Clock as _;
use rustix::process::{Resource, getrlimit};

use super::Report;
use crate::assemble::SystemClock;
use crate::moment::exactly;

/// 2026-01-01 and 2100-01-01 in Unix milliseconds: before and after them this program does not run.
const PLAUSIBLE_MS: std::ops::Range<u64> = 1_767_225_600_000..4_102_444_800_000;
/// Two for each of 5,000 streams, and some.
const ENOUGH_FILES: u64 = 10_240;

pub(super) fn clock(report: &mut Report) {
    let now = SystemClock::start().wall_ms();
    if PLAUSIBLE_MS.contains(&now) {
        report.ok("clock", format!("{} UTC", exactly(now)));
    } else {
        report.fail(
            "clock",
            format!("{} UTC cannot be the time", exactly(now)),
            "set the clock: expiry of keys, ids and records go by it",
        );
    }
}

pub(super) fn open_files(report: &mut Report) {
    // The gateway raises its own limit up to the hard one, so that is the one that counts.
    match getrlimit(Resource::Nofile).maximum {
        None => report.ok("files", "a process may open any number of files"),
        Some(limit) if limit >= ENOUGH_FILES => {
            report.ok("files", format!("a process may open {limit} files"));
        }
        Some(limit) => report.warn(
            "files",
            format!("a process may open {limit} files, and each stream takes two"),
            format!(
                "raise the hard limit to {ENOUGH_FILES} or more: ulimit -Hn, or LimitNOFILE in a systemd unit"
            ),
        ),
    }
}
