//! Bytes that follow from a seed: either end knows all of them, at every position, without the other one.

/// Compared at once: small enough for the processor's nearest cache.
const PIECE: usize = 4_096;

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// An endless stream of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Noise(pub u64);

impl Noise {
    fn word(self, index: u64) -> [u8; 8] {
        mix(self.0.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes()
    }

    /// The stream's bytes from position `at` on.
    pub fn fill(self, at: u64, out: &mut [u8]) {
        let (mut index, skip) = (at / 8, (at % 8) as usize);
        let mut rest = out;
        if skip > 0 {
            let (head, tail) = rest.split_at_mut(rest.len().min(8 - skip));
            head.copy_from_slice(&self.word(index)[skip..skip + head.len()]);
            (rest, index) = (tail, index + 1);
        }
        let mut words = rest.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.word(index));
            index += 1;
        }
        let last = words.into_remainder();
        let bytes = last.len();
        last.copy_from_slice(&self.word(index)[..bytes]);
    }

    /// Where `got` is not the stream from position `at` on: a position of the stream.
    pub fn first_difference(self, at: u64, got: &[u8]) -> Option<u64> {
        let mut wanted = [0; PIECE];
        let mut from = at;
        for piece in got.chunks(PIECE) {
            let wanted = &mut wanted[..piece.len()];
            self.fill(from, wanted);
            if wanted != piece {
                let offset = wanted.iter().zip(piece).position(|(wanted, got)| wanted != got);
                return offset.map(|offset| from + offset as u64);
            }
            from += piece.len() as u64;
        }
        None
    }
}

/// A row of numbers, for choices that only one end makes.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 1 to `most`.
    pub fn up_to(&mut self, most: usize) -> usize {
        1 + (self.next() % most as u64) as usize
    }
}

/// How much is written or read at once: a few bytes, up to a segment, some segments, or more than a super-frame holds. Most bytes go
/// in the large ones, most calls are small.
pub fn mixed_size(dice: &mut Dice) -> usize {
    let most = match dice.next() % 8 {
        0 => 64,
        1 => 1_460,
        2 | 3 => 16_384,
        _ => 262_144,
    };
    dice.up_to(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let mut whole = vec![0; 10_000];
        Noise(7).fill(0, &mut whole);
        for cut in [1, 3, 8, 13, 4_096, 4_097] {
            let mut pieces = vec![0; 10_000];
            for (index, piece) in pieces.chunks_mut(cut).enumerate() {
                Noise(7).fill((index * cut) as u64, piece);
            }
            assert_eq!(pieces, whole, "in pieces of {cut}");
        }
    }

    #[test]
    fn another_seed_gives_another_stream() {
        let (mut one, mut other) = ([0; 64], [0; 64]);
        Noise(1).fill(0, &mut one);
        Noise(2).fill(0, &mut other);
        assert_ne!(one, other);
    }

    #[test]
    fn the_first_difference_is_told_by_its_position_in_the_stream() {
        let mut got = vec![0; 20_000];
        Noise(7).fill(123, &mut got);
        assert_eq!(Noise(7).first_difference(123, &got), None);
        for at in [0, 7, 4_095, 4_096, 19_999] {
            let mut damaged = got.clone();
            damaged[at] ^= 0x10;
            damaged[19_999] ^= 1;
            assert_eq!(Noise(7).first_difference(123, &damaged), Some(123 + at as u64));
        }
        // What came from another place of the stream is not what belongs here.
        assert_eq!(Noise(7).first_difference(124, &got), Some(124));
    }

    #[test]
    fn sizes_are_mixed_from_a_byte_to_more_than_a_super_frame() {
        let mut dice = Dice(1);
        let sizes: Vec<usize> = (0..10_000).map(|_| mixed_size(&mut dice)).collect();
        assert!(sizes.iter().all(|size| (1..=262_144).contains(size)));
        for (from, to) in [(1, 64), (65, 1_460), (1_461, 16_384), (65_537, 262_144)] {
            assert!(sizes.iter().filter(|size| (from..=to).contains(*size)).count() > 500, "{from} to {to}");
        }
    }
}
