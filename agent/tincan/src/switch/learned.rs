//! Foreign MACs and the node behind which each was seen (wire.md §3).

use std::collections::HashMap;

use super::{Learned, Mac};
use crate::time::{Micros, SECOND};
use crate::wire::Label;

const LIFETIME: Micros = 300 * SECOND;
/// Any member may send from any foreign MAC: one cannot take the room of all others.
const PER_LABEL_MAX: usize = 1_024;
const ALL_MAX: usize = 16_384;
/// Of them so many may be hearsay: a flood's root can be forged, and what sessions told must find room whoever floods.
const UNCONFIRMED_MAX: usize = 8_192;

struct Entry {
    label: Label,
    confirmed: bool,
    expires: Micros,
}

/// Of one label.
#[derive(Default, Clone, Copy)]
struct Held {
    all: usize,
    unconfirmed: usize,
}

#[derive(Default)]
pub struct LearnedMacs {
    entries: HashMap<Mac, Entry>,
    per_label: HashMap<Label, Held>,
    unconfirmed: usize,
    /// No entry expires before this; exact after each sweep.
    earliest: Option<Micros>,
}

impl LearnedMacs {
    pub fn get(&self, mac: Mac) -> Option<Label> {
        self.entries.get(&mac).map(|entry| entry.label)
    }

    /// A flood proves nothing, since any member can forge its root: it refreshes or replaces unconfirmed entries only.
    pub fn learn(&mut self, mac: Mac, label: Label, confirmed: bool, now: Micros) -> Option<Learned> {
        let ruled = matches!(mac, [2, 0x45..=0x47, ..]);
        if ruled || mac[0] & 1 != 0 {
            return None;
        }
        let expires = now + LIFETIME;
        match self.entries.get_mut(&mac) {
            Some(entry) if entry.label == label => {
                if confirmed || !entry.confirmed {
                    entry.expires = expires;
                }
                if confirmed && !entry.confirmed {
                    entry.confirmed = true;
                    self.unconfirmed -= 1;
                    if let Some(held) = self.per_label.get_mut(&label) {
                        held.unconfirmed -= 1;
                    }
                }
                return None;
            }
            Some(entry) if entry.confirmed && !confirmed => return None,
            Some(_) => {
                self.forget(mac);
            }
            None => {}
        }
        if !confirmed && self.unconfirmed >= UNCONFIRMED_MAX {
            return None;
        }
        let held = self.of(label);
        if confirmed && held.all >= PER_LABEL_MAX && held.unconfirmed > 0 {
            // Others may have filled its share in its name.
            let hearsay = self.entries.iter().find(|(_, entry)| entry.label == label && !entry.confirmed);
            if let Some(mac) = hearsay.map(|(&mac, _)| mac) {
                self.forget(mac);
            }
        }
        if self.of(label).all >= PER_LABEL_MAX || self.entries.len() >= ALL_MAX {
            return None;
        }
        let held = self.per_label.entry(label).or_default();
        held.all += 1;
        held.unconfirmed += usize::from(!confirmed);
        self.unconfirmed += usize::from(!confirmed);
        self.entries.insert(mac, Entry { label, confirmed, expires });
        self.earliest = Some(self.earliest.map_or(expires, |earliest| earliest.min(expires)));
        Some(Learned { mac, label: Some(label) })
    }

    fn of(&self, label: Label) -> Held {
        self.per_label.get(&label).copied().unwrap_or_default()
    }

    pub fn forget(&mut self, mac: Mac) -> Option<Learned> {
        let entry = self.entries.remove(&mac)?;
        self.unconfirmed -= usize::from(!entry.confirmed);
        if let Some(held) = self.per_label.get_mut(&entry.label) {
            held.all -= 1;
            held.unconfirmed -= usize::from(!entry.confirmed);
            if held.all == 0 {
                self.per_label.remove(&entry.label);
            }
        }
        Some(Learned { mac, label: None })
    }

    pub fn forget_label(&mut self, label: Label) -> Vec<Learned> {
        self.forget_where(|entry| entry.label == label)
    }

