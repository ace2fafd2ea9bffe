//! Whether records for nodes that are not adjacent arrive: a transit node may answer every probe of its own tunnels and forward
//! nothing.
//!
//! Per destination, from what was sent and what came back. Traffic that stays without any authentic record of its destination is
//! asked after, end to end; when that is not answered either, the first hop is avoided for this destination, and only a request
//! that got through by it brings it back. Both directions are found: a node that is asked by somebody who hears nothing of it
//! (a routed request without PROVEN, wire.md §6.4) avoids its own first hop in the same way. Both wait longer than the neighbours of a
//! node that forwards nothing need to find out (`forwards`): an innocent first hop is not to be left for what lies behind it.

use crate::time::{Micros, MILLISECOND, SECOND};
use crate::wire::{Label, LabelMap};

/// Traffic without an answer for this long is asked after...
const SUSPECT: Micros = 500 * MILLISECOND;
/// ...this often...
const ASK_EVERY: Micros = 250 * MILLISECOND;
/// ...and after so many requests without an answer the first hop is avoided. With a fifth of all records lost on each of three
/// hops, all of them and all traffic beside them would be lost by chance once in a hundred times, which costs a detour.
const REQUESTS: u8 = 10;
/// Whoever does not send any more is not asked after.
const IDLE: Micros = 5 * SECOND;
/// What is known of a destination that nothing is sent to any more.
const FORGET: Micros = 60 * SECOND;
/// An avoided first hop is tried again this often.
const RETRY: Micros = 10 * SECOND;
/// Complaints that nothing of us is heard: so many, the first so long ago at least (our answer to it may still be under way), and at
/// most.
const COMPLAINTS: u8 = 6;
const COMPLAINT_AGE: Micros = 2 * SECOND;
const COMPLAINT_LIFE: Micros = 4 * SECOND;
/// After a first hop was left, complaints are about the old one for so long.
const SETTLE: Micros = 1_500 * MILLISECOND;
/// Destinations kept; those idle go first.
const KEPT: usize = 1_024;

/// A request to send to `label`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub label: Label,
    /// By this tunnel and no other: an avoided one that may work again.
    pub by: Option<u32>,
    pub challenge: [u8; 8],
    /// What PROVEN says: there is no complaint that nothing of the destination is heard.
    pub heard: bool,
}

#[derive(Debug)]
struct Avoided {
    port: u32,
    retry_at: Micros,
    challenge: [u8; 8],
}

#[derive(Debug)]
struct Watch {
    /// The first hop in use.
    port: u32,
    sent_at: Micros,
    /// Since when what was sent has no answer.
    unanswered: Option<Micros>,
    asked: u8,
    ask_at: Micros,
    avoided: Vec<Avoided>,
    complaints: u8,
    complained: Micros,
    /// Complaints before this are not counted.
    settled: Micros,
}

impl Watch {
    fn new(port: u32, now: Micros) -> Self {
        Watch {
            port,
            sent_at: now,
            unanswered: None,
            asked: 0,
            ask_at: 0,
            avoided: Vec::new(),
            complaints: 0,
            complained: 0,
            settled: 0,
        }
    }

    fn avoid(&mut self, now: Micros) {
        if !self.avoided.iter().any(|avoided| avoided.port == self.port) {
            self.avoided.push(Avoided { port: self.port, retry_at: now + RETRY, challenge: [0; 8] });
        }
        self.unanswered = Some(now);
        self.asked = 1;
        // The new way is asked at once: its answer says that it works, its lack of PROVEN that the other end should look at its own.
        self.ask_at = now;
        self.complaints = 0;
        self.settled = now + SETTLE;
    }

    fn asking(&self, now: Micros) -> bool {
        self.unanswered.is_some() && now.saturating_sub(self.sent_at) < IDLE
    }

    fn deadline(&self, now: Micros) -> Option<Micros> {
        let ask = self.asking(now).then_some(self.ask_at);
        self.avoided.iter().map(|avoided| avoided.retry_at).chain(ask).min()
    }
}

#[derive(Debug)]
pub struct Reach {
    by_label: LabelMap<Watch>,
    draw_challenge: fn() -> [u8; 8],
    next_at: Option<Micros>,
    /// Some first hop is avoided: on the way of every record this is asked first.
    avoiding: bool,
    /// First hops left since somebody asked.
    left: u64,
}

impl Reach {
    pub fn new(draw_challenge: fn() -> [u8; 8]) -> Self {
        Reach { by_label: LabelMap::default(), draw_challenge, next_at: None, avoiding: false, left: 0 }
    }

    /// How often a first hop was left because nothing got through by it, since this was asked last.
    pub fn take_left(&mut self) -> u64 {
        std::mem::take(&mut self.left)
    }

    /// A record that needs no answer left for `label` by tunnel `port`.
    pub fn used(&mut self, label: Label, port: u32, now: Micros) {
        self.watch(label, port, now);
    }

