//! Flow tables (clauses 5.1-5.5, 6.4, 6.5): entries by priority, masked lookup, modification, timeouts, counters.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::action::Instructions;
use super::key::Key;
use super::openflow::{error, port, Result, GROUP_ANY, TABLE_ALL};
use super::oxm::Match;
use crate::time::{Micros, SECOND};

pub const TABLES: u8 = 16;
/// All tables together.
pub const FLOWS_MAX: usize = 65_536;

pub const FLAG_SEND_REMOVED: u16 = 1;
pub const FLAG_CHECK_OVERLAP: u16 = 2;
pub const FLAG_RESET_COUNTS: u16 = 4;
pub const FLAG_NO_PACKET_COUNTS: u16 = 8;
pub const FLAG_NO_BYTE_COUNTS: u16 = 16;
pub const FLAGS_KNOWN: u16 = 31;

pub type FlowId = usize;

/// A flow as a flow-mod describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowSpec {
    pub table: u8,
    pub priority: u16,
    pub matching: Match,
    pub cookie: u64,
    pub idle_timeout: u16,
    pub hard_timeout: u16,
    pub flags: u16,
    pub instructions: Arc<Instructions>,
}

#[derive(Debug, Clone)]
pub struct Flow {
    pub spec: FlowSpec,
    /// The words of the match that are not wildcarded: word, mask, value.
    terms: Vec<(u8, u64, u64)>,
    pub created: Micros,
    pub used: Micros,
    pub packets: u64,
    pub bytes: u64,
}

impl Flow {
    fn new(spec: FlowSpec, now: Micros) -> Self {
        let words = spec.matching.mask.0.into_iter().zip(spec.matching.value.0).enumerate();
        let terms =
            words.filter(|(_, (mask, _))| *mask != 0).map(|(word, (mask, value))| (word as u8, mask, value)).collect();
        Flow { spec, terms, created: now, used: now, packets: 0, bytes: 0 }
    }

    fn matches(&self, key: &Key) -> bool {
        self.terms
            .iter()
            .all(|&(word, mask, value)| key.0.get(usize::from(word)).is_some_and(|key| key & mask == value))
    }

    /// The table-miss entry: lowest priority, everything wildcarded (clause 5.4).
    pub fn is_table_miss(&self) -> bool {
        self.spec.priority == 0 && self.terms.is_empty()
    }

