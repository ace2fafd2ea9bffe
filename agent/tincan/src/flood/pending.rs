//! Hops that were not acknowledged yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Attempt, Content};
use crate::time::Micros;
use crate::wire::flood::FloodArc;
use crate::wire::Label;

/// Beyond these a hop is sent but not watched: under such a load no repair is of use.
const PENDING_MAX: usize = 4_096;
const PENDING_BYTES_MAX: usize = 16 << 20;

pub struct Pending {
    pub port: u32,
    pub neighbour: Label,
    pub arc: FloodArc,
    pub content: Content,
    pub hop_limit: u8,
    pub attempt: Attempt,
    pub deadline: Micros,
}

#[derive(Default)]
pub struct PendingTable {
    hops: BTreeMap<u64, Pending>,
    next: u64,
    by_arc: HashMap<(u32, FloodArc), u64>,
    by_deadline: BTreeSet<(Micros, u64)>,
    bytes: usize,
}

impl PendingTable {
    pub fn add(&mut self, hop: Pending) {
        let bytes = self.bytes + hop.content.frame.len();
        if self.hops.len() >= PENDING_MAX || bytes > PENDING_BYTES_MAX {
            return;
        }
        if let Some(&same) = self.by_arc.get(&(hop.port, hop.arc)) {
            self.remove(same);
        }
        let id = self.next;
        self.next += 1;
        self.by_arc.insert((hop.port, hop.arc), id);
        self.by_deadline.insert((hop.deadline, id));
        self.bytes += hop.content.frame.len();
        self.hops.insert(id, hop);
    }

    fn remove(&mut self, id: u64) -> Option<Pending> {
        let hop = self.hops.remove(&id)?;
        self.by_arc.remove(&(hop.port, hop.arc));
        self.by_deadline.remove(&(hop.deadline, id));
        self.bytes = self.bytes.saturating_sub(hop.content.frame.len());
        Some(hop)
    }

    pub fn acknowledged(&mut self, port: u32, arc: FloodArc) -> Option<Pending> {
        let &id = self.by_arc.get(&(port, arc))?;
        self.remove(id)
    }

    pub fn of_port(&mut self, port: u32) -> Vec<Pending> {
        let ids: Vec<u64> = self.hops.iter().filter(|(_, hop)| hop.port == port).map(|(&id, _)| id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    pub fn due(&mut self, now: Micros) -> Vec<Pending> {
        let ids: Vec<u64> = self.by_deadline.iter().take_while(|&&(at, _)| at <= now).map(|&(_, id)| id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.by_deadline.first().map(|&(at, _)| at)
    }
}
