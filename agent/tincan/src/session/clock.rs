//! By which time certificates are judged (wire.md §2, "Time"): the machine's clock, as long as it can be right.

use super::Now;
use crate::time::SECOND;

/// A clock may be this far behind the authority's. Also the leeway of *not before*.
const LEEWAY: u64 = 600;

/// When our own certificate holds, and the latest signed time.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub not_before: u64,
    pub not_after: u64,
    pub signed: u64,
}

impl Frame {
    /// By a clock that is right our own certificate holds, or we are no member anyway.
    fn credits(&self, unix: u64) -> bool {
        let behind = unix.saturating_add(LEEWAY) < self.not_before.max(self.signed);
        !behind && unix <= self.not_after
    }
}

/// Both are seconds since 1970 at zero of the monotonic clock.
#[derive(Debug, Default)]
pub struct Clock {
    /// By the machine's clock, when it was last credible.
    own: Option<i64>,
    /// As the agent heard it from other members.
    told: Option<i64>,
}

impl Clock {
    /// The time to judge by. A clock that jumps out of our own certificate's life is not followed.
    pub fn seconds(&mut self, now: Now, frame: Frame) -> u64 {
        if frame.credits(now.unix) {
            self.own = Some(at_zero(now.us, now.unix));
        }
        let known = self.own.or(self.told).map(|zero| u64::try_from(zero.saturating_add(elapsed(now.us))).unwrap_or(0));
        known.unwrap_or(now.unix).max(frame.signed)
    }

    /// The time as others know it, for a machine whose clock was never credible.
    pub fn tell(&mut self, unix: u64, now: Now) {
        self.told = Some(at_zero(now.us, unix));
    }
}

fn elapsed(us: u64) -> i64 {
    i64::try_from(us / SECOND).unwrap_or(i64::MAX)
}

fn at_zero(us: u64, unix: u64) -> i64 {
    i64::try_from(unix).unwrap_or(i64::MAX).saturating_sub(elapsed(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const YEAR: u64 = 365 * DAY;
    const ENROLLED: u64 = 1_700_000_000;
    const FRAME: Frame = Frame { not_before: ENROLLED, not_after: ENROLLED + YEAR, signed: ENROLLED + DAY };

    fn at(seconds: u64, unix: u64) -> Now {
        Now { us: seconds * SECOND, unix }
    }

    #[test]
    fn a_clock_within_our_certificates_life_is_followed_also_when_it_is_set() {
        let mut clock = Clock::default();
        let start = ENROLLED + 10 * DAY;
        assert_eq!(clock.seconds(at(0, start), FRAME), start);
        assert_eq!(clock.seconds(at(60, start + 3600), FRAME), start + 3600);
        assert_eq!(clock.seconds(at(120, start - 3600), FRAME), start - 3600);
    }

    #[test]
    fn a_clock_that_jumps_out_of_it_is_not_followed_and_time_goes_on() {
        let mut clock = Clock::default();
        let start = ENROLLED + 10 * DAY;
        clock.seconds(at(100, start), FRAME);
        for wrong in [start + 5 * YEAR, start - 5 * YEAR, 0, u64::MAX] {
            assert_eq!(clock.seconds(at(700, wrong), FRAME), start + 600, "{wrong}");
        }
        // By the time that went on our own certificate ends all the same.
        assert_eq!(clock.seconds(at(100 + 2 * YEAR, 0), FRAME), start + 2 * YEAR);
    }

    #[test]
    fn a_board_that_starts_in_1970_judges_by_the_latest_signature_or_by_what_it_is_told() {
        let mut clock = Clock::default();
        assert_eq!(clock.seconds(at(5, 5), FRAME), FRAME.signed);
        clock.tell(ENROLLED + 100 * DAY, at(10, 10));
        assert_eq!(clock.seconds(at(20, 20), FRAME), ENROLLED + 100 * DAY + 10);
        // Told less than what is signed: the signature counts.
        clock.tell(ENROLLED, at(20, 20));
        assert_eq!(clock.seconds(at(20, 20), FRAME), FRAME.signed);
        // Set right, its own clock counts, and goes on counting.
        assert_eq!(clock.seconds(at(30, ENROLLED + 101 * DAY), FRAME), ENROLLED + 101 * DAY);
        clock.tell(ENROLLED + 300 * DAY, at(30, 0));
        assert_eq!(clock.seconds(at(40, 0), FRAME), ENROLLED + 101 * DAY + 10);
    }

    #[test]
    fn a_clock_ahead_counts_until_somebody_says_better() {
        let mut clock = Clock::default();
        let wrong = ENROLLED + 6 * YEAR;
        assert_eq!(clock.seconds(at(0, wrong), FRAME), wrong);
        clock.tell(ENROLLED + 50 * DAY, at(1, wrong));
        assert_eq!(clock.seconds(at(1, wrong), FRAME), ENROLLED + 50 * DAY);
    }
}
