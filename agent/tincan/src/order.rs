//! The order of a session's frames where they come to take another path: the first by a shorter one overtake the last by the longer.
//!
//! What comes first by another path waits for the records sent before it, which its counter tells, but no longer than [`WAIT`]: of those
//! some may be lost, or be no frames. Late ones by the former path pass at once. As long as nothing changes, nothing waits.

use std::collections::{BTreeMap, HashMap};

use crate::time::{Micros, MILLISECOND, SECOND};
use crate::tunnel::Via;

pub const WAIT: Micros = 20 * MILLISECOND;
/// After frames of a session waited in vain, those of it do not for so long: its sender may use two paths in turns.
const AGAIN: Micros = SECOND;
/// Whose last frame came longer ago has none on its way by the former path: what is missing is lost.
const RECENT: Micros = 200 * MILLISECOND;
/// What waits, of all sessions.
const BYTES_MAX: usize = 4 << 20;
/// Sessions that are remembered before those are forgotten by which nothing came lately.
const FLOWS_MAX: usize = 1_024;

/// By which way a frame came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The tunnel whose path it was.
    pub port: Option<u32>,
    pub via: Via,
    /// What was left of the hop limit, where others passed it on.
    pub hops: Option<u8>,
}

/// What becomes of a frame that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Pass,
    /// To be handed to [`Order::hold`].
    Wait,
    /// It was the last that others waited for: it passes, and those behind it ([`Order::take`]).
    PassAndTake,
}

/// `T`: a frame that waits.
pub struct Order<T> {
    flows: HashMap<u32, Flow<T>>,
    /// The flow that was looked at last, out of the map: a batch is of one session, nearly always.
    recent: Option<(u32, Flow<T>)>,
    waiting: Vec<u32>,
    bytes: usize,
}

struct Flow<T> {
    path: Path,
    /// One above the highest counter of a frame that passed.
    next: u64,
    at: Micros,
    not_before: Micros,
    wait: Option<Wait<T>>,
}

struct Wait<T> {
    until: Micros,
    /// The lowest counter that is not there.
    missing: u64,
    held: BTreeMap<u64, (usize, T)>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { flows: HashMap::new(), recent: None, waiting: Vec::new(), bytes: 0 }
    }
}

impl<T> Order<T> {
    /// A frame of `session` arrived. `first_missing(from, to)`: the lowest counter of these, `to` not among them, by which no record of
    /// the session has come.
    pub fn arrived(
        &mut self,
        session: u32,
        path: Path,
        counter: u64,
        now: Micros,
        first_missing: impl Fn(u64, u64) -> Option<u64>,
    ) -> Turn {
        let Some(flow) = self.flow(session) else {
            self.begin(session, Flow { path, next: counter + 1, at: now, not_before: 0, wait: None }, now);
            return Turn::Pass;
        };
        if let Some(wait) = &mut flow.wait {
            let first = wait.held.first_key_value().map_or(counter, |(&first, _)| first);
            if counter >= first {
                return Turn::Wait;
            }
            return match first_missing(wait.missing, first) {
                Some(missing) => {
                    wait.missing = missing;
                    Turn::Pass
                }
                None => Turn::PassAndTake,
            };
        }
        if flow.path == path || counter < flow.next {
            if flow.path == path {
                flow.at = now;
            }
            flow.next = flow.next.max(counter + 1);
            return Turn::Pass;
        }
        let on_their_way = now.saturating_sub(flow.at) <= RECENT && now >= flow.not_before;
        let missing = if on_their_way { first_missing(flow.next, counter) } else { None };
        (flow.path, flow.at) = (path, now);
        let Some(missing) = missing else {
            flow.next = counter + 1;
            return Turn::Pass;
        };
        flow.wait = Some(Wait { until: now + WAIT, missing, held: BTreeMap::new() });
        self.waiting.push(session);
        Turn::Wait
    }

    /// Keeps a frame for which `arrived` said so. Gives those that pass after all, as there is no room for more.
    pub fn hold(&mut self, session: u32, counter: u64, bytes: usize, frame: T) -> Vec<(u64, T)> {
        let Some(wait) = self.flow(session).and_then(|flow| flow.wait.as_mut()) else { return vec![(counter, frame)] };
        wait.held.insert(counter, (bytes, frame));
        self.bytes += bytes;
        if self.bytes > BYTES_MAX {
            return self.take(session);
        }
        vec![]
    }

    /// What waited of this session, in order, by their counters.
    pub fn take(&mut self, session: u32) -> Vec<(u64, T)> {
        self.waiting.retain(|&waiting| waiting != session);
        let Some(flow) = self.flow(session) else { return vec![] };
        let Some(wait) = flow.wait.take() else { return vec![] };
        flow.next = wait.held.last_key_value().map_or(flow.next, |(&last, _)| last + 1);
        self.bytes -= wait.held.values().map(|(bytes, _)| bytes).sum::<usize>();
        wait.held.into_iter().map(|(counter, (_, frame))| (counter, frame)).collect()
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.waiting.iter().filter_map(|&session| self.peek(session)?.wait.as_ref().map(|wait| wait.until)).min()
    }

