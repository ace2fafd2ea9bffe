//! Replay window of 8,192 counters (wire.md §4.2), in the manner of RFC 6479: a ring of words that is never shifted.

pub const WINDOW: u64 = 8192;
const WORDS: u64 = 256;
const WORD_BITS: u64 = 64;

/// One bit for each counter seen. The ring holds twice the window, so that a word is cleared before its bits count again.
pub struct ReplayWindow {
    bits: Box<[u64; WORDS as usize]>,
    /// One above the highest counter seen.
    next: u64,
}

impl ReplayWindow {
    pub fn new() -> Self {
        ReplayWindow { bits: Box::new([0; WORDS as usize]), next: 0 }
    }

    /// Whether a record with this counter may be opened: it is not too old and was not seen.
    pub fn admits(&self, counter: u64) -> bool {
        if counter >= self.next {
            return true;
        }
        if self.next - counter > WINDOW {
            return false;
        }
        let (word, bit) = Self::place(counter);
        self.bits.get(word).is_some_and(|bits| bits & bit == 0)
    }

    /// The lowest of these counters, `to` not among them, that was not seen; those that are too old count as seen.
    pub fn first_missing(&self, from: u64, to: u64) -> Option<u64> {
        (from.max(self.next.saturating_sub(WINDOW))..to).find(|&counter| self.admits(counter))
    }

    /// After the record verified, not before: else anybody could push the window on.
    pub fn mark(&mut self, counter: u64) {
        if counter >= self.next {
            let first = self.next.div_ceil(WORD_BITS);
            let last = counter / WORD_BITS;
            for word in (first..=last).take(WORDS as usize) {
                if let Some(bits) = self.bits.get_mut((word % WORDS) as usize) {
                    *bits = 0;
                }
            }
            self.next = counter + 1;
        }
        let (word, bit) = Self::place(counter);
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= bit;
        }
    }

    fn place(counter: u64) -> (usize, u64) {
        (((counter / WORD_BITS) % WORDS) as usize, 1 << (counter % WORD_BITS))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// The rule said plainly, to judge the ring of words by.
    #[derive(Default)]
    struct Plain {
        seen: HashSet<u64>,
        next: u64,
    }

    impl Plain {
        fn admits(&self, counter: u64) -> bool {
            counter + WINDOW >= self.next && !self.seen.contains(&counter)
        }

        fn mark(&mut self, counter: u64) {
            self.seen.insert(counter);
            self.next = self.next.max(counter + 1);
        }
    }

    proptest! {
        #[test]
        fn it_admits_what_the_plain_rule_admits(steps in prop::collection::vec((0u64..20_000, any::<bool>()), 1..200)) {
            let (mut window, mut plain) = (ReplayWindow::new(), Plain::default());
            for (step, back) in steps {
                let counter = if back { plain.next.saturating_sub(step) } else { plain.next + step % 9000 };
                prop_assert_eq!(window.admits(counter), plain.admits(counter), "counter {} next {}", counter, plain.next);
                if plain.admits(counter) {
                    window.mark(counter);
                    plain.mark(counter);
                    prop_assert!(!window.admits(counter));
                }
            }
        }
    }

    #[test]
    fn the_oldest_admitted_counter_is_8192_below_the_next() {
        let mut window = ReplayWindow::new();
        window.mark(9000);
        assert!(window.admits(9001 - 8192));
        assert!(!window.admits(9000 - 8192));
    }

    #[test]
    fn the_first_that_is_missing_is_told_and_what_is_too_old_is_not_missed() {
        let mut window = ReplayWindow::new();
        [0, 1, 2, 4, 70].into_iter().for_each(|counter| window.mark(counter));
        assert_eq!(window.first_missing(0, 71), Some(3));
        assert_eq!(window.first_missing(4, 71), Some(5));
        assert_eq!(window.first_missing(0, 3), None);
        assert_eq!(window.first_missing(71, 80), Some(71));
        window.mark(70 + WINDOW);
        assert_eq!(window.first_missing(0, 72), Some(71));
    }

    #[test]
    fn a_leap_over_the_whole_ring_forgets_everything_old() {
        let mut window = ReplayWindow::new();
        (0..100).for_each(|counter| window.mark(counter));
        window.mark(1 << 40);
        assert!(!window.admits(50));
        assert!(window.admits((1 << 40) - 1));
        assert!(!window.admits(1 << 40));
    }
}
