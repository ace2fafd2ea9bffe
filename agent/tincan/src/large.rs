//! Large records that were lately sent on for others. When what carries them takes less, their sources have to be told at once: the
//! next record to complain of may be one that TCP sends again after ever longer times. And when it takes more again, too.

use crate::time::{Micros, SECOND};
use crate::tunnel::BASE_RECORD;
use crate::wire::record::is_sealed;
use crate::wire::Label;

/// Pairs of source and destination that are remembered.
const PAIRS: usize = 64;
/// Half of them at most came by one neighbour: source labels can be made up.
const PAIRS_OF_NEIGHBOUR: usize = PAIRS / 2;
/// By then a size that fell was found, and what is between it and the size that always works was tried.
const LIFE: Micros = 10 * SECOND;

/// Who talks with whom over this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub source: Label,
    pub destination: Label,
    /// By which tunnel: what a neighbour sends in the name of others stands apart.
    pub came_by: Option<u32>,
}

/// A tunnel, and the bytes that a record may have there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub port: u32,
    pub size: u16,
}

#[derive(Debug)]
struct Entry {
    pair: Pair,
    /// With the size that the source was told last, or that was not too small for it.
    exit: Exit,
    /// Of the largest record, routing header included.
    bytes: usize,
    /// When one of that size last came.
    at: Micros,
    /// Of the latest record, however large: a source believes what quotes one of its last few thousand.
    quote: [u8; 16],
}

/// A source to be told what its records may have now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub source: Label,
    pub destination: Label,
    pub quote: [u8; 16],
}

#[derive(Debug, Default)]
pub struct Large {
    entries: Vec<Entry>,
    /// The place that was looked up last: records of one pair come in a row.
    last: usize,
}

impl Large {
    /// A record of `bytes` with its routing header, whose rest begins with `quote`, is to leave by `exit`.
    pub fn seen(&mut self, pair: Pair, exit: Exit, bytes: usize, quote: [u8; 16], now: Micros) {
        let large = bytes > usize::from(BASE_RECORD);
        // A source knows nothing but what it sealed.
        if (self.entries.is_empty() && !large) || !is_sealed(quote[0]) {
            return;
        }
        let new = Entry { pair, exit, bytes, at: now, quote };
        match self.find(&pair) {
            Some(entry) => {
                let outdated = is_old(entry, now) || entry.exit.port != exit.port;
                if bytes >= entry.bytes || (large && outdated) {
                    *entry = new;
                }
                entry.quote = quote;
            }
            None if large => self.remember(new),
            None => {}
        }
    }

    /// A tunnel takes another size than before: whose records do not fit, or did not before.
    pub fn resized(&mut self, exit: Exit, now: Micros) -> Vec<Told> {
        self.entries.retain(|entry| !is_old(entry, now));
        let mut told = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.exit.port == exit.port) {
            if entry.bytes > usize::from(exit.size.min(entry.exit.size)) {
                let Pair { source, destination, .. } = entry.pair;
                told.push(Told { source, destination, quote: entry.quote });
            }
            entry.exit = exit;
        }
        told
    }

    fn find(&mut self, pair: &Pair) -> Option<&mut Entry> {
        if self.entries.get(self.last).is_none_or(|entry| entry.pair != *pair) {
            self.last = self.entries.iter().position(|entry| entry.pair == *pair)?;
        }
        self.entries.get_mut(self.last)
    }

    /// In the place of the oldest when all are taken, or all that one neighbour may have.
    fn remember(&mut self, new: Entry) {
        let of_neighbour = |entry: &Entry| entry.pair.came_by == new.pair.came_by;
        let has_share = self.entries.iter().filter(|entry| of_neighbour(entry)).count() >= PAIRS_OF_NEIGHBOUR;
        if !has_share && self.entries.len() < PAIRS {
            return self.entries.push(new);
        }
        let places = self.entries.iter_mut().filter(|entry| !has_share || of_neighbour(entry));
        if let Some(oldest) = places.min_by_key(|entry| entry.at) {
            *oldest = new;
        }
    }
}

