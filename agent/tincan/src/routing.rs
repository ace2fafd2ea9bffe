//! The tunnels of this node as routing sees them, and the way round a tunnel that is down (wire.md §4.1, §10.2).

use std::collections::BTreeMap;

use crate::time::Micros;
use crate::wire::Label;

/// Adjacency is told by a neighbour itself: more labels than this from one of them are not kept.
const ADJACENT_MAX: usize = 1_024;

/// Ring distance as detours measure it: the shorter way round.
pub fn ring_distance(a: Label, b: Label) -> u64 {
    a.clockwise_to(b).min(b.clockwise_to(a))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub label: Label,
    /// The tunnel has a path that carries records now.
    pub up: bool,
    /// The tunnel is about to go: nothing new is sent by it of our own accord.
    pub draining: bool,
    /// Labels this neighbour has live tunnels to, ascending.
    adjacent: Vec<Label>,
    pub rtt: Option<Micros>,
}

impl Neighbour {
    pub fn new(label: Label, up: bool) -> Self {
        Neighbour { label, up, draining: false, adjacent: Vec::new(), rtt: None }
    }

    pub fn is_adjacent_to(&self, label: Label) -> bool {
        self.adjacent.binary_search(&label).is_ok()
    }

    pub fn adjacent(&self) -> &[Label] {
        &self.adjacent
    }

    /// How near to `destination` a record gets with this neighbour: its own distance or that of its nearest tunnel.
    fn reach(&self, destination: Label) -> u64 {
        let after = self.adjacent.partition_point(|&label| label < destination);
        let around =
            [after.checked_sub(1).unwrap_or(self.adjacent.len().saturating_sub(1)), after % self.adjacent.len().max(1)];
        let lookahead =
            around.iter().filter_map(|&i| self.adjacent.get(i)).map(|&label| ring_distance(label, destination));
        lookahead.fold(ring_distance(self.label, destination), u64::min)
    }
}

/// Every tunnel by its port number, live or not. The owner of the tunnels keeps it current.
#[derive(Debug, Default, Clone)]
pub struct Neighbours {
    by_port: BTreeMap<u32, Neighbour>,
}

impl Neighbours {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tunnel, or tells whether it is up; a port that now leads to another node starts anew. Answers whether anything changed.
    pub fn set(&mut self, port: u32, label: Label, up: bool) -> bool {
        match self.by_port.get_mut(&port) {
            Some(known) if known.label == label => std::mem::replace(&mut known.up, up) != up,
            _ => {
                self.by_port.insert(port, Neighbour::new(label, up));
                true
            }
        }
    }

    pub fn remove(&mut self, port: u32) -> bool {
        self.by_port.remove(&port).is_some()
    }

    /// The neighbour's own word about its live tunnels (control channel 2). Answers whether anything changed.
    pub fn set_adjacent(&mut self, port: u32, labels: &[Label]) -> bool {
        let Some(neighbour) = self.by_port.get_mut(&port) else { return false };
        let mut adjacent: Vec<Label> = labels.iter().copied().take(ADJACENT_MAX).collect();
        adjacent.sort_unstable();
        adjacent.dedup();
        let changed = neighbour.adjacent != adjacent;
        neighbour.adjacent = adjacent;
        changed
    }

    /// Answers whether anything changed.
    pub fn set_draining(&mut self, port: u32, draining: bool) -> bool {
        self.by_port.get_mut(&port).is_some_and(|known| std::mem::replace(&mut known.draining, draining) != draining)
    }

    pub fn set_rtt(&mut self, port: u32, rtt: Micros) {
        if let Some(neighbour) = self.by_port.get_mut(&port) {
            neighbour.rtt = Some(rtt);
        }
    }

    pub fn get(&self, port: u32) -> Option<&Neighbour> {
        self.by_port.get(&port)
    }

    pub fn is_up(&self, port: u32) -> bool {
        self.get(port).is_some_and(|neighbour| neighbour.up)
    }

    pub fn port_of(&self, label: Label) -> Option<u32> {
        self.iter().find(|(_, neighbour)| neighbour.label == label).map(|(port, _)| port)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Neighbour)> {
        self.by_port.iter().map(|(&port, neighbour)| (port, neighbour))
    }

    /// Tunnels to count on.
    pub fn live(&self) -> impl Iterator<Item = (u32, &Neighbour)> {
        self.iter().filter(|(_, neighbour)| neighbour.up && !neighbour.draining)
    }

