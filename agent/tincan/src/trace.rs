//! Traces (docs/wire.md §10.1, `trace-watch`): a node counts what becomes of the marked frames of one pair of nodes. Pure: frames and
//! the time in, counts out.
//!
//! A marked frame is an ICMP echo request or reply (RFC 792, RFC 4443 §4.1) whose data begins with [`MAGIC`] and the trace's number. The
//! nodes between see sealed records only: there a frame of the trace is a record of the pair that has just the length of one.

use std::collections::BTreeMap;

use crate::time::{Micros, MILLISECOND, SECOND};
use crate::wire::frame::FRAME_HEADER;
use crate::wire::record::FRAME;
use crate::wire::routing::ROUTING_HEADER;
use crate::wire::sealed::SEAL_OVERHEAD;
use crate::wire::Label;

pub const MAGIC: [u8; 8] = *b"EvioTrac";
/// Watched at one time.
pub const WATCHES_MAX: usize = 16;
/// Of those for the frames of one source: its oldest gives way, and nobody else's.
pub const WATCHES_OF_ONE: usize = 4;
/// And no longer than this.
pub const WATCH_MAX: Micros = 60 * SECOND;

/// Which way a frame goes: the source's requests, or what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    There,
    Back,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub trace: u64,
    pub direction: Direction,
}

/// What a frame says of itself.
fn mark(frame: &[u8]) -> Option<Mark> {
    const ETHERNET: usize = 14;
    let ethertype = u16::from_be_bytes(*frame.get(12..)?.first_chunk()?);
    let (header, request, reply) = match ethertype {
        0x0800 if frame.get(ETHERNET + 9) == Some(&1) => (usize::from(frame.get(ETHERNET)? & 15) * 4, 8, 0),
        0x86dd if frame.get(ETHERNET + 6) == Some(&58) => (40, 128, 129),
        _ => return None,
    };
    let icmp = frame.get(ETHERNET + header..)?;
    let direction = match *icmp.first()? {
        kind if kind == request => Direction::There,
        kind if kind == reply => Direction::Back,
        _ => return None,
    };
    let data = icmp.get(8..)?.strip_prefix(&MAGIC)?;
    Some(Mark { trace: u64::from_be_bytes(*data.first_chunk()?), direction })
}

/// Of one direction: what happened to its frames, by name, and by which tunnels they came and left last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub counts: BTreeMap<&'static str, u64>,
    pub came_by: Option<u32>,
    pub left_by: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Watch {
    pub trace: u64,
    pub source: Label,
    pub destination: Label,
    /// Of a record with routing header.
    record_bytes: usize,
    until: Micros,
    pub there: Counts,
    pub back: Counts,
}

impl Watch {
    fn of(&mut self, direction: Direction) -> &mut Counts {
        match direction {
            Direction::There => &mut self.there,
            Direction::Back => &mut self.back,
        }
    }
}

#[derive(Default)]
pub struct Traces(Vec<Watch>);

impl Traces {
    /// Begins, or goes on, to count: what was counted stays.
    pub fn watch(&mut self, trace: u64, pair: (Label, Label), frame_bytes: usize, for_ms: u32, now: Micros) {
        let until = now + (u64::from(for_ms) * MILLISECOND).min(WATCH_MAX);
        self.tick(now);
        let (source, destination) = pair;
        let known = self.0.iter_mut().find(|watch| watch.trace == trace);
        if let Some(watch) = known.filter(|watch| (watch.source, watch.destination) == pair) {
            watch.until = until;
            return;
        }
        self.0.retain(|watch| watch.trace != trace);
        self.make_room(source);
        let record_bytes = ROUTING_HEADER + SEAL_OVERHEAD + FRAME_HEADER + frame_bytes;
        let (there, back) = Default::default();
        self.0.push(Watch { trace, source, destination, record_bytes, until, there, back });
    }

    fn of_source(&self, source: Label) -> usize {
        self.0.iter().filter(|watch| watch.source == source).count()
    }

