//! How large a record one path carries: packetization layer path MTU discovery for datagrams (RFC 8899), with padded
//! probe requests as probe packets and records of at most [`BASE_RECORD`] bytes as what always works (BASE_PLPMTU).

use crate::time::{Micros, MILLISECOND, SECOND};

/// Every path must carry records of this size: 1,280 bytes of IPv6 MTU less headers, and what the relay takes.
pub const BASE_RECORD: u16 = 1200;
/// UDP over IPv4 carries 65,507 bytes; a round figure below leaves room for a routing header.
pub const MAX_RECORD: u16 = 65000;

/// Sizes worth asking about: tunnels and PPPoE between 1280 and 1452, plain Ethernet with IPv6 (1452) and IPv4 (1472)
/// headers, jumbo frames likewise (8952, 8972), and what only virtual links carry.
const LADDER: [u16; 13] = [BASE_RECORD, 1280, 1340, 1380, 1400, 1440, 1452, 1472, 4052, 8952, 8972, 32000, MAX_RECORD];
/// Most paths are plain Ethernet: ask for that first.
const FIRST_TRY: usize = 6;
const TRIES: u8 = 2;
const ANSWER_WAIT: Micros = 400 * MILLISECOND;
/// A larger size is looked for again this often (PMTU_RAISE_TIMER, RFC 8899 §5.1.1).
const RAISE: Micros = 600 * SECOND;
/// The size in use is confirmed this often, since a route may change to a smaller one without a word.
const CONFIRM: Micros = 10 * SECOND;
/// And this often where nothing is carried that could be lost: such a probe is as large as what it stands for.
const CONFIRM_IDLE: Micros = 120 * SECOND;
/// Confirmations lost in a row, with small probes answered, that make a black hole (RFC 8899 §4.3).
const BLACK_HOLE: u8 = 3;

#[derive(Debug)]
pub(super) struct MtuSearch {
    /// Index in the ladder of the largest size that was confirmed.
    confirmed: usize,
    /// Index of the smallest size known not to pass; `limit` while none is known.
    failed: usize,
    /// Index of the first size that is never asked for.
    limit: usize,
    asked: Option<(usize, Micros)>,
    tries: u8,
    next_at: Micros,
    unconfirmed: u8,
    /// When sizes known not to pass are forgotten.
    raise_at: Micros,
}

impl MtuSearch {
    /// Looks for sizes up to `largest`.
    pub fn new(largest: u16, now: Micros) -> Self {
        let limit = LADDER.iter().position(|&size| size > largest).unwrap_or(LADDER.len()).max(1);
        Self {
            confirmed: 0,
            failed: limit,
            limit,
            asked: None,
            tries: 0,
            next_at: now,
            unconfirmed: 0,
            raise_at: now + RAISE,
        }
    }

    /// Begins anew: the path is another one.
    pub fn restart(&mut self, now: Micros) {
        *self = Self { limit: self.limit, ..Self::new(LADDER[self.limit - 1], now) };
    }

    pub fn size(&self) -> u16 {
        LADDER[self.confirmed]
    }

    /// When `poll` has something to say.
    pub fn deadline(&self, busy: bool) -> Micros {
        match self.asked {
            Some((_, at)) => at + ANSWER_WAIT,
            None => self.due(busy),
        }
    }

    fn due(&self, busy: bool) -> Micros {
        if busy || !self.settled() || self.unconfirmed > 0 {
            self.next_at
        } else {
            self.next_at + (CONFIRM_IDLE - CONFIRM)
        }
    }

    /// The size the next padded request should have, if one is due. Its loss is noticed by the next call.
    pub fn poll(&mut self, busy: bool, now: Micros) -> Option<u16> {
        if let Some((index, at)) = self.asked {
            if now < at + ANSWER_WAIT {
                return None;
            }
            self.lost(index, now);
        }
        if now < self.due(busy) {
            return None;
        }
        if now >= self.raise_at {
            self.raise_at = now + RAISE;
            self.failed = self.limit;
        }
        let index = self.wanted();
        if index == 0 {
            self.next_at = self.raise_at;
            return None;
        }
        self.asked = Some((index, now));
        Some(LADDER[index])
    }

    /// The ladder is climbed step by step from the first try, and halved below it.
    fn wanted(&self) -> usize {
        let (low, high) = (self.confirmed, self.failed);
        if low + 1 >= high {
            return low;
        }
        if low == 0 && high > FIRST_TRY {
            FIRST_TRY
        } else if low == 0 && high == self.limit {
            high - 1
        } else if high > FIRST_TRY {
            low + 1
        } else {
            (low + high) / 2
        }
    }

    /// A padded request of this size was answered. True when the usable size grew.
    pub fn answered(&mut self, size: u16, now: Micros) -> bool {
        let Some(index) = LADDER.iter().position(|&s| s == size) else { return false };
        if self.asked.is_some_and(|(asked, _)| asked == index) {
            self.asked = None;
        }
        self.tries = 0;
        self.unconfirmed = 0;
        let grew = index > self.confirmed;
        self.confirmed = self.confirmed.max(index);
        if self.failed <= self.confirmed {
            self.failed = self.limit;
        }
        self.next_at = if self.settled() { now + CONFIRM } else { now };
        grew
    }

    fn settled(&self) -> bool {
        self.wanted() == self.confirmed
    }

