//! What needs the operating system itself: pinning, priority, limits, CPU clocks, an exact timer.
//! The only file of this crate that may hold `unsafe`; each block says why it is sound.
#![allow(unsafe_code, reason = "these calls have no safe form in the standard library")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;

/// The real-time priority of everything that is measured or measures: low among real-time ones, above all others.
const PRIORITY: libc::c_int = 10;

/// Files that the mock, a floor or the load generator may have open: two for each of some thousand streams.
pub(crate) const OPEN_FILES: u64 = 16_384;

/// Pins the calling thread, and what it starts from now on, to a core, if one is named.
pub(crate) fn pin(cpu: Option<usize>) -> io::Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    // SAFETY: `set` is a plain bit set, zeroed and then written by the libc macro; pid 0 is the caller.
    let rc = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    result(rc)
}

/// Puts the caller under real-time round robin, as `chrt -r 10` does. Fails where that is not permitted.
pub(crate) fn round_robin() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: `param` lives through the call; pid 0 is the caller.
    result(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &param) })
}

/// Starts a program pinned to a core, real-time if asked for, that dies with this one.
pub(crate) fn spawn(command: &mut Command, cpu: Option<usize>, real_time: bool) -> io::Result<Child> {
    // SAFETY: between fork and exec only system calls are made that are safe there; nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            pin(cpu)?;
            if real_time {
                round_robin()?;
            }
            result(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))
        });
    }
    command.spawn()
}

/// Ends a process at once. The caller names only processes that it started.
pub(crate) fn kill(pid: u32) {
    // SAFETY: the call takes no pointers; a pid that is gone already is an error that does not matter.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
}

/// CPU time of a process with all its threads, exact to the scheduler's own nanoseconds, or `None` if it is gone.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both out-parameters live through the calls, and the second call sees only a clock that the first gave.
    let known = unsafe {
        libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) == 0
            && libc::clock_gettime(clock, &mut time) == 0
    };
    known.then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Makes room for `want` open files, or as many as are permitted, in this process and those it starts; says how many.
pub(crate) fn raise_open_files(want: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives through the call.
    result(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    if limit.rlim_cur >= want {
        return Ok(limit.rlim_cur);
    }
    for (soft, hard) in [(want, limit.rlim_max.max(want)), (want.min(limit.rlim_max), limit.rlim_max)] {
        let raised = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: as above.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) } == 0 {
            return Ok(soft);
        }
    }
    Ok(limit.rlim_cur)
}

fn result(rc: libc::c_int) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A timer exact to microseconds; the runtime's own rounds up to milliseconds.
pub(crate) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers; a non-negative result is a descriptor that we own.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above, and the descriptor lives as long as its registration.
        let registered = unsafe { AsyncFd::register(OwnedFd::from_raw_fd(fd)) };
        registered.map(Self).map_err(io::Error::from)
    }

    pub(crate) async fn sleep_until(&self, when: Instant) -> io::Result<()> {
        let wait = when.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let spec = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos() as _ },
        };
        // SAFETY: `spec` lives through the call, and a null old value is allowed.
        if unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &spec, std::ptr::null_mut()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cpu_time_grows_with_work() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while cpu_time(std::process::id()).unwrap() < before + Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(cpu_time(5_000_000).is_none(), "a number beyond all processes has no clock");
    }

    #[test]
    fn a_limit_that_holds_is_left_alone() {
        assert!(raise_open_files(16).unwrap() >= 16);
    }
}
