//! Datagrams that say which of a row they are, and what became of the row.
//!
//! The first eight bytes are the number, little-endian; a shorter datagram has as many of its low bytes as fit, and is the nearest of
//! that ending to what was due. Size and content follow from the seed and the number, so a receiver knows all of every datagram.

use serde::Serialize;

use crate::noise::{mix, Noise};

/// The payload of one UDP datagram over IPv4: 65,535 less the headers of IP and UDP.
pub const LARGEST: usize = 65_507;
const NUMBER: usize = 8;

/// They come first, where the range has them: around the number, around what fits a packet of 1,280, 1,400, 1,500 and 9,000 bytes over
/// either family, around what fits two, and the ends of what UDP has.
const EDGES: [usize; 32] = [
    1, 2, 7, 8, 9, 1_232, 1_233, 1_252, 1_253, 1_352, 1_353, 1_372, 1_373, 1_452, 1_453, 1_472, 1_473, 2_700, 2_752,
    2_760, 2_952, 4_128, 8_192, 8_852, 8_853, 8_952, 8_953, 8_972, 8_973, 16_384, 65_506, LARGEST,
];

/// A row of datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub seed: u64,
    pub count: u64,
    /// Bytes of payload.
    pub least: usize,
    pub most: usize,
}

impl Row {
    /// Of datagram `number`: the edges that the range has, then all orders of magnitude alike.
    pub fn size(&self, number: u64) -> usize {
        let within = |size: &&usize| (self.least..=self.most).contains(*size);
        let edge = usize::try_from(number).ok().and_then(|number| EDGES.iter().filter(within).nth(number));
        edge.copied().unwrap_or_else(|| {
            let share = (mix(self.seed ^ mix(number)) >> 11) as f64 / (1u64 << 53) as f64;
            let (least, most) = (self.least as f64, self.most as f64);
            ((least * (most / least).powf(share)).round() as usize).clamp(self.least, self.most)
        })
    }

    pub fn write(&self, number: u64, out: &mut Vec<u8>) {
        let size = self.size(number);
        out.resize(size, 0);
        let named = size.min(NUMBER);
        out[..named].copy_from_slice(&number.to_le_bytes()[..named]);
        self.content(number).fill(0, &mut out[named..]);
    }

    fn content(&self, number: u64) -> Noise {
        Noise(mix(self.seed).wrapping_add(number))
    }

    /// Which one this is, when `due` is the one to come.
    fn number(&self, datagram: &[u8], due: u64) -> Option<u64> {
        let named = datagram.len().min(NUMBER);
        let mut bytes = [0; NUMBER];
        bytes[..named].copy_from_slice(&datagram[..named]);
        let low = u64::from_le_bytes(bytes);
        let is_one = |number: &u64| *number < self.count && self.size(*number) == datagram.len();
        if named == NUMBER {
            return Some(low).filter(is_one);
        }
        let modulus = 1 << (8 * named);
        let near = due - due % modulus + low;
        let candidates = [Some(near), near.checked_sub(modulus), near.checked_add(modulus)];
        candidates.into_iter().flatten().filter(is_one).min_by_key(|number| number.abs_diff(due))
    }
}

/// The first datagram that was not as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    /// None: the number itself is none of the row, or one of another size.
    pub number: Option<u64>,
    pub size: usize,
    /// Position in the payload.
    pub at: u64,
}

/// What arrived of a row.
#[derive(Debug)]
pub struct Tally {
    row: Row,
    seen: Vec<u64>,
    /// One more than the highest that came.
    due: u64,
    pub counts: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Different ones, undamaged.
    pub received: u64,
    pub bytes: u64,
    pub duplicated: u64,
    /// Came after one with a higher number (RFC 4737 §3.3).
    pub reordered: u64,
    pub damaged: u64,
    pub first_damage: Option<Damage>,
}

impl Tally {
    pub fn new(row: Row) -> Self {
        let words = usize::try_from(row.count.div_ceil(64)).unwrap_or(0);
        Self { row, seen: vec![0; words], due: 0, counts: Counts::default() }
    }

    pub fn take(&mut self, datagram: &[u8]) {
        let Some(number) = self.row.number(datagram, self.due) else {
            return self.damaged(Damage { number: None, size: datagram.len(), at: 0 });
        };
        let named = datagram.len().min(NUMBER);
        if let Some(at) = self.row.content(number).first_difference(0, &datagram[named..]) {
            return self.damaged(Damage { number: Some(number), size: datagram.len(), at: at + named as u64 });
        }
        let Some(word) = self.seen.get_mut((number / 64) as usize) else { return };
        let bit = 1 << (number % 64);
        if *word & bit != 0 {
            self.counts.duplicated += 1;
            return;
        }
        *word |= bit;
        self.counts.received += 1;
        self.counts.bytes += datagram.len() as u64;
        self.counts.reordered += u64::from(number < self.due);
        self.due = self.due.max(number + 1);
    }

