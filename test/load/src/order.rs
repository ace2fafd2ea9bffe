//! An order to ask others, when each of its requests is due, and what became of them.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use serde::Serialize;
use tincan::time::{Micros, MILLISECOND, SECOND};

/// An answer that comes later is late.
pub const LATE: Micros = SECOND;
/// Until then an answer is waited for, so that late and never can be told apart.
pub const GIVEN_UP: Micros = 6 * SECOND;
const HIGHEST_RATE: u64 = 10_000;
const LONGEST: u64 = 3_600;

#[derive(Debug, PartialEq)]
pub struct Order {
    pub to: Vec<SocketAddrV4>,
    /// A second, to each.
    rate: u64,
    seconds: u64,
}

impl Order {
    /// `rate=100&seconds=60&to=10.244.1.2:8081,10.244.2.2:8081`
    pub fn parse(query: &str) -> Result<Self, String> {
        let (mut to, mut rate, mut seconds) = (Vec::new(), None, None);
        for part in query.split('&') {
            let (key, text) = part.split_once('=').ok_or(format!("{part:?} is not of the form KEY=VALUE"))?;
            let number = |highest: u64| {
                let value = text.parse().ok().filter(|value| (1..=highest).contains(value));
                value.ok_or(format!("{part:?}: a number from 1 to {highest}"))
            };
            match key {
                "rate" => rate = Some(number(HIGHEST_RATE)?),
                "seconds" => seconds = Some(number(LONGEST)?),
                "to" => {
                    for address in text.split(',') {
                        let parsed =
                            address.parse().map_err(|_| format!("{address:?} is not of the form IPV4:PORT"))?;
                        if to.contains(&parsed) {
                            return Err(format!("{address:?} is there twice"));
                        }
                        to.push(parsed);
                    }
                }
                _ => return Err(format!("{part:?}: there are rate, seconds and to")),
            }
        }
        if to.is_empty() {
            return Err("to is missing".into());
        }
        Ok(Self { to, rate: rate.ok_or("rate is missing")?, seconds: seconds.ok_or("seconds is missing")? })
    }
}

/// One request that did not get its answer in time. Times are of the monotonic clock, which all nodes of one machine share.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Late {
    pub began_us: Micros,
    pub connected_us: Option<Micros>,
    /// When the other end's process took it, by its own account.
    pub taken_us: Option<Micros>,
    pub answered_us: Option<Micros>,
    /// Segments that the kernel sent again: none of them means that the network lost nothing of this end's.
    pub retransmitted: u32,
    pub error: Option<String>,
}

/// What became of the requests to one target.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub sent: u64,
    /// In time.
    pub answered: u64,
    pub slowest_us: Micros,
    /// Requests of which the kernel sent something again, late or not.
    pub retransmitted: u64,
    pub late: Vec<Late>,
}

impl Outcome {
    /// A request has ended, one way or another.
    pub fn ended(&mut self, request: Late, now: Micros) {
        self.retransmitted += u64::from(request.retransmitted > 0);
        let took = request.answered_us.unwrap_or(now).saturating_sub(request.began_us);
        self.slowest_us = self.slowest_us.max(took);
        if request.answered_us.is_some() && request.error.is_none() && took <= LATE {
            self.answered += 1;
        } else {
            self.late.push(request);
        }
    }
}

/// Which request is due when. The targets take turns.
pub struct Schedule {
    began: Micros,
    given: u64,
    total: u64,
    targets: u64,
    rate: u64,
}

impl Schedule {
    pub fn new(order: &Order, now: Micros) -> Self {
        let targets = order.to.len() as u64;
        Self { began: now, given: 0, total: order.rate * order.seconds * targets, targets, rate: order.rate }
    }

    /// None: there are no more.
    pub fn deadline(&self) -> Option<Micros> {
        (self.given < self.total).then(|| self.began + self.given * SECOND / (self.rate * self.targets))
    }

