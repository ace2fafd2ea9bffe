//! Whether a neighbour passes on what is sent through it: it may answer every probe of its own tunnel and forward nothing.
//!
//! Records of others that come by a neighbour show that it forwards. Where records are sent through it and none come back for a
//! while, nodes it is adjacent to are asked through it, one after the other; when none answers, nothing is sent through it any more
//! until one does. Each neighbour of such a node finds out by itself, before anybody further away blames what lies between.

use crate::time::{Micros, MILLISECOND, SECOND};

/// How often it is looked at while records are sent through it.
pub const LOOK: Micros = 250 * MILLISECOND;
/// What is sent through it counts for so long.
const ACTIVE: Micros = SECOND;
/// Nothing that shows that it forwards for so long is reason to ask...
const SUSPECT: Micros = 750 * MILLISECOND;
/// ...this often, one request a look. With a fifth of all records lost on each hop, all of them are lost by chance once in twenty
/// times, which costs a detour.
const REQUESTS: u32 = 6;
/// One that refuses is asked at every so many looks.
const RARELY: u32 = 4;

#[derive(Debug, Default)]
pub struct Forwards {
    used_at: Option<Micros>,
    /// When it was last seen to forward, or began to be used.
    shown_at: Micros,
    /// Looks in a row at which it was asked or would have been.
    asked: u32,
    /// One for all requests in a row: a late answer is an answer.
    challenge: [u8; 8],
    refuses: bool,
}

/// What a look at a neighbour comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// To be sent through it, to the node that comes at this turn among those it is adjacent to.
    pub ask: Option<([u8; 8], usize)>,
    /// It refuses now and did not before, or the other way round.
    pub changed: bool,
}

impl Forwards {
    /// A record for somebody else is sent through it.
    pub fn used(&mut self, now: Micros) {
        if self.used_at.is_none_or(|at| now.saturating_sub(at) > ACTIVE) && !self.refuses {
            self.shown_at = now;
        }
        self.used_at = Some(now);
    }

    /// A record of somebody else came by it.
    pub fn shown(&mut self, now: Micros) {
        self.shown_at = now;
    }

    /// A response came, by whatever way.
    pub fn answered(&mut self, challenge: [u8; 8], now: Micros) {
        if self.asked > 0 && challenge == self.challenge {
            self.shown(now);
        }
    }

    /// Nothing gets through by it.
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// Whether it has to be looked at again.
    pub fn watched(&self, now: Micros) -> bool {
        self.refuses || self.used_at.is_some_and(|at| now.saturating_sub(at) <= ACTIVE)
    }

    /// `asks`: there is somebody behind it to be asked; without, it has nothing to forward to.
    pub fn look(&mut self, asks: bool, draw: fn() -> [u8; 8], now: Micros) -> Look {
        if !asks || !self.watched(now) || now.saturating_sub(self.shown_at) < SUSPECT {
            self.asked = 0;
            return Look { ask: None, changed: std::mem::take(&mut self.refuses) };
        }
        if self.asked == 0 {
            self.challenge = draw();
        }
        let turn = self.asked;
        self.asked = self.asked.saturating_add(1);
        let changed = turn >= REQUESTS && !std::mem::replace(&mut self.refuses, turn >= REQUESTS);
        let ask = (!self.refuses || turn % RARELY == 0).then_some((self.challenge, turn as usize));
        Look { ask, changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw() -> [u8; 8] {
        [7; 8]
    }

    /// Looks at a neighbour through which something is sent all the time; gives the requests and the times it changed.
    fn run(
        forwards: &mut Forwards,
        from: Micros,
        for_: Micros,
        mut each: impl FnMut(&mut Forwards, Option<[u8; 8]>, Micros),
    ) -> (usize, Vec<Micros>) {
        let (mut now, mut asks, mut changes) = (from, 0, Vec::new());
        while now < from + for_ {
            now += LOOK;
            forwards.used(now);
            let look = forwards.look(true, draw, now);
            asks += usize::from(look.ask.is_some());
            if look.changed {
                changes.push(now - from);
            }
            each(forwards, look.ask.map(|(challenge, _)| challenge), now);
        }
        (asks, changes)
    }

    #[test]
    fn a_neighbour_by_which_records_of_others_come_is_never_asked() {
        let mut forwards = Forwards::default();
        let ran = run(&mut forwards, SECOND, 60 * SECOND, |forwards, _, now| forwards.shown(now));
        assert_eq!(ran, (0, Vec::new()));
    }

    #[test]
    fn one_by_which_nothing_comes_back_is_asked_about_once_a_second_and_trusted_while_answers_come() {
        let mut forwards = Forwards::default();
        let (asks, changes) = run(&mut forwards, SECOND, 60 * SECOND, |forwards, ask, now| {
            if let Some(challenge) = ask {
                forwards.answered(challenge, now);
            }
        });
        assert!((40..=85).contains(&asks), "{asks}");
        assert_eq!(changes.len(), 0);
    }

    #[test]
    fn one_that_forwards_nothing_refuses_within_two_and_a_half_seconds_and_until_an_answer_comes() {
        let mut forwards = Forwards::default();
        run(&mut forwards, SECOND, 10 * SECOND, |forwards, _, now| forwards.shown(now));
        let (_, changes) = run(&mut forwards, 11 * SECOND, 60 * SECOND, |_, _, _| {});
        assert_eq!(changes.len(), 1);
        assert!(changes[0] <= 2_500 * MILLISECOND, "{}", changes[0]);
        assert!(forwards.refuses());
        let (_, changes) = run(&mut forwards, 71 * SECOND, 3 * SECOND, |forwards, ask, now| {
            if let Some(challenge) = ask {
                forwards.answered(challenge, now);
            }
        });
        assert_eq!(changes.len(), 1);
        assert!(changes[0] <= 1_500 * MILLISECOND, "{}", changes[0]);
        assert!(!forwards.refuses());
    }

    #[test]
    fn one_that_refuses_is_asked_on_once_a_second_although_nothing_is_sent_through_it() {
        let mut forwards = Forwards::default();
        run(&mut forwards, SECOND, 5 * SECOND, |_, _, _| {});
        assert!(forwards.refuses());
        let asks = (0..40).filter(|i| forwards.look(true, draw, (10 + i) * SECOND).ask.is_some()).count();
        assert_eq!((asks, forwards.watched(60 * SECOND)), (10, true));
    }

    #[test]
    fn one_that_is_used_again_after_a_pause_gets_time_to_show_what_it_does() {
        let mut forwards = Forwards::default();
        run(&mut forwards, SECOND, 5 * SECOND, |forwards, _, now| forwards.shown(now));
        let (asks, _) = run(&mut forwards, 100 * SECOND, 700 * MILLISECOND, |_, _, _| {});
        assert_eq!(asks, 0);
    }

    #[test]
    fn one_with_nobody_behind_it_refuses_nothing() {
        let mut forwards = Forwards::default();
        run(&mut forwards, SECOND, 5 * SECOND, |_, _, _| {});
        assert_eq!(forwards.look(false, draw, 7 * SECOND), Look { ask: None, changed: true });
        assert!(!forwards.refuses());
    }

    #[test]
    fn an_answer_to_somebody_elses_question_shows_nothing() {
        let mut forwards = Forwards::default();
        run(&mut forwards, SECOND, 5 * SECOND, |forwards, _, now| forwards.answered([8; 8], now));
        assert!(forwards.refuses());
    }
}