    fn damaged(&mut self, damage: Damage) {
        self.counts.damaged += 1;
        self.counts.first_damage.get_or_insert(damage);
    }

    pub fn complete(&self) -> bool {
        self.counts.received == self.row.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row { seed: 7, count: 5_000, least: 1, most: LARGEST };

    fn datagrams(row: Row) -> Vec<Vec<u8>> {
        let mut all = vec![];
        for number in 0..row.count {
            let mut datagram = vec![];
            row.write(number, &mut datagram);
            all.push(datagram);
        }
        all
    }

    fn tally<'d>(row: Row, datagrams: impl IntoIterator<Item = &'d Vec<u8>>) -> Counts {
        let mut tally = Tally::new(row);
        datagrams.into_iter().for_each(|datagram| tally.take(datagram));
        tally.counts
    }

    #[test]
    fn a_row_that_arrives_as_it_was_sent_is_complete() {
        for row in [ROW, Row { least: 1, most: 1, ..ROW }, Row { least: 1, most: 7, ..ROW }, Row { least: 500, ..ROW }]
        {
            let all = datagrams(row);
            let bytes = all.iter().map(|one| one.len() as u64).sum();
            assert_eq!(tally(row, &all), Counts { received: row.count, bytes, ..Counts::default() });
        }
    }

    #[test]
    fn sizes_have_the_edges_first_and_then_all_orders_of_magnitude() {
        let sizes: Vec<usize> = (0..ROW.count).map(|number| ROW.size(number)).collect();
        assert_eq!(sizes[..EDGES.len()], EDGES);
        for (from, to) in [(1, 10), (10, 100), (100, 1_000), (1_000, 10_000), (10_000, LARGEST)] {
            let share = sizes.iter().filter(|size| (from..=to).contains(*size)).count();
            assert!((700..1_500).contains(&share), "{from} to {to}: {share}");
        }
        let narrow = Row { least: 1_200, most: 1_300, ..ROW };
        assert_eq!((0..4).map(|number| narrow.size(number)).collect::<Vec<_>>(), [1_232, 1_233, 1_252, 1_253]);
        assert!((0..1_000).all(|number| (1_200..=1_300).contains(&narrow.size(number))));
    }

    #[test]
    fn what_is_lost_is_missing_and_disturbs_nothing_else() {
        let all = datagrams(ROW);
        let kept: Vec<_> = all.iter().enumerate().filter(|(n, _)| n % 10 != 3).map(|(_, one)| one.clone()).collect();
        let counts = tally(ROW, &kept);
        assert_eq!((counts.received, counts.duplicated, counts.reordered, counts.damaged), (4_500, 0, 0, 0));
    }

    #[test]
    fn what_comes_twice_counts_once_and_as_a_duplicate() {
        let all = datagrams(ROW);
        let twice: Vec<_> = all.iter().flat_map(|one| [one.clone(), one.clone()]).collect();
        let counts = tally(ROW, &twice);
        assert_eq!((counts.received, counts.duplicated, counts.reordered, counts.damaged), (5_000, 5_000, 0, 0));
    }

    #[test]
    fn what_comes_after_a_later_one_is_reordered() {
        let row = Row { least: 100, ..ROW };
        let mut all = datagrams(row);
        all.swap(10, 11);
        let held = all.remove(100);
        all.insert(200, held);
        let counts = tally(row, &all);
        assert_eq!((counts.received, counts.reordered, counts.damaged), (5_000, 2, 0));
    }

    #[test]
    fn small_ones_out_of_order_are_known_by_the_end_of_their_number() {
        let row = Row { least: 1, most: 1, ..ROW };
        let mut all = datagrams(row);
        all.swap(600, 601);
        let counts = tally(row, &all);
        assert_eq!((counts.received, counts.reordered, counts.damaged), (5_000, 1, 0));
    }

    #[test]
    fn a_changed_byte_is_told_with_its_place() {
        let row = Row { least: 100, ..ROW };
        let mut all = datagrams(row);
        all[40][99] ^= 1;
        let counts = tally(row, &all);
        assert_eq!((counts.received, counts.damaged), (4_999, 1));
        let size = all[40].len();
        assert_eq!(counts.first_damage, Some(Damage { number: Some(40), size, at: 99 }));
    }

    #[test]
    fn a_cut_one_and_a_number_of_nobody_are_damaged() {
        let row = Row { least: 100, ..ROW };
        let mut all = datagrams(row);
        all[7].pop();
        all[8][7] ^= 0x80;
        let counts = tally(row, &all);
        assert_eq!((counts.received, counts.damaged), (4_998, 2));
        assert_eq!(counts.first_damage.unwrap().number, None);
    }
}
