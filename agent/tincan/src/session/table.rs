//! All sessions and pending initiations by the indexes that records name them by.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::peer::Session;
use super::random::{draw, Random};
use crate::wire::Label;

/// Indexes are drawn at random, by us: one multiplication spreads them over the buckets well enough.
#[derive(Default)]
pub struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte) ^ (self.0 as u32).rotate_left(8));
        }
    }

    fn write_u32(&mut self, value: u32) {
        // 2^64 / the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        self.0 = u64::from(value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[derive(Clone, Copy)]
enum Owner {
    Session(usize),
    Pending(Label),
}

#[derive(Default)]
pub struct Table {
    slots: Vec<Option<Session>>,
    free: Vec<usize>,
    by_index: HashMap<u32, Owner, BuildHasherDefault<IndexHasher>>,
    /// By the peer's index. Two peers may draw the same one: then only the later is found, and a notice about the other is
    /// dropped. The hasher is keyed, because peers choose these.
    by_remote: HashMap<u32, usize>,
    /// By the initiator's ephemeral key, to know copies of an initiation.
    by_ephemeral: HashMap<[u8; 32], usize>,
}

impl Table {
    /// An index that nobody has yet.
    pub fn draw_index(&self, random: &mut dyn Random) -> u32 {
        loop {
            let index = u32::from_be_bytes(draw(random));
            if !self.by_index.contains_key(&index) {
                return index;
            }
        }
    }

    pub fn add_pending(&mut self, index: u32, label: Label) {
        self.by_index.insert(index, Owner::Pending(label));
    }

    pub fn remove_pending(&mut self, index: u32) {
        if let Some(Owner::Pending(_)) = self.by_index.get(&index) {
            self.by_index.remove(&index);
        }
    }

    pub fn pending(&self, index: u32) -> Option<Label> {
        match self.by_index.get(&index)? {
            Owner::Pending(label) => Some(*label),
            Owner::Session(_) => None,
        }
    }

    /// Takes over the index of the pending initiation it came of, if any.
    pub fn add(&mut self, session: Session) -> usize {
        let (index, remote, ephemeral) = (session.index, session.remote, session.ephemeral);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(session);
        }
        self.by_index.insert(index, Owner::Session(slot));
        self.by_remote.insert(remote, slot);
        self.by_ephemeral.insert(ephemeral, slot);
        slot
    }

    pub fn remove(&mut self, slot: usize) {
        let Some(session) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.by_index.remove(&session.index);
        if self.by_remote.get(&session.remote) == Some(&slot) {
            self.by_remote.remove(&session.remote);
        }
        if self.by_ephemeral.get(&session.ephemeral) == Some(&slot) {
            self.by_ephemeral.remove(&session.ephemeral);
        }
        self.free.push(slot);
    }

    pub fn get(&self, slot: usize) -> Option<&Session> {
        self.slots.get(slot)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Session> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub fn slot_of(&self, index: u32) -> Option<usize> {
        match self.by_index.get(&index)? {
            Owner::Session(slot) => Some(*slot),
            Owner::Pending(_) => None,
        }
    }

    pub fn slot_of_remote(&self, remote: u32) -> Option<usize> {
        self.by_remote.get(&remote).copied()
    }

    pub fn slot_of_ephemeral(&self, ephemeral: &[u8; 32]) -> Option<usize> {
        self.by_ephemeral.get(ephemeral).copied()
    }
}