    /// Traffic left for `label` by tunnel `port`.
    pub fn sent(&mut self, label: Label, port: u32, now: Micros) {
        let Some(watch) = self.watch(label, port, now) else { return };
        watch.sent_at = now;
        if watch.unanswered.is_none() {
            watch.unanswered = Some(now);
            watch.asked = 0;
            watch.ask_at = now + SUSPECT;
            self.wake(now + SUSPECT);
        }
    }

    fn watch(&mut self, label: Label, port: u32, now: Micros) -> Option<&mut Watch> {
        let watch = self.watch_of(label, port, now)?;
        if watch.port != port {
            // Another way says nothing about the one before.
            watch.port = port;
            watch.unanswered = None;
            watch.asked = 0;
        }
        Some(watch)
    }

    fn watch_of(&mut self, label: Label, port: u32, now: Micros) -> Option<&mut Watch> {
        if self.by_label.len() >= KEPT && !self.by_label.contains_key(&label) {
            self.by_label.retain(|_, watch| !watch.avoided.is_empty() || now.saturating_sub(watch.sent_at) < IDLE);
            if self.by_label.len() >= KEPT {
                return None;
            }
        }
        Some(self.by_label.entry(label).or_insert_with(|| Watch::new(port, now)))
    }

    /// Anything authentic of `label` came.
    pub fn heard(&mut self, label: Label) {
        if let Some(watch) = self.by_label.get_mut(&label) {
            watch.unanswered = None;
            watch.asked = 0;
        }
    }

    /// A routed response of `label`; one that was asked for by an avoided first hop brings that back.
    pub fn answered(&mut self, label: Label, challenge: [u8; 8]) {
        self.heard(label);
        if let Some(watch) = self.by_label.get_mut(&label) {
            watch.avoided.retain(|avoided| avoided.challenge != challenge || challenge == [0; 8]);
        }
    }

    /// `label` asks and says that it hears nothing of us.
    pub fn complained(&mut self, label: Label, now: Micros) {
        let Some(watch) = self.by_label.get_mut(&label).filter(|watch| now >= watch.settled) else { return };
        if watch.complaints == 0 || now.saturating_sub(watch.complained) > COMPLAINT_LIFE {
            watch.complaints = 0;
            watch.complained = now;
        }
        watch.complaints = watch.complaints.saturating_add(1);
        if watch.complaints >= COMPLAINTS && now.saturating_sub(watch.complained) >= COMPLAINT_AGE {
            watch.avoid(now);
            self.left += 1;
            self.avoiding = true;
            self.wake(now);
        }
    }

    /// Whether records for `label` should not go by this tunnel.
    pub fn avoids(&self, label: Label, port: u32) -> bool {
        self.avoiding
            && self.by_label.get(&label).is_some_and(|watch| watch.avoided.iter().any(|avoided| avoided.port == port))
    }

    /// Every first hop was avoided: all but the one avoided first may be tried again. The others may have been blamed for a node
    /// further on, which its own neighbours find and avoid meanwhile; the first one comes back when a request gets through by it.
    pub fn pardon(&mut self, label: Label) {
        if let Some(watch) = self.by_label.get_mut(&label) {
            watch.avoided.truncate(1);
        }
    }

    /// The tunnel is gone, and with it what was held against it.
    pub fn port_gone(&mut self, port: u32) {
        for watch in self.by_label.values_mut() {
            watch.avoided.retain(|avoided| avoided.port != port);
        }
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.next_at
    }

    pub fn tick(&mut self, now: Micros) -> Vec<Ask> {
        let mut asks = Vec::new();
        if self.next_at.is_none_or(|at| at > now) {
            return asks;
        }
        let draw = self.draw_challenge;
        for (&label, watch) in &mut self.by_label {
            if watch.asking(now) && watch.ask_at <= now {
                if watch.asked >= REQUESTS {
                    watch.avoid(now);
                    self.left += 1;
                    self.avoiding = true;
                }
                // The first request only asks; that nothing is heard is said once it stayed unanswered.
                asks.push(Ask { label, by: None, challenge: draw(), heard: watch.asked == 0 });
                watch.asked += 1;
                watch.ask_at = now + ASK_EVERY;
            }
            if now.saturating_sub(watch.sent_at) >= FORGET {
                watch.avoided.clear();
            }
            for avoided in watch.avoided.iter_mut().filter(|avoided| avoided.retry_at <= now) {
                avoided.retry_at = now + RETRY;
                avoided.challenge = draw();
                asks.push(Ask { label, by: Some(avoided.port), challenge: avoided.challenge, heard: true });
            }
        }
        self.next_at = self.by_label.values().filter_map(|watch| watch.deadline(now)).min();
        self.avoiding = self.by_label.values().any(|watch| !watch.avoided.is_empty());
        asks
    }

    fn wake(&mut self, at: Micros) {
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }
}

#[cfg(test)]
mod tests;