    /// Whoever has most gives way: nobody ends the traces of all others.
    fn make_room(&mut self, source: Label) {
        let gives_way = if self.of_source(source) >= WATCHES_OF_ONE {
            Some(source)
        } else if self.0.len() >= WATCHES_MAX {
            // Of equals the one whose oldest is the oldest: `max_by_key` takes the last.
            self.0.iter().rev().map(|watch| watch.source).max_by_key(|&source| self.of_source(source))
        } else {
            None
        };
        if let Some(at) = gives_way.and_then(|source| self.0.iter().position(|watch| watch.source == source)) {
            self.0.remove(at);
        }
    }

    /// Forgets what is over: frames are looked at while anything is watched.
    pub fn tick(&mut self, now: Micros) {
        self.0.retain(|watch| watch.until > now);
    }

    pub fn get(&self, trace: u64, now: Micros) -> Option<&Watch> {
        self.0.iter().find(|watch| watch.trace == trace && watch.until > now)
    }

    /// The mark of a frame that is watched. Nothing is looked at while nothing is watched.
    pub fn mark(&self, frame: &[u8]) -> Option<Mark> {
        if self.0.is_empty() {
            return None;
        }
        mark(frame).filter(|mark| self.0.iter().any(|watch| watch.trace == mark.trace))
    }

    /// That of a record which crosses this node.
    pub fn record_mark(&self, source: Label, destination: Label, record: &[u8]) -> Option<Mark> {
        if self.0.is_empty() || record.get(ROUTING_HEADER) != Some(&FRAME) {
            return None;
        }
        self.0.iter().filter(|watch| watch.record_bytes == record.len()).find_map(|watch| {
            let direction = match (source, destination) {
                pair if pair == (watch.source, watch.destination) => Direction::There,
                pair if pair == (watch.destination, watch.source) => Direction::Back,
                _ => return None,
            };
            Some(Mark { trace: watch.trace, direction })
        })
    }

    pub fn count(&mut self, mark: Option<Mark>, what: &'static str) {
        self.passed(mark, what, None, None);
    }

