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
/// The size in use is confirmed this often, since a route may change to a smaller one without a word. Small records still get through then and
/// are answered, so nothing else tells.
const CONFIRM: Micros = 3 * SECOND;
/// And this often where nothing is carried that could be lost: such a probe is as large as what it stands for.
const CONFIRM_IDLE: Micros = 600 * SECOND;
/// And at once, but not more often than this, where the path lives and what it carried went unanswered.
const DOUBT: Micros = 2 * SECOND;
/// Confirmations lost in a row, with small probes answered, that make a black hole (RFC 8899 §4.3).
const BLACK_HOLE: u8 = 3;
/// The same of the base itself: many, because a path that is given up for this is given up for a while, and lines that lose every
/// fifth packet are to be used.
const TOO_NARROW: u8 = 8;
/// For so long; then it is asked again.
const NARROW_LIFE: Micros = 60 * SECOND;

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
    /// Only a small probe can tell now whether they speak of size.
    question: bool,
    /// When what goes unanswered may next have the size confirmed ahead of its time.
    doubt_at: Micros,
    /// When sizes known not to pass are forgotten.
    raise_at: Micros,
    /// The base, or more, got through.
    base_seen: bool,
    /// Not even the base passes (the Error phase, RFC 8899 §5.2): until then the path is not used.
    narrow_until: Option<Micros>,
    narrow_unsaid: bool,
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
            question: false,
            doubt_at: 0,
            raise_at: now + RAISE,
            base_seen: false,
            narrow_until: None,
            narrow_unsaid: false,
        }
    }

    /// Begins anew: the path is another one.
    pub fn restart(&mut self, now: Micros) {
        *self = Self { limit: self.limit, ..Self::new(LADDER[self.limit - 1], now) };
    }

    pub fn size(&self) -> u16 {
        LADDER[self.confirmed]
    }

    /// The path does not carry what every path must.
    pub fn narrow(&self) -> bool {
        self.narrow_until.is_some()
    }

    /// Whether that is news.
    pub fn take_narrow(&mut self) -> bool {
        std::mem::take(&mut self.narrow_unsaid)
    }

    /// A path that was too narrow may be another by now.
    pub fn expire(&mut self, now: Micros) {
        if self.narrow_until.is_some_and(|until| until <= now) {
            self.restart(now);
        }
    }

    fn give_up(&mut self, now: Micros) {
        self.narrow_unsaid = self.narrow_until.is_none();
        self.narrow_until = Some(now + NARROW_LIFE);
        self.asked = None;
        self.unconfirmed = 0;
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
        if self.narrow() {
            return None;
        }
        let index = self.wanted();
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
        self.base_seen = true;
        let grew = index > self.confirmed;
        self.confirmed = self.confirmed.max(index);
        if self.failed <= self.confirmed {
            self.failed = self.limit;
        }
        self.next_at = if self.settled() { now + CONFIRM } else { now };
        grew
    }

    /// Nothing has to be known in a hurry. Where nothing larger passes, the base has to have been seen.
    fn settled(&self) -> bool {
        self.wanted() == self.confirmed && (self.confirmed > 0 || self.base_seen)
    }

    fn lost(&mut self, index: usize, now: Micros) {
        self.asked = None;
        self.next_at = now;
        if index <= self.confirmed {
            self.unconfirmed += 1;
            self.question |= self.unconfirmed == self.patience();
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

    /// Confirmations lost in a row that are too many.
    fn patience(&self) -> u8 {
        if self.confirmed == 0 {
            TOO_NARROW
        } else {
            BLACK_HOLE
        }
    }

    /// Whether a small probe should be sent at once. Its answer makes the size fall.
    pub fn take_question(&mut self) -> bool {
        std::mem::take(&mut self.question)
    }

    /// Called when a small probe was answered: only then do lost confirmations speak of size and not of a dead path.
    /// True when the size fell back to the base, or the path is given up.
    pub fn small_answered(&mut self, now: Micros) -> bool {
        if self.unconfirmed < self.patience() {
            return false;
        }
        if self.confirmed == 0 {
            self.give_up(now);
            return true;
        }
        self.fall_back(now);
        true
    }

    /// A small probe was answered, and what the path carried was not: it may have been too large.
    pub fn doubt(&mut self, now: Micros) {
        let resting = self.asked.is_none() && self.unconfirmed == 0 && self.confirmed > 0 && self.settled();
        if resting && now >= self.doubt_at {
            self.doubt_at = now + DOUBT;
            self.next_at = now;
        }
    }

    /// The kernel refused a datagram of this size (EMSGSIZE): the local link is smaller. True when the size in use fell.
    pub fn too_big(&mut self, size: u16, now: Micros) -> bool {
        let Some(index) = LADDER.iter().position(|&s| s >= size) else { return false };
        if index == 0 {
            self.give_up(now);
            return true;
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
        for (carries, found) in [
            (1200, 1200),
            (1227, 1200),
            (1300, 1280),
            (1399, 1380),
            (1451, 1440),
            (1452, 1452),
            (1499, 1472),
            (8972, 8972),
        ] {
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
    fn a_path_that_shrinks_under_traffic_that_goes_unanswered_falls_back_within_two_seconds() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert_eq!(run(&mut search, 1472, 0, 8), 1472);
        assert_eq!(search.poll(true, 9 * SECOND), None, "confirmed a moment ago");
        let mut now = 9 * SECOND;
        while search.size() == 1472 && now < 20 * SECOND {
            search.doubt(now);
            search.poll(true, now);
            search.small_answered(now);
            now += 50 * MILLISECOND;
        }
        assert!(now < 11 * SECOND, "{now}");
    }

    #[test]
    fn doubts_that_are_unfounded_cost_a_probe_in_two_seconds() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert_eq!(run(&mut search, 1472, 0, 8), 1472);
        let mut asked = 0;
        for now in (80..580).map(|tenth| tenth * SECOND / 10) {
            search.doubt(now);
            if let Some(size) = search.poll(true, now) {
                search.answered(size, now);
                asked += 1;
            }
        }
        assert_eq!((search.size(), asked), (1472, 25));
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
        assert!((19..=21).contains(&asked(&mut search, true)));
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
        assert_eq!(MtuSearch::new(BASE_RECORD, 0).poll(true, 0), Some(BASE_RECORD), "nothing to look for but the base");
    }

    #[test]
    fn a_path_that_does_not_carry_the_base_is_given_up_within_ten_seconds_and_said_once() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        run(&mut search, 1199, 0, 10);
        assert!(search.narrow());
        assert!(search.take_narrow());
        assert!(!search.take_narrow());
        assert_eq!(search.poll(true, 11 * SECOND), None);
    }

    #[test]
    fn one_that_was_too_narrow_is_asked_again_after_a_minute() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        run(&mut search, 1000, 0, 10);
        search.expire(30 * SECOND);
        assert!(search.narrow());
        search.expire(71 * SECOND);
        assert!(!search.narrow());
        assert_eq!(run(&mut search, 1472, 71 * SECOND, 8), 1472);
    }

    #[test]
    fn a_path_that_shrinks_below_the_base_is_given_up_too() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert_eq!(run(&mut search, 1472, 0, 8), 1472);
        run(&mut search, 1000, 8 * SECOND, 40);
        assert!(search.narrow());
    }

    #[test]
    fn a_link_of_ours_that_is_too_narrow_is_known_at_once() {
        let mut search = MtuSearch::new(MAX_RECORD, 0);
        assert!(search.too_big(BASE_RECORD, 0));
        assert!(search.narrow() && search.take_narrow());
    }

    #[test]
    fn a_line_that_loses_a_third_of_all_probes_is_not_taken_for_a_narrow_one() {
        let mut given_up = 0;
        for seed in 0..50_u64 {
            let mut search = MtuSearch::new(MAX_RECORD, 0);
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut now = 0;
            while now < 120 * SECOND && !search.narrow() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if let Some(size) = search.poll(true, now) {
                    if size <= 1472 && (state >> 33) % 3 > 0 {
                        search.answered(size, now + 10 * MILLISECOND);
                    }
                }
                search.small_answered(now);
                now += 50 * MILLISECOND;
            }
            given_up += u32::from(search.narrow());
        }
        assert!(given_up <= 1, "{given_up} of 50 lines in two minutes");
    }
}
