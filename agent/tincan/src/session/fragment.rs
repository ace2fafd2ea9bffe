//! Cutting a plaintext that is longer than its route takes, and joining the pieces (wire.md §6.2).

use crate::time::{Micros, SECOND};
use crate::wire::fragment::{Fragment, FRAGMENTS_MAX};
use crate::wire::record::{CONTROL, FLOOD, FRAME};
use crate::wire::DecodeError;

/// A whole agent message with its headers.
pub const REASSEMBLY_MAX: usize = 16 * 1024 + 64;
const IDS_MAX: usize = 32;
const LIFE: Micros = SECOND;

/// Plaintexts of C4 with pieces of at most `piece` bytes; nothing when it cannot be cut so. A caller seals them one after the
/// other: all must go under one session.
pub fn split(id: u16, record_type: u8, plaintext: &[u8], piece: usize) -> Option<Vec<Vec<u8>>> {
    let message = [&[record_type], plaintext].concat();
    let count = if piece == 0 { 0 } else { message.len().div_ceil(piece) };
    if message.len() > REASSEMBLY_MAX || !(2..=usize::from(FRAGMENTS_MAX)).contains(&count) {
        return None;
    }
    let count = u8::try_from(count).ok()?;
    Some(
        (0..count)
            .zip(message.chunks(piece))
            .map(|(index, piece)| Fragment { id, index, count, piece }.encode())
            .collect(),
    )
}

struct Partial {
    id: u16,
    since: Micros,
    pieces: Vec<Option<Vec<u8>>>,
}

/// The unfinished messages of one session.
#[derive(Default)]
pub struct Reassembler {
    partials: Vec<Partial>,
}

impl Reassembler {
    /// Takes the plaintext of a C4; the message once it is whole: its type and plaintext.
    pub fn push(&mut self, plaintext: &[u8], now: Micros) -> Result<Option<(u8, Vec<u8>)>, DecodeError> {
        let fragment = Fragment::decode(plaintext)?;
        self.partials.retain(|partial| now.saturating_sub(partial.since) < LIFE);
        let at = match self.partials.iter().position(|partial| partial.id == fragment.id) {
            Some(at) => at,
            None => {
                if self.partials.len() >= IDS_MAX {
                    // The oldest stands first, as every new one is put last.
                    self.partials.remove(0);
                }
                let pieces = vec![None; usize::from(fragment.count)];
                self.partials.push(Partial { id: fragment.id, since: now, pieces });
                self.partials.len() - 1
            }
        };
        let Some(partial) = self.partials.get_mut(at) else { return Ok(None) };
        if let Err(error) = partial.take(&fragment) {
            self.partials.remove(at);
            return Err(error);
        }
        if partial.pieces.iter().any(Option::is_none) {
            return Ok(None);
        }
        message(self.partials.remove(at).pieces.into_iter().flatten().collect()).map(Some)
    }
}

impl Partial {
    fn take(&mut self, fragment: &Fragment) -> Result<(), DecodeError> {
        if self.pieces.len() != usize::from(fragment.count) {
            return Err(DecodeError("fragments disagree about their count"));
        }
        let last = self.pieces.len().saturating_sub(1);
        let total: usize = self.pieces.iter().flatten().map(Vec::len).sum();
        if total + fragment.piece.len() > REASSEMBLY_MAX {
            return Err(DecodeError("fragments too long"));
        }
        let slot =
            self.pieces.get_mut(usize::from(fragment.index)).ok_or(DecodeError("fragment index out of range"))?;
        if slot.replace(fragment.piece.to_vec()).is_some() {
            return Err(DecodeError("a fragment came twice"));
        }
        // Pieces but the last have one size, and the last is not longer.
        let mut full = self.pieces.iter().take(last).flatten().map(Vec::len);
        let Some(size) = full.next() else { return Ok(()) };
        let tail = self.pieces.get(last).and_then(Option::as_ref).map_or(0, Vec::len);
        if full.all(|other| other == size) && tail <= size {
            Ok(())
        } else {
            Err(DecodeError("fragments of different sizes"))
        }
    }
}