    pub fn expire(&mut self, now: Micros) -> Vec<Learned> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let forgotten = self.forget_where(|entry| entry.expires <= now);
        self.earliest = self.entries.values().map(|entry| entry.expires).min();
        forgotten
    }

    fn forget_where(&mut self, gone: impl Fn(&Entry) -> bool) -> Vec<Learned> {
        let macs: Vec<Mac> = self.entries.iter().filter(|(_, entry)| gone(entry)).map(|(&mac, _)| mac).collect();
        macs.into_iter().filter_map(|mac| self.forget(mac)).collect()
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [0x52, 0x54, 0, 0, 0, 1];
    const A: Label = Label(1);
    const B: Label = Label(2);

    #[test]
    fn a_foreign_mac_is_learned_refreshed_and_forgotten_after_300_s() {
        let mut macs = LearnedMacs::default();
        assert_eq!(macs.learn(MAC, A, true, 0), Some(Learned { mac: MAC, label: Some(A) }));
        assert_eq!(macs.learn(MAC, A, true, 100 * SECOND), None);
        assert_eq!(macs.expire(300 * SECOND), vec![]);
        assert_eq!(macs.deadline(), Some(400 * SECOND));
        assert_eq!(macs.get(MAC), Some(A));
        assert_eq!(macs.expire(400 * SECOND), vec![Learned { mac: MAC, label: None }]);
        assert_eq!((macs.get(MAC), macs.deadline()), (None, None));
    }

    #[test]
    fn a_flood_never_replaces_or_refreshes_what_a_session_confirmed() {
        let mut macs = LearnedMacs::default();
        macs.learn(MAC, A, true, 0);
        assert_eq!(macs.learn(MAC, B, false, 1), None);
        assert_eq!(macs.learn(MAC, A, false, 200 * SECOND), None);
        assert_eq!(macs.get(MAC), Some(A));
        assert_eq!(macs.expire(300 * SECOND).len(), 1);
    }

    #[test]
    fn a_session_confirms_and_moves_what_a_flood_told() {
        let mut macs = LearnedMacs::default();
        macs.learn(MAC, A, false, 0);
        assert_eq!(macs.learn(MAC, B, true, 1), Some(Learned { mac: MAC, label: Some(B) }));
        assert_eq!(macs.learn(MAC, A, false, 2), None);
        assert_eq!(macs.get(MAC), Some(B));
        assert_eq!(macs.forget_label(B), vec![Learned { mac: MAC, label: None }]);
    }

    #[test]
    fn ruled_and_group_macs_are_not_learned() {
        let mut macs = LearnedMacs::default();
        for mac in [[2, 0x45, 10, 0, 0, 1], [2, 0x46, 1, 2, 3, 4], [2, 0x47, 0, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
            assert_eq!(macs.learn(mac, A, true, 0), None);
        }
    }

    #[test]
    fn one_node_cannot_fill_the_table() {
        let mut macs = LearnedMacs::default();
        let mac = |i: u32| {
            let [_, b, c, d] = i.to_be_bytes();
            [6, 0, 0, b, c, d]
        };
        let learned = (0..2_000).filter(|&i| macs.learn(mac(i), A, true, 0).is_some()).count();
        assert_eq!(learned, PER_LABEL_MAX);
        assert!(macs.learn(MAC, B, true, 0).is_some());
    }

    #[test]
    fn floods_in_the_name_of_all_others_leave_room_for_what_sessions_tell() {
        let mut macs = LearnedMacs::default();
        let mac = |kind: u8, i: u32| {
            let [_, b, c, d] = i.to_be_bytes();
            [6, kind, 0, b, c, d]
        };
        let forged =
            (0..100_000).filter(|&i| macs.learn(mac(0, i), Label(u64::from(i % 64)), false, 0).is_some()).count();
        assert_eq!(forged, UNCONFIRMED_MAX);
        let genuine =
            (0..100_000).filter(|&i| macs.learn(mac(1, i), Label(u64::from(i % 8)), true, 0).is_some()).count();
        assert_eq!(genuine, 8 * PER_LABEL_MAX);
        assert!(macs.expire(LIFETIME).len() <= ALL_MAX);
        assert_eq!((macs.entries.len(), macs.per_label.len(), macs.unconfirmed), (0, 0, 0));
    }
}
