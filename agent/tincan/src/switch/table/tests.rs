use proptest::prelude::*;

use super::super::key;
use super::*;
use crate::switch::action::Action;

fn spec(priority: u16, matching: Match) -> FlowSpec {
    FlowSpec {
        table: 0,
        priority,
        matching,
        cookie: u64::from(priority),
        idle_timeout: 0,
        hard_timeout: 0,
        flags: 0,
        instructions: Arc::new(Instructions::default()),
    }
}

fn sends_to(port: u32) -> Arc<Instructions> {
    let apply = Some(vec![Action::Output { port, max_length: 0 }]);
    Arc::new(Instructions { apply, ..Instructions::default() })
}

const ALL: Filter = Filter {
    table: TABLE_ALL,
    matching: EVERYTHING,
    out_port: port::ANY,
    out_group: GROUP_ANY,
    cookie: 0,
    cookie_mask: 0,
};
const EVERYTHING: Match = Match { value: Key([0; key::WORDS]), mask: Key([0; key::WORDS]) };

fn in_port(port: u64) -> Match {
    Match::default().with(key::IN_PORT, u128::from(port))
}

fn from(port: u64) -> Key {
    in_port(port).value
}

fn cookie(tables: &Tables, key: &Key) -> Option<u64> {
    tables.get(tables.lookup(0, key)?).map(|flow| flow.spec.cookie)
}

#[test]
fn the_highest_priority_wins_and_a_masked_match_takes_a_range() {
    let mut tables = Tables::default();
    assert_eq!(tables.add(spec(1, EVERYTHING), 0), Ok(()));
    assert_eq!(tables.add(spec(9, in_port(1)), 0), Ok(()));
    let mut half = in_port(0);
    half.mask.set_number(key::IN_PORT, 0xffff_fff0);
    assert_eq!(tables.add(spec(5, half), 0), Ok(()));
    assert_eq!([1, 2, 15, 16].map(|port| cookie(&tables, &from(port))), [Some(9), Some(5), Some(5), Some(1)]);
    assert!(tables.get(tables.lookup(0, &from(99)).expect("a flow")).is_some_and(|flow| !flow.is_table_miss()));
    assert_eq!(tables.lookup(1, &from(1)), None);
}

#[test]
fn an_add_replaces_the_same_match_and_priority_and_keeps_its_counters_unless_asked() {
    let mut tables = Tables::default();
    assert_eq!(tables.add(spec(5, in_port(1)), 0), Ok(()));
    let id = tables.lookup(0, &from(1)).expect("a flow");
    tables.hit(id, 100, 1);
    assert_eq!(tables.add(FlowSpec { cookie: 77, ..spec(5, in_port(1)) }, 2), Ok(()));
    assert_eq!((tables.len(), cookie(&tables, &from(1))), (1, Some(77)));
    let counted = |tables: &Tables| tables.iter().map(|flow| (flow.packets, flow.bytes)).collect::<Vec<_>>();
    assert_eq!(counted(&tables), [(1, 100)]);
    assert_eq!(tables.add(FlowSpec { flags: FLAG_RESET_COUNTS, ..spec(5, in_port(1)) }, 3), Ok(()));
    assert_eq!(counted(&tables), [(0, 0)]);
}

#[test]
fn an_overlap_of_equal_priority_is_refused_when_asked() {
    let mut tables = Tables::default();
    assert_eq!(tables.add(spec(5, in_port(1)), 0), Ok(()));
    let check = |priority| FlowSpec { flags: FLAG_CHECK_OVERLAP, ..spec(priority, EVERYTHING) };
    assert_eq!(tables.add(check(5), 0), Err(error::FLOW_MOD_OVERLAP));
    assert_eq!(tables.add(check(6), 0), Ok(()));
    assert_eq!(tables.add(FlowSpec { flags: FLAG_CHECK_OVERLAP, ..spec(5, in_port(2)) }, 0), Ok(()));
}

#[test]
fn delete_and_modify_take_what_lies_within_or_strictly_the_same() {
    let mut tables = Tables::default();
    for port in 1..=3 {
        assert_eq!(
            tables.add(FlowSpec { instructions: sends_to(port), ..spec(5, in_port(u64::from(port))) }, 0),
            Ok(())
        );
    }
    let strict = Filter { matching: in_port(2), ..ALL };
    assert_eq!(tables.delete(&strict, Some(4), RemovedReason::Delete).len(), 0, "another priority");
    assert_eq!(
        tables.delete(&Filter { out_port: 9, ..ALL }, None, RemovedReason::Delete).len(),
        0,
        "nothing goes to port 9"
    );
    assert_eq!(tables.delete(&Filter { cookie: 1, cookie_mask: 3, ..ALL }, Some(5), RemovedReason::Delete).len(), 0);
    tables.modify(&strict, Some(5), &sends_to(9), false);
    assert_eq!(tables.delete(&Filter { out_port: 9, ..ALL }, None, RemovedReason::Delete).len(), 1);
    assert_eq!(tables.delete(&ALL, None, RemovedReason::Delete).len(), 2);
    assert_eq!(tables.len(), 0);
}