    /// The place of the target that is to be asked now, if any is.
    pub fn take(&mut self, now: Micros) -> Option<usize> {
        self.deadline().filter(|&due| due <= now)?;
        self.given += 1;
        Some(((self.given - 1) % self.targets) as usize)
    }
}

/// What the order is answered with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found<'a> {
    pub began_us: Micros,
    pub ended_us: Micros,
    pub targets: BTreeMap<String, &'a Outcome>,
    /// When this process stood still since a little before the order came: others may have asked it by then.
    pub pauses: &'a [(Micros, Micros)],
}

/// Orders of several nodes that belong together come within this time.
pub const TOGETHER: Micros = 30 * SECOND;

/// Longest wait of the loop: what is due in a moment is done a little late, and counts from when it was done.
pub const fn patience(deadline: Option<Micros>, now: Micros, most: Micros) -> Micros {
    match deadline {
        Some(due) if due <= now => 0,
        Some(due) if due - now < most => due - now,
        _ => most,
    }
}

const _: () = assert!(GIVEN_UP > LATE && LATE > MILLISECOND);

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "rate=100&seconds=2&to=10.244.1.2:8081,10.244.2.2:8081";

    #[test]
    fn an_order_says_whom_to_ask_how_often_and_how_long() {
        let order = Order::parse(ORDER).unwrap();
        assert_eq!((order.to.len(), order.rate, order.seconds), (2, 100, 2));
    }

    #[test]
    fn a_wrong_order_is_refused_with_what_is_wrong() {
        for (query, expected) in [
            ("", "\"\" is not of the form KEY=VALUE"),
            ("rate=0&seconds=1&to=10.0.0.1:1", "\"rate=0\": a number from 1 to 10000"),
            ("rate=1&seconds=x&to=10.0.0.1:1", "\"seconds=x\": a number from 1 to 3600"),
            ("rate=1&seconds=1&to=10.0.0.1", "\"10.0.0.1\" is not of the form IPV4:PORT"),
            ("to=10.0.0.1:1,10.0.0.1:1", "\"10.0.0.1:1\" is there twice"),
            ("rate=1&seconds=1", "to is missing"),
            ("rate=1&to=10.0.0.1:1", "seconds is missing"),
            ("seconds=1&to=10.0.0.1:1", "rate is missing"),
            ("speed=1", "\"speed=1\": there are rate, seconds and to"),
        ] {
            assert_eq!(Order::parse(query), Err(expected.to_string()), "{query}");
        }
    }

    #[test]
    fn targets_take_turns_evenly_and_in_full() {
        let mut schedule = Schedule::new(&Order::parse(ORDER).unwrap(), 7);
        let mut given = [0, 0];
        let mut now = 7;
        while let Some(due) = schedule.deadline() {
            assert!(schedule.take(due - 1).is_none());
            now = due;
            given[schedule.take(due).unwrap()] += 1;
        }
        assert_eq!(given, [200, 200]);
        assert_eq!(now, 7 + 2 * SECOND - SECOND / 200);
    }

    #[test]
    fn after_a_pause_it_catches_up() {
        let mut schedule = Schedule::new(&Order::parse(ORDER).unwrap(), 0);
        let given = std::iter::from_fn(|| schedule.take(SECOND - 1)).count();
        assert_eq!(given, 200);
    }

    fn request(answered_us: Option<Micros>) -> Late {
        Late { began_us: 0, connected_us: None, taken_us: None, answered_us, retransmitted: 0, error: None }
    }

    #[test]
    fn every_request_is_either_answered_in_time_or_told_of() {
        let mut outcome = Outcome::default();
        outcome.ended(request(Some(LATE)), LATE);
        outcome.ended(request(Some(LATE + 1)), LATE + 1);
        outcome.ended(request(None), GIVEN_UP);
        outcome.ended(Late { error: Some("refused".into()), ..request(None) }, 5);
        outcome.ended(Late { retransmitted: 2, ..request(Some(3)) }, 3);
        assert_eq!((outcome.answered, outcome.late.len(), outcome.retransmitted), (2, 3, 1));
        assert_eq!(outcome.slowest_us, GIVEN_UP);
    }
}
