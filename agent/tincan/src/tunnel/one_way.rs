//! Whether the peer's requests come by a way that does not answer ours: something between drops one direction.

use crate::time::{Micros, SECOND};

/// A way that works answers within a second. Behind a NAT the first requests may have been lost; so long they are not.
const PATIENCE: Micros = 5 * SECOND;
/// Requests that had no answer by then.
const ASKED: u32 = 8;
/// The peer asks an address that never answered every ten seconds. Who was heard no more by then is not heard any more.
const SILENCE: Micros = 12 * SECOND;
/// It is said again so often while it lasts.
const AGAIN: Micros = 10 * SECOND;

#[derive(Debug, Default)]
pub(super) struct OneWay {
    /// Since when requests have come, and none of ours was answered.
    since: Option<Micros>,
    heard: Micros,
    asked: u32,
    said: Option<Micros>,
}

impl OneWay {
    /// A request of the peer came.
    pub fn heard(&mut self, now: Micros) {
        if self.since.is_none() || now.saturating_sub(self.heard) > SILENCE {
            *self = Self { since: Some(now), ..Self::default() };
        }
        self.heard = now;
    }

    /// A request of ours left.
    pub fn asked(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    /// A request of ours was answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// Whether it is so, and to be said now.
    pub fn take(&mut self, now: Micros) -> bool {
        let lasts = self.since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE) && self.asked >= ASKED;
        let due = self.said.is_none_or(|at| now.saturating_sub(at) >= AGAIN);
        if lasts && due && now.saturating_sub(self.heard) <= SILENCE {
            self.said = Some(now);
            return true;
        }
        false
    }
}
