//! The Internet checksum (RFC 1071), for IPv4 headers, pseudo headers and the few frames that must be finished here.

/// One's complement sum of `bytes`, not inverted, added to `start` (a sum from an earlier call).
///
/// Only the last call may be given an odd number of bytes. Eight bytes are added at a time (RFC 1071 §2, "parallel
/// summation"); the sum of byte-swapped words is the byte-swapped sum, so swapping once at the end is enough.
pub fn sum(bytes: &[u8], start: u16) -> u16 {
    let mut total: u64 = 0;
    let mut carries: u64 = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let (next, carry) = total.overflowing_add(u64::from_ne_bytes(word.try_into().unwrap_or([0; 8])));
        total = next;
        carries += u64::from(carry);
    }
    let mut last = [0u8; 8];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    let (total, carry) = total.overflowing_add(u64::from_ne_bytes(last));
    carries += u64::from(carry);
    let folded = fold((total >> 32) + (total & 0xffff_ffff) + carries);
    fold(u64::from(u16::from_be_bytes(folded.to_ne_bytes())) + u64::from(start))
}

/// A one's complement sum of 16-bit words, carries added back in.
pub fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1) of both address families: the addresses as they stand in the IP
/// header, one after the other, the protocol and the length of transport header and payload.
pub fn pseudo(addresses: &[u8], protocol: u8, length: usize) -> u16 {
    let length = length as u32;
    let [a, b, c, d] = length.to_be_bytes();
    sum(&[a, b, c, d, 0, protocol], sum(addresses, 0))
}

/// The checksum of an IPv4 header whose checksum field is skipped, wherever the field stands at 10..12.
pub fn ipv4_header(header: &[u8]) -> u16 {
    let (before, after) = (header.get(..10).unwrap_or(&[]), header.get(12..).unwrap_or(&[]));
    !sum(after, sum(before, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 §4.1, word by word.
    pub fn naive(bytes: &[u8], start: u16) -> u16 {
        let mut total = u32::from(start);
        for pair in bytes.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    #[test]
    fn the_example_of_rfc_1071_gives_its_sum() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), 0xddf2);
    }

    #[test]
    fn an_ipv4_header_gives_its_checksum() {
        // The worked example of Wikipedia's "Internet checksum", a captured UDP packet.
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
            0x00, 0xc7,
        ];
        assert_eq!(ipv4_header(&header), 0xb861);
    }

    proptest! {
        #[test]
        fn eight_bytes_at_a_time_give_what_two_give(bytes in proptest::collection::vec(any::<u8>(), 0..300), start: u16) {
            let (fast, slow) = (sum(&bytes, start), naive(&bytes, start));
            // Zero has two forms in one's complement; which one comes out does not matter once inverted and compared mod 0xffff.
            prop_assert_eq!(u32::from(fast) % 0xffff, u32::from(slow) % 0xffff);
        }
    }
}