#[test]
fn a_flow_goes_when_idle_or_at_its_hard_timeout_whichever_is_first() {
    let mut tables = Tables::default();
    assert_eq!(tables.add(FlowSpec { idle_timeout: 10, hard_timeout: 25, ..spec(5, in_port(1)) }, 0), Ok(()));
    let id = tables.lookup(0, &from(1)).expect("a flow");
    assert_eq!(tables.deadline(), Some(10 * SECOND));
    tables.hit(id, 1, 9 * SECOND);
    assert_eq!((tables.expire(10 * SECOND).len(), tables.deadline()), (0, Some(19 * SECOND)));
    tables.hit(id, 1, 18 * SECOND);
    assert_eq!(tables.deadline(), Some(25 * SECOND));
    let removed = tables.expire(25 * SECOND);
    assert_eq!(removed.iter().map(|removed| removed.reason).collect::<Vec<_>>(), [RemovedReason::HardTimeout]);
    assert_eq!((tables.len(), tables.deadline()), (0, None));
    assert_eq!(tables.add(FlowSpec { idle_timeout: 1, ..spec(5, in_port(1)) }, 0), Ok(()));
    assert_eq!(tables.expire(SECOND)[0].reason, RemovedReason::IdleTimeout);
}

#[test]
fn counters_may_be_switched_off() {
    let mut tables = Tables::default();
    let flags = FLAG_NO_PACKET_COUNTS | FLAG_NO_BYTE_COUNTS;
    assert_eq!(tables.add(FlowSpec { flags, ..spec(5, in_port(1)) }, 0), Ok(()));
    tables.hit(tables.lookup(0, &from(1)).expect("a flow"), 100, 0);
    assert_eq!(tables.iter().map(|flow| (flow.packets, flow.bytes)).collect::<Vec<_>>(), [(0, 0)]);
}

/// What the tables should do, done plainly: a list, every entry looked at.
#[derive(Default)]
struct Naive(Vec<(u16, Match, u64)>);

impl Naive {
    fn add(&mut self, priority: u16, matching: Match, cookie: u64) {
        self.0.retain(|(p, m, _)| (*p, *m) != (priority, matching));
        self.0.push((priority, matching, cookie));
    }

    fn lookup(&self, key: &Key) -> Option<u16> {
        self.0.iter().filter(|(_, m, _)| key.and(&m.mask) == m.value).map(|(p, _, _)| *p).max()
    }
}

fn any_match() -> impl Strategy<Value = Match> {
    (0u64..4, prop::sample::select(vec![0u64, 1, 3, 7]), 0u64..8, prop::sample::select(vec![0u64, 0xf0, 0xff]))
        .prop_map(|(port, port_mask, label, label_mask)| {
            let mut matching = Match::default();
            matching.mask.set_number(key::IN_PORT, port_mask);
            matching.mask.set_number(key::TUNNEL_ID, label_mask);
            matching.value.set_number(key::IN_PORT, port & port_mask);
            matching.value.set_number(key::TUNNEL_ID, (label * 16) & label_mask);
            matching
        })
}

proptest! {
    #[test]
    fn tables_agree_with_a_plain_list(
        steps in prop::collection::vec((0u8..4, 0u16..6, any_match()), 1..60),
        keys in prop::collection::vec((0u64..8, 0u64..256), 20),
    ) {
        let (mut tables, mut naive) = (Tables::default(), Naive::default());
        for (number, (what, priority, matching)) in steps.into_iter().enumerate() {
            let filter = Filter { matching, ..ALL };
            match what {
                0 | 1 => {
                    let cookie = number as u64;
                    prop_assert_eq!(tables.add(FlowSpec { cookie, ..spec(priority, matching) }, 0), Ok(()));
                    naive.add(priority, matching, cookie);
                }
                2 => {
                    tables.delete(&filter, Some(priority), RemovedReason::Delete);
                    naive.0.retain(|(p, m, _)| (*p, *m) != (priority, matching));
                }
                _ => {
                    tables.delete(&filter, None, RemovedReason::Delete);
                    naive.0.retain(|(_, m, _)| !m.is_within(&matching));
                }
            }
            prop_assert_eq!(tables.len(), naive.0.len());
            prop_assert_eq!(tables.active(0), naive.0.len());
            for &(port, label) in &keys {
                let mut key = from(port);
                key.set_number(key::TUNNEL_ID, label);
                let found = tables.lookup(0, &key).and_then(|id| tables.get(id)).map(|flow| flow.spec.priority);
                prop_assert_eq!(found, naive.lookup(&key));
            }
        }
    }
}
