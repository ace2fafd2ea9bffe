//! Time as every machine of tincan takes it: microseconds of the monotonic clock, handed in by the main loop.
//! A plain number, so that tests may say `5 * SECOND` and jump.

pub type Micros = u64;

pub const MILLISECOND: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;

/// The monotonic clock. Only `main` and the tests of `io` ask for it.
pub fn monotonic() -> Micros {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` outlives the call; CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * SECOND + t.tv_nsec as u64 / 1_000
}

/// Seconds since 1970 by the wall clock, for the validity of signed objects.
pub fn wall_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