    fn lost(&mut self, index: usize, now: Micros) {
        self.asked = None;
        self.next_at = now;
        if index <= self.confirmed {
            self.unconfirmed += 1;
            return;
        }
        self.tries += 1;
        if self.tries >= TRIES {
            self.failed = index;
            self.tries = 0;
            if self.settled() {
                self.next_at = now + CONFIRM;
            }
        }
    }

    /// Called when a small probe was answered: only then do lost confirmations speak of size and not of a dead path.
    /// True when the size fell back to the base.
    pub fn small_answered(&mut self, now: Micros) -> bool {
        if self.unconfirmed < BLACK_HOLE {
            return false;
        }
        self.fall_back(now);
        true
    }

    /// The kernel refused a datagram of this size (EMSGSIZE): the local link is smaller. True when the size in use fell.
    pub fn too_big(&mut self, size: u16, now: Micros) -> bool {
        let Some(index) = LADDER.iter().position(|&s| s >= size) else { return false };
        if index == 0 {
            return false;
        }
        if self.asked.is_some_and(|(asked, _)| asked >= index) {
            self.asked = None;
        }
        self.tries = 0;
        if index <= self.confirmed {
            self.fall_back(now);
            self.failed = index;
            return true;
        }
        self.failed = self.failed.min(index);
        self.next_at = if self.settled() { now + CONFIRM } else { now };
        false
    }

    fn fall_back(&mut self, now: Micros) {
        self.failed = self.confirmed;
        self.confirmed = 0;
        self.unconfirmed = 0;
        self.tries = 0;
        self.asked = None;
        self.next_at = now + SECOND;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a search over a path that carries `carries` bytes, from `from` for `seconds`; returns the size in use.
    fn run(search: &mut MtuSearch, carries: u16, from: Micros, seconds: u64) -> u16 {
        let mut now = from;
        while now < from + seconds * SECOND {
            if let Some(size) = search.poll(true, now) {
                if size <= carries {
                    search.answered(size, now + 10 * MILLISECOND);
                }
            }
            search.small_answered(now);
            now += 50 * MILLISECOND;
        }
        search.size()
    }

    #[test]
    fn the_search_finds_what_each_path_carries() {
        for (carries, found) in
            [(1200, 1200), (1300, 1280), (1399, 1380), (1451, 1440), (1452, 1452), (1499, 1472), (8972, 8972)]
        {
            let mut search = MtuSearch::new(MAX_RECORD, 0);
            assert_eq!(run(&mut search, carries, 0, 8), found, "a path that carries {carries}");
        }
        assert_eq!(run(&mut MtuSearch::new(MAX_RECORD, 0), u16::MAX, 0, 8), MAX_RECORD);
    }

    #[test]
    fn plain_ethernet_is_found_with_the_first_two_probes() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert_eq!(search.poll(true, 0), Some(1452));
        assert!(search.answered(1452, 1000));
        assert_eq!(search.poll(true, 1000), Some(1472));
        assert!(search.answered(1472, 2000));
        assert_eq!(search.size(), 1472);
    }

    #[test]
    fn a_path_that_shrinks_silently_falls_back_to_the_base_and_recovers_what_it_still_carries() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert_eq!(run(&mut search, 1472, 0, 8), 1472);
        assert_eq!(run(&mut search, 1400, 8 * SECOND, 30), 1400);
    }

    #[test]
    fn an_idle_path_is_confirmed_rarely() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert_eq!(run(&mut search, 1472, 0, 8), 1472);
        let asked = |search: &mut MtuSearch, busy| {
            let mut count = 0;
            for now in (80..700).map(|tenth| tenth * SECOND / 10) {
                if let Some(size) = search.poll(busy, now) {
                    search.answered(size, now);
                    count += 1;
                }
            }
            count
        };
        assert_eq!(asked(&mut search, false), 0);
        assert!((5..=7).contains(&asked(&mut search, true)));
    }

    #[test]
    fn a_dead_path_keeps_its_size_because_small_probes_go_unanswered_too() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        run(&mut search, 1472, 0, 8);
        let mut now = 8 * SECOND;
        while now < 30 * SECOND {
            search.poll(true, now);
            now += 50 * MILLISECOND;
        }
        assert_eq!(search.size(), 1472);
    }

    #[test]
    fn a_size_the_kernel_refuses_is_not_asked_again() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        run(&mut search, 1472, 0, 1);
        assert!(!search.too_big(4052, SECOND));
        assert_eq!(search.size(), 1472);
        assert_eq!(search.poll(true, SECOND), None);
        assert!(search.too_big(1472, 2 * SECOND), "the size in use itself was refused");
        assert_eq!(search.size(), BASE_RECORD);
        assert_eq!(run(&mut search, 1460, 2 * SECOND, 8), 1452);
    }

    #[test]
    fn a_largest_size_is_tried_first_and_never_passed() {
        for (carries, found) in [(u16::MAX, 1440), (1440, 1440), (1439, 1400), (1250, 1200)] {
            let mut search = MtuSearch::new(1440, 0);
            assert_eq!(search.poll(false, 0), Some(1440));
            assert_eq!(run(&mut search, carries, 0, 8), found, "a path that carries {carries}");
            search.restart(8 * SECOND);
            assert_eq!(search.poll(false, 8 * SECOND), Some(1440));
        }
        assert_eq!(MtuSearch::new(BASE_RECORD, 0).poll(true, 0), None, "nothing to look for");
    }
}
