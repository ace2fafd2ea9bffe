//! Which floods were delivered, and which arcs served, in bounded memory.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::wire::flood::FloodArc;
use crate::wire::Label;

/// Pairs of root and boot tag. Any member can invent roots: the oldest are forgotten.
const ROOTS_MAX: usize = 4_096;
/// Floods of one root that may be under way in any order.
const WINDOW: u32 = 1_024;
const ARCS_MAX: usize = 8_192;

struct Window {
    highest: u32,
    /// Bit n % WINDOW: flood number n, of the latest WINDOW ones.
    bits: [u64; WINDOW as usize / 64],
}

impl Window {
    fn new(number: u32) -> Self {
        let mut window = Window { highest: number, bits: [0; WINDOW as usize / 64] };
        window.set(number, true);
        window
    }

    fn place(number: u32) -> (usize, u64) {
        let bit = number % WINDOW;
        (bit as usize / 64, 1 << (bit % 64))
    }

    fn set(&mut self, number: u32, on: bool) {
        let (word, bit) = Self::place(number);
        if let Some(word) = self.bits.get_mut(word) {
            *word = if on { *word | bit } else { *word & !bit };
        }
    }

    fn contains(&self, number: u32) -> bool {
        let (word, bit) = Self::place(number);
        let too_old = number <= self.highest.saturating_sub(WINDOW) && self.highest >= WINDOW;
        too_old || number <= self.highest && self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether this number is new.
    fn first(&mut self, number: u32) -> bool {
        if self.contains(number) {
            return false;
        }
        if number > self.highest {
            let passed = (number - self.highest).min(WINDOW);
            (0..passed).for_each(|back| self.set(number - back, false));
            self.highest = number;
        }
        self.set(number, true);
        true
    }
}

#[derive(Default)]
pub struct Seen {
    roots: HashMap<(Label, u32), Window>,
    roots_by_age: VecDeque<(Label, u32)>,
    arcs: HashSet<FloodArc>,
    arcs_by_age: VecDeque<FloodArc>,
}

impl Seen {
    pub fn contains(&self, root: Label, sequence: u64) -> bool {
        let (tag, number) = parts(sequence);
        self.roots.get(&(root, tag)).is_some_and(|window| window.contains(number))
    }

    /// Whether this flood is new; it no longer is.
    pub fn first(&mut self, root: Label, sequence: u64) -> bool {
        let (tag, number) = parts(sequence);
        if let Some(window) = self.roots.get_mut(&(root, tag)) {
            return window.first(number);
        }
        if self.roots_by_age.len() >= ROOTS_MAX {
            if let Some(oldest) = self.roots_by_age.pop_front() {
                self.roots.remove(&oldest);
            }
        }
        self.roots_by_age.push_back((root, tag));
        self.roots.insert((root, tag), Window::new(number));
        true
    }

    /// Whether this arc of a flood is new.
    pub fn first_arc(&mut self, arc: FloodArc) -> bool {
        if !self.arcs.insert(arc) {
            return false;
        }
        self.arcs_by_age.push_back(arc);
        if self.arcs_by_age.len() > ARCS_MAX {
            if let Some(oldest) = self.arcs_by_age.pop_front() {
                self.arcs.remove(&oldest);
            }
        }
        true
    }
}

/// Boot tag (4), number (4).
fn parts(sequence: u64) -> (u32, u32) {
    ((sequence >> 32) as u32, sequence as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Label = Label(7);

    #[test]
    fn each_number_is_new_once_in_any_order_within_the_window() {
        let mut seen = Seen::default();
        for number in [5u64, 3, 9, 4, 1_000, 500] {
            assert!(seen.first(ROOT, number), "{number}");
            assert!(!seen.first(ROOT, number), "{number}");
        }
        assert!(seen.first(ROOT, 1 << 32 | 5), "another boot begins anew");
        assert!(seen.first(Label(8), 5), "and so does another root");
    }

    #[test]
    fn what_fell_out_of_the_window_counts_as_seen() {
        let mut seen = Seen::default();
        assert!(seen.first(ROOT, 1));
        assert!(seen.first(ROOT, 5_000));
        assert!(!seen.first(ROOT, 2));
        assert!(seen.first(ROOT, 5_000 - u64::from(WINDOW) + 1));
        assert!(!seen.first(ROOT, 5_000 - u64::from(WINDOW)));
        assert!(seen.first(ROOT, u64::from(u32::MAX)));
    }

    #[test]
    fn invented_roots_push_out_the_oldest_only() {
        let mut seen = Seen::default();
        (0..10_000).for_each(|root| assert!(seen.first(Label(root), 1)));
        assert_eq!((seen.roots.len(), seen.roots_by_age.len()), (ROOTS_MAX, ROOTS_MAX));
        assert!(!seen.first(Label(9_999), 1));
    }
}
