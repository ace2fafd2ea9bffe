//! When this process stood still: its loop has to come by every few milliseconds, and where it did not, nobody was at home.

use tincan::time::{Micros, MILLISECOND};

/// How often the loop comes by when it has nothing to do.
pub const PACE: Micros = 5 * MILLISECOND;
/// Less than this is scheduling as it always is.
const NOTICED: Micros = 2 * PACE;
/// Some minutes of a process that gets a turn every 20 ms.
const KEPT: usize = 20_000;

pub struct Pulse {
    last: Micros,
    /// Beginning and end of each.
    pauses: Vec<(Micros, Micros)>,
}

impl Pulse {
    pub fn new(now: Micros) -> Self {
        Self { last: now, pauses: Vec::new() }
    }

    /// The loop comes by.
    pub fn beat(&mut self, now: Micros) {
        if now > self.last + NOTICED {
            if self.pauses.len() == KEPT {
                self.pauses.drain(..KEPT / 2);
            }
            self.pauses.push((self.last + PACE, now));
        }
        self.last = now;
    }

    /// Those that ended after `since`.
    pub fn pauses(&self, since: Micros) -> &[(Micros, Micros)] {
        &self.pauses[self.pauses.partition_point(|&(_, end)| end <= since)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_comes_by_in_time_has_no_pauses() {
        let mut pulse = Pulse::new(1_000);
        for round in 1..100 {
            pulse.beat(1_000 + round * PACE);
        }
        assert!(pulse.pauses(0).is_empty());
    }

    #[test]
    fn a_pause_lasts_from_when_the_loop_was_due_to_when_it_came() {
        let mut pulse = Pulse::new(0);
        pulse.beat(PACE);
        pulse.beat(PACE + 300 * MILLISECOND);
        pulse.beat(2 * PACE + 300 * MILLISECOND);
        assert_eq!(pulse.pauses(0), [(2 * PACE, PACE + 300 * MILLISECOND)]);
    }

    #[test]
    fn pauses_before_the_time_asked_for_are_left_out() {
        let mut pulse = Pulse::new(0);
        pulse.beat(100 * MILLISECOND);
        pulse.beat(200 * MILLISECOND);
        assert_eq!(pulse.pauses(100 * MILLISECOND), [(105 * MILLISECOND, 200 * MILLISECOND)]);
    }

    #[test]
    fn it_forgets_the_oldest_first() {
        let mut pulse = Pulse::new(0);
        let pauses = KEPT as u64 + 1;
        for round in 1..=pauses {
            pulse.beat(round * 20 * MILLISECOND);
        }
        let kept = pulse.pauses(0);
        assert!(kept.len() <= KEPT && kept.last().is_some_and(|&(_, end)| end == pauses * 20 * MILLISECOND));
    }
}