    /// When, and by which of OFPRR_IDLE_TIMEOUT and OFPRR_HARD_TIMEOUT, it goes if nothing else happens.
    fn expiry(&self) -> Option<(Micros, RemovedReason)> {
        let at = |since: Micros, seconds: u16| (seconds != 0).then(|| since + Micros::from(seconds) * SECOND);
        let idle = at(self.used, self.spec.idle_timeout).map(|at| (at, RemovedReason::IdleTimeout));
        let hard = at(self.created, self.spec.hard_timeout).map(|at| (at, RemovedReason::HardTimeout));
        match (idle, hard) {
            (Some(idle), Some(hard)) => Some(if hard.0 <= idle.0 { hard } else { idle }),
            (idle, hard) => idle.or(hard),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovedReason {
    IdleTimeout = 0,
    HardTimeout = 1,
    Delete = 2,
    GroupDelete = 3,
}

#[derive(Debug, Clone)]
pub struct Removed {
    pub flow: Flow,
    pub reason: RemovedReason,
}

/// Which flows a modify, delete or statistics request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    pub table: u8,
    pub matching: Match,
    pub out_port: u32,
    pub out_group: u32,
    pub cookie: u64,
    pub cookie_mask: u64,
}

impl Filter {
    fn accepts(&self, flow: &Flow) -> bool {
        let spec = &flow.spec;
        (self.table == TABLE_ALL || self.table == spec.table)
            && spec.cookie & self.cookie_mask == self.cookie & self.cookie_mask
            && (self.out_port == port::ANY || spec.instructions.outputs_to(self.out_port))
            && (self.out_group == GROUP_ANY || spec.instructions.uses_group(self.out_group))
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct TableCounters {
    pub lookups: u64,
    pub matched: u64,
}

#[derive(Default)]
pub struct Tables {
    flows: Vec<Option<Flow>>,
    free: Vec<FlowId>,
    /// Per table the flows by falling priority; among equals the older first.
    order: [Vec<FlowId>; TABLES as usize],
    by_match: HashMap<(u8, u16, Match), FlowId>,
    timed: BTreeSet<FlowId>,
    pub counters: [TableCounters; TABLES as usize],
}

impl Tables {
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(id)?.as_ref()
    }

    pub fn len(&self) -> usize {
        self.by_match.len()
    }

    pub fn active(&self, table: u8) -> usize {
        self.order.get(usize::from(table)).map_or(0, Vec::len)
    }

    /// Every flow, by table and falling priority.
    fn ids(&self) -> impl Iterator<Item = FlowId> + '_ {
        self.order.iter().flatten().copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.ids().filter_map(|id| self.get(id))
    }

    /// The bits that any flow looks at.
    pub fn relevant(&self) -> Key {
        let mut mask = Key::default();
        self.iter().for_each(|flow| mask.merge(&flow.spec.matching.mask));
        mask
    }

    pub fn lookup(&self, table: u8, key: &Key) -> Option<FlowId> {
        let order = self.order.get(usize::from(table))?;
        order.iter().copied().find(|&id| self.get(id).is_some_and(|flow| flow.matches(key)))
    }

    /// Counts one packet of `bytes` for a flow.
    pub fn hit(&mut self, id: FlowId, bytes: usize, now: Micros) {
        let Some(flow) = self.flows.get_mut(id).and_then(Option::as_mut) else { return };
        flow.used = now;
        flow.packets += u64::from(flow.spec.flags & FLAG_NO_PACKET_COUNTS == 0);
        flow.bytes += if flow.spec.flags & FLAG_NO_BYTE_COUNTS == 0 { bytes as u64 } else { 0 };
        if let Some(counters) = self.counters.get_mut(usize::from(flow.spec.table)) {
            counters.lookups += 1;
            counters.matched += 1;
        }
    }

    pub fn missed(&mut self, table: u8) {
        if let Some(counters) = self.counters.get_mut(usize::from(table)) {
            counters.lookups += 1;
        }
    }

    /// OFPFC_ADD: a flow with the same match and priority is replaced, silently (clause 6.4).
    pub fn add(&mut self, spec: FlowSpec, now: Micros) -> Result<()> {
        if spec.table >= TABLES {
            return Err(error::FLOW_MOD_TABLE_ID);
        }
        let index = (spec.table, spec.priority, spec.matching);
        let same = self.by_match.get(&index).copied();
        if spec.flags & FLAG_CHECK_OVERLAP != 0 {
            let overlaps = |flow: &Flow| {
                let other = &flow.spec;
                other.table == spec.table && other.priority == spec.priority && other.matching.overlaps(&spec.matching)
            };
            if self.iter().any(overlaps) {
                return Err(error::FLOW_MOD_OVERLAP);
            }
        }
        if same.is_none() && self.len() >= FLOWS_MAX {
            return Err(error::FLOW_MOD_TABLE_FULL);
        }
        let mut flow = Flow::new(spec, now);
        if let Some(old) = same.and_then(|id| self.remove(id)) {
            if flow.spec.flags & FLAG_RESET_COUNTS == 0 {
                (flow.packets, flow.bytes) = (old.packets, old.bytes);
            }
        }
        self.insert(flow);
        Ok(())
    }

    fn insert(&mut self, flow: Flow) {
        let (table, priority) = (flow.spec.table, flow.spec.priority);
        let index = (table, priority, flow.spec.matching);
        let timed = flow.expiry().is_some();
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.flows.push(None);
                self.flows.len() - 1
            }
        };
        let Some(order) = self.order.get(usize::from(table)) else { return };
        let at = order.partition_point(|&id| self.get(id).is_some_and(|flow| flow.spec.priority >= priority));
        if let Some(order) = self.order.get_mut(usize::from(table)) {
            order.insert(at, id);
        }
        if let Some(slot) = self.flows.get_mut(id) {
            *slot = Some(flow);
        }
        self.by_match.insert(index, id);
        if timed {
            self.timed.insert(id);
        }
    }

    fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.flows.get_mut(id)?.take()?;
        self.by_match.remove(&(flow.spec.table, flow.spec.priority, flow.spec.matching));
        self.timed.remove(&id);
        if let Some(order) = self.order.get_mut(usize::from(flow.spec.table)) {
            order.retain(|&other| other != id);
        }
        self.free.push(id);
        Some(flow)
    }

    /// Flows a non-strict request is about: those whose match lies within the filter's.
    pub fn select<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (FlowId, &'a Flow)> {
        let flows = self.ids().filter_map(|id| Some((id, self.get(id)?)));
        flows.filter(|(_, flow)| filter.accepts(flow) && flow.spec.matching.is_within(&filter.matching))
    }

    fn select_strict(&self, filter: &Filter, priority: u16) -> Vec<FlowId> {
        let tables = if filter.table == TABLE_ALL { 0..TABLES } else { filter.table..filter.table.saturating_add(1) };
        let same = tables.filter_map(|table| self.by_match.get(&(table, priority, filter.matching)).copied());
        same.filter(|&id| self.get(id).is_some_and(|flow| filter.accepts(flow))).collect()
    }

    /// OFPFC_MODIFY and, with a priority, OFPFC_MODIFY_STRICT: new instructions; cookie, timeouts and counters stay.
    pub fn modify(&mut self, filter: &Filter, strict: Option<u16>, instructions: &Arc<Instructions>, reset: bool) {
        for id in self.chosen(filter, strict) {
            if let Some(flow) = self.flows.get_mut(id).and_then(Option::as_mut) {
                flow.spec.instructions = Arc::clone(instructions);
                if reset {
                    (flow.packets, flow.bytes) = (0, 0);
                }
            }
        }
    }

    /// OFPFC_DELETE and OFPFC_DELETE_STRICT.
    pub fn delete(&mut self, filter: &Filter, strict: Option<u16>, reason: RemovedReason) -> Vec<Removed> {
        let chosen = self.chosen(filter, strict);
        if chosen.len() > 64 {
            return self.delete_many(chosen, reason);
        }
        chosen.into_iter().filter_map(|id| self.remove(id)).map(|flow| Removed { flow, reason }).collect()
    }

    /// One pass over each table's order instead of one for each flow.
    fn delete_many(&mut self, chosen: Vec<FlowId>, reason: RemovedReason) -> Vec<Removed> {
        let mut removed = Vec::with_capacity(chosen.len());
        for id in chosen {
            if let Some(flow) = self.flows.get_mut(id).and_then(Option::take) {
                self.by_match.remove(&(flow.spec.table, flow.spec.priority, flow.spec.matching));
                self.timed.remove(&id);
                self.free.push(id);
                removed.push(Removed { flow, reason });
            }
        }
        let flows = &self.flows;
        self.order.iter_mut().for_each(|order| order.retain(|&id| flows.get(id).is_some_and(Option::is_some)));
        removed
    }

    fn chosen(&self, filter: &Filter, strict: Option<u16>) -> Vec<FlowId> {
        match strict {
            Some(priority) => self.select_strict(filter, priority),
            None => self.select(filter).map(|(id, _)| id).collect(),
        }
    }

    /// Flows that use a group or meter that is going away go with it (clauses 6.7, 6.8).
    pub fn delete_where(&mut self, reason: RemovedReason, gone: impl Fn(&Instructions) -> bool) -> Vec<Removed> {
        let chosen = self.ids().filter(|&id| self.get(id).is_some_and(|flow| gone(&flow.spec.instructions))).collect();
        self.delete_many(chosen, reason)
    }

    pub fn expire(&mut self, now: Micros) -> Vec<Removed> {
        let due = |id: &FlowId| Some((*id, self.get(*id)?.expiry().filter(|&(at, _)| at <= now)?.1));
        let due: Vec<_> = self.timed.iter().filter_map(due).collect();
        due.into_iter().filter_map(|(id, reason)| Some(Removed { flow: self.remove(id)?, reason })).collect()
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.timed.iter().filter_map(|&id| Some(self.get(id)?.expiry()?.0)).min()
    }
}

#[cfg(test)]
mod tests;