    /// Ports of the live neighbours that are nearest on the ring, so many on each side.
    pub fn beside(&self, own: Label, on_each_side: usize) -> Vec<u32> {
        let mut around: Vec<(u64, u32)> =
            self.live().map(|(port, neighbour)| (own.clockwise_to(neighbour.label), port)).collect();
        around.sort_unstable();
        let before = around.len().saturating_sub(on_each_side).max(on_each_side);
        let near = around.iter().enumerate().filter(|&(i, _)| i < on_each_side || i >= before);
        near.map(|(_, &(_, port))| port).collect()
    }

    /// The neighbour that takes the last hop: the destination itself, else one that says it is adjacent to it.
    fn last_hops(&self, destination: Label, except: Option<u32>) -> Option<u32> {
        let candidates = || self.live().filter(move |&(port, _)| Some(port) != except);
        candidates()
            .find(|(_, neighbour)| neighbour.label == destination)
            .or_else(|| {
                let adjacent = candidates().filter(|(_, neighbour)| neighbour.is_adjacent_to(destination));
                adjacent.min_by_key(|(_, neighbour)| ring_distance(neighbour.label, destination))
            })
            .map(|(port, _)| port)
    }

    /// Where a record without DETOUR goes when a flow names `port`: that tunnel, else round it; and whether it carries DETOUR from
    /// here. None when nothing leads on. `port` None: the flow names no tunnel that is there.
    pub fn hop(&self, destination: Label, came_by: Option<u32>, port: Option<u32>) -> Option<(u32, bool)> {
        match port.filter(|&port| self.is_up(port) && Some(port) != came_by) {
            Some(port) => Some((port, false)),
            None => self.detour(destination, came_by, port).map(|port| (port, true)),
        }
    }

    /// First hop of a detour: for a record whose next hop `failed` (down, or the tunnel it came by). Any live neighbour will do,
    /// the nearer the better; the one it came by only when there is no other, which is safe once: from here the record carries
    /// DETOUR, and the rule of [`Self::onward`] never turns.
    pub fn detour(&self, destination: Label, came_by: Option<u32>, failed: Option<u32>) -> Option<u32> {
        let usable = |port: u32| Some(port) != came_by && Some(port) != failed;
        self.last_hops(destination, came_by)
            .or_else(|| {
                let others = self.live().filter(|&(port, _)| usable(port));
                others.min_by_key(|(_, neighbour)| neighbour.reach(destination)).map(|(port, _)| port)
            })
            .or_else(|| came_by.filter(|&port| self.is_up(port)))
    }

    /// First hop of a record of our own when some first hops are known to lead nowhere; None when all are.
    pub fn first_hop_avoiding(&self, destination: Label, avoid: impl Fn(u32) -> bool) -> Option<u32> {
        let candidates = || self.live().filter(|&(port, _)| !avoid(port));
        let adjacent = candidates().filter(|(_, neighbour)| neighbour.is_adjacent_to(destination));
        adjacent
            .min_by_key(|(_, neighbour)| ring_distance(neighbour.label, destination))
            .or_else(|| candidates().min_by_key(|(_, neighbour)| neighbour.reach(destination)))
            .map(|(port, _)| port)
    }

    /// Next hop of a record that carries DETOUR: delivered, or strictly nearer, or on in the direction it is moving.
    ///
    /// A hop from P to S brought the record nearer to its destination D in exactly one direction round the ring: S lies either in
    /// the clockwise arc from P to D or in the other one. Going on within that arc keeps the direction and shortens what is left of
    /// it at every hop, so it ends; without this a ring with one node out would lose every pair that has to go the long way.
    pub fn onward(&self, own: Label, destination: Label, came_by: Option<u32>) -> Option<u32> {
        if let Some(port) = self.last_hops(destination, came_by) {
            return Some(port);
        }
        let candidates = || self.live().filter(move |&(port, _)| Some(port) != came_by);
        let here = ring_distance(own, destination);
        let nearer = candidates().filter(|(_, neighbour)| ring_distance(neighbour.label, destination) < here);
        if let Some((port, _)) = nearer.min_by_key(|(_, neighbour)| neighbour.reach(destination)) {
            return Some(port);
        }
        let previous = self.get(came_by?)?.label;
        let left = |label: Label| {
            if own.in_open_arc(previous, destination) {
                label.clockwise_to(destination)
            } else {
                destination.clockwise_to(label)
            }
        };
        let ahead = candidates().filter(|(_, neighbour)| left(neighbour.label) < left(own));
        ahead.min_by_key(|(_, neighbour)| left(neighbour.label)).map(|(port, _)| port)
    }
}

#[cfg(test)]
mod tests;