    /// The same, with the tunnels by which it came and left.
    pub fn passed(&mut self, mark: Option<Mark>, what: &'static str, came_by: Option<u32>, left_by: Option<u32>) {
        let Some(Mark { trace, direction }) = mark else { return };
        let Some(watch) = self.0.iter_mut().find(|watch| watch.trace == trace) else { return };
        let counts = watch.of(direction);
        *counts.counts.entry(what).or_default() += 1;
        counts.came_by = came_by.or(counts.came_by);
        counts.left_by = left_by.or(counts.left_by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: (Label, Label) = (Label(1), Label(2));

    fn echo4(kind: u8, trace: u64) -> Vec<u8> {
        let mut frame = vec![0; 14];
        frame[12..14].copy_from_slice(&[8, 0]);
        let mut ip = vec![0x45; 1];
        ip.resize(20, 0);
        ip[9] = 1;
        [frame, ip, vec![kind, 0, 0, 0, 0, 0, 0, 0], MAGIC.to_vec(), trace.to_be_bytes().to_vec()].concat()
    }

    fn echo6(kind: u8, trace: u64) -> Vec<u8> {
        let mut frame = vec![0; 14];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        let mut ip = vec![0x60; 1];
        ip.resize(40, 0);
        ip[6] = 58;
        [frame, ip, vec![kind, 0, 0, 0, 0, 0, 0, 0], MAGIC.to_vec(), trace.to_be_bytes().to_vec()].concat()
    }

    fn watching(trace: u64) -> Traces {
        let mut traces = Traces::default();
        traces.watch(trace, PAIR, 100, 1_000, 0);
        traces
    }

    #[test]
    fn requests_and_replies_of_a_watched_trace_are_known_by_their_data() {
        let traces = watching(7);
        let there = Some(Mark { trace: 7, direction: Direction::There });
        let back = Some(Mark { trace: 7, direction: Direction::Back });
        assert_eq!([traces.mark(&echo4(8, 7)), traces.mark(&echo6(128, 7))], [there, there]);
        assert_eq!([traces.mark(&echo4(0, 7)), traces.mark(&echo6(129, 7))], [back, back]);
        assert_eq!(traces.mark(&echo4(8, 8)), None, "another trace");
        assert_eq!(traces.mark(&echo4(3, 7)), None, "no echo");
        assert_eq!(Traces::default().mark(&echo4(8, 7)), None, "nothing is watched");
    }

    #[test]
    fn a_frame_cut_anywhere_has_no_mark() {
        let traces = watching(7);
        for whole in [echo4(8, 7), echo6(128, 7)] {
            for length in 0..whole.len() {
                assert_eq!(traces.mark(&whole[..length]), None, "{length}");
            }
        }
        let mut long = echo4(8, 7);
        long[14] = 0x4f;
        assert_eq!(traces.mark(&long), None, "an IPv4 header longer than the frame");
    }

    #[test]
    fn a_record_is_known_by_its_pair_its_type_and_its_length() {
        let traces = watching(7);
        let mut record = vec![0; ROUTING_HEADER + SEAL_OVERHEAD + FRAME_HEADER + 100];
        record[ROUTING_HEADER] = FRAME;
        let of = |source, destination, record: &[u8]| {
            traces.record_mark(Label(source), Label(destination), record).map(|mark| mark.direction)
        };
        assert_eq!(of(1, 2, &record), Some(Direction::There));
        assert_eq!(of(2, 1, &record), Some(Direction::Back));
        assert_eq!(of(1, 3, &record), None);
        assert_eq!(of(1, 2, &record[1..]), None);
        record[ROUTING_HEADER] = crate::wire::record::CONTROL;
        assert_eq!(of(1, 2, &record), None);
    }

    #[test]
    fn what_happened_is_counted_by_name_and_the_last_tunnels_are_kept() {
        let mut traces = watching(7);
        let mark = traces.mark(&echo4(8, 7));
        traces.passed(mark, "forwarded", Some(16), Some(17));
        traces.passed(mark, "forwarded", Some(16), Some(18));
        traces.count(mark, "noRoute");
        traces.count(None, "noRoute");
        let watch = traces.get(7, 1).unwrap();
        assert_eq!(watch.there.counts, BTreeMap::from([("forwarded", 2), ("noRoute", 1)]));
        assert_eq!((watch.there.came_by, watch.there.left_by), (Some(16), Some(18)));
        assert_eq!(watch.back, Counts::default());
    }

    #[test]
    fn a_watch_asked_for_again_goes_on_and_ends_at_its_time() {
        let mut traces = watching(7);
        let mark = traces.mark(&echo4(8, 7));
        traces.count(mark, "sent");
        traces.watch(7, PAIR, 100, 1_000, SECOND / 2);
        assert_eq!(traces.get(7, SECOND).map(|watch| watch.there.counts.len()), Some(1));
        assert!(traces.get(7, SECOND * 3 / 2).is_none());
        traces.tick(SECOND * 3 / 2);
        assert_eq!(traces.mark(&echo4(8, 7)), None, "nothing is looked at any more");
        traces.watch(8, PAIR, 100, u32::MAX, 0);
        assert!(traces.get(8, WATCH_MAX).is_none(), "however long it was asked for");
    }

    #[test]
    fn the_oldest_trace_of_one_source_gives_way_to_its_next_and_nobody_elses() {
        let mut traces = Traces::default();
        traces.watch(100, (Label(9), Label(2)), 100, 1_000, 0);
        for trace in 0..=WATCHES_OF_ONE as u64 {
            traces.watch(trace, PAIR, 100, 1_000, 0);
        }
        assert!(traces.get(0, 1).is_none());
        assert!((1..=WATCHES_OF_ONE as u64).all(|trace| traces.get(trace, 1).is_some()));
        assert!(traces.get(100, 1).is_some(), "another's");
    }

    #[test]
    fn where_all_places_are_taken_whoever_has_most_gives_way() {
        let mut traces = Traces::default();
        traces.watch(100, (Label(100), Label(2)), 100, 1_000, 0);
        for trace in 0..3 {
            traces.watch(trace, PAIR, 100, 1_000, 0);
        }
        for source in 0..(WATCHES_MAX as u64 - 4) {
            traces.watch(200 + source, (Label(200 + source), Label(2)), 100, 1_000, 0);
        }
        traces.watch(300, (Label(300), Label(2)), 100, 1_000, 0);
        let gone = [0, 1, 2, 100, 200, 300].map(|trace| traces.get(trace, 1).is_none());
        assert_eq!(gone, [true, false, false, false, false, false]);
        assert_eq!(traces.0.len(), WATCHES_MAX);
    }
}