    /// A session whose frames have waited long enough; they are to be taken.
    pub fn due(&mut self, now: Micros) -> Option<u32> {
        let over = |wait: &Wait<T>| wait.until <= now;
        let due = |&session: &u32| self.peek(session).and_then(|flow| flow.wait.as_ref()).is_some_and(over);
        let session = self.waiting.iter().copied().find(due)?;
        if let Some(flow) = self.flow(session) {
            flow.not_before = now + AGAIN;
        }
        Some(session)
    }

    fn peek(&self, session: u32) -> Option<&Flow<T>> {
        match &self.recent {
            Some((known, flow)) if *known == session => Some(flow),
            _ => self.flows.get(&session),
        }
    }

    fn flow(&mut self, session: u32) -> Option<&mut Flow<T>> {
        if self.recent.as_ref().is_none_or(|(known, _)| *known != session) {
            let flow = self.flows.remove(&session)?;
            self.make_recent(session, flow);
        }
        self.recent.as_mut().map(|(_, flow)| flow)
    }

    fn make_recent(&mut self, session: u32, flow: Flow<T>) {
        if let Some((former, flow)) = self.recent.replace((session, flow)) {
            self.flows.insert(former, flow);
        }
    }

    /// A new one; what is over is forgotten where there are too many.
    fn begin(&mut self, session: u32, flow: Flow<T>, now: Micros) {
        self.make_recent(session, flow);
        if self.flows.len() >= FLOWS_MAX {
            self.flows.retain(|_, flow| flow.wait.is_some() || now.saturating_sub(flow.at) <= AGAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const MS: Micros = MILLISECOND;

    fn path(port: u32) -> Path {
        Path { port: Some(port), via: Via::Webrtc, hops: (port == TRANSIT).then_some(7) }
    }
    const TRANSIT: u32 = 1;
    const DIRECT: u32 = 2;

    /// What comes out, in order; every record is a frame and its counter.
    #[derive(Default)]
    struct Tap {
        order: Order<u64>,
        seen: HashSet<u64>,
        out: Vec<u64>,
    }

    impl Tap {
        /// A record that is no frame.
        fn other(&mut self, counter: u64) {
            self.seen.insert(counter);
        }

        fn frame(&mut self, port: u32, counter: u64, now: Micros) {
            self.seen.insert(counter);
            let seen = &self.seen;
            let missing = |from: u64, to: u64| (from..to).find(|one| !seen.contains(one));
            match self.order.arrived(9, path(port), counter, now, missing) {
                Turn::Pass => self.out.push(counter),
                Turn::Wait => {
                    let passed = self.order.hold(9, counter, 1_000, counter);
                    self.out.extend(passed.into_iter().map(|(counter, _)| counter));
                }
                Turn::PassAndTake => {
                    self.out.push(counter);
                    let taken = self.order.take(9);
                    self.out.extend(taken.into_iter().map(|(counter, _)| counter));
                }
            }
        }

        fn tick(&mut self, now: Micros) {
            while let Some(session) = self.order.due(now) {
                let taken = self.order.take(session);
                self.out.extend(taken.into_iter().map(|(counter, _)| counter));
            }
        }
    }

    #[test]
    fn the_first_by_a_shorter_path_wait_for_the_last_by_the_longer() {
        let mut tap = Tap::default();
        tap.frame(TRANSIT, 1, 0);
        for (port, counter, at) in [(DIRECT, 4, MS), (DIRECT, 5, 2 * MS), (TRANSIT, 2, 3 * MS), (TRANSIT, 3, 4 * MS)] {
            tap.frame(port, counter, at);
        }
        tap.frame(DIRECT, 6, 5 * MS);
        assert_eq!(tap.out, [1, 2, 3, 4, 5, 6]);
        assert_eq!(tap.order.deadline(), None);
    }

    #[test]
    fn they_wait_for_20_ms_where_those_are_lost() {
        let mut tap = Tap::default();
        tap.frame(TRANSIT, 1, 0);
        tap.frame(DIRECT, 3, MS);
        tap.frame(DIRECT, 5, 2 * MS);
        assert_eq!(tap.order.deadline(), Some(MS + WAIT));
        tap.tick(WAIT);
        assert_eq!(tap.out, [1]);
        tap.tick(MS + WAIT);
        assert_eq!(tap.out, [1, 3, 5]);
        // A late one is not kept from anybody.
        tap.frame(TRANSIT, 2, 30 * MS);
        tap.frame(DIRECT, 6, 31 * MS);
        assert_eq!(tap.out, [1, 3, 5, 2, 6]);
    }

    #[test]
    fn who_uses_two_paths_in_turns_waits_once_a_second_at_most() {
        let mut tap = Tap::default();
        tap.frame(TRANSIT, 1, 0);
        tap.frame(DIRECT, 3, MS);
        tap.tick(30 * MS);
        tap.frame(DIRECT, 4, 30 * MS);
        tap.frame(TRANSIT, 6, 31 * MS);
        tap.frame(DIRECT, 8, 32 * MS);
        assert_eq!(tap.out, [1, 3, 4, 6, 8]);
        tap.frame(DIRECT, 9, 29 * MS + AGAIN);
        tap.frame(TRANSIT, 11, 30 * MS + AGAIN);
        assert_eq!((tap.out.len(), tap.order.deadline()), (6, Some(30 * MS + AGAIN + WAIT)));
    }

    #[test]
    fn nothing_waits_where_nothing_is_missing_or_nothing_came_lately() {
        let mut tap = Tap::default();
        tap.frame(TRANSIT, 1, 0);
        tap.other(2);
        tap.frame(DIRECT, 3, MS);
        tap.frame(TRANSIT, 9, 2 * MS + RECENT);
        assert_eq!(tap.out, [1, 3, 9]);
    }

    #[test]
    fn a_loss_on_one_path_makes_nobody_wait() {
        let mut tap = Tap::default();
        for counter in [1, 2, 5, 9] {
            tap.frame(TRANSIT, counter, counter * MS);
        }
        assert_eq!(tap.out, [1, 2, 5, 9]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut tap = Tap::default();
        tap.frame(TRANSIT, 1, 0);
        for counter in 3..3 + BYTES_MAX as u64 / 1_000 {
            tap.frame(DIRECT, counter, MS);
        }
        assert_eq!(tap.out, [1]);
        tap.frame(DIRECT, 100_000, MS);
        tap.frame(DIRECT, 100_001, MS);
        assert_eq!(tap.out.len(), BYTES_MAX / 1_000 + 3);
        assert!(tap.out.is_sorted());
        assert_eq!(tap.order.bytes, 0);
    }

    #[test]
    fn sessions_do_not_wait_for_each_other_and_are_forgotten() {
        let mut order: Order<()> = Order::default();
        let missing = |from: u64, _: u64| Some(from);
        for session in 0..3 * FLOWS_MAX as u32 {
            assert_eq!(order.arrived(session, path(TRANSIT), 0, u64::from(session) * 10 * MS, missing), Turn::Pass);
        }
        assert!(order.flows.len() <= FLOWS_MAX);
        let now = 3 * FLOWS_MAX as u64 * 10 * MS;
        let last = 3 * FLOWS_MAX as u32 - 1;
        assert_eq!(order.arrived(last, path(DIRECT), 5, now, missing), Turn::Wait);
        assert_eq!(order.arrived(last - 1, path(TRANSIT), 5, now, missing), Turn::Pass);
        assert_eq!(order.waiting, [last]);
    }

    proptest! {
        /// Whatever comes by whatever way: each frame comes out once, within 20 ms.
        #[test]
        fn every_frame_comes_out_once(steps in prop::collection::vec((1u32..4, 0u64..40, 0u64..8), 1..200)) {
            let mut tap = Tap::default();
            let mut now = 0;
            let mut given = HashSet::new();
            for (port, counter, gap) in steps {
                now += gap * MS;
                tap.tick(now);
                if given.insert(counter) {
                    tap.frame(port, counter, now);
                }
            }
            tap.tick(now + WAIT);
            let out: HashSet<u64> = tap.out.iter().copied().collect();
            prop_assert_eq!(out.len(), tap.out.len());
            prop_assert_eq!(out, given);
            prop_assert_eq!(tap.order.bytes, 0);
        }

        /// One change of path, to one that is shorter by less than 20 ms, without loss: nothing comes out of order.
        #[test]
        fn a_change_of_path_costs_no_order(longer in 1u64..19, gap in 1u64..10, others in prop::collection::hash_set(0u64..60, 0..10)) {
            let mut tap = Tap::default();
            let (changed, short) = (30, 5 * MS);
            let mut arrivals: Vec<(Micros, u32, u64)> = (0..60)
                .map(|n| match n < changed {
                    true => (n * gap * MS + short + longer * MS, TRANSIT, n),
                    false => (n * gap * MS + short, DIRECT, n),
                })
                .collect();
            arrivals.sort_unstable();
            for (at, port, counter) in arrivals {
                tap.tick(at);
                if others.contains(&counter) {
                    tap.other(counter);
                } else {
                    tap.frame(port, counter, at);
                }
            }
            tap.tick(Micros::MAX);
            prop_assert!(tap.out.is_sorted(), "{:?}", tap.out);
        }
    }
}
