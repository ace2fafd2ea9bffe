//! Everything that was dropped, and why, by name (`stats`).

use std::collections::BTreeMap;

use crate::time::{Micros, SECOND};

#[derive(Default)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    pub fn add(&mut self, name: &'static str) {
        self.add_many(name, 1);
    }

    pub fn add_many(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(name).or_default() += count;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(&name, &count)| (name, count))
    }
}

/// So many a second for each key; a flood of keys is one key.
pub struct PerSecond<K> {
    limit: u32,
    window: Micros,
    counts: BTreeMap<K, u32>,
}

/// Source labels can be made up, and each notice to one is forwarded by others until somebody knows better.
const KEYS_MAX: usize = 128;

impl<K: Ord> PerSecond<K> {
    pub fn new(limit: u32) -> Self {
        Self { limit, window: 0, counts: BTreeMap::new() }
    }

    pub fn allow(&mut self, key: K, now: Micros) -> bool {
        if now.saturating_sub(self.window) >= SECOND {
            self.window = now;
            self.counts.clear();
        }
        if self.counts.len() >= KEYS_MAX && !self.counts.contains_key(&key) {
            return false;
        }
        let count = self.counts.entry(key).or_default();
        *count += 1;
        *count <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_limit_a_second() {
        let mut limit = PerSecond::new(2);
        assert_eq!([1, 1, 1, 2].map(|key| limit.allow(key, SECOND)), [true, true, false, true]);
        assert!(limit.allow(1, 2 * SECOND));
    }

    #[test]
    fn endless_new_keys_take_no_endless_memory() {
        let mut limit = PerSecond::new(2);
        assert_eq!((0..10_000).filter(|&key| limit.allow(key, SECOND)).count(), KEYS_MAX);
    }
}
