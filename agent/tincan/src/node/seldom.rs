//! Says a thing once, not as often as it happens.

use std::collections::BTreeMap;

use crate::time::{Micros, SECOND};

/// What goes on happening is said again after this long.
const PAUSE: Micros = 60 * SECOND;
/// Different things that are remembered; with more of them all are forgotten.
const MAX: usize = 64;

#[derive(Default)]
pub struct Seldom(BTreeMap<String, (Micros, u64)>);

impl Seldom {
    /// Whether to say it now: then how often it happened unsaid since the last time.
    pub fn say(&mut self, text: &str, now: Micros) -> Option<u64> {
        if let Some((said, unsaid)) = self.0.get_mut(text) {
            if now < *said + PAUSE {
                *unsaid += 1;
                return None;
            }
        } else if self.0.len() >= MAX {
            self.0.clear();
        }
        Some(self.0.insert(text.to_owned(), (now, 0)).map_or(0, |(_, unsaid)| unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_said_once_a_minute_and_how_often_it_happened_in_between() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.say("a", 0), Some(0));
        assert_eq!(seldom.say("b", 1), Some(0));
        assert_eq!(seldom.say("a", 2), None);
        assert_eq!(seldom.say("a", PAUSE - 1), None);
        assert_eq!(seldom.say("a", PAUSE), Some(2));
        assert_eq!(seldom.say("a", 2 * PAUSE), Some(0));
    }

    #[test]
    fn ever_other_things_take_no_more_than_so_much_memory() {
        let mut seldom = Seldom::default();
        for n in 0..1000 {
            assert_eq!(seldom.say(&n.to_string(), 0), Some(0));
        }
        assert!(seldom.0.len() <= MAX);
    }
}
