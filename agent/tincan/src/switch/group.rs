//! Groups (clauses 5.6, 6.7): `all`, `indirect` and `fast failover`. Buckets hold outputs and set-field, no further groups.

use std::collections::BTreeMap;

use super::action::Action;
use super::openflow::{error, port, Result};
use crate::time::Micros;

pub const GROUPS_MAX: usize = 4_096;
pub const BUCKETS_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    All = 0,
    Indirect = 2,
    FastFailover = 3,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub weight: u16,
    pub watch_port: u32,
    pub watch_group: u32,
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    pub kind: GroupKind,
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
}

impl Counters {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

pub struct Group {
    pub spec: GroupSpec,
    pub created: Micros,
    pub counters: Counters,
    pub buckets: Vec<Counters>,
}

impl Group {
    fn new(spec: GroupSpec, now: Micros) -> Self {
        let buckets = vec![Counters::default(); spec.buckets.len()];
        Group { spec, created: now, counters: Counters::default(), buckets }
    }

    /// The buckets a packet goes to, with their numbers. `is_up` tells about a watched port; a bucket that watches none is live.
    pub fn chosen(&self, is_up: impl Fn(u32) -> bool) -> Vec<(usize, &Bucket)> {
        let mut all = self.spec.buckets.iter().enumerate();
        match self.spec.kind {
            GroupKind::All => all.collect(),
            GroupKind::Indirect => all.take(1).collect(),
            GroupKind::FastFailover => {
                all.find(|(_, bucket)| bucket.watch_port == port::ANY || is_up(bucket.watch_port)).into_iter().collect()
            }
        }
    }
}

#[derive(Default)]
pub struct Groups {
    groups: BTreeMap<u32, Group>,
}

impl Groups {
    pub fn get(&self, id: u32) -> Option<&Group> {
        self.groups.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        self.groups.iter().map(|(&id, group)| (id, group))
    }

    pub fn add(&mut self, id: u32, spec: GroupSpec, now: Micros) -> Result<()> {
        if self.groups.contains_key(&id) {
            return Err(error::GROUP_MOD_EXISTS);
        }
        if self.groups.len() >= GROUPS_MAX {
            return Err(error::GROUP_MOD_OUT_OF_GROUPS);
        }
        self.groups.insert(id, Group::new(spec, now));
        Ok(())
    }

    /// Counters start anew, as the buckets they count do.
    pub fn modify(&mut self, id: u32, spec: GroupSpec, now: Micros) -> Result<()> {
        let group = self.groups.get_mut(&id).ok_or(error::GROUP_MOD_UNKNOWN)?;
        *group = Group { created: group.created, ..Group::new(spec, now) };
        Ok(())
    }

    /// Deleting a group that is not there is no error (clause 6.7).
    pub fn delete(&mut self, id: u32) -> bool {
        self.groups.remove(&id).is_some()
    }

    pub fn clear(&mut self) {
        self.groups.clear();
    }

    pub fn hit(&mut self, id: u32, bucket: usize, first: bool, bytes: usize) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if first {
            group.counters.add(bytes);
        }
        if let Some(counters) = group.buckets.get_mut(bucket) {
            counters.add(bytes);
        }
    }
}
