//! Busy polling: whoever has just moved a frame or two soon gets the answer to them, and being woken for it costs more than looking a
//! moment longer (on a virtual machine some 30 to 60 µs a time). Looking costs a processor, so it is kept small: only after little
//! traffic (bulk fills the time by itself), only within a share of all time, and not where nothing ever comes of it.

use crate::time::{Micros, MILLISECOND};

/// How long a look is: what a round trip on a LAN takes.
const LOOK: Micros = 80;
/// Looks in vain may take one in so many of all microseconds,
const SHARE: u64 = 32;
/// saved up to so many.
const SAVED: Micros = 2 * MILLISECOND;
/// More than this moved within so long is bulk: waiting gathers what is sent and received in one go, and whoever has to get through
/// needs the processor.
const LITTLE: usize = 16 << 10;
const WHILE: Micros = 5 * MILLISECOND;
/// After so many looks in vain in a row the next rounds go without, so many first and twice as many each time.
const VAIN: u32 = 8;
const PAUSE: u32 = 8;
const LONGEST_PAUSE: u32 = 256;

/// What the environment says of it (`EVIO_BUSY_POLL`, docs/operations.md): nothing, `on` or `off`.
pub fn busy_poll_wanted(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("" | "on") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(format!("EVIO_BUSY_POLL={other} is not allowed; allowed: on, off")),
    }
}

#[derive(Debug)]
pub struct BusyPoll {
    wanted: bool,
    /// What looks in vain have taken, times `SHARE`; time pays it back.
    owed: Micros,
    at: Micros,
    /// When the present while ends, and what was moved in it. One of bulk goes on for as long as there is no lull as long as itself.
    until: Micros,
    moved: usize,
    /// Looks in vain in a row.
    vain: u32,
    /// Rounds to go without.
    pause: u32,
    /// How many that will be next time.
    next_pause: u32,
}

impl Default for BusyPoll {
    fn default() -> Self {
        Self::new(true)
    }
}

impl BusyPoll {
    pub fn new(wanted: bool) -> Self {
        Self { wanted, owed: 0, at: 0, until: 0, moved: 0, vain: 0, pause: 0, next_pause: PAUSE }
    }

    /// How long to look for more after a round that moved so many bytes of frames, before sleeping; 0: not at all.
    pub fn after(&mut self, moved: usize, now: Micros) -> Micros {
        self.owed = self.owed.saturating_sub(now.saturating_sub(self.at));
        self.at = now;
        if now >= self.until {
            (self.until, self.moved) = (now + WHILE, 0);
        }
        self.moved += moved;
        if self.moved > LITTLE {
            self.until = now + WHILE;
        }
        if !self.wanted || moved == 0 || self.moved > LITTLE {
            return 0;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return 0;
        }
        if self.owed + LOOK * SHARE > SAVED * SHARE {
            return 0;
        }
        LOOK
    }

    /// A look has taken so long, and something came or not.
    pub fn looked(&mut self, took: Micros, found: bool) {
        if found {
            self.vain = 0;
            self.next_pause = PAUSE;
            return;
        }
        self.owed += took * SHARE;
        self.vain += 1;
        if self.vain == VAIN {
            self.vain = 0;
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    const START: Micros = 100 * SECOND;

    /// Rounds of a small frame each, `every` apart, whose looks find something or not; how long all looks took.
    fn looks(poll: &mut BusyPoll, rounds: u64, every: Micros, found: impl Fn(u64) -> bool) -> (u64, Micros) {
        let (mut count, mut took) = (0, 0);
        for round in 0..rounds {
            let look = poll.after(98, START + round * every);
            if look > 0 {
                count += 1;
                took += look;
                poll.looked(look, found(round));
            }
        }
        (count, took)
    }

    #[test]
    fn it_looks_after_each_of_few_frames_that_are_answered() {
        assert_eq!(looks(&mut BusyPoll::new(true), 1_000, 5_000, |round| round % 2 == 0).0, 1_000);
    }

    #[test]
    fn it_looks_neither_in_bulk_nor_after_nothing_nor_when_told_not_to() {
        let mut poll = BusyPoll::new(true);
        assert_eq!(poll.after(0, START), 0);
        assert_eq!(poll.after(LITTLE, START), LOOK);
        // Many small ones are bulk as well as a large one, until there is a lull.
        assert_eq!(poll.after(66, START + 1), 0);
        assert_eq!(poll.after(66, START + WHILE), 0);
        assert_eq!(poll.after(66, START + 2 * WHILE), LOOK);
        assert_eq!(poll.after(LITTLE + 1, START + 4 * WHILE), 0);
        assert_eq!(BusyPoll::new(false).after(98, START), 0);
    }

    #[test]
    fn looks_in_vain_take_a_thirtysecond_part_of_the_time_at_most() {
        // One in eight finds something, so that there is never a pause.
        let rounds = 100_000;
        let (_, took) = looks(&mut BusyPoll::new(true), rounds, 100, |round| round % 8 == 0);
        let vain = took * 7 / 8;
        assert!(vain <= rounds * 100 / SHARE * 5 / 4 + SAVED, "{vain} of {}", rounds * 100);
    }

    #[test]
    fn where_nothing_ever_comes_it_looks_ever_less_and_at_once_again_when_something_does() {
        let mut poll = BusyPoll::new(true);
        let (count, _) = looks(&mut poll, 10_000, 10_000, |_| false);
        assert!(count < 500, "{count}");
        let (again, _) = looks(&mut poll, u64::from(LONGEST_PAUSE) + 1_000, 10_000, |_| true);
        assert!(again >= 1_000, "{again}");
    }

    #[test]
    fn what_the_environment_says_is_on_or_off() {
        assert_eq!(busy_poll_wanted(None), Ok(true));
        assert_eq!(busy_poll_wanted(Some("off")), Ok(false));
        assert_eq!(busy_poll_wanted(Some("no")).unwrap_err(), "EVIO_BUSY_POLL=no is not allowed; allowed: on, off");
    }
}