fn is_old(entry: &Entry, now: Micros) -> bool {
    now.saturating_sub(entry.at) > LIFE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{FRAME, NOTICE};

    const A: Label = Label(1);
    const C: Label = Label(3);
    const BY: Exit = Exit { port: 17, size: 1472 };
    const OTHER: Exit = Exit { port: 18, size: 1472 };
    const NOW: Micros = 100 * SECOND;

    fn quote(counter: u8) -> [u8; 16] {
        let mut quote = [counter; 16];
        quote[0] = FRAME;
        quote
    }

    fn pair(source: u64) -> Pair {
        Pair { source: Label(source), destination: C, came_by: Some(16) }
    }

    fn sized(size: u16) -> Exit {
        Exit { size, ..BY }
    }

    fn told(large: &mut Large, size: u16, now: Micros) -> Vec<Label> {
        large.resized(sized(size), now).iter().map(|told| told.source).collect()
    }

    #[test]
    fn a_source_whose_record_no_longer_fits_is_told_with_a_quote_of_its_latest_record() {
        let mut large = Large::default();
        large.seen(pair(1), BY, 1472, quote(1), NOW);
        large.seen(pair(1), BY, 90, quote(2), NOW + SECOND);
        assert_eq!(large.resized(Exit { size: 1200, ..OTHER }, NOW + SECOND), [], "another tunnel");
        let expected = [Told { source: A, destination: C, quote: quote(2) }];
        assert_eq!(large.resized(sized(1200), NOW + 2 * SECOND), expected);
    }

    #[test]
    fn it_is_told_again_what_does_fit_until_its_records_fit_again() {
        let mut large = Large::default();
        large.seen(pair(1), BY, 1452, quote(1), NOW);
        assert_eq!([1200, 1340, 1452, 1472].map(|size| told(&mut large, size, NOW).len()), [1, 1, 1, 0]);
        // It came when it did not fit, and was complained of by itself.
        large.seen(pair(1), sized(1340), 1452, quote(2), NOW + SECOND);
        assert_eq!(told(&mut large, 1472, NOW + SECOND), [A]);
    }

    #[test]
    fn one_whose_records_fit_before_and_after_is_told_nothing() {
        let mut large = Large::default();
        large.seen(pair(1), BY, 1300, quote(1), NOW);
        assert_eq!([1440, 1340, 1472].map(|size| told(&mut large, size, NOW)), [[], [], []]);
    }

    #[test]
    fn records_that_every_path_carries_are_not_remembered() {
        let mut large = Large::default();
        large.seen(pair(1), BY, 1200, quote(1), NOW);
        assert!(large.entries.is_empty());
    }

    #[test]
    fn what_a_source_did_not_seal_is_not_quoted() {
        let mut large = Large::default();
        let mut notice = quote(2);
        notice[0] = NOTICE;
        large.seen(pair(1), BY, 1472, notice, NOW);
        assert_eq!(told(&mut large, 1200, NOW), []);
        large.seen(pair(1), BY, 1472, quote(1), NOW);
        large.seen(pair(1), BY, 28, notice, NOW);
        assert_eq!(large.resized(sized(1200), NOW)[0].quote, quote(1));
    }

    #[test]
    fn ten_seconds_after_the_last_large_record_nobody_is_told() {
        let mut large = Large::default();
        large.seen(pair(1), BY, 1472, quote(1), NOW);
        large.seen(pair(2), BY, 1472, quote(1), NOW);
        large.seen(pair(2), BY, 1472, quote(2), NOW + 5 * SECOND);
        large.seen(pair(1), BY, 100, quote(3), NOW + 9 * SECOND);
        assert_eq!(told(&mut large, 1200, NOW + 10 * SECOND), [A, Label(2)]);
        assert_eq!(told(&mut large, 1200, NOW + 11 * SECOND), [Label(2)]);
        assert_eq!(told(&mut large, 1200, NOW + 16 * SECOND), []);
    }

    #[test]
    fn what_was_larger_is_forgotten_where_smaller_ones_go_on() {
        let mut large = Large::default();
        large.seen(pair(1), BY, 1472, quote(1), NOW);
        large.seen(pair(1), BY, 1340, quote(2), NOW + 5 * SECOND);
        assert_eq!(told(&mut large, 1400, NOW + 5 * SECOND), [A]);
        large.seen(pair(1), BY, 1340, quote(3), NOW + 11 * SECOND);
        assert_eq!(told(&mut large, 1400, NOW + 11 * SECOND), []);
        assert_eq!(told(&mut large, 1200, NOW + 11 * SECOND), [A]);
    }

    #[test]
    fn the_tunnel_by_which_the_latest_large_record_left_is_the_one_that_counts() {
        let mut large = Large::default();
        large.seen(pair(1), OTHER, 1472, quote(1), NOW);
        large.seen(pair(1), BY, 1440, quote(2), NOW);
        assert_eq!(large.resized(Exit { size: 1200, ..OTHER }, NOW), []);
        assert_eq!(told(&mut large, 1200, NOW), [A]);
    }

    #[test]
    fn a_neighbour_that_makes_up_endless_sources_takes_half_of_the_places_and_nothing_from_others() {
        let mut large = Large::default();
        large.seen(Pair { source: A, destination: C, came_by: Some(18) }, BY, 1472, quote(1), NOW);
        for source in 0..10_000 {
            large.seen(pair(source), BY, 1472, quote(2), NOW + source);
            assert!(large.entries.len() <= PAIRS_OF_NEIGHBOUR + 1);
        }
        let told = large.resized(sized(1200), NOW + SECOND);
        assert_eq!(told.len(), PAIRS_OF_NEIGHBOUR + 1);
        assert_eq!(told.iter().find(|told| told.source == A).map(|told| told.quote), Some(quote(1)));
    }

    #[test]
    fn many_neighbours_together_take_no_more_than_there_is_and_the_oldest_go() {
        let mut large = Large::default();
        for source in 0..1_000 {
            let came_by = Some(16 + source as u32 % 100);
            large.seen(Pair { came_by, ..pair(source) }, BY, 1472, quote(1), NOW + source);
        }
        let mut left: Vec<u64> = told(&mut large, 1200, NOW + SECOND).iter().map(|label| label.0).collect();
        left.sort_unstable();
        assert_eq!(left, (1_000 - PAIRS as u64..1_000).collect::<Vec<_>>());
    }
}
