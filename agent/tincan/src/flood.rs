//! Floods: one frame to every node, hop by hop, acknowledged (wire.md §6.3).
//!
//! A flood gives each neighbour an arc of the ring to answer for. On an intact ring the arcs are disjoint and each holds exactly the
//! nodes that its receiver can reach, so n - 1 records are sent. What a node cannot hand on, because the tunnel that should take it is
//! down or silent, it *hunts* a way for: by a neighbour that knows somebody inside the arc, else by the one nearest to it.

mod arcs;
mod pending;
mod seen;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::routing::Neighbours;
use crate::time::{Micros, MILLISECOND, SECOND};
use crate::wire::flood::{Flood as Record, FloodArc, FLOOD_HOP_LIMIT};
use crate::wire::Label;
use arcs::{hand_over, Handover};
use pending::{Pending, PendingTable};
use seen::Seen;

const ACKNOWLEDGEMENT_TIMEOUT: Micros = 200 * MILLISECOND;
/// How often an arc is given to another neighbour after silence. With a tenth of all tunnels silent, three in a row are so often
/// that in an overlay of a thousand nodes one flood in five lost an arc (`make sim`); whoever has an arc acknowledges it, so a node
/// that is dead itself costs no more of them.
const ATTEMPTS_MAX: u8 = 8;
/// A hunt costs more of the hop limit than a step down the tree: a dead node that is still a configured neighbour of somebody would
/// else be looked for over 32 hops at every flood.
const HUNT_COST: u8 = 2;
const HUNTS_MAX: usize = 4_096;
/// Floods a second, and at once, that one neighbour, or our own tap, may start or pass on.
const RATE: Rate = Rate { each_second: 250, at_once: 500 };
/// And in the name of one root, by whatever neighbours: who gives each of them other floods has no more for it.
const ROOT_RATE: Rate = RATE;
/// In the names of all who are no members, together: any member can invent roots.
const STRANGERS_RATE: Rate = Rate { each_second: 100, at_once: 200 };
/// Hunts, and arcs handed to another neighbour after silence. When acknowledgements are late because of too many floods, repairs are
/// only more of them.
const REPAIR_RATE: Rate = Rate { each_second: 100, at_once: 500 };
/// Roots whose rate is watched.
const ROOTS_MAX: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FloodAction {
    /// A sealed record of type C5 with this plaintext to the neighbour at `port`.
    Send { port: u32, plaintext: Vec<u8> },
    /// A sealed record of type C6.
    Acknowledge { port: u32, plaintext: Vec<u8> },
    /// The frame, once: to the switch, with `root` as its source.
    Deliver { root: Label, partial: bool, frame: Vec<u8> },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FloodCounters {
    pub originated: u64,
    pub delivered: u64,
    pub duplicates: u64,
    /// Arcs given to another neighbour after silence or a tunnel's end.
    pub reassigned: u64,
    pub hunted: u64,
    /// Arcs nobody was left for.
    pub abandoned: u64,
    pub malformed: u64,
    pub rate_limited: u64,
}

/// The frame of a flood, shared by all its hops that wait for an acknowledgement.
#[derive(Clone)]
struct Content {
    frame: Arc<[u8]>,
    partial: bool,
}

pub struct Flood {
    own: Label,
    tag: u32,
    number: u32,
    seen: Seen,
    /// Arcs this node hunts a way for: the ports it came by or was given to. A hunt that comes back goes on with the next one.
    hunts: HashMap<FloodArc, Vec<u32>>,
    hunts_by_age: VecDeque<FloodArc>,
    pending: PendingTable,
    buckets: HashMap<u32, Bucket>,
    roots: HashMap<Label, Bucket>,
    strangers: Bucket,
    repairs: Bucket,
    counters: FloodCounters,
}

impl Flood {
    /// `boot_tag`: random, drawn at start.
    pub fn new(own: Label, boot_tag: u32) -> Self {
        Flood {
            own,
            tag: boot_tag,
            number: 0,
            seen: Seen::default(),
            hunts: HashMap::new(),
            hunts_by_age: VecDeque::new(),
            pending: PendingTable::default(),
            buckets: HashMap::new(),
            roots: HashMap::new(),
            strangers: Bucket::full(STRANGERS_RATE),
            repairs: Bucket::full(REPAIR_RATE),
            counters: FloodCounters::default(),
        }
    }

    pub fn counters(&self) -> FloodCounters {
        self.counters
    }

    /// `Output::Flood` for a frame of our own.
    pub fn originate(&mut self, frame: &[u8], partial: bool, neighbours: &Neighbours, now: Micros) -> Vec<FloodAction> {
        let mut actions = Vec::new();
        if !self.within_rate(0, now) {
            return actions;
        }
        self.counters.originated += 1;
        self.number = self.number.wrapping_add(1);
        let sequence = u64::from(self.tag) << 32 | u64::from(self.number);
        self.seen.first(self.own, sequence);
        let arc = FloodArc { root: self.own, sequence, start: self.own, bound: self.own };
        let content = Content { frame: Arc::from(frame), partial };
        // The root itself is no hop.
        self.serve(arc, FLOOD_HOP_LIMIT + 1, &content, &Attempt::first(None), neighbours, now, &mut actions);
        actions
    }

    /// Plaintext of a C5 record from the neighbour at `port`. `member`: whether a label is one of the overlay's.
    pub fn received(
        &mut self,
        port: u32,
        plaintext: &[u8],
        neighbours: &Neighbours,
        member: impl Fn(Label) -> bool,
        now: Micros,
    ) -> Vec<FloodAction> {
        let mut actions = Vec::new();
        let Ok(record) = Record::decode(plaintext) else {
            self.counters.malformed += 1;
            return actions;
        };
        // Not acknowledged, so the sender tries another way, where the limit may not be reached.
        if !self.within_rate(port, now) {
            return actions;
        }
        let Record { arc, hop_limit, partial, ethernet } = record;
        actions.push(FloodAction::Acknowledge { port, plaintext: arc.encode() });
        // Acknowledged all the same: by another way it would be too many as well.
        if !self.root_within_rate(arc.root, member(arc.root), now) {
            return actions;
        }
        if arc.root == self.own {
            // Our own flood comes back only when somebody hunts; another with our name on it is forged.
            if !self.seen.contains(arc.root, arc.sequence) {
                self.counters.malformed += 1;
                return actions;
            }
        } else if self.seen.first(arc.root, arc.sequence) {
            self.counters.delivered += 1;
            actions.push(FloodAction::Deliver { root: arc.root, partial, frame: ethernet.to_vec() });
        } else {
            self.counters.duplicates += 1;
        }
        let content = Content { frame: Arc::from(ethernet), partial };
        let hop_limit = hop_limit.min(FLOOD_HOP_LIMIT);
        let first_time = self.seen.first_arc(arc);
        if first_time || self.hunts.contains_key(&arc) {
            self.serve(arc, hop_limit, &content, &Attempt::first(Some(port)), neighbours, now, &mut actions);
        }
        actions
    }

    /// Plaintext of a C6 record from the neighbour at `port`.
    pub fn acknowledged(&mut self, port: u32, plaintext: &[u8]) {
        match FloodArc::decode_acknowledgement(plaintext) {
            Ok(arc) => drop(self.pending.acknowledged(port, arc)),
            Err(_) => self.counters.malformed += 1,
        }
    }

    /// The tunnel went down (`neighbours` already says so): what it has not acknowledged goes another way.
    pub fn tunnel_down(&mut self, port: u32, neighbours: &Neighbours, now: Micros) -> Vec<FloodAction> {
        let lost = self.pending.of_port(port);
        self.buckets.remove(&port);
        self.reassign(lost, neighbours, now)
    }

    pub fn tick(&mut self, neighbours: &Neighbours, now: Micros) -> Vec<FloodAction> {
        let silent = self.pending.due(now);
        self.reassign(silent, neighbours, now)
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.pending.deadline()
    }

    fn reassign(&mut self, lost: Vec<Pending>, neighbours: &Neighbours, now: Micros) -> Vec<FloodAction> {
        let mut actions = Vec::new();
        for Pending { port, neighbour, mut arc, content, hop_limit, attempt, .. } in lost {
            if attempt.number >= ATTEMPTS_MAX {
                self.counters.abandoned += 1;
                continue;
            }
            if !self.repairs.take(REPAIR_RATE, now) {
                self.counters.abandoned += 1;
                continue;
            }
            self.counters.reassigned += 1;
            // The arc is open, and the node at its start may be the one that did not answer: it is part of what is lost.
            if arc.start == neighbour {
                arc.start = Label(neighbour.0.wrapping_sub(1));
            }
            let attempt = attempt.after(port);
            self.serve(arc, hop_limit.saturating_add(1), &content, &attempt, neighbours, now, &mut actions);
        }
        actions
    }

    /// Passes on what this node answers for.
    #[allow(clippy::too_many_arguments)]
    fn serve(
        &mut self,
        arc: FloodArc,
        hop_limit: u8,
        content: &Content,
        attempt: &Attempt,
        neighbours: &Neighbours,
        now: Micros,
        actions: &mut Vec<FloodAction>,
    ) {
        for (start, bound) in arcs::pieces(self.own, arc.start, arc.bound) {
            let piece = FloodArc { start, bound, ..arc };
            let mut tried = attempt.tried.clone();
            tried.extend(self.hunts.get(&piece).into_iter().flatten());
            match hand_over(self.own, start, bound, &tried, attempt.came_by, neighbours) {
                Handover::Nobody => {}
                Handover::Arcs(arcs) => {
                    for (port, start, bound) in arcs {
                        let part = FloodArc { start, bound, ..arc };
                        self.send(port, part, hop_limit.saturating_sub(1), content, attempt, neighbours, now, actions);
                    }
                }
                Handover::Hunt(_) if !self.repairs.take(REPAIR_RATE, now) => self.counters.abandoned += 1,
                Handover::Hunt(port) => {
                    self.counters.hunted += 1;
                    self.remember_hunt(piece, port);
                    let hop_limit = hop_limit.saturating_sub(HUNT_COST);
                    self.send(port, piece, hop_limit, content, attempt, neighbours, now, actions);
                }
                Handover::Lost => self.counters.abandoned += 1,
            }
        }
    }

    fn remember_hunt(&mut self, piece: FloodArc, port: u32) {
        if !self.hunts.contains_key(&piece) {
            self.hunts_by_age.push_back(piece);
        }
        if self.hunts_by_age.len() > HUNTS_MAX {
            if let Some(oldest) = self.hunts_by_age.pop_front() {
                self.hunts.remove(&oldest);
            }
        }
        self.hunts.entry(piece).or_default().push(port);
    }

    #[allow(clippy::too_many_arguments)]
    fn send(
        &mut self,
        port: u32,
        arc: FloodArc,
        hop_limit: u8,
        content: &Content,
        attempt: &Attempt,
        neighbours: &Neighbours,
        now: Micros,
        actions: &mut Vec<FloodAction>,
    ) {
        let Some(neighbour) = neighbours.get(port).filter(|_| hop_limit > 0) else {
            self.counters.abandoned += 1;
            return;
        };
        let record = Record { arc, hop_limit, partial: content.partial, ethernet: &content.frame };
        actions.push(FloodAction::Send { port, plaintext: record.encode() });
        let timeout =
            neighbour.rtt.map_or(ACKNOWLEDGEMENT_TIMEOUT, |rtt| ACKNOWLEDGEMENT_TIMEOUT.max(rtt.saturating_mul(3)));
        self.pending.add(Pending {
            port,
            neighbour: neighbour.label,
            arc,
            content: content.clone(),
            hop_limit,
            attempt: attempt.clone(),
            deadline: now + timeout,
        });
    }

    fn within_rate(&mut self, port: u32, now: Micros) -> bool {
        let within = self.buckets.entry(port).or_insert_with(|| Bucket::full(RATE)).take(RATE, now);
        self.counters.rate_limited += u64::from(!within);
        within
    }

    fn root_within_rate(&mut self, root: Label, member: bool, now: Micros) -> bool {
        let within = if member || root == self.own {
            if self.roots.len() >= ROOTS_MAX && !self.roots.contains_key(&root) {
                self.roots.retain(|_, bucket| !bucket.is_full(ROOT_RATE, now));
            }
            self.roots.entry(root).or_insert_with(|| Bucket::full(ROOT_RATE)).take(ROOT_RATE, now)
        } else {
            self.strangers.take(STRANGERS_RATE, now)
        };
        self.counters.rate_limited += u64::from(!within);
        within
    }
}

/// What has been tried for an arc since this node answers for it.
#[derive(Clone)]
struct Attempt {
    number: u8,
    came_by: Option<u32>,
    tried: Vec<u32>,
}

impl Attempt {
    fn first(came_by: Option<u32>) -> Self {
        Attempt { number: 0, came_by, tried: Vec::new() }
    }

    fn after(mut self, port: u32) -> Self {
        self.number += 1;
        self.tried.push(port);
        self
    }
}

#[derive(Clone, Copy)]
struct Rate {
    each_second: u64,
    at_once: u64,
}

#[derive(Default)]
struct Bucket {
    /// In millionths of a flood.
    tokens: u64,
    filled: Micros,
}

impl Bucket {
    fn full(rate: Rate) -> Self {
        Bucket { tokens: rate.at_once * SECOND, filled: 0 }
    }

    fn filled(&self, rate: Rate, now: Micros) -> u64 {
        let gained = now.saturating_sub(self.filled).saturating_mul(rate.each_second);
        self.tokens.saturating_add(gained).min(rate.at_once * SECOND)
    }

    fn is_full(&self, rate: Rate, now: Micros) -> bool {
        self.filled(rate, now) == rate.at_once * SECOND
    }

    fn take(&mut self, rate: Rate, now: Micros) -> bool {
        self.tokens = self.filled(rate, now);
        self.filled = self.filled.max(now);
        match self.tokens.checked_sub(SECOND) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