fn message(pieces: Vec<Vec<u8>>) -> Result<(u8, Vec<u8>), DecodeError> {
    let mut whole = pieces.concat();
    match whole.first().copied() {
        Some(record_type @ (FRAME | FLOOD | CONTROL)) => {
            whole.remove(0);
            Ok((record_type, whole))
        }
        _ => Err(DecodeError("a fragmented record of no such type")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_in_any_order_make_the_message() {
        let plaintext: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let mut pieces = split(7, FRAME, &plaintext, 1000).unwrap();
        assert_eq!(pieces.len(), 6);
        pieces.reverse();
        let mut reassembler = Reassembler::default();
        let last = pieces.pop().unwrap();
        for piece in pieces {
            assert_eq!(reassembler.push(&piece, 0), Ok(None));
        }
        assert_eq!(reassembler.push(&last, 0), Ok(Some((FRAME, plaintext))));
        assert!(reassembler.partials.is_empty());
    }

    #[test]
    fn a_whole_agent_message_goes_by_the_smallest_route() {
        let plaintext = vec![1; 2 + crate::wire::control::AGENT_MESSAGE_MAX];
        let pieces = split(1, CONTROL, &plaintext, 1200 - 20 - 32 - 4).unwrap();
        let mut reassembler = Reassembler::default();
        let joined: Vec<_> = pieces.iter().filter_map(|piece| reassembler.push(piece, 0).unwrap()).collect();
        assert_eq!(joined, [(CONTROL, plaintext)]);
    }

    #[test]
    fn what_fits_one_record_or_too_many_is_not_cut() {
        assert_eq!(split(1, FRAME, &[0; 10], 100), None);
        assert_eq!(split(1, FRAME, &[0; 6500], 100), None);
        assert_eq!(split(1, FRAME, &[0; 10], 0), None);
    }

    #[test]
    fn a_message_not_whole_within_a_second_is_forgotten() {
        let pieces = split(7, FRAME, &[5; 150], 100).unwrap();
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.push(&pieces[0], 0), Ok(None));
        assert_eq!(reassembler.push(&pieces[1], SECOND), Ok(None));
    }

    #[test]
    fn at_most_32_messages_are_begun_and_the_oldest_gives_way() {
        let mut reassembler = Reassembler::default();
        for id in 0..33 {
            assert_eq!(reassembler.push(&split(id, FRAME, &[5; 150], 100).unwrap()[0], 0), Ok(None));
        }
        assert_eq!(reassembler.partials.len(), 32);
        assert_eq!(reassembler.push(&split(0, FRAME, &[5; 150], 100).unwrap()[1], 0), Ok(None));
        assert!(matches!(reassembler.push(&split(32, FRAME, &[5; 150], 100).unwrap()[1], 0), Ok(Some(_))));
    }

    #[test]
    fn pieces_that_disagree_end_their_message() {
        let piece = |index, count, size: usize| Fragment { id: 1, index, count, piece: &[FRAME; 64][..size] }.encode();
        for (first, second) in [
            (piece(0, 3, 10), piece(1, 3, 11)),
            (piece(0, 2, 10), piece(1, 2, 11)),
            (piece(0, 2, 10), piece(1, 3, 10)),
            (piece(0, 3, 10), piece(0, 3, 10)),
        ] {
            let mut reassembler = Reassembler::default();
            assert_eq!(reassembler.push(&first, 0), Ok(None));
            assert!(reassembler.push(&second, 0).is_err());
            assert!(reassembler.partials.is_empty());
        }
    }

    #[test]
    fn a_message_of_another_type_is_refused() {
        let pieces = split(1, crate::wire::record::PROBE, &[5; 150], 100).unwrap();
        let mut reassembler = Reassembler::default();
        assert_eq!(reassembler.push(&pieces[0], 0), Ok(None));
        assert!(reassembler.push(&pieces[1], 0).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_leave_it_alive_and_bounded(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..200)) {
            let mut reassembler = Reassembler::default();
            for part in parts {
                let _ = reassembler.push(&part, 0);
                prop_assert!(reassembler.partials.len() <= IDS_MAX);
            }
        }

        #[test]
        fn what_is_split_is_joined(plaintext in prop::collection::vec(any::<u8>(), 1..9000), piece in 200usize..1500) {
            if let Some(pieces) = split(3, FLOOD, &plaintext, piece) {
                let mut reassembler = Reassembler::default();
                let joined: Vec<_> = pieces.iter().filter_map(|piece| reassembler.push(piece, 0).unwrap()).collect();
                prop_assert_eq!(joined, [(FLOOD, plaintext)]);
            } else {
                prop_assert!(plaintext.len() < piece);
            }
        }
    }
}
