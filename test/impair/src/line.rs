//! What a bad line does to packets: a pure queue, given packets and the time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub type Micros = u64;

/// Probabilities are between 0 and 1 and drawn for each packet by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    pub loss: f64,
    pub duplicate: f64,
    pub delay: Micros,
    /// Share of packets that are held longer than `delay`, so that later ones overtake them.
    pub reorder: f64,
    pub hold: Micros,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub taken: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub held: u64,
    pub given: u64,
    /// Dropped because too much was under way: a test that sees any of these has measured the tool.
    pub overflowed: u64,
}

/// More than 1 Gbit/s for half a second.
const MAX_BYTES: usize = 64 << 20;

/// When it is due, and in which order among those that are due together.
type Place = Reverse<(Micros, u64, Packet)>;
type Packet = Vec<u8>;

pub struct Line {
    settings: Settings,
    random: SplitMix,
    queue: BinaryHeap<Place>,
    bytes: usize,
    sequence: u64,
    counts: Counts,
}

impl Line {
    pub fn new(settings: Settings) -> Self {
        let random = SplitMix(settings.seed);
        Self { settings, random, queue: BinaryHeap::new(), bytes: 0, sequence: 0, counts: Counts::default() }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A packet enters the line.
    pub fn take(&mut self, packet: &[u8], now: Micros) {
        self.counts.taken += 1;
        if self.random.chance(self.settings.loss) {
            self.counts.lost += 1;
            return;
        }
        self.carry(packet, now);
        if self.random.chance(self.settings.duplicate) {
            self.counts.duplicated += 1;
            self.carry(packet, now);
        }
    }

    /// The next packet that leaves it by now.
    pub fn give(&mut self, now: Micros) -> Option<Packet> {
        if self.deadline()? > now {
            return None;
        }
        let Reverse((_, _, packet)) = self.queue.pop()?;
        self.bytes -= packet.len();
        self.counts.given += 1;
        Some(packet)
    }

    /// When `give` has something again.
    pub fn deadline(&self) -> Option<Micros> {
        self.queue.peek().map(|Reverse((due, ..))| *due)
    }

    fn carry(&mut self, packet: &[u8], now: Micros) {
        if self.bytes + packet.len() > MAX_BYTES {
            self.counts.overflowed += 1;
            return;
        }
        let held = self.random.chance(self.settings.reorder);
        self.counts.held += u64::from(held);
        let due = now + self.settings.delay + if held { self.settings.hold } else { 0 };
        self.sequence += 1;
        self.bytes += packet.len();
        self.queue.push(Reverse((due, self.sequence, packet.to_vec())));
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a line with one seed does the same to the same packets.
struct SplitMix(u64);

impl SplitMix {
    fn chance(&mut self, probability: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((bits >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 20_000;

    /// Sends COUNT numbered packets, one each millisecond; what came out, as (number, when).
    fn through(settings: Settings) -> (Vec<(u64, Micros)>, Counts) {
        let mut line = Line::new(settings);
        let mut out = vec![];
        for now in 0..(COUNT + 1_000) * 1_000 {
            if now % 1_000 == 0 && now / 1_000 < COUNT {
                line.take(&(now / 1_000).to_be_bytes(), now);
            }
            while let Some(packet) = line.give(now) {
                out.push((u64::from_be_bytes(packet.try_into().unwrap()), now));
            }
        }
        assert_eq!(line.deadline(), None, "nothing is kept for good");
        (out, line.counts())
    }

    #[test]
    fn a_good_line_gives_everything_at_once_and_in_order() {
        let (out, counts) = through(Settings::default());
        assert_eq!(out, (0..COUNT).map(|n| (n, n * 1_000)).collect::<Vec<_>>());
        assert_eq!(counts, Counts { taken: COUNT, given: COUNT, ..Counts::default() });
    }

    #[test]
    fn it_loses_the_share_it_is_told() {
        let (out, counts) = through(Settings { loss: 0.2, seed: 7, ..Settings::default() });
        assert!((3_800..4_200).contains(&counts.lost), "{counts:?}");
        assert_eq!(out.len() as u64, COUNT - counts.lost);
    }

    #[test]
    fn it_delays_all_packets_alike_and_keeps_their_order() {
        let (out, _) = through(Settings { delay: 300_000, ..Settings::default() });
        assert_eq!(out, (0..COUNT).map(|n| (n, n * 1_000 + 300_000)).collect::<Vec<_>>());
    }

    #[test]
    fn held_packets_are_overtaken() {
        let (out, counts) = through(Settings { reorder: 0.05, hold: 5_500, seed: 7, ..Settings::default() });
        assert!((900..1_100).contains(&counts.held), "{counts:?}");
        assert_eq!(out.len() as u64, COUNT);
        let late = out.iter().filter(|(n, at)| *at == n * 1_000 + 5_500).count() as u64;
        assert_eq!(late, counts.held);
        assert!(out.windows(2).any(|pair| pair[0].0 > pair[1].0));
    }

    #[test]
    fn duplicates_come_twice() {
        let (out, counts) = through(Settings { duplicate: 0.05, seed: 7, ..Settings::default() });
        assert!((900..1_100).contains(&counts.duplicated), "{counts:?}");
        assert_eq!(out.len() as u64, COUNT + counts.duplicated);
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let mut line = Line::new(Settings { delay: 1_000_000, ..Settings::default() });
        let packet = vec![0; 1 << 20];
        (0..100).for_each(|_| line.take(&packet, 0));
        assert_eq!(line.counts().overflowed, 36);
    }
}
